"""Registers as narrow as the actual weights prove; only where nothing bounds a state does it saturate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmc.backends.fpga.rows import places_of
from nmc.ir.connections import connections
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of, synapses
from nmc.ir.neuron import Arithmetic, DecayForm, Reset, ResetWhen
from nmc.ir.ops import Accumulator, Conv, LinearOp, Neuron, Op, Sparse
from nmc.ir.tensor import Array, FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER

LEAST_BITS = 6
"""The narrowest state register: rounding a sum of shifts down moves a state by less than its terms, ten at most."""

MOST_STEPS = 20_000
"""Steps after which a bound that still grows counts as none."""


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the largest value."""

    low: int
    high: int

    @property
    def bits(self) -> int:
        """Signed bits that hold both."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0) + 1

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)


_FREE = Span(-(1 << 62), 1 << 62)
"""What nothing holds."""


def narrow(graph: Graph, *, rewritable: bool = False) -> Graph:
    """The integer graph with accumulators and states of proved widths; no value that golden gives changes.

    With `rewritable` weights the states are proved for all that the weights may become.
    """
    signals = graph.signals()
    new: dict[str, Op] = {}
    sums: dict[str, Span] = {}
    units: dict[str, int] = {}
    for link in connections(graph):
        op = graph[link.name].op
        assert isinstance(op, LinearOp) and op.accumulator is not None
        span = input_span(op, signals[link.src].number or SPIKE_NUMBER, rewritable=rewritable)
        exponent = op.accumulator.number.exponent
        number = FixedPoint(_declared(op, signals[link.src].number or SPIKE_NUMBER).bits, True, exponent)
        new[link.name] = replace(op, accumulator=Accumulator(number, Rounding.FLOOR, Overflow.PROVED_ABSENT))
        sums[link.dst] = sums.get(link.dst, Span(0, 0)) + span
        units[link.dst] = exponent
    for node in graph.nodes:
        if isinstance(node.op, Neuron):
            shift = units.get(node.name, node.op.exponent) - node.op.exponent
            total = sums.get(node.name, Span(0, 0))
            new[node.name] = _neuron(node.op, Span(total.low << shift, total.high << shift))
    return graph.replace_nodes(new)


def input_span(op: LinearOp, number: FixedPoint, *, rewritable: bool = False) -> Span:
    """What the sum over a connection may be, over all its neurons, for messages of `number`; for the weights that it
    has, or for all that it can have."""
    assert op.weight.number is not None
    if rewritable:
        ends = [
            w * x
            for w in (op.weight.number.lowest, op.weight.number.highest)
            for x in (number.lowest, number.highest)
        ]
        most = int(np.bincount(places_of(op)[1]).max(initial=0))
        return Span(most * min(ends), most * max(ends))
    single = (
        op if isinstance(op, Sparse) else synapses(op)
    )  # one by one: delays keep synapses of a pair apart
    mantissa = np.rint(np.ldexp(single.weight.values, -op.weight.number.exponent))
    size = size_of(single.out_shape)
    positive = np.bincount(single.post.data, np.maximum(mantissa, 0), size)
    negative = np.bincount(single.post.data, np.minimum(mantissa, 0), size)
    high = (positive * number.highest + negative * number.lowest).max(initial=0)
    low = (positive * number.lowest + negative * number.highest).min(initial=0)
    return Span(int(low), int(high))


def _declared(op: LinearOp, number: FixedPoint) -> Span:
    """The span that `nmc.ir.laws` asks an accumulator to hold: of a convolution that of a channel without borders."""
    if not isinstance(op, Conv):
        return input_span(op, number)
    weight = op.weight.data.astype(np.int64).reshape(op.weight.shape[0], -1)
    positive, negative = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
    high = positive * number.highest + negative * number.lowest
    low = positive * number.lowest + negative * number.highest
    return Span(min(0, int(low.min())), max(0, int(high.max())))


def _neuron(op: Neuron, drive: Span) -> Neuron:
    arithmetic = op.arithmetic
    assert arithmetic is not None
    if op.synapse is not None:
        start = _span(op.synapse.initial, op)
        current = _bounded(drive, start, op.synapse.decay, arithmetic, held=_FREE, most=arithmetic.i_bits)
        width, overflow = _register(current, arithmetic.i_bits)
        arithmetic = replace(arithmetic, i_bits=width, i_overflow=overflow)
        drive = Span(-(1 << (width - 1)), (1 << (width - 1)) - 1) if current is None else current
        synapse = replace(op.synapse, initial=_resized(op.synapse.initial, width))
        op = replace(op, synapse=synapse)
    if op.membrane.bias is not None:
        drive = drive + _span(op.membrane.bias, op)
    state = _bounded(
        drive,
        _span(op.membrane.initial, op),
        op.membrane.decay,
        arithmetic,
        held=_held(op),
        most=arithmetic.v_bits,
    )
    needed = _least_bits(op)
    width, overflow = _register(state, arithmetic.v_bits)
    arithmetic = replace(arithmetic, v_bits=max(width, needed), v_overflow=overflow)
    return _with_width(op, arithmetic)


def _register(span: Span | None, most: int) -> tuple[int, Overflow]:
    if span is None or span.bits > most:
        return most, Overflow.SATURATE
    return max(span.bits, LEAST_BITS), Overflow.PROVED_ABSENT


def _held(op: Neuron) -> Span:
    """What spikes and the lower bound leave of a membrane at the end of a step."""
    low, high = _FREE.low, _FREE.high
    if op.membrane.minimum is not None:
        low = _span(op.membrane.minimum, op).low
    fire = op.fire
    if fire is not None and (fire.reset, fire.when) == (Reset.TO_VALUE, ResetWhen.SAME_STEP):
        high = max(0, _span(fire.threshold, op).high)
    return Span(low, high)


def _bounded(
    drive: Span, start: Span, decay: Tensor | None, arithmetic: Arithmetic, *, held: Span, most: int
) -> Span | None:
    """All values of x = decay(x) + drive from `start` on, x kept within `held` after each step; None if unbounded.

    Each step is widened outward: a decay that rounds down gives no less than the exact product rounded down, and no
    more than it plus one for each shift.
    """
    n = arithmetic.decay_bits
    slowest = 1 << n if decay is None else int(decay.data.max())
    slack = 0
    if decay is not None and arithmetic.decay_form is DecayForm.SHIFTS:
        slack = max(bin((1 << n) - int(m)).count("1") for m in np.unique(decay.data))
    limit = 1 << (most - 1)
    kept = Span(min(start.low, 0), max(start.high, 0))
    reached = kept
    for _ in range(MOST_STEPS):
        low = (kept.low * slowest >> n) + drive.low
        high = -(-kept.high * slowest >> n) + slack + drive.high
        grown = Span(min(reached.low, low), max(reached.high, high))
        if grown.low < -limit or grown.high >= limit:
            return None
        after = Span(min(kept.low, max(low, held.low)), max(kept.high, min(high, held.high)))
        if after == kept and grown == reached:
            return reached
        kept, reached = after, grown
    return None


def _least_bits(op: Neuron) -> int:
    """The signed bits that every parameter in units of the state needs."""
    spans = [_span(op.membrane.initial, op)]
    for tensor in (op.membrane.bias, op.membrane.minimum, op.fire and op.fire.threshold):
        if tensor is not None:
            spans.append(_span(tensor, op))
    return max(LEAST_BITS, *(span.bits for span in spans))


def aligned(tensor: Tensor, op: Neuron) -> Array:
    """Mantissas in units of the state."""
    assert tensor.number is not None
    return tensor.data.astype(np.int64) << (tensor.number.exponent - op.exponent)


def _span(tensor: Tensor, op: Neuron) -> Span:
    values = aligned(tensor, op)
    return Span(int(values.min()), int(values.max())) if size_of(values.shape) else Span(0, 0)


def _resized(tensor: Tensor, bits: int) -> Tensor:
    assert tensor.number is not None
    return Tensor(tensor.data, FixedPoint(bits, True, tensor.number.exponent))


def _with_width(op: Neuron, arithmetic: Arithmetic) -> Neuron:
    bits = arithmetic.v_bits
    membrane, fire = op.membrane, op.fire
    minimum = None if membrane.minimum is None else _resized(membrane.minimum, bits)
    membrane = replace(membrane, initial=_resized(membrane.initial, bits), minimum=minimum)
    if fire is not None:
        fire = replace(fire, value=_resized(fire.value, bits))
    return replace(op, membrane=membrane, fire=fire, arithmetic=arithmetic)
