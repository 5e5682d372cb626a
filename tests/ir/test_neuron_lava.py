"""Lava's further neurons by hand; whole recordings of them are in `tests/sim/test_golden_loihi.py`."""

from __future__ import annotations

import pytest

from nmc.ir.neuron_lava import (
    HIGHEST,
    adaptive_step,
    delta_message,
    delta_step,
    graded_message,
    izhikevich_resonator_step,
    resets_now,
    resonate_and_fire_step,
    rotate,
    sigma_delta_step,
    ternary_fire,
)


def test_resets_now_counts_steps_from_one() -> None:
    assert [step for step in range(1, 15) if resets_now(step, 7, 0)] == [7, 14]
    assert [step for step in range(1, 15) if resets_now(step, 7, 8)] == [1, 8]


@pytest.mark.parametrize(("v", "expected"), [(11, (0, 1)), (10, (10, 0)), (-5, (-5, 0)), (-6, (0, -1))])
def test_ternary_neuron_spikes_past_both_thresholds(v: int, expected: tuple[int, int]) -> None:
    assert ternary_fire(v, -5, 10) == expected


def test_adaptive_neuron_raises_threshold_and_refractoriness() -> None:
    i, v, theta, r, spike = adaptive_step(0, 0, 100, 0, 150, 4096.0, 4096, 4096, 4096, 0, 100, 30)
    assert (i, v, theta, r, spike) == (150, 150, 130, 200, 1)
    # v = 300 is above theta, not above theta + r
    assert adaptive_step(i, v, theta, r, 0, 4096.0, 4096, 4096, 4096, 0, 100, 30) == (150, 300, 130, 200, 0)


def test_delta_sends_the_change_and_keeps_the_residue() -> None:
    assert delta_step(10, 1, 0, 12, 3, False) == (12, 0, 0, 3)
    assert delta_step(10, 0, 0, 12, 3, False) == (12, 2, 0, 0)


def test_delta_adds_up_small_changes_when_told() -> None:
    assert delta_step(10, 0, 2, 11, 3, True) == (11, 0, 0, 1)
    assert delta_step(10, 0, 3, 10, 3, True) == (10, 0, 3, 0)  # nothing to send: the error stays


def test_delta_message_rounds_down() -> None:
    assert [delta_message(sent, 2) for sent in (7, -1, -4)] == [1, -1, -1]


def test_sigma_delta_sums_activates_and_sends() -> None:
    assert sigma_delta_step(5, 0, 0, 0, -9, 1, 2, True, False) == (-4, 0, 0, 0, 0)
    assert sigma_delta_step(5, 0, 0, 0, -9, 1, 2, False, False) == (-4, -3, 0, 0, -3)


def test_resonator_turns_and_saturates() -> None:
    assert rotate(100, 0, 0, 0, 0, 4096, 12) == (0, 100)
    assert rotate(0, 0, 2**24, -(2**24), 0, 0, 12) == (HIGHEST, -HIGHEST)


def test_resonator_spikes_where_imag_rises_through_zero() -> None:
    assert resonate_and_fire_step(100, -1, 0, 1, 4096, 0, 12, 50) == (100, 0, 1)
    assert resonate_and_fire_step(100, 0, 0, 1, 4096, 0, 12, 50) == (100, 1, 0)


def test_izhikevich_resonator_resets_below_its_threshold() -> None:
    assert izhikevich_resonator_step(7, 49, 0, 1, 4096, 0, 12, 50) == (0, 49, 1)
    assert izhikevich_resonator_step(7, 48, 0, 1, 4096, 0, 12, 50) == (7, 49, 0)


def test_graded_message_passes_what_is_large_enough() -> None:
    assert [graded_message(x, 5, False) for x in (-6, -5, 5, 6)] == [-6, 0, 0, 6]
    assert [graded_message(x, 5, True) for x in (-6, -5, 5, 6)] == [0, 0, 0, 6]
