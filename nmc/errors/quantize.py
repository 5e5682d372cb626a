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
}
SECTION = Section(200, 249, ENTRIES)
