"""Tiles of one step that mean the same, spelled in different ways, made one.

Two spellings of a value are found by evaluating every elementwise tile on random numbers, and become one only if
their normal forms are the same: random numbers reach no bound that lies far out, and never are equal.
"""

from __future__ import annotations

import numpy as np

from nmc.frontend.onnx.cluster import program_of
from nmc.frontend.onnx.poly import Algebra, TooComplex, forms
from nmc.frontend.onnx.step import StepNet
from nmc.frontend.onnx.tiles import Tiles
from nmc.ir.program import Scalar, apply
from nmc.ir.tensor import Array

SAMPLES = 24
FAR = 20.0
"""Every third sample is so much larger, for comparisons with numbers that the others hardly reach."""
CLOSE = 1e-6


def swept(net: StepNet) -> StepNet:
    """The network with one tile for each meaning."""
    roots = _Sweep(net.tiles).merged(net.roots())
    return net if roots == net.roots() else net.with_roots(roots)


class _Sweep:
    """Tiles in the order of their numbers, each as the first of its meaning.

    What is not computed element by element counts as a number of its own: the layers of a silent network would
    otherwise all give the same.
    """

    def __init__(self, tiles: Tiles) -> None:
        self.tiles = tiles
        self.rng = np.random.default_rng(2)
        self.values: dict[int, Array] = {}
        self.bins: dict[tuple[tuple[int, ...], int], list[int]] = {}
        self.weights: dict[tuple[int, ...], Array] = {}

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
                values = self.rng.normal(0.4, 1.2, (SAMPLES, *self.tiles.shapes[each]))
                values[::3] *= FAR
                self.values[each] = values
        return self.values[tile]

    def _first(self, tile: int) -> int:
        """The first tile that means the same."""
        array = self._value(tile)
        if array.ndim == 0 or not bool(np.isfinite(array).all()) or float(np.ptp(array)) == 0.0:
            return tile
        if array.shape not in self.weights:
            self.weights[array.shape] = np.random.default_rng(3).normal(1.0, 0.3, array.shape)
        place = int(np.floor(float((array * self.weights[array.shape]).mean()) * 1e4))
        for near in (place, place - 1, place + 1):
            for other in self.bins.get((array.shape, near), ()):
                if other == tile:
                    return tile
                near_by = np.allclose(self.values[other], array, rtol=CLOSE, atol=CLOSE)
                if near_by and same_form(self.tiles, other, tile):
                    return other
        self.bins.setdefault((array.shape, place), []).append(tile)
        return tile


def same_form(tiles: Tiles, a: int, b: int) -> bool:
    """Whether two elementwise tiles are one formula of what is not elementwise; False if that is too large to say."""
    leaves = {
        tile: f"t{tile}"
        for tile in tiles.cone([a, b])
        if not isinstance(tiles.ops[tile], Scalar) and tiles.value(tile) is None
    }
    algebra = Algebra()
    try:
        left, right = (forms(algebra, program_of(tiles, {}, tile, leaves))[0] for tile in (a, b))
        return algebra.same(algebra.tidied(left), algebra.tidied(right))
    except TooComplex:
        return False
