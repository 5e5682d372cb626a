"""How far signals reach in time, and how much of a loop runs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmc.sim.streams import Stage, State, Stream, View, block_of, extent, make_arena

A, B = (Stream(name, 3, np.dtype(np.int64), None) for name in "ab")


def nothing(*_: Any) -> None:
    pass


def test_extent_is_the_longest_delay_of_all_readers() -> None:
    writer = Stage("a", nothing, (A,), reach=4)
    near, far = Stage("b", nothing, (View(A, 1), B)), Stage("c", nothing, (View(A, 2),), depth=3)
    back, ahead = extent([writer, near, far])
    assert back == {"a": 5}
    assert ahead == {"a": 4, "b": 0}


def test_view_can_be_read_later() -> None:
    assert View(A, 2).later(3) == View(A, 5)


@pytest.mark.parametrize(("forward", "backward", "block"), [(0, 1, 1), (0, 3, 3), (2, 5, 5)])
def test_block_of_a_loop_is_the_delay_of_what_goes_back(forward: int, backward: int, block: int) -> None:
    first, second = Stage("a", nothing, (View(B, backward), A)), Stage("b", nothing, (View(A, forward), B))
    assert block_of((first, second)) == block


def test_block_of_a_neuron_that_reads_itself_is_that_delay() -> None:
    assert block_of((Stage("a", nothing, (View(A, 2), A)),)) == 2


def test_block_of_what_does_not_loop_is_unlimited() -> None:
    assert block_of((Stage("a", nothing, (View(B, 0), A)),)) is None


def test_arena_begins_with_initial_states_and_zeros_before_step_0() -> None:
    seen: list[tuple[Any, ...]] = []

    def kernel(values: Any, delay: int, state: Any, *_: int) -> None:
        seen.append((values.copy(), delay, state.copy()))
        values[...], state[...] = 7, 9

    writer = Stage("a", nothing, (A,))
    reader = Stage("b", kernel, (View(A, 2), State(np.array([1, 2, 3]))))
    arena = make_arena(((writer, reader),), samples=2, chunk=4, sources={}, kept={})
    for _ in range(2):
        arena.begin()
        arena.steps[0][1](0, 2, 0, 4)
    for values, delay, state in seen:
        assert values.shape == (2, 6, 3)
        assert not values.any()
        assert delay == 2
        assert state.tolist() == [[1, 2, 3], [1, 2, 3]]
