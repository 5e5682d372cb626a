"""Convolutions as what their address generator walks: which taps of the kernel an input meets, axis by axis.

A tap at (k, l) leads from input (y, x) to output (o, p) where o * stride + k * dilation - padding = y, and the same
along x: the two axes are independent. Along one axis the taps that an input meets follow one another at a constant
distance, and so do their outputs; what differs between inputs is the first and how many, borders included. So an axis
is a table of as many entries as it has inputs, whatever its stride, dilation and padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmc.ir.ops import Conv, Shape, output_shape
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
class Window:
    """A convolution with lanes: lane p has the output channels p * blocks to p * blocks + blocks - 1.

    An event is, for each tap that it meets and each block b, an operation on the weight row
    ((channel in its group * taps) + tap) * blocks + b and the word b * positions + output, in the lanes whose channel
    is in the group of the source. Each kernel is stored once.
    """

    in_shape: Shape
    channels: int
    lanes: int
    blocks: int
    groups: int
    lines: Axis
    columns: Axis
    taps: tuple[int, int]
    out_space: tuple[int, int]
    weights: Array
    """(rows, lanes)"""

    @property
    def positions(self) -> int:
        """Outputs of a channel."""
        return self.out_space[0] * self.out_space[1]

    @property
    def words(self) -> int:
        """Words of accumulators."""
        return self.blocks * self.positions

    @property
    def operations(self) -> Array:
        """How many operations an event of each source is."""
        of_place = np.multiply.outer(self.lines.count, self.columns.count).ravel()
        return np.tile(of_place * self.blocks, self.in_shape[0])


def blocks_of(channels: int, lanes: int) -> int:
    """Output channels that each lane has."""
    return -(-channels // min(lanes, channels))


def window_of(op: Conv, lanes: int) -> Window:
    """The window of a convolution in integers along one or two axes."""
    channels, *out_space = output_shape(op)
    spatial = len(out_space)
    weight = op.weight.data.astype(np.int64)
    axes: list[Axis] = []
    for k in range(spatial):
        axis = _axis(
            op.in_shape[1 + k], out_space[k], op.weight.shape[2 + k], stride=op.stride[k], dilation=op.dilation[k],
            before=op.padding[k][0],
        )  # fmt: skip
        factor = _repeats(weight, 2 + k, axis)
        weight = weight[(slice(None),) * (2 + k) + (slice(None, None, factor),)]
        axes.append(
            Axis(
                axis.tap // factor, axis.output, axis.count, max(1, axis.tap_step // factor), axis.output_step
            )
        )
    while len(axes) < 2:
        one, none = np.ones(1, np.int64), np.zeros(1, np.int64)
        axes.insert(0, Axis(none, none, one, 1, 0))
        weight = np.expand_dims(weight, 2)
        out_space.insert(0, 1)
    space = (1,) * (2 - spatial) + op.in_shape[1:]
    blocks = blocks_of(channels, lanes)
    used = -(-channels // blocks)
    padded = np.zeros((used * blocks, *weight.shape[1:]), np.int64)
    padded[:channels] = weight
    rows = padded.reshape(used, blocks, *weight.shape[1:]).transpose(2, 3, 4, 1, 0).reshape(-1, used)
    taps, outputs = (weight.shape[2], weight.shape[3]), (out_space[0], out_space[1])
    return Window(
        (op.in_shape[0], *space), channels, used, blocks, op.groups, axes[0], axes[1], taps, outputs, rows
    )


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


def _repeats(weight: Array, dimension: int, axis: Axis) -> int:
    """How many taps next to each other are one stored tap: those of a pool before the convolution are equal."""
    size = weight.shape[dimension]
    several = int(axis.count.max(initial=0)) > 1
    for factor in range(size, 1, -1):
        if size % factor or (several and axis.tap_step % factor):
            continue
        split = weight.reshape(*weight.shape[:dimension], -1, factor, *weight.shape[dimension + 1 :])
        if (split == np.take(split, [0], axis=dimension + 1)).all():
            return factor
    return 1
