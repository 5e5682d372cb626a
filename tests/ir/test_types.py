"""Types of signals: what operations make of them, and that a sum's number holds every sum."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmc.ir.neuron import Comparison, Reset
from nmc.ir.ops import (
    Flatten,
    Ode,
    Output,
    Pool,
    Pooling,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Threshold,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import WIDEST, join, number_for, signal_of
from tests.nets import STATE, integer_lif, integer_linear, lif, linear

SPIKE = Signal((4,), SignalKind.SPIKE)
REAL = Signal((4,), SignalKind.REAL)


def graded(number: FixedPoint, *shape: int) -> Signal:
    return Signal(shape or (4,), SignalKind.GRADED, number)


def test_join_of_one_signal_is_that_signal() -> None:
    for signal in (SPIKE, REAL, graded(STATE)):
        assert join((4,), [signal]) == signal


def test_join_is_real_if_one_signal_is_or_none_is_there() -> None:
    assert join((4,), [SPIKE, REAL]) == REAL
    assert join((4,), []) == REAL


def test_join_of_spikes_counts_them() -> None:
    assert join((4,), [SPIKE] * 3) == graded(FixedPoint(2, False, 0))
    assert join((4,), [SPIKE] * 4) == graded(FixedPoint(3, False, 0))


NUMBERS = st.builds(FixedPoint, st.integers(1, 12), st.booleans(), st.integers(-6, 6))


@given(st.lists(NUMBERS, min_size=2, max_size=4))
def test_join_is_the_narrowest_number_that_holds_both_extreme_sums(numbers: list[FixedPoint]) -> None:
    number = join((4,), [graded(each) for each in numbers]).number
    assert number is not None
    assert number.exponent == min(each.exponent for each in numbers)
    ends = [
        sum(end * 2 ** (each.exponent - number.exponent) for end, each in zip(side, numbers, strict=True))
        for side in ([n.lowest for n in numbers], [n.highest for n in numbers])
    ]
    assert number.lowest <= ends[0] and ends[1] <= number.highest
    if number.bits > 1:
        narrower = replace(number, bits=number.bits - 1)
        assert ends[0] < narrower.lowest or ends[1] > narrower.highest


def test_number_for_stops_at_the_widest() -> None:
    assert number_for(0, 2**80, 0) == FixedPoint(WIDEST, False, 0)
    assert number_for(-(2**80), 0, 0) == FixedPoint(WIDEST, True, 0)
    assert number_for(0, 0, 3) == FixedPoint(1, False, 3)
    assert number_for(-1, 0, 0) == FixedPoint(1, True, 0)


def pool(pooling: Pooling, kernel: Shape) -> Pool:
    return Pool((1, 6, 6), pooling, kernel, (1, 1), ((0, 0), (0, 0)))


@pytest.mark.parametrize(
    ("op", "kind", "number"),
    [
        (pool(Pooling.MAX, (2, 2)), SignalKind.SPIKE, None),
        (pool(Pooling.SUM, (2, 2)), SignalKind.GRADED, FixedPoint(3, False, 0)),
        (pool(Pooling.SUM, (3, 1)), SignalKind.GRADED, FixedPoint(2, False, 0)),
        (pool(Pooling.AVERAGE, (2, 2)), SignalKind.GRADED, FixedPoint(3, False, -2)),
        (pool(Pooling.AVERAGE, (1, 3)), SignalKind.REAL, None),
        (Flatten((1, 6, 6), 0, 2), SignalKind.SPIKE, None),
        (Output((1, 6, 6)), SignalKind.SPIKE, None),
        (Scale((1, 6, 6), Tensor(2.0)), SignalKind.REAL, None),
        (
            Scale((1, 6, 6), Tensor(-3, FixedPoint(3, True, -1))),
            SignalKind.GRADED,
            FixedPoint(3, True, -1),
        ),
        (Threshold((1, 6, 6), Tensor(2.0), Comparison.ABOVE), SignalKind.SPIKE, None),
    ],
)
def test_signal_of_spikes_through_an_operation(
    op: Pool | Flatten | Output | Scale | Threshold, kind: SignalKind, number: FixedPoint | None
) -> None:
    signal = signal_of(op, Signal((1, 6, 6), SignalKind.SPIKE))
    assert (signal.kind, signal.number) == (kind, number)


def test_signal_of_a_connection_is_its_accumulators_number_or_real() -> None:
    assert signal_of(linear(4, 4), SPIKE) == REAL
    assert signal_of(integer_linear(4, 4), SPIKE) == graded(STATE)


def test_signal_of_a_neuron_is_spikes_or_its_membrane() -> None:
    for op in (lif(4), integer_lif(4)):
        assert signal_of(op, REAL) == SPIKE
    assert signal_of(replace(lif(4), fire=None), SPIKE) == REAL
    assert signal_of(replace(integer_lif(4), fire=None), SPIKE) == graded(FixedPoint(16, True, -6))


def test_signal_of_a_multi_spike_neuron_counts_as_far_as_its_register_reaches() -> None:
    op = integer_lif(4)
    assert op.fire is not None
    several = replace(op, fire=replace(op.fire, reset=Reset.MULTI_SPIKE))
    # The membrane is at most 2**15 - 1, the threshold 16 * 2**-4 / 2**-6 = 64 of its units: 511 spikes.
    assert signal_of(several, SPIKE) == graded(FixedPoint(9, False, 0))
    real = lif(4)
    assert real.fire is not None
    counted = signal_of(replace(real, fire=replace(real.fire, reset=Reset.MULTI_SPIKE)), SPIKE)
    assert counted.kind is SignalKind.GRADED


def test_signal_of_an_ode_is_spikes_if_it_has_a_threshold() -> None:
    one = Tensor(1.0)
    assert signal_of(Ode((4,), None, None, one, one, one, one, one), REAL) == SPIKE
    assert signal_of(Ode((4,), None, None, one, one, one, None, None), SPIKE) == REAL
