"""Steps that are unrolled over an input without time: which tiles belong to which step.

The file takes one image and lets a network look at it for many steps. What each step gives is found first: the values
that are stacked, or summed, in the end. A tile belongs to the first step whose value needs it; what no comparison
comes before is computed of the image alone, in each step the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.frontend.onnx.trace import Trace
from nmc.frontend.onnx.values import TIME, Space, Value
from nmc.ir.program import TRUTH, Scalar

_STEPPED = TRUTH | {Scalar.FLOOR, Scalar.CEIL, Scalar.ROUND, Scalar.SIGN, Scalar.TRUNC}
_REDUCTIONS = frozenset({Scalar.ADD, Scalar.MAX, Scalar.MIN})


def held(trace: Trace) -> Trace | None:
    """The trace with its tiles in time, its inputs before all of it; None if no steps can be seen."""
    tiles = trace.tiles
    outputs = {name: value for name, value in trace.outputs.items() if isinstance(value, Value)}
    roots = [tile for value in outputs.values() for tile in value.tiles]
    depth = _depths(tiles, roots, max)
    stacked = {name: found for name, value in outputs.items() if (found := _stacked(trace.space, value))}
    terms = {name: found.tiles for name, found in {**outputs, **stacked}.items() if found.timed}
    for name, value in outputs.items():
        sums = None if name in terms else _summed(tiles, value.tiles[0], depth)
        if sums is not None:
            terms[name] = sums
    times = _needed(tiles, roots, tuple(terms.values()), depth) if terms else _counted(tiles, roots, depth)
    steps = {len(found) for found in terms.values()} or {max(times.values(), default=0) + 1}
    if len(steps) != 1 or (count := steps.pop()) < 3:
        return None
    for tile in range(len(tiles)):
        tiles.times[tile] = times.get(tile, -1)
    return replace(trace, outputs={**trace.outputs, **stacked}, plan=replace(trace.plan, steps=count))


def _depths(tiles: Tiles, roots: Sequence[int], most: Callable[[Iterable[int]], int]) -> dict[int, int]:
    """How many comparisons come before each tile, on the longest or the shortest way from an input."""
    depth: dict[int, int] = {}
    for tile in tiles.cone(roots):
        before = [depth[arg] for arg in tiles.args[tile] if tiles.ops[arg] is not Kind.CONST]
        depth[tile] = (most(before) if before else 0) + (tiles.ops[tile] in _STEPPED)
    return depth


def _needed(
    tiles: Tiles, roots: Sequence[int], terms: Sequence[tuple[int, ...]], depth: Mapping[int, int]
) -> dict[int, int]:
    """The first step whose value needs a tile."""
    times: dict[int, int] = {}
    for step in reversed(range(min(len(each) for each in terms))):
        for each in terms:
            times.update((tile, step) for tile in tiles.cone([each[step]]) if depth.get(tile))
    return _followed(tiles, roots, times, depth)


def _counted(tiles: Tiles, roots: Sequence[int], depth: Mapping[int, int]) -> dict[int, int]:
    """Steps by counting: the longest way to a spike goes through as many more comparisons as steps came before it."""
    least = _depths(tiles, roots, min)
    times: dict[int, int] = {}
    for tile in tiles.cone(roots):
        if tiles.ops[tile] in _STEPPED:
            times[tile] = depth[tile] - least[tile]
    for tile in reversed(tiles.cone(roots)):
        for arg in tiles.args[tile] if tile in times else ():
            if tiles.ops[arg] not in _STEPPED and depth[arg]:
                times[arg] = min(times.get(arg, times[tile]), times[tile])
    return _followed(tiles, roots, times, depth)


def _followed(
    tiles: Tiles, roots: Sequence[int], times: dict[int, int], depth: Mapping[int, int]
) -> dict[int, int]:
    """The step of each tile that no spike needs: that of the last of its arguments."""
    for tile in tiles.cone(roots):
        if depth[tile] and tile not in times:
            times[tile] = max((times.get(arg, -1) for arg in tiles.args[tile]), default=-1)
    return times


def _stacked(space: Space, value: Value) -> Value | None:
    """An output with the axis along which whole tiles are stacked as time."""
    if value.timed or space.tiles.ops[value.tiles[0]] is not Kind.GATHER:
        return None
    for place, axis in enumerate(value.axes):
        size = space.size(axis, 1)
        if len(axis) != 1 or size < 3 or not isinstance(axis[0], int):
            continue
        parts = [space.select(value, place, np.array([k])).tiles[0] for k in (0, size - 1)]
        if any(space.tiles.ops[part] is Kind.GATHER for part in parts) or parts[0] == parts[1]:
            continue
        whole = [
            space.without(space.select(value, place, np.array([k])), place).tiles[0] for k in range(size)
        ]
        return Value((*value.axes[:place], (TIME,), *value.axes[place + 1 :]), tuple(whole), value.kind)
    return None


def _summed(tiles: Tiles, tile: int, depth: Mapping[int, int]) -> tuple[int, ...] | None:
    """The terms of a sum over time: the one after which the longer chain of comparisons comes is the later."""
    while tiles.ops[tile] in {Scalar.MUL, Scalar.DIV} and any(
        tiles.value(a) is not None for a in tiles.args[tile]
    ):
        tile = next(arg for arg in tiles.args[tile] if tiles.value(arg) is None)
    op = tiles.ops[tile]
    terms: list[int] = []
    while op in _REDUCTIONS and tiles.ops[tile] is op and any(depth[arg] for arg in tiles.args[tile]):
        before, term = sorted(tiles.args[tile], key=lambda arg: depth[arg])
        if depth[before] == depth[term]:
            break
        terms.append(term)
        tile = before
    return (tile, *reversed(terms)) if len(terms) > 1 else None
