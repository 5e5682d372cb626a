"""Where elements stand in memory, and the geometry of windows."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.ir.ops import Conv, Flatten
from nmc.ir.tensor import Tensor
from nmc.sim import layout

SHAPES = [(), (5,), (3, 4), (2, 3, 4), (1, 5, 1), (4, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_inner_puts_channels_last_and_outer_puts_them_back(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    flat = layout.inner(array, np.dtype(np.int64))
    assert layout.outer(flat[None, None], shape)[0, 0].tolist() == array.tolist()
    if len(shape) > 1:
        assert flat[: shape[0]].tolist() == array.reshape(shape[0], -1)[:, 0].tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_places_say_where_each_element_stands(shape: tuple[int, ...]) -> None:
    place = layout.places(shape)
    size = int(np.prod(shape))
    order = layout.inner(np.arange(size).reshape(shape), np.dtype(np.int64))
    if place.size == 0:
        assert order.tolist() == list(range(size))
    else:
        assert order[place].tolist() == list(range(size))


@pytest.mark.parametrize(("start", "end"), [(0, 2), (0, 1), (1, 2), (1, 1)])
def test_flattened_moves_elements_as_reshape_does(start: int, end: int) -> None:
    op = Flatten((2, 3, 4), start, end)
    array = np.arange(24).reshape(2, 3, 4)
    whole = np.int64
    shape = (*array.shape[:start], -1, *array.shape[end + 1 :])
    place = layout.flattened(op)
    moved = np.empty(24, whole)
    moved[np.arange(24) if place is None else place] = layout.inner(array, np.dtype(whole))
    assert moved.tolist() == layout.inner(array.reshape(shape), np.dtype(whole)).tolist()


def test_flattened_of_one_channel_moves_nothing() -> None:
    assert layout.flattened(Flatten((1, 3, 4), 0, 2)) is None


def test_windows_hold_every_tap_inside_the_input() -> None:
    found = layout.windows((1, 4), (3,), (2,), ((1, 0),), (1,))
    triples = list(zip(found.origin.tolist(), found.target.tolist(), found.tap.tolist(), strict=True))
    # output 0 sees -1, 0, 1; output 1 sees 1, 2, 3
    assert triples == [(0, 0, 1), (1, 0, 2), (1, 1, 0), (2, 1, 1), (3, 1, 2)]
    assert (found.inputs, found.outputs) == (4, 2)


@pytest.mark.parametrize("width", [2, 6])
def test_runs_are_the_triples_of_the_windows(width: int) -> None:
    channels = 6
    found = layout.windows((1, 5, 4), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1))
    runs = layout.runs(found, channels=channels, width=width)
    triples: list[tuple[int, int, int]] = []
    for origin in range(found.inputs):
        for e in range(runs.start[origin], runs.start[origin + 1]):
            places, taps = runs.length[e] // width, runs.tap[e] // width
            assert width == channels or places == 1
            triples += [
                (origin, int(runs.target[e]) // channels + k, int(runs.taps[taps + k])) for k in range(places)
            ]
    assert sorted(triples) == sorted(
        zip(found.origin.tolist(), found.target.tolist(), found.tap.tolist(), strict=True)
    )


def test_runs_join_what_is_contiguous() -> None:
    found = layout.windows((1, 8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    runs = layout.runs(found, channels=4, width=4)
    inside = 3 * 8 + 3
    assert runs.start[inside + 1] - runs.start[inside] == 3  # one run a row of the kernel
    assert runs.length.max() == 3 * 4


def test_runs_of_no_windows_are_none() -> None:
    found = layout.windows((1, 1), (1,), (2,), ((1, 0),), (1,))
    assert found.origin.size == 0
    assert layout.runs(found, channels=2, width=2).start.tolist() == [0, 0]


def test_group_starts_are_the_first_output_of_each_inputs_group() -> None:
    conv = Conv((4, 3), Tensor(np.ones((6, 2, 1))), None, (1,), ((0, 0),), (1,), 2)
    assert layout.group_starts(conv).tolist() == [0, 0, 3, 3]
