"""Rounding on data: in range, deterministic, never worse than nearest, and best where all can be tried."""

import itertools

import numpy as np
import pytest

from nmc.passes.round_on_data import _damped, compensated, error_of, round_on_data


def inputs(rng: np.random.Generator, count: int) -> np.ndarray:
    """Inputs that are active together, as neighbouring pixels are."""
    common = rng.random((400, 1))
    return (rng.random((400, count)) < common).astype(float)


def second_moment(count: int, seed: int = 0) -> np.ndarray:
    x = inputs(np.random.default_rng(seed), count)
    return x.T @ x / len(x)


@pytest.mark.parametrize("top", [1, 3, 7])
def test_round_on_data_is_never_worse_than_nearest_and_stays_in_range(top: int) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(0, top / 2, (20, 12))
    moments = second_moment(12)
    q = round_on_data(weights, moments, top=top)
    nearest = np.clip(np.rint(weights), -top, top)
    assert np.abs(q).max() <= top
    damped = _damped(moments)
    assert (error_of(q - weights, damped) <= error_of(nearest - weights, damped) + 1e-12).all()
    assert error_of(q - weights, moments).sum() < 0.7 * error_of(nearest - weights, moments).sum()
    np.testing.assert_array_equal(q, round_on_data(weights, moments, top=top))


def test_round_on_data_is_near_the_best_of_all_roundings() -> None:
    rng = np.random.default_rng(2)
    weights, moments = rng.normal(0, 1, (10, 4)), second_moment(4)
    damped = _damped(moments)
    every = np.array(list(itertools.product(range(-2, 3), repeat=4)), float)
    q = round_on_data(weights, moments, top=2)
    best = sum(error_of(every - row, damped).min() for row in weights)
    nearest = error_of(np.clip(np.rint(weights), -2, 2) - weights, damped).sum()
    assert error_of(q - weights, damped).sum() <= min(1.2 * best, 0.8 * nearest)


def test_round_on_data_takes_the_nearest_where_inputs_have_nothing_to_do_with_each_other() -> None:
    weights = np.random.default_rng(3).normal(0, 2, (5, 6))
    nearest = np.clip(np.rint(weights), -3, 3)
    np.testing.assert_array_equal(round_on_data(weights, np.ones(6), top=3), nearest)
    np.testing.assert_array_equal(round_on_data(weights, np.eye(6), top=3), nearest)


def test_round_on_data_leaves_places_without_a_weight_at_zero() -> None:
    rng = np.random.default_rng(4)
    bound = rng.integers(0, 2, (6, 8)) * 3.0
    weights = rng.normal(0, 1, (6, 8)) * (bound > 0)
    for rule in (round_on_data, compensated):
        assert not rule(weights, second_moment(8), top=bound)[bound == 0].any()
