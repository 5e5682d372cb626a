"""Convolutions with shared kernels: which taps of which kernel meet which neurons of a box, as tables."""

from __future__ import annotations

import math

import numpy as np

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.blocks import Box
from nmc.backends.spinnaker2.program import Array, Convolution
from nmc.backends.spinnaker2.rows import padded
from nmc.backends.spinnaker2.sums import mantissas
from nmc.ir.linear import size_of
from nmc.ir.ops import Conv, output_shape


def convolution(
    op: Conv, neurons: Array, sources: Array, *, start: int, simd: bool
) -> tuple[Convolution, Array] | None:
    """The block from local source neuron `start` on to the neurons of a box, and its kernels; None if that is none."""
    box = blocks.box_of(neurons, output_shape(op))
    digits = _digits(op, sources)
    if box is None or digits is None:
        return None
    order, origin, radix = digits
    y, x = (np.array(_axis(op, axis, box)) for axis in range(2))
    spans = blocks.served(op, box)
    kernels, channels = _kernels(op, box, spans, simd=simd)
    steps = (*_steps(op, 0), *_steps(op, 1))
    table = Convolution(
        channels=channels,
        rows=y,
        columns=x,
        offset=start,
        radix=radix,
        role=order,
        origin=origin,
        depth=box.sizes[0],
        width=box.sizes[2],
        kernel_width=op.weight.shape[-1],
        steps=(steps[0], steps[2], steps[1], steps[3]),
    )
    return table, kernels


def _digits(
    op: Conv, sources: Array
) -> tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int]] | None:
    """How a source's local ids are numbers of three digits: which of them, fastest first, are channel, row and column;
    where its box begins in each; the radices of the two fast ones. None if the source is no box.
    """
    shape = blocks.image(op.in_shape)
    box = blocks.box_of(sources, op.in_shape)
    if box is not None:
        depth, _, width = box.sizes
        return (0, 2, 1), (box.channels[0], box.rows[0], box.columns[0]), (depth, width)
    if len(sources) == size_of(op.in_shape) and np.array_equal(sources, np.arange(len(sources))):
        return (2, 1, 0), (0, 0, 0), (shape[2], shape[1])
    return None


def _geometry(op: Conv, axis: int) -> tuple[int, int, int, int]:
    """Taps, stride, dilation and padding before, of y (0) or x (1); an image of one axis has one row."""
    at = axis - (2 - len(op.stride))
    if at < 0:
        return 1, 1, 1, 0
    return op.weight.shape[2 + at], op.stride[at], op.dilation[at], op.padding[at][0]


def _steps(op: Conv, axis: int) -> tuple[int, int]:
    """From one tap that an input meets to the next: taps, and places of the output."""
    _, stride, dilation, _ = _geometry(op, axis)
    common = math.gcd(stride, dilation)
    return stride // common, -(dilation // common)


def _axis(op: Conv, axis: int, box: Box) -> list[tuple[int, int, int]]:
    """For each row (or column) that enters: the first tap that meets the box, how many do, where the first one goes."""
    taps, stride, dilation, before = _geometry(op, axis)
    low, high = box.rows if axis == 0 else box.columns
    found: list[tuple[int, int, int]] = []
    for place in range(blocks.image(op.in_shape)[1 + axis]):
        met = [
            (tap, (place + before - tap * dilation) // stride - low)
            for tap in range(taps)
            if (place + before - tap * dilation) % stride == 0
            and low <= (place + before - tap * dilation) // stride < high
        ]
        found.append((met[0][0], len(met), met[0][1]) if met else (0, 0, 0))
    return found


def _kernels(op: Conv, box: Box, spans: list[tuple[int, int]], *, simd: bool) -> tuple[Array, Array]:
    """All kernels, int8, by the channel that enters; for each where it begins, its first channel, and how many."""
    weight = mantissas(op).reshape(*op.weight.shape[:2], -1)
    entering = op.weight.shape[1]
    parts: list[Array] = []
    channels = np.zeros((len(spans), 3), np.int64)
    at = 0
    for channel, (start, stop) in enumerate(spans):
        channels[channel] = (at, start, stop - start)
        if start == stop:
            continue
        first = box.channels[0]
        kernel = weight[first + start : first + stop, channel % entering].T  # (taps, channels of the box)
        parts.append(padded(kernel, simd=simd).ravel())
        at += parts[-1].size
    return (np.concatenate(parts) if parts else np.zeros(0, np.int8)), channels
