"""Findings of the SFQ backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC480": Entry(
        "a counter of pulses cannot hold a neuron",
        "On SFQ a neuron is a counter: it integrates without a leak, or it is cleared in every step; a negative bias "
        "drifts by a constant. An exponential leak, a lower bound, a refractory period, a current that decays or a "
        "membrane as an output need numbers that pulses do not carry. The nearest neuron that one holds is named; "
        "`--approximate` takes it and says what that changes.",
        "A LIF layer with tau_mem = 20 steps: train with IF neurons, or see what `--approximate --calibrate data.npz` "
        "costs.",
    ),
    "NMC481": Entry(
        "a neuron is approximated by one that a counter holds",
        "It was asked for with `--approximate`. Of no leak, a constant drift and a clear in every step that is taken "
        "that changes the fewest outputs on the calibration data, all approximated populations together; without data "
        "the one whose decay is nearer.",
        "A decay of 0.98 became no leak, and 3 % of the outputs change: train with IF neurons to lose nothing.",
    ),
    "NMC482": Entry(
        "a counter is too wide",
        "The range of an integrating neuron is proved from its weights, its bias, its threshold and, where these leave "
        "it open, from the longest run, `--set steps=`. No counter beyond 40 bits is built.",
        "A bias of 1e9 in every step over 4,096 steps: give a coarser weight grid or shorter runs.",
    ),
    "NMC483": Entry(
        "the length of runs bounds a counter",
        "An integrating neuron that inhibition can pull down without end, or to which a step can add more than its "
        "threshold, has no range that holds forever. Its counter is as wide as `--set steps=` steps can make it need; "
        "a longer run is refused (NMC487), never wrapped around.",
        "Mixed weights into IF neurons: give the steps of your task, `--set steps=16`, and counters become narrower.",
    ),
    "NMC484": Entry(
        "a file of cells is not what it should be",
        "`--set cells=FILE` names a TOML file with a table a cell, in the form of `cells.toml`: ports, junctions, "
        "currents, transitions, windows, source. A cell of a standard name replaces that one: its figures may differ, "
        "its ports and what it does may not.",
        '`[JTL]` with `transitions = ["0 a -> 0 q@2.9"]` and all other fields is a faster library\'s JTL.',
    ),
    "NMC485": Entry(
        "a setting of the netlist is no number that it could be",
        "`steps` is a whole number of steps, `period` a time in ps.",
        "`--set period=250` gives every slot 250 ps; without it static timing chooses the shortest that is safe.",
    ),
    "NMC486": Entry(
        "pulses come too close",
        "A cell got a pulse within a window of setup, hold or separation after another; what it does then is not "
        "known. Each finding names the cell, its input, the time, and the earliest time that is legal. A netlist in "
        "the slots that static timing gives has no such pulse: `period` was set too short, or files were changed.",
        "`--set period=60` where 245 ps are needed: leave `period` out.",
    ),
    "NMC487": Entry(
        "a run is longer than counters are proved for",
        "Integrating neurons whose weights do not bound them have counters for `--set steps=` steps; beyond them one "
        "could wrap around and give a spike that is none.",
        "1,000 steps of a network compiled for 256: compile with `--set steps=1000`; it adds two bits to its counters.",
    ),
    "NMC492": Entry(
        "no network of threshold units, layer after layer",
        "`--set neuron=analogue` makes each neuron one junction whose bias current is the threshold. What synapses "
        "give it leaks away in tens of picoseconds: it cannot integrate, wait, or hear layers of different depth.",
        "An integrate-and-fire layer: compile with `--set neuron=counter`, which holds it exactly.",
    ),
    "NMC493": Entry(
        "no bias current makes this threshold",
        "The currents of an analogue neuron's synapses add up in one junction. The bias that makes it flip from a "
        "given sum on is measured in ngspice on the neuron's own circuit; with large fan-in its window closes.",
        "Ten inputs with threshold 5: compile with `--set neuron=counter`.",
    ),
    "NMC494": Entry(
        "analogue neurons need ngspice",
        "Their bias currents are measured when the network is compiled, on the circuit of each neuron.",
        "`apt install ngspice`, then compile again.",
    ),
}

SECTION = Section(480, 499, ENTRIES)
