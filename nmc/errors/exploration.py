"""Findings of sweeps."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC341": Entry(
        "work that kills whoever does it",
        "A process that dies takes with it what it was doing, and another tries again. Three died of this, each "
        "time alone: it needs more memory than there is, or a library crashes.",
        "`nmc compile` and `nmc simulate` with the same settings show what happens.",
    ),
    "NMC342": Entry(
        "no cluster",
        "`nmc explore --cluster ADDRESS` gives the points of a sweep to the workers of a Dask scheduler. Either the "
        "package `distributed` is not installed here, or nobody answers at the address.",
        "`dask scheduler` prints its address; `dask worker ADDRESS` starts a worker.",
    ),
    "NMC343": Entry(
        "no plot without matplotlib",
        "Plots are drawn by matplotlib, which is an extra package.",
        "`pip install 'nmc[plot]'`, or `nmc explore` without `-o`, which draws none.",
    ),
}
SECTION = Section(340, 369, ENTRIES)
