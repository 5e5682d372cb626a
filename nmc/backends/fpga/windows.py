"""Convolutions as what their address generator walks: which taps of the kernel an input meets, axis by axis.

A tap at (k, l) leads from input (y, x) to output (o, p) where o * stride + k * dilation - padding = y, and the same
along x: the two axes are independent. Along one axis the taps that an input meets follow one another at a constant
distance, and so do their outputs; what differs between inputs is the first and how many, borders included. So an axis
is a table of as many entries as it has inputs, whatever its stride, dilation and padding.

The same holds for pools, and for a pool before or behind a convolution, which come as single synapses: `kernel_of`
finds what they have in common.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nmc.ir.ops import Conv, LinearOp, Shape, Sparse, input_shape, output_shape
from nmc.ir.tensor import Array


@dataclass(frozen=True, slots=True)
class Axis:
    """For each input along an axis the first tap that it meets, the first output, and how many; then the constant
    distances from one to the next, of taps upward and of outputs downward."""

    tap: Array
    output: Array
    count: Array
    tap_step: int
    output_step: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a convolution is: `in_shape` and `out_shape` (channels, lines, columns), its axes, and the weights
    (out channels, in channels of a group, taps along lines, taps along columns), integers."""

    in_shape: Shape
    out_shape: Shape
    lines: Axis
    columns: Axis
    groups: int
    weights: Array


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution with lanes: lane p has the output channels p * blocks to p * blocks + blocks - 1.

    An event is, for each tap that it meets and each block b, an operation on the weight row
    ((channel in its group * taps) + tap) * blocks + b and the word b * positions + output, in the lanes whose channel
    is in the group of the source. Each kernel is stored once.
    """

    kernel: Kernel
    lanes: int
    blocks: int
    weights: Array
    """(rows, lanes)"""

    @property
    def positions(self) -> int:
        """Outputs of a channel."""
        return self.kernel.out_shape[1] * self.kernel.out_shape[2]

    @property
    def words(self) -> int:
        """Words of accumulators."""
        return self.blocks * self.positions

    @property
    def operations(self) -> Array:
        """How many operations an event of each source is."""
        of_place = np.multiply.outer(self.kernel.lines.count, self.kernel.columns.count).ravel()
        return np.tile(of_place * self.blocks, self.kernel.in_shape[0])


def blocks_of(channels: int, lanes: int) -> int:
    """Output channels that each lane has."""
    return -(-channels // min(lanes, channels))


def window_of(kernel: Kernel, lanes: int) -> Window:
    """A convolution with so many lanes, at most one an output channel."""
    channels = kernel.out_shape[0]
    blocks = blocks_of(channels, lanes)
    used = -(-channels // blocks)
    padded = np.zeros((used * blocks, *kernel.weights.shape[1:]), np.int64)
    padded[:channels] = kernel.weights
    rows = padded.reshape(used, blocks, *kernel.weights.shape[1:]).transpose(2, 3, 4, 1, 0).reshape(-1, used)
    return Window(kernel, used, blocks, rows)


def kernel_of(op: LinearOp) -> Kernel | None:
    """The operation in integers as a convolution along one or two axes; None if it is none."""
    in_shape, out_shape = input_shape(op), output_shape(op)
    if len(in_shape) != len(out_shape) or not 2 <= len(in_shape) <= MOST_AXES + 1:
        return None
    if isinstance(op, Conv):
        return _of_conv(op)
    return _of_synapses(op) if isinstance(op, Sparse) and op.weight.size and not op.delay.data.any() else None


MOST_AXES = 2
"""Axes that nmc_rows_conv walks."""


def _of_conv(op: Conv) -> Kernel:
    weight = op.weight.data.astype(np.int64)
    axes: list[Axis] = []
    for k, (size, outputs) in enumerate(zip(op.in_shape[1:], output_shape(op)[1:], strict=True)):
        axis = _axis(
            size,
            outputs,
            op.weight.shape[2 + k],
            stride=op.stride[k],
            dilation=op.dilation[k],
            before=op.padding[k][0],
        )
        axis, weight = _folded(axis, weight, 2 + k)
        axes.append(axis)
    return _planar(op.in_shape, output_shape(op), axes, op.groups, weight)


def _planar(in_shape: Shape, out_shape: Shape, axes: list[Axis], groups: int, weight: Array) -> Kernel:
    """A kernel with lines and columns; one axis is columns of a single line."""
    if len(axes) == 1:
        one, none = np.ones(1, np.int64), np.zeros(1, np.int64)
        axes, weight = [Axis(none, none, one, 0, 0), *axes], np.expand_dims(weight, 2)
        in_shape, out_shape = (in_shape[0], 1, in_shape[1]), (out_shape[0], 1, out_shape[1])
    return Kernel(in_shape, out_shape, axes[0], axes[1], groups, weight)


def _axis(inputs: int, outputs: int, taps: int, *, stride: int, dilation: int, before: int) -> Axis:
    output, tap = np.indices((outputs, taps)).reshape(2, -1)
    at = output * stride + tap * dilation - before
    inside = (at >= 0) & (at < inputs)
    at, tap, output = at[inside], tap[inside], output[inside]
    count = np.bincount(at, minlength=inputs)
    first = np.full(inputs, taps)
    np.minimum.at(first, at, tap)
    start = np.zeros(inputs, np.int64)
    np.maximum.at(start, at, output)
    common = math.gcd(stride, dilation)
    return Axis(np.where(count > 0, first, 0), start, count, stride // common, dilation // common)


def _folded(axis: Axis, weight: Array, dimension: int) -> tuple[Axis, Array]:
    """Taps next to each other that are equal, as those of a pool before the convolution, as one tap."""
    size = weight.shape[dimension]
    several = int(axis.count.max(initial=0)) > 1
    for factor in range(size, 1, -1):
        if several and axis.tap_step % factor:
            continue
        for early in range(factor):
            # The first tap may be any of its window's, since those before it may lie outside the input.
            which = (np.arange(size) + early) // factor
            first = np.unique(which, return_index=True)[1]
            if (weight == np.take(weight, first[which], axis=dimension)).all():
                tap = np.where(axis.count > 0, which[np.minimum(axis.tap, size - 1)], 0)
                step = axis.tap_step // factor if several else 0
                return Axis(tap, axis.output, axis.count, step, axis.output_step), np.take(
                    weight, first, axis=dimension
                )
    return axis, weight


# ---- convolutions among single synapses -----------------------------------------------------------------------------


def _of_synapses(op: Sparse) -> Kernel | None:
    """The convolution that single synapses are, if the weight between two places depends on nothing but a tap along
    each axis."""
    rank = len(op.in_shape) - 1
    value = op.weight.data.ravel().astype(np.int64)
    (kept,) = np.nonzero(value)  # what quantization has made 0 may be missing anywhere
    if not kept.size:
        return None
    value = value[kept]
    pre = np.unravel_index(op.pre.data[kept], op.in_shape)
    post = np.unravel_index(op.post.data[kept], op.out_shape)
    axes: list[Axis] = []
    taps: list[Array] = []
    sizes: list[int] = []
    for k in range(1, rank + 1):
        others = [
            pre[0],
            post[0],
            *(each[j] for j in range(1, rank + 1) if j != k for each in (pre, post)),
            value,
        ]
        found = _tapped(pre[k], post[k], others, op.in_shape[k], op.out_shape[k])
        if found is None:
            return None
        axis, tap, size = found
        axes.append(axis)
        taps.append(tap)
        sizes.append(size)
    weight = np.zeros((op.out_shape[0], op.in_shape[0], *sizes), np.int64)
    weight[(post[0], pre[0], *taps)] = value
    if not (weight[(post[0], pre[0], *taps)] == value).all() or not _complete(weight, axes, value.size):
        return None
    for k in range(rank):
        axes[k], weight = _folded(axes[k], weight, 2 + k)
    groups = _groups(weight)
    out_group, in_group = op.out_shape[0] // groups, op.in_shape[0] // groups
    own = np.concatenate(
        [
            weight[g * out_group : (g + 1) * out_group, g * in_group : (g + 1) * in_group]
            for g in range(groups)
        ]
    )
    # A tap of its own for each pair of places would serve any synapses, and share nothing.
    return _planar(op.in_shape, op.out_shape, axes, groups, own) if own.size < value.size else None


def _tapped(
    at: Array, output: Array, others: list[Array], inputs: int, outputs: int
) -> tuple[Axis, Array, int] | None:
    """Synapses along one axis as taps: the axis, the tap of each synapse, how many taps there are.

    Inputs and outputs between which the synapses are the same in all else may be one tap; with the right stride,
    input - stride * output tells which.
    """
    order = np.lexsort((*others, output, at))
    pair = at[order] * outputs + output[order]
    pairs, first = np.unique(pair, return_index=True)
    content = np.stack([each[order] for each in others], axis=1)
    alike = np.array([hashlib.sha256(part.tobytes()).digest()[:7] for part in np.split(content, first[1:])])
    place, to = np.divmod(pairs, outputs)
    for stride in range(1, inputs + 1):
        tap = place - stride * to
        tap -= tap.min()
        kinds = np.unique(np.stack([tap, np.unique(alike, return_inverse=True)[1]], axis=1), axis=0)
        if (
            len(np.unique(kinds[:, 0])) == len(kinds)
            and (axis := _walked(place, to, tap, inputs)) is not None
        ):
            of_synapse = at - stride * output
            return axis, of_synapse - (place - stride * to).min(), int(tap.max()) + 1
    return None


def _walked(place: Array, to: Array, tap: Array, inputs: int) -> Axis | None:
    """An axis from its pairs of input and output, if one constant distance leads from each output to the next."""
    count = np.bincount(place, minlength=inputs)
    order = np.lexsort((-to, place))
    place, to, tap = place[order], to[order], tap[order]
    same = place[1:] == place[:-1]
    back, forth = np.unique(to[:-1][same] - to[1:][same]), np.unique(tap[1:][same] - tap[:-1][same])
    if back.size > 1 or forth.size > 1:
        return None
    first = np.flatnonzero(np.append(True, ~same))
    start_tap, start = np.zeros(inputs, np.int64), np.zeros(inputs, np.int64)
    start_tap[place[first]], start[place[first]] = tap[first], to[first]
    return Axis(start_tap, start, count, int(forth.sum()), int(back.sum()))


def _complete(weight: Array, axes: list[Axis], synapses: int) -> bool:
    """Whether the kernel gives as many synapses as there are: none of those that it has is missing."""
    times = [np.zeros(weight.shape[2 + k], np.int64) for k in range(len(axes))]
    for axis, met in zip(axes, times, strict=True):
        for tap, count in zip(axis.tap.tolist(), axis.count.tolist(), strict=True):
            met[tap + axis.tap_step * np.arange(count)] += 1
    nonzero = np.count_nonzero(weight, axis=(0, 1))
    return int((nonzero * reduce(np.multiply.outer, times)).sum()) == synapses


def _groups(weight: Array) -> int:
    """The most groups of channels that have no weights between one and another."""
    outputs, inputs = weight.shape[:2]
    post, pre = np.nonzero(weight.any(axis=tuple(range(2, weight.ndim))))
    divisors = (g for g in range(math.gcd(outputs, inputs), 0, -1) if math.gcd(outputs, inputs) % g == 0)
    return next(g for g in divisors if (post // (outputs // g) == pre // (inputs // g)).all())
