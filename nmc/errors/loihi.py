"""Findings of the Loihi backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
SECTION = Section(400, 419, ENTRIES)
