"""Findings of regression suites, reports and comparisons."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC940": Entry(
        "a suite that is no TOML",
        "A suite is a TOML file with a `[[case]]` for each network. The message says where its syntax ends to be TOML.",
        '`targets = loihi`: `targets = ["loihi"]`.',
    ),
    "NMC941": Entry(
        "something in a suite that does not exist or cannot be",
        "Names of keys, targets, witnesses and files are checked before anything runs, and all that is wrong is told "
        "at once. Paths are relative to the suite's folder.",
        '`target = "loihi"`: `targets = ["loihi"]`.',
    ),
    "NMC942": Entry(
        "a baseline that is not what nmc wrote",
        "A baseline carries the digest of its contents, and that of the archive of traces beside it. One that was "
        "edited, cut off or merged by hand is no evidence of anything, and its case fails.",
        "A merge that mixed the lines of two baselines: take either whole, and run `nmc regress update`.",
    ),
}
SECTION = Section(940, 979, ENTRIES)
