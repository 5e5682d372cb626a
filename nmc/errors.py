"""The catalogue of findings: what `nmc explain CODE` says. One entry for each code that the source uses.

Ranges: 001-099 frontends (NIR 001-039, lava-dl 040-049, ONNX 050-099), 100-149 the graph, its text and
artifacts, 150-199 canonicalize and discretize, 200-249 calibrate and quantize, 250-299 delays, 300-349 partition
and place, 400-449 Loihi, 450-499 FPGA, 500-549 arrays and simulation, 900-949 the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: what it is called, why it arises and what to do, and a case with its way out."""

    title: str
    explanation: str
    example: str


_FRONTEND: Mapping[str, Entry] = {
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

_GRAPH: Mapping[str, Entry] = {
    "NMC100": Entry(
        "two nodes have one name",
        "Nodes are found by their names, so a name may be there once. Nested graphs give their nodes qualified "
        "names; a clash comes from a graph that was built or edited by hand.",
        "Two nodes `fc1`: rename one, and the edges that mean it.",
    ),
    "NMC101": Entry(
        "an edge names a node that does not exist",
        "One end of an edge is not among the nodes. The nearest name that exists is in the help.",
        "The edge `conv1` -> `lif_1`, where the node is called `lif1`.",
    ),
    "NMC102": Entry(
        "an edge where none can be",
        "Nothing enters an input and nothing leaves an output; an operation takes edges at the ports it has.",
        "`output` -> `lif1`: connect what feeds the output to `lif1` instead.",
    ),
    "NMC103": Entry(
        "shapes differ along an edge",
        "An edge carries what its source gives as it is. A matrix takes one axis, so an image needs a `Flatten` "
        "before it.",
        "`conv1` gives shape [8, 12, 12], `fc1` takes [1152]: put a Flatten between them.",
    ),
    "NMC104": Entry(
        "a negative delay",
        "An edge with delay d carries in step t what its source gave in step t - d. The future is not known.",
        "A delay of -1 on `lif1` -> `fc2`: 0 carries the same step.",
    ),
    "NMC105": Entry(
        "a loop without delay",
        "Within a step nodes run in the order of the edges without delay, so these cannot close a loop. In the "
        "frameworks a recurrent connection carries the spikes of the step before: a delay of one step.",
        "`lif1` -> `rec` -> `lif1` without delay: give `lif1` -> `rec` a delay of 1.",
    ),
    "NMC106": Entry(
        "a loop without neuron",
        "A loop of linear operations alone has no state that is a neuron's, and grows without bound or dies out "
        "by itself. It is almost always an edge to the wrong node.",
        "`fc1` -> `fc2` -> `fc1`: should the second edge come from a neuron?",
    ),
    "NMC107": Entry(
        "no input or no output",
        "A network takes signals at its inputs and gives them at its outputs. One that has neither cannot be "
        "run, and an output that nothing enters has nothing to give.",
        "A file whose last node was never connected to `output`.",
    ),
    "NMC108": Entry(
        "a part of the network that does nothing, or twice as much as it looks",
        "A warning: a node that no input reaches, a node that reaches no output, or the same edge twice (the "
        "signals of edges are summed). It is often a forgotten edge.",
        "`lif3` reaches no output: is an edge missing, or may the layer go?",
    ),
    "NMC109": Entry(
        "time that is not positive",
        "The length of a step is a positive number of seconds, or absent; the latency is a number of steps.",
        "A step of 0 s.",
    ),
    "NMC110": Entry(
        "a parameter or signal of a shape that cannot be",
        "Weights of a matrix are (post, pre), biases (post,). A parameter of a population broadcasts to its "
        "shape: one number for all, (channel, 1, 1) for one a channel, the full shape for one a neuron. A signal "
        "has at least one axis, and no axis is empty.",
        "A decay of shape [8] for a population of shape [8, 12, 12]: make it [8, 1, 1].",
    ),
    "NMC111": Entry(
        "a parameter that is not finite",
        "A NaN or an infinity in a parameter makes every result meaningless. Trainings that diverge leave NaN.",
        "`weight` holds 3 of 1280 values that are not finite: load an earlier checkpoint.",
    ),
    "NMC112": Entry(
        "a value that has no meaning",
        "Counts of steps and time constants cannot be negative, a time constant cannot be zero, a neuron that "
        "spikes several times a step needs a positive threshold, and so on. The message says which.",
        "A time constant `tau_mem` of 0 s.",
    ),
    "NMC113": Entry(
        "a decay outside 0 to 1",
        "A warning: in each step a state is multiplied by its decay. Below 0 it changes sign from step to step, "
        "above 1 it grows without bound. With Euler's rule, decay = 1 - dt/tau, this says that dt exceeds tau: "
        "a wrong unit of time.",
        "tau = 0.02 and dt = 1: give the step in seconds, --dt 0.001.",
    ),
    "NMC114": Entry(
        "a program that cannot run",
        "A population outside the known families does in each step what its program says: instructions on values "
        "that come before them, and one new value for each state. Frontends make such programs; a faulty one is "
        "a fault of nmc, or of a graph that was edited by hand.",
        "Instruction 2 takes values [7] of 5 before it.",
    ),
    "NMC115": Entry(
        "a window that does not fit its input",
        "Kernel, stride, padding and dilation have one entry for each axis of space; the dilated kernel is at "
        "most as large as the padded input; groups divide the channels. A maximum needs a value in each window.",
        "A kernel of 5 on an axis of 4 without padding.",
    ),
    "NMC116": Entry(
        "axes or sizes that do not fit the signal",
        "A Flatten joins the axes `start` to `end`, both included, counted from 0 without batch and time. A reshape "
        "keeps the number of elements, a transpose names each axis once, a product takes (…, m, k) and (…, k, n).",
        "Axes 1 to 3 of a signal of shape [8, 12, 12]: 1 to 2, since the batch is not counted.",
    ),
    "NMC117": Entry(
        "a synapse of a neuron that does not exist",
        "Synapses that are listed one by one name neurons by their place in the flattened shape, from 0.",
        "`post` names neuron 10 of 10: the last is 9.",
    ),
    "NMC118": Entry(
        "synapses out of order",
        "Synapses that are listed one by one are ordered by source, delay and target, each triple once. Two "
        "synapses with one triple act as one with the sum of their weights.",
        "(pre 0, delay 0, post 3) twice: add their weights.",
    ),
    "NMC120": Entry(
        "integers receive reals",
        "An operation in integers takes spikes or graded integers. Reals reach it when something before it was "
        "not quantized, or has no integer meaning (an average over 3 values).",
        "`lif1` computes in integers, but `pool1` gives reals: use a sum pool, or a window of a power of two.",
    ),
    "NMC121": Entry(
        "a number format is missing",
        "In an operation on integers every parameter says what its integers mean: bits, sign and exponent.",
        "A `threshold` without number in a quantized neuron.",
    ),
    "NMC122": Entry(
        "a parameter finer than the state",
        "Thresholds, biases, bounds and initial states are aligned to the neuron's state by a left shift, which "
        "is exact. One with a smaller exponent than the state's would have to be rounded in every step.",
        "A bias with the exponent -8 in a neuron with the exponent -6.",
    ),
    "NMC123": Entry(
        "a parameter out of the range of its register",
        "The neuron's arithmetic says how wide its registers for state, decay, threshold and bias are; hardware "
        "would cut off the rest.",
        "Thresholds up to 9000000 where the largest is 8388544.",
    ),
    "NMC124": Entry(
        "something that the arithmetic of a neuron does not have",
        "Targets differ in what a neuron can do: resets, comparisons, refractory periods, lower bounds, "
        "parameters that differ between neurons. This one was to do something that its arithmetic cannot.",
        "A reset by subtraction on an arithmetic that resets to a value only.",
    ),
    "NMC125": Entry(
        "a sum that may be too large",
        "From the actual weights and the range of the inputs follows how large a sum can become. It must be "
        "below 62 bits, and within its accumulator if the accumulator is said never to overflow.",
        "A sum may be -300 to 260, the accumulator s9e0 holds -256 to 255.",
    ),
    "NMC130": Entry(
        "a placement of neurons that do not exist",
        "A slice places the neurons `start` to `stop` (not included) of one population on one core, counted "
        "from 0 in C order.",
        "A slice of neurons 0 to 200 of 128.",
    ),
    "NMC131": Entry(
        "a neuron on two cores",
        "Each neuron lives on one core, so the slices of a population do not overlap.",
        "Slices 0 to 64 and 60 to 128.",
    ),
    "NMC132": Entry(
        "a neuron on no core",
        "In a graph that is placed at all, the slices of each population cover it.",
        "Slices 0 to 64 and 70 to 128: 64 to 69 are on no core.",
    ),
    "NMC140": Entry(
        "a graph's text that cannot be read",
        "The text form of a graph, `graph.nmc`, has one line for each node and edge. The message names line and "
        "column of what is not as `nmc` writes it.",
        "`lif1 = lif [128] membrane(decoy=0.9 …)`: there is no field `decoy`.",
    ),
    "NMC141": Entry(
        "a tensor that is not the one the text means",
        "Large tensors are files of their own; the text knows the format, shape and digest of each. One is "
        "missing, or belongs to another graph.",
        "`tensors/fc1.weight.npy` was copied from another artifact: compile again.",
    ),
    "NMC145": Entry(
        "the folder is taken",
        "An artifact is written to a new or empty folder, or replaces an artifact. A folder with anything else "
        "in it is left alone, so that nothing is lost.",
        "-o . in a folder with a model in it: give a folder of its own, -o out/.",
    ),
    "NMC146": Entry(
        "no artifact, or a damaged one",
        "An artifact is a folder with a `manifest.json` that nmc wrote. It was not found there, is truncated, or "
        "was edited.",
        "`nmc verify models/`, where `nmc verify out/` was meant.",
    ),
    "NMC147": Entry(
        "a file of the artifact is missing, differs or is too much",
        "The manifest names every file of the artifact with its digest, and each is checked before it is used.",
        "A tensor that was changed by hand: compile the model again instead.",
    ),
    "NMC148": Entry(
        "the file system refuses",
        "Reading or writing an artifact failed: no permission, no space, or a file where a folder should be. "
        "What was there before is as it was.",
        "-o /usr/out without the right to write there.",
    ),
    "NMC149": Entry(
        "an artifact of another version",
        "The format of artifacts may change between versions of nmc, and one version reads its own.",
        "An artifact of a newer nmc: compile the model again, or use the nmc that made it.",
    ),
}

_CANONICALIZE: Mapping[str, Entry] = {
    "NMC150": Entry(
        "how time was read",
        "A note: NIR has no step, no order of current and membrane and no rule for the reset. `--preset` names a "
        "framework whose reading is taken, `--dt` the step, `--reset` what a spike does.",
        "read as `nir`, dt = 0.0001 s: `--preset norse --dt 0.001` reads it otherwise.",
    ),
    "NMC151": Entry(
        "a step longer than a time constant",
        "A forward Euler step multiplies a state by 1 - dt/tau, which is negative where dt exceeds tau: the state "
        "would change its sign in every step.",
        "tau = 0.0002 and dt = 0.001: `--dt 0.0001`.",
    ),
    "NMC152": Entry(
        "a time constant in another unit?",
        "A warning: the time constant is thousands of steps, or an integrator needs thousands of inputs to spike. "
        "Some frameworks write steps or milliseconds where NIR means seconds.",
        "tau = 12 with dt = 0.0001: `--preset sinabs`, which counts in steps.",
    ),
    "NMC153": Entry(
        "an unknown preset, reset or step",
        "Presets are nir, snntorch, norse, spyx, py-spinnaker2, loihi, sinabs, spikingjelly and rockpool; resets are "
        "zero, subtract and multi-spike; a step is a positive time.",
        "`--preset snn-torch`: `--preset snntorch`.",
    ),
    "NMC154": Entry(
        "an option without effect",
        "The model is in steps and says how its neurons compute, so `--dt`, `--preset` and `--reset` would change "
        "nothing.",
        "`--dt` for a network exchange of lava-dl: leave it out.",
    ),
    "NMC155": Entry(
        "delays were rounded",
        "A note: delays in seconds become whole steps by rounding to nearest; the message gives the largest change.",
        "1.55 ms with dt = 0.1 ms is 16 steps: 0.5 steps more.",
    ),
    "NMC156": Entry(
        "every connection takes a step",
        "A note: on this platform what a connection carries arrives one step later, loops included, so each layer "
        "comes one step after the one before. Traces are those of the platform.",
        "The spikes of the second layer of two, two steps after the input that caused them.",
    ),
    "NMC157": Entry(
        "weights or biases as the platform has them",
        "A note: the preset says that weights are cut to a grid, or that biases act elsewhere; with the size.",
        "py-spinnaker2 cuts weights to int8, toward zero.",
    ),
    "NMC158": Entry(
        "a threshold that counts no spikes",
        "A multi-spike neuron gives floor(v / threshold) spikes a step, which needs a threshold above 0.",
        "A threshold of 0 with `--preset rockpool`: `--reset subtract`.",
    ),
    "NMC159": Entry(
        "the file's reset value is not used",
        "A note: spikes subtract the threshold, so the membrane is not set to `v_reset`.",
        "`v_reset` = -0.5 and `--reset subtract`.",
    ),
    "NMC170": Entry(
        "nodes were dropped",
        "A note: no output depends on these nodes. An edge may be missing in the file.",
        "A probe that was left in the graph.",
    ),
    "NMC160": Entry(
        "a maximum of something else than spikes",
        "Targets pool spikes by a neuron that fires when any of its window does. A maximum of graded or real "
        "values is no sum and no spike, and no target has it.",
        "`MaxPool2d` over membrane values: pool after the neuron, or use `SumPool2d`.",
    ),
    "NMC161": Entry(
        "an operation that is neither a population nor a connection",
        "Before placement a network is populations of neurons and linear connections between them. This "
        "operation is neither.",
        "A GRU cell, or an attention that multiplies spikes with spikes: they run in golden, and on no target.",
    ),
    "NMC162": Entry(
        "a membrane bias that cannot be sent as spikes",
        "With `bias=source` biases come as spikes of a constant neuron, through the synaptic current. A bias "
        "that acts on the membrane beside such a current cannot come that way.",
        "Compile with `--set bias=membrane`, the default.",
    ),
    "NMC163": Entry(
        "states in other coordinates",
        "A reset to another value than zero, a reset in the next step, or a spike or current of the step "
        "before is expressed by what hardware has. Spikes are the model's; recorded membranes are shifted or "
        "later.",
        "A neuron that resets to -0.1: its membrane is recorded as v + 0.1.",
    ),
    "NMC164": Entry(
        "an output that the target does not have",
        "An output shows a value that is computed from a population and that no neuron of a target holds, such as a "
        "membrane before its reset. It is left out, since another output remains; `nmc simulate MODEL` gives it.",
        "A model that returns `spk` and `mem`: the artifact gives `spk`.",
    ),
}

_QUANTIZE: Mapping[str, Entry] = {
    "NMC200": Entry(
        "a parameter that the target's integers do not hold",
        "A threshold or a bias, in units of the weights, is larger than the target's field for it. Fewer "
        "weight bits make the unit larger and the number smaller.",
        "A threshold 10,000 times the largest weight: compile with `--set weight_bits=4`.",
    ),
    "NMC201": Entry(
        "a weight width that the target does not have",
        "`--set weight_bits=` takes the widths that the target's synapses hold; `nmc targets NAME` lists "
        "them.",
        "`weight_bits=16` on `loihi`, which holds 1 to 8.",
    ),
    "NMC202": Entry(
        "an input taken for spikes",
        "The model file does not say what its input carries. Without calibration data it is taken to be "
        "spikes, 0 or 1 in each step.",
        "Direct (analogue) input: give `--calibrate data.npz` and it is sent as graded messages.",
    ),
    "NMC203": Entry(
        "an analogue input on a target of spikes",
        "The calibration data are not 0 and 1, and the target's messages carry no values.",
        "Encode the input as spikes before the first layer.",
    ),
    "NMC204": Entry(
        "an input sent as graded messages",
        "Values are rounded to the nearest step of a power of two, half to even. The note gives the step and "
        "the largest error on the calibration data.",
        "`--set message_bits=` changes the width.",
    ),
    "NMC205": Entry(
        "a threshold whose comparison changed",
        "The target compares with `>` and the model with `>=`, or the other way. Where states are whole "
        "weights the threshold moves by less than one of them and nothing changes; elsewhere it differs only "
        "for states within one threshold unit, whose relative size is given.",
        "SpikingJelly's `v >= 1` on Loihi.",
    ),
    "NMC210": Entry(
        "a neuron that the target does not have",
        "The chip's own neuron lacks something the model's needs: a reset by subtraction, a refractory "
        "period, a lower bound, a decay of each neuron's own. `--set neurons=` says what to do: `custom` "
        "programs an exact neuron where the target can, `stock` takes the nearest own neuron and measures the "
        "difference, `refuse` stops.",
        "`reset subtract` on Loihi with `--set neurons=refuse`.",
    ),
    "NMC211": Entry(
        "a programmed neuron",
        "The population runs as a neuron that is not the chip's own, exactly as the model says. On Loihi it "
        "is a process of the emitted script on Lava's CPU backend, since the chip's microcode is not public.",
        "snnTorch's default, reset by subtraction.",
    ),
    "NMC212": Entry(
        "an approximated neuron",
        "With `--set neurons=stock` the chip's own neuron stands in for the model's, and what it lacks is "
        "left out.",
        "A reset to zero instead of by subtraction.",
    ),
    "NMC213": Entry(
        "what an approximation changes",
        "All approximations together, measured in reals on the calibration data: the share of output cells "
        "that differ.",
        "Give `--calibrate` to have it measured.",
    ),
}

_DELAYS: Mapping[str, Entry] = {
    "NMC250": Entry(
        "a loop faster than the target",
        "Every connection of the target takes time, and around a loop the model has less of it. Other delays "
        "can be balanced by starting populations later; a loop cannot.",
        "Two layers that feed each other with one step in all, on a target of one step a connection: give the "
        "loop two.",
    ),
    "NMC251": Entry(
        "a delay that cannot be held",
        "A delay longer than a synapse holds is relayed by further neurons, which works for spikes only.",
        "A graded signal delayed by 100 steps where 62 fit.",
    ),
    "NMC252": Entry(
        "later outputs",
        "Each connection takes a step on the target, so outputs come later than the model's by a fixed number "
        "of steps. `nmc simulate` and `nmc verify` line them up again.",
        "Two layers on Loihi: two steps.",
    ),
    "NMC253": Entry(
        "a population that cannot wait for its first input",
        "Populations run late on the target, and a bias acts before the first input arrives. nmc starts them "
        "in the state from which they drift to the model's initial state, exactly; where no such state "
        "exists, or the neuron would spike on the way, it stops.",
        "A bias near the threshold in a deep layer: compile with `--set bias=source`.",
    ),
    "NMC254": Entry(
        "a relayed delay",
        "A delay longer than a synapse holds goes through populations that repeat spikes. They take neurons "
        "and cores, and change no spike.",
        "A delay of 100 steps where 62 fit: one relay population.",
    ),
}

_PLACE: Mapping[str, Entry] = {
    "NMC300": Entry(
        "a neuron that no core can hold",
        "The synapses or inputs of one neuron alone exceed a core.",
        "A neuron with 200,000 inputs on Loihi: prune, or split its inputs over more neurons.",
    ),
    "NMC301": Entry(
        "more cores than there are",
        "The network needs more cores than the target has. The help names the layer that takes most.",
        "Use fewer weight bits, or a smaller layer.",
    ),
    "NMC302": Entry(
        "a neuron that reaches too many cores",
        "Each core that a spike goes to takes an output axon of the sender's core.",
        "A layer spread over more cores than an axon table has entries.",
    ),
}

_LOIHI: Mapping[str, Entry] = {
    "NMC400": Entry(
        "something that Lava would compute in another way",
        "Lava's fixed-point processes have limits of their own: a convolution has no delay, symmetric padding "
        "and 24-bit messages, a shift has bounds. What cannot be written exactly as processes is refused.",
        "A graded message of 24 bits through a large weight exponent: use fewer `--set message_bits=`.",
    ),
    "NMC401": Entry(
        "no core left for the inputs",
        "In the cost model the lines of an input sit on cores, as spike injectors. The network's populations "
        "leave none for them.",
        "A network that fills all 128 cores: use a smaller one.",
    ),
    "NMC402": Entry(
        "a sum beyond 32 bits",
        "Lava sums a neuron's input in 32-bit integers. With this input the sum leaves them, and Lava would "
        "wrap without a word.",
        "Large graded inputs into large weights: scale the input down or use fewer message bits.",
    ),
    "NMC403": Entry(
        "a program that does not read",
        "The digests of the artifact are right, but its program is not one that this version of nmc writes. The "
        "message says which file and field.",
        "An artifact of an earlier version: compile the model again.",
    ),
}

_FPGA: Mapping[str, Entry] = {
    "NMC450": Entry(
        "a goal that is none",
        "Lanes are given with `lanes` or chosen for a goal, `cycles_per_step`; either is a whole number above 0, and "
        "both would contradict each other.",
        "`--set lanes=16 --set cycles_per_step=300`: leave one out.",
    ),
    "NMC451": Entry(
        "a goal out of reach",
        "Even one lane for each neuron does not end a step in so many cycles.",
        "102 events a step take 103 cycles at least: raise `--set cycles_per_step=`.",
    ),
    "NMC452": Entry(
        "the lanes of a layer",
        "Lanes are sums that are formed side by side. More of them end a step in fewer cycles and take more logic. "
        "The note says what was chosen and how many cycles a step is expected to take.",
        "`lif1` gets 16 lanes: 128 neurons are 8 words, and each event takes 8 cycles.",
    ),
    "NMC453": Entry(
        "too large for the part",
        "By the estimate the design takes more of something than the part has, so that synthesis is not begun.",
        "A layer of 4096 x 4096 weights of 8 bits takes 134 Mbit: use fewer weight bits or a larger part.",
    ),
}

_ARRAYS: Mapping[str, Entry] = {
    "NMC500": Entry(
        "an input has no array, or an array no input",
        "Every input of the model takes one array, by the input's name. A file may hold the array of a "
        "model's only input under any name. `nmc inspect` shows the inputs.",
        "A model with the inputs `left` and `right`, and a file that holds `x`: name the arrays `left` and `right`.",
    ),
    "NMC501": Entry(
        "an array does not fit",
        "Arrays have the axes (steps, samples, *shape), or (steps, *shape) for one sample in a file, where "
        "*shape is that of the input, without batch. All inputs have the same steps and samples.",
        "Images (samples, steps, 1, 28, 28): `x.swapaxes(0, 1)` puts time first, or give `--batch-axis 0`.",
    ),
    "NMC502": Entry(
        "an input is not a finite number",
        "NaN and infinity spread through every neuron that they reach; nothing that follows has a meaning.",
        "Data with gaps: `numpy.nan_to_num(x)` makes them zero.",
    ),
    "NMC503": Entry(
        "a spike is neither 0 nor 1",
        "The input was declared to carry spikes. Counts, intensities and currents are another kind of signal.",
        "Pixels 0 to 255 as `x`: threshold them, draw spikes at a rate, or use a model whose input is real.",
    ),
    "NMC504": Entry(
        "there is nothing to run",
        "An array without steps or without samples gives no result.",
        "`x[:0]` selects no step at all.",
    ),
    "NMC505": Entry(
        "there is nothing of that name to record",
        "What can be recorded is `node.variable`: `v` of a neuron, `i` of one with a synaptic current, `spikes` "
        "of what spikes, `in`, the sum that enters a node, and `out`, what it gives.",
        "`fc1.v`, where `fc1` is a layer of weights: its neurons are another node, say `lif1.v`.",
    ),
    "NMC506": Entry(
        "the model is in seconds",
        "Simulators run in steps. A NIR file holds time constants and delays in seconds, which the pass "
        "`discretize` turns into steps once the length of a step is known.",
        "Give `--dt 1e-4`, or a preset that says it.",
    ),
    "NMC508": Entry(
        "reals among integers",
        "A graph computes in integers as a whole, exactly, or in reals. A part of it was quantized and another "
        "was not, or an average was taken over a window whose size is no power of two.",
        "An average pool of 3 x 3 behind integers: use 2 x 2, or fold it into the weights.",
    ),
    "NMC509": Entry(
        "an input does not fit its number format",
        "A graded input of an integer graph takes mantissas: integers within the range of its format. "
        "`nmc.sim.arrays.to_mantissas` rounds values onto it; reading a file does so by itself.",
        "0.5 into u8e-8: the mantissa is 128.",
    ),
    "NMC510": Entry(
        "labels and samples differ in number",
        "Accuracy compares one label with the prediction of one sample, in the same order.",
        "Labels of the whole data set beside its first 100 samples: cut them to `y[:100]`.",
    ),
    "NMC511": Entry(
        "a state cannot begin with that value",
        "An array named like a state input of an ONNX step model is the value with which the state begins, "
        "the same for every sample. A state that is an output fed back is zero before the first step.",
        "`mem1` (8, 128) with another row for each of 8 samples: run the samples one by one.",
    ),
}

_COMMAND_LINE: Mapping[str, Entry] = {
    "NMC900": Entry(
        "there is no such target",
        "`--target` names a chip or fabric that nmc compiles for. `nmc targets` lists them.",
        "`nmc compile net.nir --target loihy -o out`: write `--target loihi`.",
    ),
    "NMC901": Entry(
        "there is no such pass",
        "`--dump-after` and `--stop-after` name one of the passes that the target runs. Which these "
        "are, and in which order, `nmc passes --target NAME` shows.",
        "`--stop-after quantise`: the pass is called `quantize`.",
    ),
    "NMC902": Entry(
        "the target has no such setting, or not with this value",
        "Each target has settings of its own, given as `--set name=value`. `nmc targets NAME` lists "
        "them with their defaults and choices.",
        "`--set weight_bit=4`: the setting is called `weight_bits`.",
    ),
    "NMC903": Entry(
        "there is no such engine or tool",
        "An artifact runs on `golden`, on `machine`, and on the witnesses of its target, which `nmc "
        "tools` lists.",
        "`nmc simulate out --engine lavva --input in.npz`: write `--engine lava`.",
    ),
    "NMC904": Entry(
        "there is no such variable to record",
        "`--record` takes NODE.VAR: a population of the network, and `spikes`, `v` (the membrane) "
        "or, where there is a synaptic current, `i`; or the output of an ONNX step model that is a state. "
        "A population that only integrates has no "
        "spikes. `nmc inspect` shows the names; in an artifact they are those of the lowered graph.",
        "`--record fc1.v`: `fc1` is a layer of weights; record `lif1.v`.",
    ),
    "NMC905": Entry(
        "the option does not apply",
        "`--dt`, `--preset` and `--reset` say what a model file leaves open, `--state`, `--time-axis` and "
        "`--steps-in-file` what an ONNX file does; an artifact has settled that. `machine` and the witnesses "
        "run an artifact, not a model.",
        "`nmc simulate out --dt 1e-3 --input in.npz`: compile again with `--dt 1e-3`.",
    ),
    "NMC906": Entry(
        "there is no such code",
        "`nmc explain` knows the codes that findings begin with. Without a code it lists them all.",
        "`nmc explain 12`: write `nmc explain NMC012`.",
    ),
    "NMC907": Entry(
        "a witness cannot run here",
        "A witness is a simulator that is not part of nmc and has to be installed: `nmc tools` says "
        "which are here and what installs the others. The message quotes the witness where it ran "
        "and failed.",
        "`nmc verify out --engine lava`, without Lava: run `nmc tools install lava` once.",
    ),
    "NMC908": Entry(
        "an artifact has no graph",
        "Every artifact holds the graph that was lowered for its target, `graph.nmc`; golden runs "
        "it. The folder was not written by `nmc compile`, or not by this version.",
        "A manifest that does not list `graph.nmc`: compile the model again.",
    ),
    "NMC909": Entry(
        "the file system refuses",
        "A file cannot be read or written: it is not there, may not be touched, or the disk is full.",
        "`--output /out.npz` without the right to write there: choose another place.",
    ),
    "NMC910": Entry(
        "a tool was not installed",
        "The message says why. What pip cannot fetch, it says in its own words; what nmc cannot "
        "install, you install yourself.",
        "`nmc tools install lava` without a network: run it again with one. It is needed only once.",
    ),
    "NMC911": Entry(
        "the file is no file of named arrays",
        'Inputs are read from `.npz` files: `numpy.savez("in.npz", x=spikes, y=labels)` writes one. '
        "Python objects are not read from them.",
        "A `.npy` file holds one array without a name: write an `.npz`.",
    ),
    "NMC912": Entry(
        "there is no array for the labels",
        "`--labels NAME` names the array of IN.npz that holds one class for each sample.",
        "`--labels label`, where the file holds `x` and `y`: write `--labels y`.",
    ),
    "NMC913": Entry(
        "an array has no such axis",
        "`--batch-axis K` says which axis of the arrays counts the samples, from 0, or from the end "
        "with a minus sign. Without it, axis 0 is time and axis 1 the samples.",
        "`--batch-axis 3` for an array of three axes: they are 0, 1 and 2.",
    ),
    "NMC920": Entry(
        "a population never spiked",
        "`nmc verify` compares what happens, and here nothing did: neurons that stay silent are "
        "compared in their membranes only. Random spikes, which it uses without `--input`, may be "
        "too few for a network, and a model that was read with a wrong step hardly spikes at all.",
        "Give `nmc verify` data of your own, `--input test.npz`; compile a file of Sinabs with `--preset sinabs`.",
    ),
    "NMC921": Entry(
        "a witness was left out",
        "Without `--engine`, `nmc verify` runs every witness that is ready here, and says which are "
        "not or took too long. With `--engine NAME`, a witness that cannot run is an error.",
        "`nmc tools install lava`, and verify again.",
    ),
}

SECTIONS: tuple[Mapping[str, Entry], ...] = (
    _FRONTEND,
    _GRAPH,
    _CANONICALIZE,
    _QUANTIZE,
    _DELAYS,
    _PLACE,
    _LOIHI,
    _FPGA,
    _ARRAYS,
    _COMMAND_LINE,
)
CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {code: entry for section in SECTIONS for code, entry in sorted(section.items())}
)
"""Code -> entry, in the order of the codes."""
