"""A connection's synapses one by one: what the machine counts, stores and walks along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from nmc.backends.loihi.program import Connection, Conv, Dense, Sparse, conv_shape
from nmc.ir.ops import Shape

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Synapses:
    """Ordered by (pre, post); `first[n]` to `first[n + 1]` are those of presynaptic neuron n."""

    first: Indices
    post: Indices
    weight: Indices
    delay: Indices


def conv_synapses(connection: Conv, shape: Shape) -> tuple[Indices, Indices, Indices]:
    """(post, pre, weight) of every kernel position that lies on the input, zero weights included.

    `shape` is the input's, (channel, y, x) or (channel, x); indices are in C order of the ends' shapes. The
    stored kernels are flipped, since Lava convolves where the model correlates.
    """
    channels, *space = shape
    height, width = (1, *space)[-2:]
    out, *out_space = conv_shape(connection, shape)
    out_height, out_width = (1, *out_space)[-2:]
    kernel = connection.weight.data.astype(np.int64)[:, ::-1, ::-1, :]
    shared = channels // connection.groups
    per_group = out // connection.groups
    rows: list[Indices] = []
    columns: list[Indices] = []
    weights: list[Indices] = []
    o, c = (axis.ravel() for axis in np.meshgrid(np.arange(out), np.arange(shared), indexing="ij"))
    source = (o // per_group) * shared + c
    for kx in range(kernel.shape[1]):
        x = np.arange(out_width) * connection.stride[0] - connection.padding[0] + kx * connection.dilation[0]
        (out_x,) = np.nonzero((x >= 0) & (x < width))
        for ky in range(kernel.shape[2]):
            y = np.arange(out_height) * connection.stride[1] - connection.padding[1]
            y = y + ky * connection.dilation[1]
            (out_y,) = np.nonzero((y >= 0) & (y < height))
            post = (o[:, None, None] * out_height + out_y[None, :, None]) * out_width + out_x
            pre = (source[:, None, None] * height + y[out_y][None, :, None]) * width + x[out_x]
            rows.append(post.ravel())
            columns.append(pre.ravel())
            weights.append(np.broadcast_to(kernel[o, kx, ky, c][:, None, None], post.shape).ravel())
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)


def synapses(connection: Connection, pre: Shape, post: Shape) -> Synapses:
    """The synapses of a connection between ends of these shapes."""
    pre_size = math.prod(pre)
    delay: Indices | None = None
    match connection:
        case Dense(weight=matrix):
            post_size = math.prod(post)
            columns = np.repeat(np.arange(pre_size), post_size)
            rows = np.tile(np.arange(post_size), pre_size)
            weight = matrix.data.astype(np.int64).T.ravel()
            if connection.delay is not None:
                delay = connection.delay.data.astype(np.int64).T.ravel()
        case Sparse(post_index=rows_, pre_index=columns_):
            order = np.lexsort((rows_.data, columns_.data))
            rows, columns = rows_.data.astype(np.int64)[order], columns_.data.astype(np.int64)[order]
            weight = connection.weight.data.astype(np.int64)[order]
            if connection.delay is not None:
                delay = connection.delay.data.astype(np.int64)[order]
        case Conv():
            rows, columns, weight = conv_synapses(connection, pre)
            order = np.lexsort((rows, columns))
            rows, columns, weight = rows[order], columns[order], weight[order]
        case _:
            assert_never(connection)
    first = np.searchsorted(columns, np.arange(pre_size + 1))
    return Synapses(first, rows, weight, np.zeros(rows.size, np.int64) if delay is None else delay)
