"""What a file gives of all steps together, a sum or a maximum over time, as what each step adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.ir.graph import OverTime
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

_REDUCTIONS = {Scalar.ADD: OverTime.SUM, Scalar.MAX: OverTime.MAX, Scalar.MIN: OverTime.MIN}


@dataclass(frozen=True, slots=True)
class Readout:
    """What each step contributes, and how the contributions become one value."""

    terms: tuple[int, ...]
    over: OverTime


def readout(tiles: Tiles, tile: int, steps: int) -> Readout | None:
    """A tile of the last step as a reduction over all steps; None if it is none.

    What is linear after a sum is done in each step instead: a factor, a layer, a movement.
    """
    found = _readout(tiles, tile, steps)
    if found is None or found.over is not OverTime.SUM:
        return found
    means = [_divided(tiles, term, steps) for term in found.terms]
    known = [each for each in means if each is not None]
    return Readout(tuple(known), OverTime.MEAN) if len(known) == len(means) else found


def _divided(tiles: Tiles, term: int, steps: int) -> int | None:
    """The dividend of a term that is divided by the number of steps."""
    if tiles.uniform(term) == 0.0:
        return term
    if tiles.ops[term] is not Scalar.MUL:
        return None
    for own, other in ((0, 1), (1, 0)):
        factor = tiles.uniform(tiles.args[term][other])
        if factor is not None and abs(factor * steps - 1) <= 1e-6:
            return tiles.args[term][own]
    return None


def _readout(tiles: Tiles, tile: int, steps: int) -> Readout | None:
    op, args = tiles.ops[tile], tiles.args[tile]
    if op in _REDUCTIONS:
        terms = _terms(tiles, tile, steps)
        if terms is not None:
            return Readout(terms, _REDUCTIONS[op])
    constants = [tiles.value(arg) for arg in args]
    if (
        op in {Scalar.MUL, Scalar.DIV, Scalar.ADD, Scalar.SUB}
        and sum(each is None for each in constants) == 1
    ):
        place = 0 if constants[0] is None else 1
        inner = _readout(tiles, args[place], steps)
        constant = constants[1 - place]
        assert constant is not None
        if inner is None or (op is Scalar.DIV and place == 1):
            return None
        return _after(tiles, inner, _by_steps(tiles, op, args, place, constant, steps, inner.over))
    if op is Scalar.NEG or (op is Kind.GATHER and len(args) == 1) or op is Kind.LINEAR:
        inner = _readout(tiles, args[0], steps)
        if inner is None or (inner.over is not OverTime.SUM and op is not Kind.GATHER):
            return None
        attr = tiles.attrs[tile]
        if op is Kind.LINEAR and isinstance(attr, tuple) and attr[1] is not None:
            bias = tiles.intern(tiles.arrays[attr[1]] / np.float32(steps))
            return _after(
                tiles,
                inner,
                lambda term: tiles.linear(tiles.filled(term, tiles.shapes[args[0]]), attr[0], bias),
            )
        return _after(
            tiles, inner, lambda term: tiles.make(op, [tiles.filled(term, tiles.shapes[args[0]])], attr)
        )
    return None


def _by_steps(
    tiles: Tiles, op: Scalar, args: tuple[int, ...], place: int, constant: Array, steps: int, over: OverTime
) -> Callable[[int], int] | None:
    """What an operation with a constant after the reduction does to the contribution of a step."""
    added = op in {Scalar.ADD, Scalar.SUB}
    if over is not OverTime.SUM and not added:
        return None
    if over is not OverTime.SUM and op is Scalar.SUB and place == 1:
        return None
    share = constant / np.float32(steps) if added and over is OverTime.SUM else constant
    other = tiles.const(share)
    return lambda term: tiles.scalar(op, [term, other] if place == 0 else [other, term])


def _after(tiles: Tiles, inner: Readout, change: Callable[[int], int] | None) -> Readout | None:
    return None if change is None else Readout(tuple(map(change, inner.terms)), inner.over)


def _terms(tiles: Tiles, tile: int, steps: int) -> tuple[int, ...] | None:
    """The term of each step: the chain adds that of one step after the other; what it leaves out is zero."""
    op = tiles.ops[tile]
    terms: list[int] = []
    now, step = tile, steps - 1
    while step > 0 and tiles.ops[now] is op:
        a, b = tiles.args[now]
        before, term = (a, b) if tiles.times[a] < tiles.times[b] else (b, a)
        if tiles.times[term] != step or tiles.times[before] != step - 1:
            break
        terms.append(term)
        now, step = before, step - 1
    if len(terms) < 2 or tiles.times[now] != step or (step > 0 and op is not Scalar.ADD):
        return None
    silent = [tiles.const(np.zeros((), np.float32))] * step
    return (*silent, now, *reversed(terms))
