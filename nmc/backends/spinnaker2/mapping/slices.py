"""Populations cut into parts that fit a PE: runs of an order, or boxes of images, as few as memory allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from nmc.backends.spinnaker2.blocks import Box, box_neurons, image
from nmc.backends.spinnaker2.mapping.cost import Costs, Cut, cut_of
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network
from nmc.diagnostics import CompileError, Diagnostic, error
from nmc.ir.linear import size_of
from nmc.ir.ops import Conv

Parts = tuple[tuple[Integers, ...], ...]
"""The parts of each population, of which each is the ids of its neurons; an input has one."""

FILL = 0.97
"""How full of its budget a run may be: refinement needs room to move neurons."""


def is_image(network: Network, population: int) -> bool:
    """Whether convolutions begin or end here, so that parts are boxes, channel last."""
    near = (*network.into(population), *network.out_of(population))
    return any(isinstance(each.op, Conv) for each in near)


def whole(network: Network, population: int) -> Integers:
    """All ids of a population in the order in which one part has them."""
    shape, size = network.populations[population].shape, network.populations[population].size
    if not is_image(network, population):
        return np.arange(size, dtype=np.int64)
    channels, rows, columns = image(shape)
    return box_neurons(shape, Box((0, channels), (0, rows), (0, columns)))


def runs(order: Integers, fits: Callable[[Integers], bool]) -> list[Integers] | None:
    """`order` cut into runs of which each fits and none is much shorter; None if one neuron does not fit.

    Longest runs first find out how many are needed; then all are made about as long, if they fit like that too.
    """
    longest: list[Integers] = []
    at, guess = 0, 64
    while at < len(order):
        size = _longest(order[at:], guess, fits)
        if size == 0:
            return None
        longest.append(order[at : at + size])
        at, guess = at + size, size
    even = np.array_split(order, len(longest))
    return even if all(fits(each) for each in even) else longest


def _longest(order: Integers, guess: int, fits: Callable[[Integers], bool]) -> int:
    """The largest size of a run from the start of `order` that fits; it is looked for around `guess`."""
    low, high = 0, len(order) + 1  # low fits, high does not
    step = guess
    while high - low > 1:
        size = min(max(step, low + 1), high - 1)
        if fits(order[:size]):
            low = size
            step = (low + high) // 2 if high <= len(order) else low + max(1, low // 8)
        else:
            high = size
            step = (low + high) // 2 if low else max(1, high - max(1, high // 8))
    return low


def boxes(shape: Sequence[int], fits: Callable[[Integers], bool]) -> list[Integers] | None:
    """An image cut into a grid of boxes that fit, in as few as possible; None if one neuron does not fit.

    Of grids of equal size the one with fewest cuts across channels: packets go to every part of the channels, but
    to few parts of the plane.
    """
    sizes = image(tuple(shape))
    best: tuple[int, int, int] | None = None
    for channels in _cuts(sizes[0]):
        if best is not None and channels >= size_of(best):
            break
        plane = _fewest_plane(tuple(shape), channels, fits, size_of(best) if best else None)
        if plane is not None and (best is None or channels * plane[0] * plane[1] < size_of(best)):
            best = (channels, *plane)
    if best is None:
        return None
    return [box_neurons(tuple(shape), box) for box in _grid(sizes, best)]


def _cuts(size: int) -> list[int]:
    """Numbers of pieces that are worth trying: each gives another size of the largest piece."""
    return sorted({-(-size // piece) for piece in range(1, size + 1)})


def _fewest_plane(
    shape: tuple[int, ...], channels: int, fits: Callable[[Integers], bool], below: int | None
) -> tuple[int, int] | None:
    sizes = image(shape)
    best: tuple[int, int] | None = None
    for columns in _cuts(sizes[2]):
        limit = below if best is None else channels * best[0] * best[1]
        if limit is not None and channels * columns >= limit:
            break
        options = _cuts(sizes[1])
        low, high = -1, len(options)  # options[high] and more rows fit
        while high - low > 1:
            middle = (low + high) // 2
            cut = (channels, options[middle], columns)
            if all(fits(box_neurons(shape, box)) for box in _typical(_grid(sizes, cut))):
                high = middle
            else:
                low = middle
        if high < len(options) and (best is None or options[high] * columns < best[0] * best[1]):
            best = (options[high], columns)
    return best


def _typical(grid: list[Box]) -> list[Box]:
    """The first and the middle one: a box in the middle has no padding."""
    return [grid[0], grid[len(grid) // 2]]


def _grid(sizes: tuple[int, int, int], cuts: tuple[int, int, int]) -> list[Box]:
    """The boxes, channels slowest; pieces of an axis differ by one at most, the larger ones first."""
    c, y, x = (
        list(pairwise(np.cumsum([0, *(len(p) for p in np.array_split(np.arange(size), cut))]).tolist()))
        for size, cut in zip(sizes, cuts, strict=True)
    )
    return [Box(channels, rows, columns) for channels in c for rows in y for columns in x]


def cut(costs: Costs, orders: Sequence[Integers], limit: int, *, split: bool) -> Parts:
    """Every population in parts that fit `limit` bytes; `orders` are those in which runs are cut.

    With `split`, parts may be larger than a PE, where that takes fewer PEs: `overflow.py` says which synapses are
    then on others. Bytes of a part depend on how its sources are cut. So all are cut again, with less room, until
    every part fits among the parts that there are then.
    Raises CompileError: NMC422 for a neuron that fits no PE.
    """
    network = costs.network
    populations = range(len(network.populations))
    cuts = [cut_of(np.array_split(order, -(-len(order) // GUESS))) for order in orders]
    rooms = np.full(len(populations), FILL)
    while True:
        parts = tuple(
            (orders[each],)
            if network.populations[each].is_input
            else tuple(_cut_one(costs, each, orders[each], cuts, int(limit * rooms[each]), split=split))
            for each in populations
        )
        cuts = [cut_of(each) for each in parts]
        tight = {
            each
            for each in populations
            for neurons in parts[each]
            if not network.populations[each].is_input and not split
            if costs.part_bytes(each, neurons, cuts) > limit
        }
        if not tight:
            return parts
        rooms[list(tight)] *= 0.97


GUESS = 256
"""Neurons a part before anything is known."""


def _cut_one(
    costs: Costs, population: int, order: Integers, cuts: Sequence[Cut], room: int, *, split: bool
) -> list[Integers]:
    network = costs.network

    def fits(neurons: Integers) -> bool:
        return costs.part_bytes(population, neurons, cuts) <= room

    shape = network.populations[population].shape
    found = boxes(shape, fits) if is_image(network, population) else runs(order, fits)
    if split and not is_image(network, population):
        found = _larger(order, found, lambda neurons: costs.pes_needed(population, neurons, cuts, room))
    if found is None:
        raise CompileError(_one_neuron_too_large(costs, population, order[:1], cuts, room))
    return found


def _larger(
    order: Integers, plain: list[Integers] | None, needed: Callable[[Integers], int | None]
) -> list[Integers] | None:
    """Runs of which each takes several PEs, if that is possible and takes fewer PEs than `plain` altogether."""
    best, fewest = plain, math.inf if plain is None else len(plain)
    size = 4
    while size < 2 * len(order):
        pieces = np.array_split(order, -(-len(order) // size))
        each = needed(pieces[0])
        if each is not None and each * len(pieces) < fewest:
            best, fewest = pieces, each * len(pieces)
        size *= 2
    return best


def _one_neuron_too_large(
    costs: Costs, population: int, neuron: Integers, cuts: Sequence[Cut], room: int
) -> Diagnostic:
    """Why the first neuron does not fit a PE by itself: the bytes of everything that it brings."""
    node = costs.network.populations[population]
    total = costs.part_bytes(population, neuron, cuts)
    brought = [
        (costs.fan_bytes(each, neuron, costs.fan(each, neuron, cuts[each.src])), each.name)
        for each in costs.network.into(population)
    ]
    most, name = max(brought, default=(0, ""))
    message = (
        f"neuron {int(neuron[0])} of `{node.name}` takes {total} bytes of a PE, which has room for {room}; "
        f"`{name}` alone takes {most}"
    )
    help_ = "prune, use a smaller kernel or fewer channels, or split the layer's inputs over two layers"
    return error("NMC422", message, node.loc, help=help_)
