"""Tiles that mean the same are one; tiles that only look the same on random numbers are two."""

from __future__ import annotations

import numpy as np

from nmc.frontend.onnx.step import Given, StepNet
from nmc.frontend.onnx.sweep import swept
from nmc.frontend.onnx.tiles import Tiles
from nmc.ir.program import Scalar


def number(tiles: Tiles, value: float) -> int:
    return tiles.const(np.asarray(value, np.float32))


def after_sweep(tiles: Tiles, x: int, *roots: int) -> list[int]:
    given = tuple(Given(f"y{k}", root, ()) for k, root in enumerate(roots))
    return swept(StepNet(tiles, {"x": x}, (), given)).roots()


def test_sweep_makes_two_spellings_one() -> None:
    tiles = Tiles()
    x = tiles.input("x", 0, (5,))
    doubled = tiles.scalar(Scalar.MUL, [x, number(tiles, 2.0)])
    added = tiles.scalar(Scalar.ADD, [x, x])
    above = tiles.scalar(Scalar.ABOVE, [doubled, number(tiles, 1.0)])
    less = tiles.scalar(Scalar.NOT, [tiles.scalar(Scalar.AT_LEAST, [number(tiles, 1.0), added])])
    first, second = after_sweep(tiles, x, above, less)
    assert first == second


def test_sweep_keeps_a_bound_that_random_numbers_do_not_reach() -> None:
    tiles = Tiles()
    x = tiles.input("x", 0, (5,))
    bounded = tiles.scalar(Scalar.MIN, [x, number(tiles, 1e6)])
    first, second = after_sweep(tiles, x, x, bounded)
    assert first != second


def test_sweep_tells_comparisons_apart_that_differ_on_equal_numbers() -> None:
    tiles = Tiles()
    x = tiles.input("x", 0, (5,))
    strict = tiles.scalar(Scalar.ABOVE, [x, number(tiles, 0.5)])
    closed = tiles.scalar(Scalar.AT_LEAST, [x, number(tiles, 0.5)])
    first, second = after_sweep(tiles, x, strict, closed)
    assert first != second
