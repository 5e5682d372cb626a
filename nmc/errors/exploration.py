"""Findings of sweeps."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC340": Entry(
        "the outcome of a sweep cannot be written",
        "`nmc explore -o DIR` keeps one file for each point that it has measured, so that a sweep that was stopped "
        "goes on where it was. The file system did not take one.",
        "The disk is full, or the folder belongs to somebody else: name another with `-o`.",
    ),
    "NMC341": Entry(
        "a point of a sweep that kills its workers",
        "A worker that dies takes its point with it, and another worker tries again. Three died of this one, each "
        "time alone: it needs more memory than there is, or a library crashes.",
        "`nmc compile` and `nmc simulate` with the settings of the point show what happens.",
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
