# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Routing tables: what each chip does with each key, in as few entries as prefixes of keys can say it.

A table is compressed as Draves, King, Venkatachary and Zill have it (Constructing optimal IP routing tables, IEEE
INFOCOM 1999): bottom up, every prefix collects the routes that cost least for the keys below it; top down, an entry
is written where the inherited route is none of them. Keys that never visit the chip may go anywhere. The result is
the smallest table of prefixes as long as no prefix has more than `CHOICES` routes to choose from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.mapping import Integers, Table
from nmc.backends.spinnaker2.mapping.network import Reach
from nmc.backends.spinnaker2.mapping.routes import Grid
from nmc.backends.spinnaker2.spec import LINKS, Chip
from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

CHOICES = 8
"""Routes that a prefix keeps to choose from."""


@dataclass(frozen=True, slots=True)
class Visits:
    """Which chips see packets of which keys, and what each does with them; ordered by chip, then by key.

    `route` is as in `Table`; a packet that starts on a chip visits it even if it goes nowhere.
    """

    chip: Array
    key: Array
    route: Array


def words_of(chip: Chip) -> int:
    """64-bit words of a route."""
    return -(-(len(LINKS) + chip.pes_per_chip) // 64)


def visits_of(chip: Chip, grid: Grid, homes: Integers, keys: Array, reach: Reach, pe_of: Integers) -> Visits:
    """The visits of packets that start on chips `homes` with `keys`, both (n,), and reach PEs `pe_of[reach.part]`."""
    words, per_chip = words_of(chip), chip.pes_per_chip
    args = (homes, reach.start, reach.part, pe_of, per_chip, grid.back, grid.before)
    counts = count_visits(*args)
    first = np.concatenate(([0], np.cumsum(counts)))
    at_chip, route = np.empty(first[-1], np.int32), np.zeros((first[-1], words), np.uint64)
    fill_visits(*args, first, at_chip, route)
    key = np.repeat(keys, counts)
    order = np.lexsort((key, at_chip))
    return Visits(at_chip[order], key[order], route[order])


@compiled
def count_visits(
    homes: Array, start: Array, part: Array, pe_of: Array, per_chip: int, back: Array, before: Array
) -> Array:
    """How many chips the packets of each source visit."""
    count = np.zeros(homes.size, np.int64)
    seen = np.full(back.shape[0], -1, np.int64)
    for n in range(homes.size):
        seen[homes[n]] = n
        count[n] = 1
        for k in range(start[n], start[n + 1]):
            chip = pe_of[part[k]] // per_chip
            while seen[chip] != n:
                seen[chip] = n
                count[n] += 1
                chip = before[homes[n], chip]
    return count


@compiled
def fill_visits(
    homes: Array, start: Array, part: Array, pe_of: Array, per_chip: int, back: Array, before: Array, first: Array,
    at_chip: Array, route: Array,
) -> None:  # fmt: skip
    """Write the visits of source n to `first[n]` and on."""
    seen = np.full(back.shape[0], -1, np.int64)
    place = np.zeros(back.shape[0], np.int64)
    for n in range(homes.size):
        at = first[n]
        home = homes[n]
        seen[home], place[home] = n, at
        at_chip[at] = home
        at += 1
        for k in range(start[n], start[n + 1]):
            pe = pe_of[part[k]]
            chip = pe // per_chip
            while seen[chip] != n:
                seen[chip], place[chip] = n, at
                at_chip[at] = chip
                at += 1
                chip = before[home, chip]
            bit = 6 + pe % per_chip
            route[place[pe // per_chip], bit // 64] |= np.uint64(1) << np.uint64(bit % 64)
        for k in range(first[n] + 1, at):
            chip = at_chip[k]
            route[place[before[home, chip]], 0] |= np.uint64(1) << np.uint64(back[home, chip])


def tables_of(visits: Visits, *, key_bits: int, grain: int = 0, compress: bool = True) -> tuple[Table, ...]:
    """One table for each chip that packets visit; without `compress` an entry for every key.

    A key of `visits` stands for all that differ from it in the lowest `grain` bits.
    """
    chips, first = np.unique(visits.chip, return_index=True)
    bounds = [*first.tolist(), len(visits.chip)]
    make = _compressed if compress else _plain
    return tuple(
        make(int(chip), visits.key[low:high], visits.route[low:high], key_bits, grain)
        for chip, low, high in zip(chips, bounds[:-1], bounds[1:], strict=True)
    )


def _plain(chip: int, key: Array, route: Array, key_bits: int, grain: int) -> Table:
    return Table(
        chip, key.astype(np.uint32), np.full(len(key), (1 << key_bits) - (1 << grain), np.uint32), route
    )


def _compressed(chip: int, key: Array, route: Array, key_bits: int, grain: int) -> Table:
    packed = np.ascontiguousarray(route).view(f"V{route.shape[1] * 8}").ravel()
    nowhere = np.zeros((1, route.shape[1]), np.uint64).view(packed.dtype).ravel()
    known, which = np.unique(np.concatenate((nowhere, packed)), return_inverse=True)
    routes = known.view(np.uint64).reshape(len(known), -1)
    # Route 0 is the empty one, since it sorts first: what happens to a packet without an entry.
    prefix, length, chosen = compress(key.astype(np.int64), which.ravel()[1:], key_bits, grain, CHOICES)
    order = np.lexsort((prefix, -length))
    mask = ((1 << key_bits) - (1 << (key_bits - length))).astype(np.uint32)
    return Table(chip, prefix[order].astype(np.uint32), mask[order], routes[chosen[order]])


@compiled
def compress(key: Array, route: Array, key_bits: int, grain: int, choices: int) -> tuple[Array, Array, Array]:
    """(prefix, length, route) of the fewest prefixes under which every one of ascending `key` finds its `route`.

    Route 0 is what a key finds without an entry. The lowest `grain` bits of keys are 0 and do not count.
    """
    most = 2 * key.size + 1
    prefix = np.empty(most, np.int64)
    height = np.empty(most, np.int64)
    left = np.full(most, -1, np.int64)
    right = np.full(most, -1, np.int64)
    options = np.full((most, choices), -1, np.int64)
    nodes = key.size
    prefix[:nodes] = key
    height[:nodes] = grain
    options[:nodes, 0] = route
    level = np.arange(nodes)
    count = nodes
    for bit in range(grain, key_bits):
        at = 0
        k = 0
        while k < count:
            a = level[k]
            if k + 1 < count and prefix[a] >> (bit + 1) == prefix[level[k + 1]] >> (bit + 1):
                b = level[k + 1]
                prefix[nodes] = prefix[a] >> (bit + 1) << (bit + 1)
                height[nodes] = bit + 1
                left[nodes], right[nodes] = a, b
                join_options(options, a, b, nodes)
                level[at] = nodes
                nodes += 1
                k += 2
            else:
                level[at] = a
                k += 1
            at += 1
        count = at
    found = 0
    out_prefix = np.empty(most, np.int64)
    out_length = np.empty(most, np.int64)
    out_route = np.empty(most, np.int64)
    stack = np.empty(most, np.int64)
    inherited = np.zeros(most, np.int64)
    depth = 0
    for k in range(count):
        stack[depth] = level[k]
        depth += 1
    while depth:
        depth -= 1
        node = stack[depth]
        way = inherited[node]
        fits = False
        for c in range(choices):
            fits |= options[node, c] == way
        if not fits:
            way = options[node, 0]
            out_prefix[found], out_length[found], out_route[found] = (
                prefix[node],
                key_bits - height[node],
                way,
            )
            found += 1
        if left[node] >= 0:
            inherited[left[node]] = inherited[right[node]] = way
            stack[depth], stack[depth + 1] = left[node], right[node]
            depth += 2
    return out_prefix[:found], out_length[:found], out_route[:found]


@compiled
def join_options(options: Array, a: int, b: int, into: int) -> None:
    """The routes that two halves share, or else those of both, as many as there is room for."""
    choices = options.shape[1]
    at = 0
    for i in range(choices):
        for j in range(choices):
            if options[a, i] >= 0 and options[a, i] == options[b, j]:
                options[into, at] = options[a, i]
                at += 1
    if at:
        return
    i = 0
    while at < choices and i < choices:
        if options[a, i] >= 0:
            options[into, at] = options[a, i]
            at += 1
        if at < choices and options[b, i] >= 0:
            options[into, at] = options[b, i]
            at += 1
        i += 1
