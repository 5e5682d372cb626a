# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""The way of a packet: from chip to chip along diagonals first, within a chip along x first, copied where it forks.

Paths from one place are closed under prefixes, so their union is a tree, whatever the targets are. A link of the grid
is `node * 4 + direction` with node = (chip * HEIGHT + y) * WIDTH + x; those between chips follow, `chip * 6 + link`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.spec import LINKS, Chip
from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

EAST, NORTH, WEST, SOUTH = range(4)
"""The links of a place on a chip's grid."""


class Grid(NamedTuple):
    """A many-core as kernels walk it.

    `node` and `chip_of` (PEs,) are the place and the chip of each PE, `ports` (links, 2) x and y, `host` a place.
    `back[a, b]` is the link over which a packet from chip a comes to chip b, -1 for a == b; `before[a, b]` is the
    chip it comes from.
    """

    width: int
    height: int
    node: Array
    chip_of: Array
    ports: Array
    host: int
    back: Array
    before: Array


class Walk(NamedTuple):
    """Links and their load, in integers, and what walks over them need: marks of places and chips, entries of chips."""

    load: Array
    seen: Array
    seen_chip: Array
    entry: Array


def links_of(grid: Grid) -> Walk:
    """The links of a grid without any load."""
    chips = len(grid.back)
    nodes = chips * grid.width * grid.height
    return Walk(
        np.zeros(nodes * 4 + chips * len(LINKS), np.int64),
        np.full(nodes, -1, np.int64),
        np.full(chips, -1, np.int64),
        np.zeros(chips, np.int64),
    )


def grid_of(chip: Chip) -> Grid:
    """The grid of a many-core."""
    places = (*chip.quads, *chip.ports, chip.host)
    width, height = 1 + max(x for x, _ in places), 1 + max(y for _, y in places)
    node = np.array(
        [
            (at * height + y) * width + x
            for at in range(len(chip.chips))
            for x, y in chip.quads
            for _ in range(chip.pes_per_quad)
        ],
        np.int64,
    )
    back, before = chip_paths(chip)
    return Grid(
        width,
        height,
        node,
        np.arange(chip.pes) // chip.pes_per_chip,
        np.array(chip.ports, np.int64),
        chip.host[1] * width + chip.host[0],
        back,
        before,
    )


def chip_paths(chip: Chip) -> tuple[Integers, Integers]:
    """(back, before) of `Grid`. Raises ValueError for chips that a packet would have to leave the machine to reach."""
    index = {place: at for at, place in enumerate(chip.chips)}
    count = len(chip.chips)
    back, before = np.full((count, count), -1, np.int64), np.full((count, count), -1, np.int64)
    for a, source in enumerate(chip.chips):
        for b, target in enumerate(chip.chips):
            if a == b:
                continue
            link = last_link(target[0] - source[0], target[1] - source[1])
            x, y = target[0] - LINKS[link][0], target[1] - LINKS[link][1]
            if (x, y) not in index:
                raise ValueError(f"the way from chip {source} to chip {target} leads over ({x}, {y})")
            back[a, b], before[a, b] = link, index[x, y]
    return back, before


def last_link(dx: int, dy: int) -> int:
    """The last link of the way by (dx, dy): along the diagonal as far as both signs agree, then x, then y."""
    sign_x, sign_y = (dx > 0) - (dx < 0), (dy > 0) - (dy < 0)
    if sign_x == sign_y:
        if abs(dx) == abs(dy):
            return LINKS.index((sign_x, sign_y))
        return LINKS.index((sign_x, 0) if abs(dx) > abs(dy) else (0, sign_y))
    return LINKS.index((0, sign_y) if dy else (sign_x, 0))


@compiled
def climb(node: int, entry: int, weight: int, flat: int, stamp: int, grid: Grid, walk: Walk) -> int:
    """Add `weight` to the links from place `entry` to `node` that are not in the tree yet; what that costs.

    The walk is backwards, from `node` along y, then along x. A link with load l costs flat * l + l**2.
    """
    cost = 0
    width = grid.width
    base = node // (width * grid.height) * (width * grid.height)
    x, y = (node - base) % width, (node - base) // width
    to_x, to_y = (entry - base) % width, (entry - base) // width
    while walk.seen[base + y * width + x] != stamp:
        walk.seen[base + y * width + x] = stamp
        if y > to_y:
            y -= 1
            way = 1
        elif y < to_y:
            y += 1
            way = 3
        elif x > to_x:
            x -= 1
            way = 0
        else:
            x += 1
            way = 2
        link = (base + y * width + x) * 4 + way
        cost += weight * (flat + 2 * int(walk.load[link]) + weight)
        walk.load[link] += weight
    return cost


@compiled
def add_tree(source: int, targets: Array, weight: int, flat: int, stamp: int, grid: Grid, walk: Walk) -> int:
    """Add `weight` to every link of the tree from PE `source` (-1: the host) to PEs `targets`; what that costs.

    `stamp` is new among the marks of `walk`.
    """
    area = grid.width * grid.height
    between = walk.seen.shape[0] * 4
    home = 0 if source < 0 else grid.chip_of[source]
    walk.entry[home] = grid.host if source < 0 else grid.node[source]
    walk.seen_chip[home] = stamp
    walk.seen[walk.entry[home]] = stamp
    cost = 0
    for target in targets:
        chip = grid.chip_of[target]
        while walk.seen_chip[chip] != stamp:
            walk.seen_chip[chip] = stamp
            link = grid.back[home, chip]
            inward = grid.ports[(link + 3) % 6]
            walk.entry[chip] = chip * area + inward[1] * grid.width + inward[0]
            walk.seen[walk.entry[chip]] = stamp
            chip = grid.before[home, chip]
            cost += weight * (flat + 2 * int(walk.load[between + chip * 6 + link]) + weight)
            walk.load[between + chip * 6 + link] += weight
    for target in targets:
        chip = grid.chip_of[target]
        cost += climb(grid.node[target], walk.entry[chip], weight, flat, stamp, grid, walk)
        while chip != home:
            link = grid.back[home, chip]
            chip = grid.before[home, chip]
            port = chip * area + grid.ports[link][1] * grid.width + grid.ports[link][0]
            if walk.seen[port] == stamp and port != walk.entry[chip]:
                break
            cost += climb(port, walk.entry[chip], weight, flat, stamp, grid, walk)
    return cost


@compiled
def load_links(sources: Array, start: Array, target: Array, weight: Array, grid: Grid, walk: Walk) -> None:
    """Add the weight of every source to the links of its tree."""
    for n in range(sources.size):
        add_tree(sources[n], target[start[n] : start[n + 1]], weight[n], 0, n, grid, walk)
