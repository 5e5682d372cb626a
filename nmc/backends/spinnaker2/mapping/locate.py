# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Parts on PEs: few links in the trees of packets, and no link much busier than others.

Parts start in their order along a path through all PEs. Then two PEs after the other swap what they hold, if that
costs less or not much more: threshold accepting, as in `refine.py`. A link with load l costs flat * l + l**2, which
weighs links and the hottest of them alike. All numbers are integers: every machine finds the same places.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.routes import Grid, Walk, add_tree, grid_of, links_of
from nmc.backends.spinnaker2.spec import Chip
from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

WORK = 50_000_000
"""Targets of flows that the search may look at: two or three seconds."""

TRIES = 8_000
"""Swaps that are tried for each part, unless the network is so large that they would take more than `WORK`."""

WARM = 64
"""Losses from which the threshold at the start is taken, as their mean."""

SCALE = 1 << 20
"""What the rates of all nets add up to, in integers."""


class Flows(NamedTuple):
    """Packets between parts: from part `source[f]` (-1: the host) to `part[start[f]:start[f + 1]]`, weighted."""

    source: Array
    start: Array
    part: Array
    weight: Array


class Layout(NamedTuple):
    """The place of each part on a path of PEs, and the part at each place, -1 for none."""

    path: Array
    at: Array
    holds: Array


def along(chip: Chip) -> Integers:
    """The PEs that work, along a path on which neighbours are near: quad by quad, back and forth over each chip."""

    back_and_forth = sorted(
        range(len(chip.chips)),
        key=lambda at: (chip.chips[at][0], chip.chips[at][1] * (-1) ** chip.chips[at][0]),
    )
    chip_order = {at: rank for rank, at in enumerate(back_and_forth)}

    def key(pe: int) -> tuple[int, int, int, int]:
        at, quad, core = chip.place(pe)
        x, y = chip.quads[quad]
        return chip_order[at], x, y if x % 2 else -y, core

    return np.array(sorted(chip.alive, key=key), np.int64)


def located(chip: Chip, flows: Flows, parts: int, *, effort: int = 1) -> Integers:
    """The PE of each part; `effort` times the usual work may find a better one."""
    path = along(chip)
    if parts < 2 or not len(flows.source):
        return path[:parts]
    holds = np.full(len(path), -1, np.int64)
    holds[:parts] = np.arange(parts)
    layout = Layout(path, np.arange(parts), holds)
    grid = grid_of(chip)
    first, member = memberships(flows, parts)
    work = WORK * effort // (1 if len(chip.chips) == 1 else 3)  # ways between chips are long to walk
    best = anneal(flows, layout, first, member, grid, links_of(grid), TRIES * effort * parts, work)
    return path[best]


def weights_of(rates: Array) -> Integers:
    """Rates of flows as integers."""
    total = float(rates.sum()) or 1.0
    return np.maximum(1, np.rint(rates * (SCALE / total))).astype(np.int64)


@compiled
def memberships(flows: Flows, parts: int) -> tuple[Array, Array]:
    """(first, flow): the flows from or to each part; one that a part sends to itself is there once."""
    count = np.zeros(parts + 1, np.int64)
    last = np.full(parts, -1, np.int64)
    size = flows.part.size + flows.source.size
    who, flow = np.empty(size, np.int64), np.empty(size, np.int64)
    found = 0
    for f in range(flows.source.size):
        for k in range(flows.start[f] - 1, flows.start[f + 1]):
            p = flows.source[f] if k < flows.start[f] else flows.part[k]
            if p >= 0 and last[p] != f:
                last[p] = f
                who[found], flow[found] = p, f
                count[p + 1] += 1
                found += 1
    first = count
    for p in range(parts):
        first[p + 1] += first[p]
    member = np.empty(found, np.int64)
    place = first[:-1].copy()
    for k in range(found):
        member[place[who[k]]] = flow[k]
        place[who[k]] += 1
    return first, member


@compiled
def add_flows(
    which: Array, sign: int, flat: int, stamp: int, flows: Flows, layout: Layout, grid: Grid, walk: Walk
) -> int:
    """Add some flows to the links, or take them off; what that costs. Uses as many stamps as there are flows."""
    cost: int = 0
    targets = np.empty(layout.at.size, np.int64)
    for f in which:
        count = 0
        for k in range(flows.start[f], flows.start[f + 1]):
            targets[count] = layout.path[layout.at[flows.part[k]]]
            count += 1
        source = -1 if flows.source[f] < 0 else layout.path[layout.at[flows.source[f]]]
        cost += add_tree(source, targets[:count], sign * int(flows.weight[f]), flat, stamp, grid, walk)
        stamp += 1
    return cost


@compiled
def swap(layout: Layout, p: int, to: int) -> None:
    """Part p goes to a place, and what was there comes to where p was."""
    old, q = layout.at[p], layout.holds[to]
    layout.at[p], layout.holds[to], layout.holds[old] = to, p, q
    if q >= 0:
        layout.at[q] = old


@compiled
def wish(dice: int, p: int, flows: Flows, layout: Layout, first: Array, member: Array) -> int:
    """A place for part p: every other time near a part that it talks to, else anywhere."""
    places = layout.path.size
    flow_count = first[p + 1] - first[p]
    if dice % 2 == 0 or flow_count == 0:
        return dice // 2 % places
    f = member[first[p] + dice // 2 % flow_count]
    fan = flows.start[f + 1] - flows.start[f]
    pick = dice // 1009 % (fan + 1)
    q = flows.source[f] if pick == fan else flows.part[flows.start[f] + pick]
    near = 0 if q < 0 else int(layout.at[q])
    return min(places - 1, max(0, near + dice // 65537 % 17 - 8))


@compiled
def anneal(
    flows: Flows, layout: Layout, first: Array, member: Array, grid: Grid, walk: Walk, tries: int, work: int
) -> Array:
    """The place of each part, the best that was found in so many tries or with so much work."""
    parts = layout.at.size
    every = np.arange(flows.source.size)
    add_flows(every, 1, 0, 0, flows, layout, grid, walk)
    stamp = every.size
    used = total = 0
    for each in walk.load:
        used += int(each > 0)
        total += int(each)
    flat = 16 * total // max(1, used) + 1
    load = walk.load.copy()
    queue, queued_at = np.empty(every.size, np.int64), np.full(every.size, -1, np.int64)
    best = layout.at.copy()
    cost = least = heat = spent = warm = 0
    state = np.uint64(0x9E3779B97F4A7C15)
    for step in range(tries):
        left = min(tries - step, (tries * (work - spent)) // work)
        if left <= 0:
            break
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        dice = int(state >> np.uint64(16))
        p, old = dice % parts, layout.at[dice % parts]
        to = wish(dice // parts, p, flows, layout, first, member)
        if grid.node[layout.path[to]] == grid.node[layout.path[old]]:
            continue
        count = 0
        for each in (p, layout.holds[to]):
            for k in range(first[each], first[each + 1] if each >= 0 else 0):
                f = member[k]
                if queued_at[f] != step:
                    queued_at[f], queue[count] = step, f
                    count += 1
                    spent += flows.start[f + 1] - flows.start[f] + 4
        which = queue[:count]
        gain = add_flows(which, -1, flat, stamp, flows, layout, grid, walk)
        swap(layout, p, to)
        gain += add_flows(which, 1, flat, stamp + count, flows, layout, grid, walk)
        stamp += 2 * count
        if warm < WARM and gain > 0:  # the first losses say how large one is
            heat += gain // WARM
            warm += 1
        cool = left * 1024 // tries
        if gain > heat * cool // 1024 * cool // 1024 * int(state >> np.uint64(54)) // 1024:
            swap(layout, p, old)
            walk.load[:] = load
            continue
        load[:] = walk.load
        cost += gain
        if cost < least:
            least = cost
            best[:] = layout.at
    return best
