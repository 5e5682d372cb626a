"""Tiles of one step that mean the same, spelled in different ways, made one.

Two spellings of a value are found by evaluating every elementwise tile on random numbers. Comparisons must moreover
agree on what they say of equal numbers, which random numbers never are.
"""

from __future__ import annotations

import numpy as np

from nmc.frontend.onnx.evaluate import evaluate
from nmc.frontend.onnx.step import Given, Kept, StepNet
from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

SAMPLES = 24
CLOSE = 1e-6


def swept(net: StepNet) -> StepNet:
    """The network with one tile for each meaning."""
    tiles = net.tiles
    rng = np.random.default_rng(2)
    cone = tiles.cone(net.roots())
    leaves = {
        tile: rng.normal(0.4, 1.2, (SAMPLES, *tiles.shapes[tile]))
        for tile in cone
        if tiles.ops[tile] in {Kind.INPUT, Kind.STATE}
    }
    scalars = [tile for tile in cone if isinstance(tiles.ops[tile], Scalar)]
    values = evaluate(tiles, scalars, leaves, SAMPLES)
    first: dict[int, int] = {}
    for group in _groups(tiles, scalars, values):
        for tile in group[1:]:
            first[tile] = group[0]
    if not first:
        return net
    roots = _merged(tiles, net.roots(), first)
    count = len(net.kept)
    kept = tuple(
        Kept(each.leaf, root, each.initial, each.entering, each.leaving)
        for each, root in zip(net.kept, roots, strict=False)
    )
    given = tuple(
        Given(each.name, root, each.axes, each.last) for each, root in zip(net.given, roots[count:], strict=True)
    )
    return StepNet(tiles, net.inputs, kept, given, net.notes)


def _merged(tiles: Tiles, roots: list[int], first: dict[int, int]) -> list[int]:
    """The roots with each tile replaced by the first of its meaning, which has a lower number."""
    new: dict[int, int] = {}
    for tile in tiles.cone(roots):
        if tile in first:
            new[tile] = new[first[tile]]
            continue
        args = [new[arg] for arg in tiles.args[tile]]
        if args == list(tiles.args[tile]):
            new[tile] = tile
            continue
        tiles.label = tiles.names[tile]
        new[tile] = tiles.make(tiles.ops[tile], args, tiles.attrs[tile])
    return [new[root] for root in roots]


def _groups(tiles: Tiles, scalars: list[int], values: dict[int, Array]) -> list[list[int]]:
    """Tiles with the same values, in the order of their numbers."""
    weights: dict[tuple[int, ...], Array] = {}
    rows: list[tuple[tuple[int, ...], int, float, int]] = []
    for tile in scalars:
        array = values[tile]
        if not bool(np.isfinite(array).all()) or not _varies(tiles, tile, array):
            continue
        if array.shape not in weights:
            weights[array.shape] = np.random.default_rng(3).normal(1.0, 0.3, array.shape)
        rows.append((array.shape, _tie(tiles, tile), float((array * weights[array.shape]).sum()), tile))
    rows.sort()
    groups: list[list[int]] = []
    for number, (shape, tie, sum_, tile) in enumerate(rows):
        if number and groups:
            before = rows[number - 1]
            near = abs(before[2] - sum_) <= 1e-5 * max(1.0, abs(sum_)) and before[:2] == (shape, tie)
            if near and np.allclose(values[before[3]], values[tile], rtol=CLOSE, atol=CLOSE):
                groups[-1].append(tile)
                continue
        groups.append([tile])
    return [sorted(group) for group in groups if len(group) > 1]


def _varies(tiles: Tiles, tile: int, array: Array) -> bool:
    """Whether a tile's values tell it apart: a comparison must have been true and false often enough."""
    if not tiles.is_truth(tile):
        return array.size > 0 and float(np.ptp(array)) > 0
    true = int(np.count_nonzero(array))
    return min(true, array.size - true) >= 12


def _tie(tiles: Tiles, tile: int) -> int:
    """What a tile says where the numbers it compares are equal: 0 or 1 of a comparison, 2 of other tiles.

    Other tiles that contain comparisons are told apart by these: their numbers hold the comparisons' ties.
    """
    op, args = tiles.ops[tile], tiles.args[tile]
    match op:
        case Scalar.ABOVE:
            return 0
        case Scalar.AT_LEAST:
            return 1
        case Scalar.NOT:
            inner = _tie(tiles, args[0])
            return 1 - inner if inner < 2 else 2
        case _:
            ties = 0
            for each in tiles.cone([tile]):
                if tiles.ops[each] is Scalar.AT_LEAST:
                    ties |= 1
                elif tiles.ops[each] in {Scalar.ABOVE, Scalar.SIGN, Scalar.EQUAL}:
                    ties |= 2
            return 2 + ties
