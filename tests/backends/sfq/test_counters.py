"""Counters of pulses do what the neuron does, step for step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmc.backends.sfq.counters import Counter, Kind, Rule, counter, span
from nmc.ir.neuron import Reset

WEIGHTS = st.lists(st.integers(-12, 12), max_size=6)


def carries(made: Counter, inputs: np.ndarray) -> list[bool]:
    """What a counter gives in each step: counted as the hardware counts, modulo its width."""
    held, found = made.start, []
    for row in inputs:
        pulses = int(np.where(row, made.plus, made.minus).sum())
        match made.kind:
            case Kind.CLEARED:
                found.append((made.preset + pulses >= 1 << made.bits) != made.inverted)
            case Kind.INTEGRATING:
                total = held + made.preset + pulses
                spike = total >= 1 << made.bits
                assert 0 <= held < 1 << made.bits and total < 2 << made.bits
                held = (0 if spike and made.clears else total) + made.after + made.spike * spike
                held %= 1 << made.bits
                found.append(spike)
            case kind:
                found.append(kind is Kind.ALWAYS)
    return found


def neuron(weights: np.ndarray, rule: Rule, inputs: np.ndarray) -> list[bool]:
    """What the neuron gives in each step."""
    v, found = rule.initial, []
    for row in inputs:
        v = (v if rule.integrates else 0) + int(weights @ row) + rule.bias
        found.append(v >= rule.threshold)
        if found[-1] and rule.integrates:
            v = {Reset.SUBTRACT: v - rule.subtracts, Reset.TO_VALUE: 0, Reset.NONE: v}[rule.reset]
    return found


@given(WEIGHTS, st.integers(-20, 30), st.integers(-3, 3))
def test_cleared_counter_is_a_threshold_unit(weights: list[int], threshold: int, bias: int) -> None:
    array = np.array(weights, np.int64)
    rule = Rule(threshold, threshold, bias, 0, Reset.NONE, False)
    patterns = (np.arange(1 << len(weights))[:, None] >> np.arange(len(weights))) & 1
    assert carries(counter(array, rule, steps=1), patterns) == neuron(array, rule, patterns)


@given(
    WEIGHTS,
    st.integers(1, 15),
    st.integers(0, 1),
    st.integers(-4, 4),
    st.integers(0, 9),
    st.sampled_from([Reset.SUBTRACT, Reset.TO_VALUE, Reset.NONE]),
    st.integers(0, 2**32),
)
def test_integrating_counter_is_the_neuron(  # noqa: PLR0917 - one argument a strategy
    weights: list[int], threshold: int, less: int, bias: int, initial: int, reset: Reset, seed: int
) -> None:
    array = np.array(weights, np.int64)
    rule = Rule(threshold, threshold - less, bias, min(initial, threshold - 1), reset, True)
    inputs = np.random.default_rng(seed).integers(0, 2, (20, len(weights)))
    assert carries(counter(array, rule, steps=20), inputs) == neuron(array, rule, inputs)


def test_either_and_both_need_no_bits() -> None:
    both = counter(np.array([1, 1]), Rule(2, 2, 0, 0, Reset.NONE, False), steps=1)
    assert (both.bits, both.inverted, both.minus.tolist()) == (0, True, [1, 1])


@pytest.mark.parametrize(
    ("low", "high", "reset", "proved"),
    [
        (0, 5, Reset.SUBTRACT, True),
        (0, 9, Reset.SUBTRACT, False),
        (-1, 5, Reset.SUBTRACT, False),
        (0, 9, Reset.TO_VALUE, True),
    ],
)
def test_span_is_proved_for_any_run_where_nothing_grows(
    low: int, high: int, reset: Reset, proved: bool
) -> None:
    assert span(Rule(6, 6, 0, 0, reset, True), low, high, steps=10)[2] is proved
