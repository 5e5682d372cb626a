"""Proof that tables deliver: every key is sent through them, chip by chip, and must reach its PEs and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.mapping import Integers, Table
from nmc.backends.spinnaker2.spec import LINKS, Chip

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Misrouted:
    """A packet that reaches a PE that it should not, or does not reach one that it should, or runs in a circle."""

    source: int
    pe: int
    arrives: bool


def matches(table: Table, keys: Array) -> Integers:
    """The index of the first entry that matches each key, `table.entries` where none does."""
    best = np.full(len(keys), table.entries, np.int64)
    for mask in np.unique(table.mask):
        (at,) = np.nonzero(table.mask == mask)
        order = np.argsort(table.key[at], kind="stable")
        entry, masked = table.key[at][order], keys & mask
        place = np.searchsorted(entry, masked)
        inside = np.minimum(place, len(entry) - 1)
        hit = entry[inside] == masked
        best[hit] = np.minimum(best[hit], at[order][inside[hit]])
    return best


def deliveries(
    chip: Chip, tables: Sequence[Table], homes: Integers, keys: Array
) -> tuple[Integers, Integers]:
    """(source, PE) of every delivery, ordered by both, of packets that start on chips `homes` with `keys`.

    A packet that comes to a chip a second time is not followed: its deliveries there are listed once more.
    """
    by_chip = {table.chip: table for table in tables}
    index = {place: at for at, place in enumerate(chip.chips)}
    visited = np.zeros((len(keys), len(chip.chips)), np.bool_)
    source, pe = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    waiting = [(np.arange(len(keys)), homes)]
    while waiting:
        who, where = (np.concatenate(column) for column in zip(*waiting, strict=True))
        waiting = []
        for at in np.unique(where):
            table = by_chip.get(int(at))
            if table is None or not table.entries:
                continue
            here = who[where == at]
            found = matches(table, keys[here])
            here, found = here[found < table.entries], found[found < table.entries]
            again = visited[here, at]
            visited[here, at] = True
            bits = np.unpackbits(table.route.view(np.uint8), axis=1, bitorder="little")
            for k in range(len(LINKS), len(LINKS) + chip.pes_per_chip):
                (taken,) = np.nonzero(bits[found, k])
                source.append(here[taken])
                pe.append(np.full(len(taken), at * chip.pes_per_chip + k - len(LINKS)))
            x, y = chip.chips[int(at)]
            for link, (dx, dy) in enumerate(LINKS):
                going = here[(bits[found, link] == 1) & ~again]
                if len(going) and (x + dx, y + dy) in index:
                    waiting.append((going, np.full(len(going), index[x + dx, y + dy])))
    sources, pes = np.concatenate(source), np.concatenate(pe)
    order = np.lexsort((pes, sources))
    return sources[order], pes[order]


def misrouted(
    chip: Chip, tables: Sequence[Table], homes: Integers, keys: Array, *, start: Integers, pes: Integers
) -> Misrouted | None:
    """The first packet that goes wrong; it should reach exactly `pes[start[n]:start[n + 1]]`, ascending, for key n."""
    source, pe = deliveries(chip, tables, homes, keys)
    wanted = np.repeat(np.arange(len(keys)), np.diff(start)) * chip.pes + pes
    got = source * chip.pes + pe
    if np.array_equal(wanted, got):
        return None
    size = min(len(wanted), len(got))
    (differ,) = np.nonzero(wanted[:size] != got[:size])
    at = int(differ[0]) if len(differ) else size
    missing = at < len(wanted) and (at >= len(got) or wanted[at] < got[at])
    bad = int(wanted[at] if missing else got[at])
    return Misrouted(*divmod(bad, chip.pes), arrives=not missing)
