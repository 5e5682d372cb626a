"""The catalogue of findings: what `nmc explain CODE` says. One entry for each code that the source uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nmc.errors import (
    arrays,
    canonicalize,
    command_line,
    delays,
    exploration,
    fpga,
    frontend,
    graph,
    loihi,
    place,
    quantize,
    regression,
    sfq,
    spinnaker2,
)
from nmc.errors.entry import Entry, Section

SECTIONS: tuple[Section, ...] = tuple(
    part.SECTION
    for part in (
        frontend,
        graph,
        canonicalize,
        quantize,
        delays,
        place,
        exploration,
        loihi,
        spinnaker2,
        fpga,
        sfq,
        arrays,
        command_line,
        regression,
    )
)
CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {code: entry for section in SECTIONS for code, entry in sorted(section.entries.items())}
)
"""Code -> entry, in the order of the codes."""

__all__ = ["CATALOGUE", "SECTIONS", "Entry", "Section"]
