"""What a file gives of all steps together, a sum or a maximum over time, as what each step adds to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.ir.graph import OverTime
from nmc.ir.program import Scalar

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
    varying = [place for place, arg in enumerate(args) if tiles.value(arg) is None]
    inner = _readout(tiles, args[varying[0]], steps) if len(varying) == 1 else None
    if inner is None:
        return None
    summed = inner.over is OverTime.SUM
    attr = tiles.attrs[tile]
    new = list(args)
    if op is Kind.LINEAR and isinstance(attr, tuple) and attr[1] is not None:
        attr = (attr[0], tiles.intern(tiles.arrays[attr[1]] / np.float32(steps)))
    if op in {Scalar.ADD, Scalar.SUB} and summed:
        constant = tiles.value(args[1 - varying[0]])
        assert constant is not None
        new[1 - varying[0]] = tiles.const(constant / np.float32(steps))
    linear = op in {Scalar.MUL, Scalar.NEG, Kind.LINEAR} or (op is Scalar.DIV and varying == [0])
    moved = op in {Scalar.ADD, Kind.GATHER} or (op is Scalar.SUB and (summed or varying == [0]))
    if not (moved or (linear and summed)):
        return None
    shape = tiles.shapes[args[varying[0]]]
    changed: list[int] = []
    for term in inner.terms:
        new[varying[0]] = term if isinstance(op, Scalar) else tiles.filled(term, shape)
        changed.append(tiles.make(op, new, attr))
    return Readout(tuple(changed), inner.over)


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
