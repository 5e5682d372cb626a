"""Findings of the passes from a file to populations: discretize, canonicalize, connect, choose_neurons."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
SECTION = Section(150, 199, ENTRIES)
