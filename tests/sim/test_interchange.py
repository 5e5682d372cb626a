"""Arrays as files have them, and as simulations take them."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.ir.graph import Layout, OverTime, Slots
from nmc.sim.interchange import from_steps, held, to_steps


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (("time", "samples", "5"), (4, 3, 5)),
        (("samples", "time", "5"), (3, 4, 5)),
        (("time*samples", "5"), (12, 5)),
        (("samples*time", "5"), (12, 5)),
        (("samples", "1", "time", "5"), (3, 1, 4, 5)),
    ],
)
def test_arrays_come_back_as_they_were(axes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    array = np.arange(60).reshape(shape)
    layout = Layout("x", axes)
    steps = to_steps(layout, array, (5,), 4)
    assert steps.shape == (4, 3, 5)
    assert np.array_equal(from_steps(layout, steps), array)


def test_from_steps_gives_the_last_step_only_where_the_file_does() -> None:
    array = np.arange(60).reshape(4, 3, 5)
    assert np.array_equal(
        from_steps(Layout("y", ("samples", "5"), over_time=OverTime.LAST), array), array[-1]
    )


def test_to_steps_refuses_an_array_of_another_layout() -> None:
    with pytest.raises(CompileError, match="NMC501"):
        to_steps(Layout("x", ("time", "samples", "5")), np.zeros((4, 3)), (5,), 4)


def test_from_steps_gives_what_the_file_gives_of_all_steps() -> None:
    array = np.arange(24.0).reshape(4, 2, 3)
    wanted = {
        "LAST": array[-1],
        "SUM": array.sum(0),
        "MEAN": array.mean(0),
        "MAX": array.max(0),
        "MIN": array.min(0),
    }
    for name, result in wanted.items():
        layout = Layout("y", ("samples", "3"), over_time=OverTime[name])
        assert np.array_equal(from_steps(layout, array), result)


def test_to_steps_holds_an_input_without_time_in_every_step() -> None:
    image = np.arange(6.0).reshape(2, 3)
    steps = to_steps(Layout("x", ("samples", "3"), held=5), image, (3,), 1)
    assert steps.shape == (5, 2, 3)
    assert (steps == image).all()


def test_held_gives_the_slots_of_a_state_from_the_values_of_each_step() -> None:
    now = np.arange(1.0, 13.0).reshape(4, 1, 3)
    layout = Layout("b_out", ("samples", "3", "2"), "x.out", "b", slots=Slots(1, (0, 2)))
    state = held(layout, now)
    assert state.shape == (4, 1, 3, 2)
    assert np.array_equal(state[..., 0], now)
    assert np.array_equal(state[2:, ..., 1], now[:2])
    assert not state[:2, ..., 1].any()
