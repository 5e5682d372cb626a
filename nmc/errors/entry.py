"""What the catalogue of findings is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: what it is called, why it arises and what to do, and a case with its way out."""

    title: str
    explanation: str
    example: str


@dataclass(frozen=True, slots=True)
class Section:
    """The entries of one part of nmc, and the first and last number that its codes may have."""

    first: int
    last: int
    entries: Mapping[str, Entry]
