"""Findings of the SpiNNaker2 backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {}

SECTION = Section(420, 449, ENTRIES)
