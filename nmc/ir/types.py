"""The type of what an operation gives, from the types of what it receives."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from nmc.ir.neuron import Reset
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Flatten,
    Input,
    Linear,
    MatMul,
    Neuron,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Threshold,
    Transpose,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor

SPIKE_NUMBER = FixedPoint(1, False, 0)
"""A spike read as a number: 0 or 1."""

WIDEST = 63
"""Bits of the widest number; what needs as many or more is written as this many, and `verify` refuses it."""

REAL_COUNT = FixedPoint(31, False, 0)
"""The spikes of one step of a multi-spike neuron in reals."""


def signal_of(op: Op, received: Signal) -> Signal:
    """The type of an operation's output; `received` is the sum of what enters (an `Input` ignores it)."""
    shape = output_shape(op)
    match op:
        case Input(signal):
            return signal
        case Threshold():
            return Signal(shape, SignalKind.SPIKE)
        case Neuron():
            return _neuron_signal(op)
        case Ode():
            return Signal(shape, SignalKind.REAL if op.threshold is None else SignalKind.SPIKE)
        case Linear() | Sparse() | Conv():
            if op.accumulator is None:
                return Signal(shape, SignalKind.REAL)
            return Signal(shape, SignalKind.GRADED, op.accumulator.number)
        case Pool():
            return _pooled(replace(received, shape=shape), op)
        case Scale():
            return _scaled(received, op.factor)
        case Output() | Flatten() | Delay() | DelayLine() | Reshape() | Transpose():
            return replace(received, shape=shape)
        case Elementwise():
            number = REAL_COUNT if op.kind is SignalKind.GRADED else None
            return Signal(shape, op.kind, number)
        case MatMul():
            return Signal(shape, SignalKind.REAL)


def join(shape: Shape, signals: list[Signal]) -> Signal:
    """The type of a sum of signals: of the only one its own; real if one is real; else graded."""
    if len(signals) == 1:
        return Signal(shape, signals[0].kind, signals[0].number)
    if not signals or any(signal.kind is SignalKind.REAL for signal in signals):
        return Signal(shape, SignalKind.REAL)
    numbers = [signal.number or SPIKE_NUMBER for signal in signals]
    exponent = min(number.exponent for number in numbers)
    low = sum(number.lowest << (number.exponent - exponent) for number in numbers)
    high = sum(number.highest << (number.exponent - exponent) for number in numbers)
    return Signal(shape, SignalKind.GRADED, number_for(low, high, exponent))


def number_for(low: int, high: int, exponent: int) -> FixedPoint:
    """The narrowest number, of at most `WIDEST` bits, for mantissas `low` to `high`; signed if low < 0."""
    if low >= 0:
        return FixedPoint(min(WIDEST, max(1, high.bit_length())), False, exponent)
    return FixedPoint(min(WIDEST, max((-low - 1).bit_length(), high.bit_length()) + 1), True, exponent)


def _neuron_signal(op: Neuron) -> Signal:
    if op.fire is not None and op.fire.reset is not Reset.MULTI_SPIKE:
        return Signal(op.shape, SignalKind.SPIKE)
    if op.arithmetic is None:
        return (
            Signal(op.shape, SignalKind.REAL)
            if op.fire is None
            else Signal(op.shape, SignalKind.GRADED, REAL_COUNT)
        )
    state = FixedPoint(op.arithmetic.v_bits, True, op.exponent)
    if op.fire is None:
        return Signal(op.shape, SignalKind.GRADED, state)
    threshold = op.fire.threshold
    lowest = 1
    if threshold.number is not None and threshold.size:
        lowest = max(1, int(threshold.data.min()) << max(0, threshold.number.exponent - op.exponent))
    return Signal(op.shape, SignalKind.GRADED, number_for(0, state.highest // lowest, 0))


def _pooled(signal: Signal, op: Pool) -> Signal:
    if op.pooling is Pooling.MAX or signal.kind is SignalKind.REAL:
        return signal
    size = prod(op.kernel)
    number = signal.number or SPIKE_NUMBER
    exponent = number.exponent
    if op.pooling is Pooling.AVERAGE:
        if size & (size - 1):
            return Signal(signal.shape, SignalKind.REAL)
        exponent -= size.bit_length() - 1
    wide = number_for(number.lowest * size, number.highest * size, exponent)
    return Signal(signal.shape, SignalKind.GRADED, wide)


def _scaled(signal: Signal, factor: Tensor) -> Signal:
    if signal.kind is SignalKind.REAL or factor.number is None:
        return Signal(signal.shape, SignalKind.REAL)
    number = signal.number or SPIKE_NUMBER
    products = [
        x * f for x in (number.lowest, number.highest) for f in (factor.number.lowest, factor.number.highest)
    ]
    exponent = number.exponent + factor.number.exponent
    return Signal(signal.shape, SignalKind.GRADED, number_for(min(products), max(products), exponent))
