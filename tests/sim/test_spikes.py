"""Spike trains as values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.sim.spikes import SpikeTrain


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_spike_train_becomes_dense_and_back(steps: int, neurons: int, seed: int) -> None:
    dense = (np.random.default_rng(seed).random((steps, neurons)) < 0.4).astype(np.uint8)
    train = SpikeTrain.of_dense(dense)
    assert len(train) == dense.sum()
    np.testing.assert_array_equal(train.dense(), dense)
    start = train.by_step()
    for t in range(steps):
        assert train.neuron[start[t] : start[t + 1]].tolist() == np.flatnonzero(dense[t]).tolist()


def test_spike_train_flattens_shapes_in_c_order() -> None:
    dense = np.zeros((2, 3, 4))
    dense[1, 2, 1] = 1
    train = SpikeTrain.of_dense(dense)
    assert (train.step.tolist(), train.neuron.tolist(), train.n_neurons) == ([1], [9], 12)


def test_spike_trains_of_the_same_events_are_equal_in_any_order() -> None:
    a = SpikeTrain.of_events([2, 0, 0], [1, 3, 1], n_steps=3, n_neurons=4)
    b = SpikeTrain.of_events([0, 2, 0], [1, 1, 3], n_steps=3, n_neurons=4)
    assert a == b
    assert hash(a) == hash(b)
    assert a != SpikeTrain.of_events([0, 2, 0], [1, 1, 3], n_steps=4, n_neurons=4)


@pytest.mark.parametrize(
    ("step", "neuron", "message"),
    [
        ([3], [0], "steps 3 to 3 of 3"),
        ([0], [-1], "neurons -1 to -1 of 4"),
        ([0, 0], [1, 1], "given twice"),
        ([0], [1, 2], "1 steps for 2 neurons"),
    ],
)
def test_spike_train_refuses_events_that_cannot_be(step: list[int], neuron: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpikeTrain.of_events(step, neuron, n_steps=3, n_neurons=4)


def test_spike_train_refuses_values_that_are_no_spikes() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        SpikeTrain.of_dense(np.array([[0, 2]]))


def test_spike_train_cannot_be_changed() -> None:
    train = SpikeTrain.of_dense(np.ones((1, 2)))
    with pytest.raises(ValueError, match="read-only"):
        train.step[0] = 1
