"""Findings about arrays and simulation."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
SECTION = Section(500, 549, ENTRIES)
