"""Tiles of one step that mean the same, spelled in different ways, made one.

Two spellings of a value are found by evaluating every elementwise tile on random numbers. Comparisons must moreover
agree on what they say of equal numbers, which random numbers never are.
"""

from __future__ import annotations

import numpy as np

from nmc.frontend.onnx.step import Given, Kept, StepNet
from nmc.frontend.onnx.tiles import Tiles
from nmc.ir.program import Scalar, apply
from nmc.ir.tensor import Array

SAMPLES = 24
CLOSE = 1e-6


def swept(net: StepNet) -> StepNet:
    """The network with one tile for each meaning."""
    roots = _Sweep(net.tiles).merged(net.roots())
    if roots == net.roots():
        return net
    count = len(net.kept)
    kept = tuple(
        Kept(each.leaf, root, each.initial, each.entering, each.leaving)
        for each, root in zip(net.kept, roots, strict=False)
    )
    given = tuple(
        Given(each.name, root, each.axes, each.last)
        for each, root in zip(net.given, roots[count:], strict=True)
    )
    return StepNet(net.tiles, net.inputs, kept, given, net.notes)


class _Sweep:
    """Tiles in the order of their numbers, each as the first of its meaning.

    What is not computed element by element counts as a number of its own: the layers of a silent network would
    otherwise all give the same.
    """

    def __init__(self, tiles: Tiles) -> None:
        self.tiles = tiles
        self.rng = np.random.default_rng(2)
        self.values: dict[int, Array] = {}
        self.bins: dict[tuple[tuple[int, ...], int, int], list[int]] = {}
        self.weights: dict[tuple[int, ...], Array] = {}
        self.ties: dict[int, int] = {}

    def merged(self, roots: list[int]) -> list[int]:
        """The roots, with one tile for each meaning below them."""
        tiles = self.tiles
        new: dict[int, int] = {}
        for tile in tiles.cone(roots):
            args = [new[arg] for arg in tiles.args[tile]]
            made = tile
            if args != list(tiles.args[tile]):
                tiles.label = tiles.names[tile]
                made = tiles.make(tiles.ops[tile], args, tiles.attrs[tile])
            new[tile] = self._first(made) if isinstance(tiles.ops[made], Scalar) else made
        return [new[root] for root in roots]

    def _value(self, tile: int) -> Array:
        """The tile's numbers; those of a layer are as random as those of an input."""
        for each in self.tiles.cone([tile], stop=self.values):
            if each in self.values:
                continue
            constant = self.tiles.value(each)
            op = self.tiles.ops[each]
            if constant is not None:
                self.values[each] = constant.astype(np.float64)
            elif isinstance(op, Scalar):
                with np.errstate(all="ignore"):
                    self.values[each] = apply(op, [self.values[arg] for arg in self.tiles.args[each]])
            else:
                self.values[each] = self.rng.normal(0.4, 1.2, (SAMPLES, *self.tiles.shapes[each]))
        return self.values[tile]

    def _tie(self, tile: int) -> int:
        """What a comparison says of equal numbers: 1 for no, 2 for yes; of other tiles, the comparisons they hold."""
        pending = [tile]
        while pending:
            each = pending[-1]
            op, args = self.tiles.ops[each], self.tiles.args[each]
            unknown = [arg for arg in args if arg not in self.ties] if isinstance(op, Scalar) else []
            if unknown:
                pending += unknown
                continue
            pending.pop()
            inner = 0
            for arg in args if isinstance(op, Scalar) else ():
                inner |= self.ties[arg]
            match op:
                case Scalar.ABOVE:
                    self.ties[each] = 1
                case Scalar.AT_LEAST:
                    self.ties[each] = 2
                case Scalar.NOT if inner in {1, 2}:
                    self.ties[each] = 3 - inner
                case Scalar.SIGN | Scalar.EQUAL:
                    self.ties[each] = 3
                case _:
                    self.ties[each] = inner
        return self.ties[tile]

    def _first(self, tile: int) -> int:
        """The first tile that means the same."""
        array = self._value(tile)
        if array.ndim == 0 or not bool(np.isfinite(array).all()) or not _varies(self.tiles, tile, array):
            return tile
        if array.shape not in self.weights:
            self.weights[array.shape] = np.random.default_rng(3).normal(1.0, 0.3, array.shape)
        tie = self._tie(tile)
        place = int(np.floor(float((array * self.weights[array.shape]).mean()) * 1e4))
        for near in (place, place - 1, place + 1):
            for other in self.bins.get((array.shape, tie, near), ()):
                if other == tile or np.allclose(self.values[other], array, rtol=CLOSE, atol=CLOSE):
                    return other
        self.bins.setdefault((array.shape, tie, place), []).append(tile)
        return tile


def _varies(tiles: Tiles, tile: int, array: Array) -> bool:
    """Whether a tile's values tell it apart: a comparison must have been true and false often enough."""
    if not tiles.is_truth(tile):
        return array.size > 0 and float(np.ptp(array)) > 0
    true = int(np.count_nonzero(array))
    return min(true, array.size - true) >= 12
