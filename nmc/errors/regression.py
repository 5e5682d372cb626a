"""Findings of regression suites, reports and comparisons."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {}

SECTION = Section(940, 979, ENTRIES)
