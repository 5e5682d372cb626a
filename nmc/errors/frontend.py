"""Findings of the frontends: NIR 001-039, lava-dl 040-049, ONNX 050-099."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC001": Entry(
        "not a model file",
        "The path leads to nothing, to a folder, to an empty file or to one that is not HDF5. NIR (`.nir`) and "
        "lava-dl's network exchange (`.net`) are HDF5 files; they begin with the bytes 89 48 44 46.",
        "`model.nir` is a text file that git-lfs left: fetch the real one with `git lfs pull`.",
    ),
    "NMC002": Entry(
        "a damaged file",
        "HDF5 finds the file cut off or its structure broken, or the file links to another file or into itself. "
        "The place says which part of it.",
        "A download that stopped: copy or export the file again.",
    ),
    "NMC003": Entry(
        "a file of another kind",
        "The file is readable but holds no model that nmc knows. A NIR file has a group `node`, a network exchange "
        "of lava-dl a group `layer`.",
        "Recorded data in `.h5`: give the file with the network instead.",
    ),
    "NMC004": Entry(
        "an unknown node type",
        "nmc reads the 18 node types of NIR 1.0.8. A node of another type may come from a newer version or from a "
        "framework's own extension; what it computes is not known.",
        "`MaxPool2d` is no type of NIR: pool by sum or average, or export the model as ONNX.",
    ),
    "NMC005": Entry(
        "a field is missing",
        "The node lacks a parameter without which it has no meaning. `v_reset`, `w_in` and biases may be absent: "
        "early versions of NIR did not have them.",
        "A `LIF` without `tau`: export the model again with a current version of the framework.",
    ),
    "NMC006": Entry(
        "a field of the wrong kind",
        "Numbers are needed where text is, or an array has the wrong number of axes, or is empty.",
        "The `weight` of a `Conv2d` with 3 axes: 4 are needed, (out, in, y, x).",
    ),
    "NMC007": Entry(
        "a number that is not finite",
        "A NaN or an infinity in a parameter makes every result meaningless. The message gives the first place and "
        "how many there are. Trainings that diverge leave NaN.",
        "`weight[3, 17]` is nan, and 41 more: load an earlier checkpoint.",
    ),
    "NMC008": Entry(
        "a number out of its range",
        "Time constants, strides, kernels and groups are above 0; delays, padding and counts are not negative; "
        "Loihi's decays are 0 to 4096.",
        "A `tau` of 0 s: an integrator without leak is an `IF`.",
    ),
    "NMC009": Entry(
        "an edge to a node that is not there",
        "An edge of the file names a node that the graph does not have. The nearest name that it has is in the "
        "help. Some exporters renamed nodes and forgot the edges.",
        "`lif` -> `lin` in `lif1`, where the node is called `lif1`: rename it in the exporter and export again.",
    ),
    "NMC010": Entry(
        "shapes do not fit",
        "What a node gives is not what the next one takes. Both shapes and both places are named. Missing axes are "
        "joined, leading axes of time and batch dropped, and weights turned by nmc where only that fits.",
        "`conv1` gives 8x12x12, `fc1` takes 100: were the weights trained for another image size?",
    ),
    "NMC011": Entry(
        "parameters of one node do not fit each other",
        "A bias is as long as the weights have rows; the parameters of a neuron broadcast to one shape; the number "
        "of groups divides the channels.",
        "`bias` has 10 values; the weights are 12x64.",
    ),
    "NMC012": Entry(
        "a shape that nothing tells",
        "Shapes follow from the inputs through the graph. Where a node has single numbers as parameters and nothing "
        "reaches it, its size is open.",
        "An `Input` without `shape` before a `SumPool2d`: write the shape of one sample into the `Input`.",
    ),
    "NMC013": Entry(
        "a loop without neuron",
        "A loop needs a node that holds a value from one step to the next: a neuron or an integrator.",
        "`fc1` -> `fc2` -> `fc1`: should the second edge come from a neuron?",
    ),
    "NMC014": Entry(
        "an empty graph", "The file has no node.", "A graph that was written before it was built."
    ),
    "NMC015": Entry(
        "an edge against the direction of an end, or to a subgraph with several",
        "Nothing enters an `Input` and nothing leaves an `Output`. An edge to a nested graph means its one `Input`, "
        "an edge from it its one `Output`.",
        "`output` -> `fc2`: connect what feeds the output to `fc2` instead.",
    ),
    "NMC016": Entry(
        "two nodes of one name",
        "Nodes of nested graphs are called by their path, `lif1.lin`. A node of the outer graph has that name too.",
        "`lif1` with a node `lin`, beside a node `lif1.lin`: rename one of them.",
    ),
    "NMC020": Entry(
        "an input or output was added",
        "A note: the file has no `Input` (or `Output`), so signals enter where nothing else does (or leave where "
        "nothing follows).",
        "A file that holds a single layer.",
    ),
    "NMC021": Entry(
        "a shape was read as that of a sample",
        "A note: shapes in the file count time or batch, or leave out a Flatten, and only one reading fits the "
        "nodes around.",
        "An `Input` of shape 20x64 before weights of 24x64: 20 steps of 64 values.",
    ),
    "NMC022": Entry(
        "weights were turned",
        "A note: the weights are stored (pre, post), as Spyx does, and not (post, pre), as NIR says. They are turned "
        "where only that fits. Square weights cannot be told and are taken as NIR says.",
        "Weights of 64x10 after 64 values: 10 neurons.",
    ),
    "NMC023": Entry(
        "a loop takes a step",
        "A note: within a step nothing can depend on itself, so one edge of each loop carries what its source gave "
        "one step before. It is the edge that leaves the neuron, as in all frameworks; presets may move it.",
        "`lif` -> `w_rec` -> `lif`: `w_rec` sees the spikes of the step before.",
    ),
    "NMC024": Entry(
        "an edge stands twice",
        "A note: the file lists an edge more than once. Edges into a node are summed; this one is meant once.",
        "`fc1` -> `lif1`, two times.",
    ),
    "NMC025": Entry(
        "a field of early versions is assumed",
        "A note: files of NIR before 1.0.5 have no `v_reset`, which is 0 then, and some no `w_in`, which is 1.",
        "A `LIF` with `v_threshold` but without `v_reset`.",
    ),
    "NMC026": Entry(
        "a field is ignored",
        "A warning: the node has a field that NIR 1.0.8 does not define. It may change what the node means in the "
        "framework that wrote it.",
        "A `LIF` with a field `refractory`.",
    ),
    "NMC040": Entry(
        "not a network exchange of lava-dl",
        "A `.net` file has layers numbered from 0 in its group `layer`.",
        "A file whose layers begin at 1: export it again with `net.export_hdf5`.",
    ),
    "NMC041": Entry(
        "a layer or neuron of lava-dl that nmc does not have",
        "nmc reads input, flatten, dense, dense_rec, conv, pool and average layers with CUBA (LOIHI) neurons that "
        "spike 0 or 1. Sigma-delta and resonate-and-fire neurons compute something else.",
        "`type` SDNN: train the network with `slayer.block.cuba`.",
    ),
    "NMC043": Entry(
        "a layer that does not fit the one before",
        "The sizes of weights, biases, delays or neuron parameters do not fit the layer's input or shape.",
        "weights of 10x100 after 128 values.",
    ),
    "NMC044": Entry(
        "numbers that Lava would change",
        "A warning: Loihi's weights of both signs are even and at most 254, and delays at most 62. netx and Lava cut "
        "or round others in silence; nmc keeps them and says what the target makes of them.",
        "A weight of 7 beside negative ones.",
    ),
    "NMC045": Entry(
        "delays of a convolution",
        "A note: slayer delays the output of a convolution with learned delays; netx drops these delays. nmc does "
        "what the network was trained with.",
        "`delay` in a layer of type conv.",
    ),
    "NMC046": Entry(
        "not expressible as a network exchange",
        "A `.net` file holds a chain of populations of Loihi's neuron with whole numbers: weights of 8 bits, decays "
        "of 1/4096, thresholds of 17 bits.",
        "A weight of 0.37: quantize the network first (`nmc compile --target loihi`).",
    ),
    "NMC050": Entry(
        "not an ONNX model",
        "The bytes are not a protobuf of an ONNX model, or the model has no graph: a download that stopped, a "
        "file of another kind with this suffix, or text.",
        "An HTML page saved as `model.onnx`: download the file itself.",
    ),
    "NMC051": Entry(
        "external data that cannot be read",
        "Weights above 2 GB, and on request smaller ones, are stored in files beside the model. One of them "
        "is missing, too short, or lies outside the model's folder.",
        "`model.onnx.data` was left behind: copy it into the folder of `model.onnx`.",
    ),
    "NMC052": Entry(
        "a tensor that cannot be read",
        "The shape, the element type and the bytes of a constant do not belong together.",
        "A float tensor of shape [10, 64] with 100 bytes: export the model again.",
    ),
    "NMC053": Entry(
        "a malformed graph",
        "A value is used but never made, values depend on themselves in a circle, functions nest without end, "
        "or a loop has no body. No exporter writes such files.",
        "A file cut with a protobuf editor: export the whole model again.",
    ),
    "NMC054": Entry(
        "an operator that is not supported",
        "The operator has no meaning on a neuromorphic target, or is not known. Local functions of the model "
        "are inlined, so a custom operator can bring its definition.",
        "`ArgMax` at the end of a classifier: leave it out and take the highest output on the host.",
    ),
    "NMC055": Entry(
        "a shape that does not resolve",
        "A shape, an index or the rank of an input is not a constant of the file. The number of samples may "
        "be dynamic, and the number of steps; features may not.",
        "`dynamic_axes={'x': {0: 'batch', 1: 'n'}}`: leave axis 1 out.",
    ),
    "NMC056": Entry(
        "random numbers that matter",
        "Dropout or noise takes part in the computation, so the file has no one meaning. Noise that is "
        "multiplied by zero is left out, with a note.",
        "A model exported in training mode: call `model.eval()` first.",
    ),
    "NMC057": Entry(
        "the state of the neurons is lost",
        "The model compares a membrane with a threshold, but nothing connects one step with the next: a "
        "module that keeps its membrane to itself was exported for one step, and its membrane became a "
        "constant of the file.",
        "snnTorch's `Leaky(init_hidden=True)` exported with one input: give the membrane as an input and an "
        "output of the exported module, or export all steps.",
    ),
    "NMC058": Entry(
        "a state that cannot be",
        "A declared state is not in the model, its two ends differ in shape, or its initial value fits "
        "neither. Without declarations states are found by shape, dependence and name.",
        "`--state mem_out=x` where `x` is the input: name the membrane, `--state mem_out=mem`.",
    ),
    "NMC059": Entry(
        "steps that do not repeat",
        "The model holds several steps at once, and they are not the repetition of one step: something "
        "depends on a later step, the steps differ, or there are fewer than three.",
        "A bidirectional GRU: only the forward direction can run step by step.",
    ),
    "NMC060": Entry(
        "time or samples mixed with features",
        "An operator combines different samples, different steps or both with features, so that no step of "
        "one sample remains. Where the axes of the inputs were read wrongly, name the time axis.",
        "A flatten from axis 0 on in a model of [T, B, N]: flatten from axis 2 on.",
    ),
    "NMC061": Entry(
        "an operator with impossible arguments",
        "Arguments or attributes are missing, or their shapes do not fit each other.",
        "A `Gemm` of 64 columns on 60 features: the file is damaged; export it again.",
    ),
    "NMC062": Entry(
        "an old opset",
        "Operators of this age mean other things than today's. Opset 11 and newer are tested; 7 to 10 are "
        "read.",
        "`opset_version=6`: export with 17, or convert with `onnx.version_converter`.",
    ),
    "NMC063": Entry(
        "too large to unroll",
        "An array or a loop of the file is larger than any network needs, so the file is refused before "
        "memory runs out.",
        "A `ConstantOfShape` of 10**12 elements: the file is damaged.",
    ),
    "NMC064": Entry(
        "batch normalization in training mode",
        "In training mode the normalization takes mean and variance of the samples at hand, so one sample's "
        "spikes depend on the others.",
        "An export without `model.eval()`: call it first, or `training=TrainingMode.EVAL`.",
    ),
    "NMC070": Entry(
        "a state was found",
        "An output is the next value of an input. It says how that was found; `--state` overrides it.",
        "`v_out` has the shape of `v` and is computed of it.",
    ),
    "NMC071": Entry(
        "steps were rolled up",
        "The model holds many steps; the step they repeat was found, and both were run on random inputs and "
        "gave the same.",
        "A snnTorch loop of 25 steps becomes one step with two membranes.",
    ),
    "NMC072": Entry(
        "a population was lifted",
        "Elementwise operations were recognized as a neuron; the equation is what every target gets.",
        "`Greater`, `Mul` and `Sub` around a membrane become a leaky integrate-and-fire neuron.",
    ),
    "NMC073": Entry(
        "a population is kept as a program",
        "The elementwise operations of a population with a state are no neuron of the known families. Golden "
        "runs them exactly; a target may have no circuit for them.",
        "A GRU cell: its gates are not a membrane with a threshold.",
    ),
    "NMC074": Entry(
        "an activation is kept as it is",
        "An elementwise function without a state, such as a rectifier.",
        "`Relu` between two layers of an artificial network.",
    ),
    "NMC075": Entry(
        "delays were found",
        "Shift registers, or a convolution over time, are synapses with delays.",
        "A kernel of 13 taps with one weight each becomes synapses with delays of 0 to 12 steps.",
    ),
    "NMC076": Entry(
        "half precision is computed in single",
        "Constants are stored with 16 bits. They keep their values, and sums have more digits than the "
        "framework's own.",
        "A model converted by `float16.convert_float_to_float16`.",
    ),
    "NMC077": Entry(
        "lifts were proved",
        "Each recognized neuron ran beside the file's own operations on thousands of points, many of them "
        "where the membrane meets its threshold.",
        "4096 points, of which 1864 within rounding of the threshold.",
    ),
    "NMC078": Entry(
        "a bound on spikes was left out",
        "The file limits the spikes of one step to a number that no run reaches; the neuron has no limit.",
        "Rockpool's `max_spikes_per_dt` of 65536.",
    ),
    "NMC079": Entry(
        "an artificial network",
        "There is neither a state nor a threshold, so the graph is run as it is. Convert it to spikes to "
        "compile it.",
        "A multilayer perceptron with rectifiers.",
    ),
    "NMC080": Entry(
        "random numbers were left out",
        "Noise is multiplied by zero in the file.",
        "Rockpool exports `noise_std=0` as a product.",
    ),
}
SECTION = Section(1, 99, ENTRIES)
