"""Findings of the FPGA backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
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
SECTION = Section(450, 479, ENTRIES)
