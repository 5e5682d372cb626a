"""Arrays as files have them, and as simulations take them."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.ir.graph import Layout
from nmc.sim.interchange import from_steps, to_steps


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
    assert np.array_equal(from_steps(Layout("y", ("samples", "5"), last=True), array), array[-1])


def test_to_steps_refuses_an_array_of_another_layout() -> None:
    with pytest.raises(CompileError, match="NMC501"):
        to_steps(Layout("x", ("time", "samples", "5")), np.zeros((4, 3)), (5,), 4)
