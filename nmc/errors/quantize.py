"""Findings of calibration, bit budgets and quantization."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
    "NMC220": Entry(
        "no such budget",
        "A budget is `bits=N` (of weights, states, and spikes over all steps), `bytes=N` (of weights and states) or "
        "`cores=N`, with a whole number above 0.",
        "`--budget bits=40000`.",
    ),
    "NMC221": Entry(
        "a budget without data",
        "A budget is shared out by what each layer loses at each width, which is measured on calibration data.",
        "Give `--calibrate train.npz` with samples that the network was trained on, or others like them.",
    ),
    "NMC222": Entry(
        "a budget that nothing fits",
        "Even with the narrowest weights that the target holds, and the fewest steps that are tried, the network takes "
        "more than the budget. The message says how much.",
        "`the network takes at least 21000 bits, and the budget is 9000`: raise the budget, or use a smaller network.",
    ),
    "NMC223": Entry(
        "how a budget was shared out",
        "The width of the weights into each population, the steps to run, what they take, and what they lose: the mean "
        "squared error of output rates on the calibration data, of all layers together, beside that of the widest "
        "uniform width in the same budget.",
        "`nmc simulate DIR --steps T` runs so many steps.",
    ),
    "NMC224": Entry(
        "a target without budgets",
        "The target's passes do not choose widths themselves.",
        "Choose one width for all with `--set weight_bits=N`.",
    ),
    "NMC230": Entry(
        "PyTorch is absent",
        "Gradients through spikes are computed with PyTorch, which is an extra.",
        "`pip install 'nmc[torch]'`.",
    ),
    "NMC231": Entry(
        "an operation without gradients",
        "The executor in PyTorch runs graphs in steps; neurons and delays in seconds have no steps yet.",
        "Discretize the model first: `nmc.passes.discretize`.",
    ),
}
SECTION = Section(200, 249, ENTRIES)
