"""Findings about the graph, its text and artifacts."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
    "NMC119": Entry(
        "a clock without such a phase",
        "A population with a clock takes a step in steps t with t % every == phase, so a phase is below `every`.",
        "Every 2 steps, phase 2: phase 0.",
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
SECTION = Section(100, 149, ENTRIES)
