"""Findings of delay lowering."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
    "NMC255": Entry(
        "a population that cannot let steps pass",
        "With `--stretch K` a step of the model is K steps of the target, and populations wait in between. Those of "
        "the known families have a clock for that; a program of an ONNX file and a bare threshold take every step.",
        "Compile without `--stretch`, and give fast loops more delay instead.",
    ),
    "NMC256": Entry(
        "time was stretched",
        "A note: a step of the model is so many steps of the target, as `--stretch` asked. Delays are longer by the "
        "factor, populations that move by themselves take a step only where the model has one; nothing else changes.",
        "`--stretch 2`: inputs enter in every second step of the target, and outputs are read in every second.",
    ),
}
SECTION = Section(250, 299, ENTRIES)
