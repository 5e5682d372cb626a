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


LOST = -1
"""The PE of a packet that goes astray."""


@dataclass(frozen=True, slots=True)
class Misrouted:
    """A packet that reaches a PE that it should not, or does not reach one that it should, or goes astray (`LOST`)."""

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

    A packet that comes to a chip where no entry matches it, to a chip for the second time or to a place without a
    chip is lost: that is listed as the delivery to PE `LOST`.
    """
    by_chip = {table.chip: table for table in tables}
    index = {place: at for at, place in enumerate(chip.chips)}
    nothing = Table(-1, np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros((0, 1), np.uint64))
    visited = np.zeros((len(keys), len(chip.chips)), np.bool_)
    source, pe = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    waiting = [(np.arange(len(keys)), homes)]
    while waiting:
        who, where = (np.concatenate(column) for column in zip(*waiting, strict=True))
        waiting = []
        for at in np.unique(where):
            table = by_chip.get(int(at), nothing)
            here = who[where == at]
            found = matches(table, keys[here])
            lost = visited[here, at] | ((found == table.entries) & (homes[here] != at))
            source.append(here[lost])
            pe.append(np.full(int(lost.sum()), LOST))
            here, found = here[~lost], found[~lost]
            visited[here, at] = True
            here, found = here[found < table.entries], found[found < table.entries]
            bits = np.unpackbits(table.route.view(np.uint8), axis=1, bitorder="little")
            for k in range(len(LINKS), len(LINKS) + chip.pes_per_chip):
                (taken,) = np.nonzero(bits[found, k])
                source.append(here[taken])
                pe.append(np.full(len(taken), at * chip.pes_per_chip + k - len(LINKS)))
            x, y = chip.chips[int(at)]
            for link, (dx, dy) in enumerate(LINKS):
                going = here[bits[found, link] == 1]
                if (x + dx, y + dy) in index:
                    waiting += [(going, np.full(len(going), index[x + dx, y + dy]))] if len(going) else []
                else:
                    source.append(going)
                    pe.append(np.full(len(going), LOST))
    sources, pes = np.concatenate(source), np.concatenate(pe)
    order = np.lexsort((pes, sources))
    return sources[order], pes[order]


def misrouted(
    chip: Chip, tables: Sequence[Table], homes: Integers, keys: Array, *, start: Integers, pes: Integers
) -> Misrouted | None:
    """The first packet that goes wrong; it should reach exactly `pes[start[n]:start[n + 1]]`, ascending, for key n."""
    source, pe = deliveries(chip, tables, homes, keys)
    # One number for each delivery, in their order; PE -1 comes before the others of its source.
    wanted = np.repeat(np.arange(len(keys)), np.diff(start)) * (chip.pes + 1) + pes + 1
    got = source * (chip.pes + 1) + pe + 1
    if np.array_equal(wanted, got):
        return None
    size = min(len(wanted), len(got))
    (differ,) = np.nonzero(wanted[:size] != got[:size])
    at = int(differ[0]) if len(differ) else size
    missing = at < len(wanted) and (at >= len(got) or wanted[at] < got[at])
    wrong, place = divmod(int(wanted[at] if missing else got[at]), chip.pes + 1)
    return Misrouted(wrong, place - 1, arrives=not missing)
