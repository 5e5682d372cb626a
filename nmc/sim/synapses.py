"""Weights in the form that kernels take, and the proof of how wide their sums are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.ir.fixed import Overflow
from nmc.ir.graph import Node
from nmc.ir.ops import Accumulator, Conv, Linear, LinearOp, Sparse, output_shape
from nmc.ir.tensor import FixedPoint
from nmc.sim import layout
from nmc.sim.kernels import ROWS
from nmc.sim.layout import Array


@dataclass(frozen=True, slots=True)
class Finish:
    """What is left to do with an exact sum: align it by 2**(left - right), then bring it into the accumulator."""

    accumulator: Accumulator
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters of a linear operation for kernels.

    `weight` is (pre + 1, post) with a row of zeros behind, (in channel, tap, out channel of a group), or one a
    synapse; `bias` one an output element, empty without a bias. `dtype` holds every sum exactly; `part`, of
    integers, the sum of at most `limit` rows.
    """

    weight: Array
    bias: Array
    dtype: np.dtype[Any]
    part: np.dtype[Any] | None
    limit: int
    finish: Finish | None


def prepare(node: Node, op: LinearOp, number: FixedPoint | None, dtype: np.dtype[Any]) -> Weights:
    """Weights for inputs in the format `number`, or for reals in `dtype`."""
    if number is None:
        return Weights(
            _arrange(op, op.weight.values.astype(dtype)), _bias(op, dtype, 0), dtype, None, 0, None
        )
    accumulator = op.accumulator
    assert accumulator is not None and op.weight.number is not None, node.name
    exponent = number.exponent + op.weight.number.exponent
    finest = exponent
    bias = None if isinstance(op, Sparse) else op.bias
    if bias is not None:
        assert bias.number is not None, node.name
        finest = min(exponent, bias.number.exponent)
    weight, up = op.weight.data, exponent - finest
    bound = _bound(op, number, finest)
    assert bound.bit_length() <= 62, "`verify` refuses graphs whose sums need more"
    narrowest = 16 if isinstance(op, Sparse) else 32
    sums = np.dtype(f"int{next(w for w in (narrowest, 32, 64) if bound.bit_length() < w)}")
    if up:
        weight = (weight.astype(np.int64) << up).astype(_narrow(weight, up))
    part, limit = _partial(weight, sums)
    shift = finest - accumulator.number.exponent
    left, right = max(shift, 0), max(-shift, 0)
    proved = accumulator.overflow is Overflow.PROVED_ABSENT or bound <= accumulator.number.highest
    finish = None if shift == 0 and proved else Finish(accumulator, left, right)
    return Weights(_arrange(op, weight), _bias(op, sums, finest), sums, part, limit, finish)


def _partial(weight: Array, sums: np.dtype[Any]) -> tuple[np.dtype[Any], int]:
    """What partial sums are kept in, and of how many rows: int16 if it holds at least one pass."""
    largest = max(1, int(weight.max(initial=0)), -int(weight.min(initial=0)))
    rows = 32767 // largest // ROWS * ROWS
    return (np.dtype(np.int16), rows) if rows else (sums, 1 << 31)


def _narrow(weight: Array, up: int) -> np.dtype[Any]:
    """The narrowest integer that holds the weights shifted left by `up`."""
    largest = max(int(weight.max(initial=0)) << up, (-int(weight.min(initial=0)) << up) - 1)
    return np.dtype(f"int{next(w for w in (8, 16, 32, 64) if largest.bit_length() < w)}")


def _bound(op: LinearOp, number: FixedPoint, finest: int) -> int:
    """The largest magnitude of a sum in units of 2**finest, partial sums in any order included."""
    assert op.weight.number is not None
    weight = op.weight.data
    magnitude = np.abs(weight.astype(np.int64 if weight.dtype.itemsize > 4 else np.int32))
    if isinstance(op, Sparse):
        # float64 is exact here: far fewer than 2**53 / 2**32 synapses meet in a neuron.
        fan_in = int(np.bincount(op.post.data, magnitude, int(np.prod(op.out_shape))).max(initial=0))
    else:
        fan_in = int(magnitude.reshape(magnitude.shape[0], -1).sum(axis=1, dtype=np.int64).max(initial=0))
    up = number.exponent + op.weight.number.exponent - finest
    bound = (fan_in << up) * max(number.highest, -number.lowest)
    bias = None if isinstance(op, Sparse) else op.bias
    if bias is not None and bias.number is not None and bias.size:
        bound += int(np.abs(bias.data.astype(np.int64)).max()) << (bias.number.exponent - finest)
    return bound


def _bias(op: LinearOp, dtype: np.dtype[Any], finest: int) -> Array:
    """The bias of each output element, as it stands in memory, in integers at 2**finest."""
    shape = output_shape(op)
    bias = None if isinstance(op, Sparse) else op.bias
    if bias is None:
        return np.zeros(0, dtype)
    values = bias.data.astype(np.int64) << (bias.number.exponent - finest) if bias.number else bias.values
    by_channel = values.reshape(-1, *(1,) * (len(shape) - 1))
    return layout.inner(np.broadcast_to(by_channel, shape), dtype)


def _arrange(op: LinearOp, weight: Array) -> Array:
    """The weights of an operation in the order of its kernel."""
    match op:
        case Linear():
            post, pre = weight.shape
            rows = np.zeros((pre + 1, post), weight.dtype)
            rows[:pre] = weight.T
            return rows
        case Conv():
            out, in_a_group = weight.shape[:2]
            width = out // op.groups
            taps = weight.reshape(op.groups, width, in_a_group, -1).transpose(0, 2, 3, 1)
            return np.ascontiguousarray(taps.reshape(op.groups * in_a_group, -1, width))
        case Sparse():
            return weight


@dataclass(frozen=True, slots=True)
class Table:
    """Single synapses by presynaptic neuron: those of neuron n are start[n] .. start[n + 1]."""

    start: Array
    post: Array
    later: Array
    weight: Array


def table(op: Sparse, weight: Array) -> Table:
    """Synapses as they stand in memory, those of a neuron by delay and target."""
    pre, post, delay = op.pre.data, op.post.data, op.delay.data
    origin, target = layout.places(op.in_shape), layout.places(op.out_shape)
    if origin.size or target.size:
        pre = origin[pre] if origin.size else pre
        post = target[post] if target.size else post
        order = np.lexsort((post, delay, pre))
        pre, post, delay, weight = pre[order], post[order], delay[order], weight[order]
    fan_out = np.bincount(pre, minlength=int(np.prod(op.in_shape)))
    start = np.concatenate(([0], np.cumsum(fan_out)))
    return Table(start, post.astype(np.int32), delay.astype(np.int32), weight)


@dataclass(frozen=True, slots=True)
class Packed:
    """Synapses in words: post, delay and weight - lowest, from the low bits up."""

    word: Array
    post_bits: int
    delay_bits: int
    lowest: int


def pack(synapses: Table) -> Packed | None:
    """Words of 32 or 64 bits, None if a synapse does not fit 63."""
    if not synapses.post.size:
        return Packed(np.zeros(0, np.uint32), 1, 1, 0)
    post_bits, delay_bits = int(synapses.post.max()).bit_length(), int(synapses.later.max()).bit_length()
    lowest, highest = int(synapses.weight.min()), int(synapses.weight.max())
    bits = post_bits + delay_bits + (highest - lowest).bit_length()
    if bits > 63:
        return None
    word = synapses.weight.astype(np.int64) - lowest
    word <<= delay_bits
    word |= synapses.later
    word <<= post_bits
    word |= synapses.post
    return Packed(word.astype(np.uint32) if bits <= 32 else word, post_bits, delay_bits, lowest)
