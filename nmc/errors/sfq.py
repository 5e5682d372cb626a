"""Findings of the SFQ backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {}

SECTION = Section(480, 499, ENTRIES)
