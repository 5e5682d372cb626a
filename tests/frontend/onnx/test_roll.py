"""Unrolled steps rolled up, on tiles made by hand: what is kept, from where it starts, and what does not repeat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.roll import Rolled, roll
from nmc.frontend.onnx.step import simulate
from nmc.frontend.onnx.tiles import Tiles
from nmc.frontend.onnx.trace import Plan, Trace
from nmc.frontend.onnx.values import TIME, Space, Value
from nmc.ir.program import Scalar

STEPS = 6
Step = Callable[[Tiles, int, int, int], tuple[int, int]]
"""From the tiles, the number of the step, its input and what is kept: what it gives and what it keeps."""


def number(tiles: Tiles, value: float) -> int:
    return tiles.const(np.asarray(value, np.float32))


def rolled(step: Step, initial: float = 0.0, steps: int = STEPS) -> Rolled:
    """The step of so many steps, written out one after the other."""
    tiles = Tiles()
    kept, given = number(tiles, initial), list[int]()
    for t in range(steps):
        out, kept = step(tiles, t, tiles.input("x", t, (3,)), kept)
        given.append(out)
    axes = ((TIME,), (3,))
    space = Space(tiles, 1, sequence=True)
    return roll(Trace(tiles, space, {"y": Value(axes, tuple(given))}, Plan({"x": axes}, 1, steps), ()))


def membrane(tiles: Tiles, t: int, x: int, v: int) -> tuple[int, int]:
    """v = 0.9 v + x; a spike above 1; reset to zero."""
    h = tiles.scalar(Scalar.ADD, [tiles.scalar(Scalar.MUL, [v, number(tiles, 0.9)]), x])
    s = tiles.scalar(Scalar.ABOVE, [h, number(tiles, 1.0)])
    return s, tiles.scalar(Scalar.WHERE, [s, number(tiles, 0.0), h])


def spikes(x: np.ndarray, v: float) -> np.ndarray:
    state, found = np.full(x.shape[1:], v), []
    for row in x:
        h = np.float64(np.float32(0.9)) * state + row
        found.append(h > 1)
        state = np.where(found[-1], 0, h)
    return np.stack(found).astype(float)


@pytest.mark.parametrize("initial", [0.0, 0.75])
def test_roll_finds_one_membrane_and_where_it_starts(initial: float) -> None:
    found = rolled(membrane, initial)
    (kept,) = found.net.kept
    np.testing.assert_allclose(kept.initial, initial, atol=1e-6)
    x = np.random.default_rng(0).normal(0.4, 1.0, (40, 5, 3))
    np.testing.assert_array_equal(simulate(found.net, {"x": x})["y"], spikes(x, initial))
    assert found.steps == STEPS
    assert found.compared > 0


def test_roll_sees_through_another_spelling_of_every_other_step() -> None:
    def mixed(tiles: Tiles, t: int, x: int, v: int) -> tuple[int, int]:
        if t % 2:
            return membrane(tiles, t, x, v)
        h = tiles.scalar(Scalar.SUB, [x, tiles.scalar(Scalar.MUL, [number(tiles, -0.9), v])])
        s = tiles.scalar(Scalar.NOT, [tiles.scalar(Scalar.AT_LEAST, [number(tiles, 1.0), h])])
        return s, tiles.scalar(Scalar.MUL, [h, tiles.scalar(Scalar.SUB, [number(tiles, 1.0), s])])

    found = rolled(mixed)
    assert len(found.net.kept) == 1
    x = np.random.default_rng(1).normal(0.4, 1.0, (20, 5, 3))
    np.testing.assert_array_equal(simulate(found.net, {"x": x})["y"], spikes(x, 0.0))


def test_roll_keeps_the_input_of_the_step_before_for_a_delay() -> None:
    def delayed(tiles: Tiles, t: int, x: int, before: int) -> tuple[int, int]:
        return tiles.scalar(Scalar.ADD, [x, before]), x

    found = rolled(delayed)
    assert len(found.net.kept) == 1
    x = np.random.default_rng(2).normal(size=(9, 2, 3))
    np.testing.assert_allclose(simulate(found.net, {"x": x})["y"][1:], x[1:] + x[:-1])


def test_roll_refuses_steps_that_differ() -> None:
    def faster(tiles: Tiles, t: int, x: int, v: int) -> tuple[int, int]:
        h = tiles.scalar(Scalar.ADD, [tiles.scalar(Scalar.MUL, [v, number(tiles, 0.5 + t / 10)]), x])
        return tiles.scalar(Scalar.ABOVE, [h, number(tiles, 1.0)]), h

    with pytest.raises(Refusal) as refused:
        rolled(faster)
    assert refused.value.code == "NMC059"


def test_roll_refuses_two_steps() -> None:
    with pytest.raises(Refusal) as refused:
        rolled(membrane, steps=2)
    assert refused.value.code == "NMC059"
    assert "2 unrolled steps are too few" in refused.value.message
