"""Where elements stand in memory: populations with space are channel last, so that channels are contiguous.

A population of shape (channel, *space) is kept as (*space, channel), flattened; others are flattened in C order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.ops import Conv, Flatten, Shape, output_shape, window_shape

Array = npt.NDArray[Any]
"""Any: parameters and signals of every dtype."""


def inner(array: Array, dtype: np.dtype[Any]) -> Array:
    """An array of a population's shape, flattened as it stands in memory."""
    moved = np.moveaxis(array, 0, -1) if array.ndim >= 2 else array
    return np.ascontiguousarray(moved.reshape(-1), dtype)


def outer(array: Array, shape: Shape) -> Array:
    """Rows (steps, samples, size) as they stand in memory, as an array (steps, samples, *shape)."""
    if len(shape) < 2:
        return array.reshape(*array.shape[:2], *shape)
    moved = array.reshape(*array.shape[:2], *shape[1:], shape[0])
    return np.ascontiguousarray(np.moveaxis(moved, -1, 2))


def places(shape: Shape) -> Array:
    """Where each element, in C order, stands in memory; empty if all stand in C order anyway."""
    size = int(np.prod(shape, dtype=np.int64))
    order = inner(np.arange(size).reshape(shape), np.dtype(np.int64))
    if (order == np.arange(size)).all():
        return order[:0]
    place = np.empty(size, np.int64)
    place[order] = np.arange(size)
    return place


def flattened(op: Flatten) -> Array | None:
    """Where each element of the input, as it stands in memory, goes; None if it stays."""
    size = int(np.prod(op.in_shape, dtype=np.int64))
    elements = inner(np.arange(size).reshape(op.in_shape), np.dtype(np.int64))
    target = places(output_shape(op))
    place = elements if target.shape[0] == 0 else target[elements]
    return None if (place == np.arange(size)).all() else place


@dataclass(frozen=True, slots=True)
class Windows:
    """Which place of the input meets which place of the output through which tap; all triples, and the sizes.

    Triples are ordered by origin and then by target.
    """

    origin: Array
    target: Array
    tap: Array
    inputs: int
    outputs: int

    def by_input(self, channels: int) -> tuple[Array, Array]:
        """`start`, and behind it targets, as the first of so many channels, of each input place."""
        start = np.searchsorted(self.origin, np.arange(self.inputs + 1))
        return start, self.target * channels

    def by_output(self, channels: int) -> tuple[Array, Array]:
        """`start`, and behind it origins, as the first of so many channels, of each output place."""
        order = np.lexsort((self.origin, self.target))
        start = np.searchsorted(self.target[order], np.arange(self.outputs + 1))
        return start, self.origin[order] * channels


@dataclass(frozen=True, slots=True)
class Runs:
    """The triples of a convolution in pieces that are contiguous in the output and in the weights.

    Input place p has the runs start[p] .. start[p + 1]: `length` weights from `tap` on go to the outputs from
    `target` on. `taps` lists the taps in the order in which weights are laid out for this, with repetitions.
    """

    start: Array
    target: Array
    tap: Array
    length: Array
    taps: Array


def runs(windows: Windows, *, channels: int, width: int) -> Runs:
    """Runs over outputs of so many channels, of which each input channel gives `width`, those of its group."""
    origin, target, tap = windows.origin, windows.target, windows.tap
    joined = (np.diff(origin) == 0) & (np.diff(target) == 1) & (width == channels)
    first = np.flatnonzero(np.concatenate(([True], ~joined))[: origin.size])
    places = np.diff(np.concatenate((first, [origin.size])))
    longest = int(places.max(initial=0))
    at = first[:, None] + np.minimum(np.arange(longest), places[:, None] - 1)
    sequence = np.where(np.arange(longest) < places[:, None], tap[at], -1)
    distinct, which = np.unique(sequence, axis=0, return_inverse=True)
    sizes = (distinct >= 0).sum(axis=1)
    begin = np.cumsum(sizes) - sizes
    return Runs(
        np.searchsorted(origin[first], np.arange(windows.inputs + 1)),
        target[first] * channels,
        begin[which.reshape(-1)] * width,
        places * width,
        distinct[distinct >= 0],
    )


def windows(
    in_shape: Shape, kernel: Shape, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape
) -> Windows:
    """The windows of a convolution or pool over (channel, *space)."""
    space = in_shape[1:]
    out_space = window_shape(in_shape, kernel, stride, padding, dilation)
    taps = np.indices(kernel).reshape(len(kernel), 1, -1)
    targets = np.indices(out_space).reshape(len(kernel), -1, 1)
    column = (len(kernel), 1, 1)
    before = np.array([pad[0] for pad in padding]).reshape(column)
    at = targets * np.reshape(stride, column) + taps * np.reshape(dilation, column) - before
    inside = np.all((at >= 0) & (at < np.reshape(space, column)), axis=0)
    target, tap = np.nonzero(inside)
    origin = np.asarray(np.ravel_multi_index(tuple(at[:, target, tap]), space))
    order = np.lexsort((target, origin))
    return Windows(origin[order], target[order], tap[order], int(np.prod(space)), int(np.prod(out_space)))


def group_starts(op: Conv) -> Array:
    """The first output channel of the group to which each input channel belongs."""
    channels = np.arange(op.in_shape[0])
    return channels // op.weight.shape[1] * (op.weight.shape[0] // op.groups)
