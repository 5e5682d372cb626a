"""Findings of partition and placement."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
SECTION = Section(300, 339, ENTRIES)
