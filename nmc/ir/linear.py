"""Linear operations as what they are: matrices over flattened signals, and their composition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nmc.ir.ops import (
    Conv,
    Delay,
    Flatten,
    Linear,
    Op,
    Pool,
    Pooling,
    Scale,
    Shape,
    Sparse,
    input_shape,
    output_shape,
)
from nmc.ir.tensor import Tensor

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Matrix = Any
"""A scipy.sparse.csr_matrix of float64; scipy ships no types."""

PureLinear = Linear | Sparse | Conv | Pool | Scale | Flatten | Delay
"""Operations that are linear in their input, up to a constant; a `Pool` unless it takes the maximum."""

Affine = TypeVar("Affine", bound=PureLinear)


def is_linear(op: Op) -> bool:
    """Whether the operation is affine in its input."""
    if isinstance(op, Pool):
        return op.pooling is not Pooling.MAX
    return isinstance(op, Linear | Sparse | Conv | Scale | Flatten | Delay)


def size_of(shape: Shape) -> int:
    """How many elements a shape has."""
    return int(np.prod(shape, dtype=np.int64))


def synapses(op: PureLinear) -> Sparse:
    """The operation as single synapses with values, sorted by (pre, delay, post), zeros dropped.

    Its bias, if it has one, is not part of this: `bias`.
    """
    in_shape, out_shape = input_shape(op), output_shape(op)
    pre: npt.NDArray[Any]
    post: npt.NDArray[Any]
    weight: npt.NDArray[Any]
    delay: npt.NDArray[Any]
    match op:
        case Sparse():
            pre, post, weight, delay = op.pre.data, op.post.data, op.weight.values, op.delay.data
        case Delay(_, steps):
            pre = post = np.arange(size_of(in_shape))
            weight = np.ones(len(pre))
            delay = np.broadcast_to(steps.data, in_shape).ravel()
        case _:
            coo: Matrix = matrix(op).tocoo()
            post, pre, weight = coo.row, coo.col, coo.data
            delay = np.zeros(len(pre), np.int64)
    return make_sparse(in_shape, out_shape, pre=pre, post=post, weight=weight, delay=delay)


def make_sparse(
    in_shape: Shape,
    out_shape: Shape,
    *,
    pre: npt.NDArray[Any],
    post: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    delay: npt.NDArray[Any],
) -> Sparse:
    """A `Sparse` in its canonical order: triples merged by sum, zero weights dropped."""
    pre, post, delay = (np.asarray(a).astype(np.int64) for a in (pre, post, delay))
    longest = int(delay.max(initial=0)) + 1
    key = (pre * longest + delay) * size_of(out_shape) + post
    unique, inverse = np.unique(key, return_inverse=True)
    summed = np.zeros(len(unique), np.float64)
    np.add.at(summed, inverse, np.asarray(weight, np.float64))
    kept = summed != 0
    unique, summed = unique[kept], summed[kept]
    rest, post = np.divmod(unique, size_of(out_shape))
    pre, delay = np.divmod(rest, longest)
    return Sparse(in_shape, out_shape, Tensor(pre), Tensor(post), Tensor(summed), Tensor(delay))


def matrix(op: PureLinear) -> Matrix:
    """The values as a matrix (post, pre) over C-order flattened shapes, delays and bias left out."""
    rows, columns = size_of(output_shape(op)), size_of(input_shape(op))
    match op:
        case Linear(weight):
            return sparse.csr_matrix(weight.values)
        case Sparse():
            entries = (op.weight.values, (op.post.data, op.pre.data))
            return sparse.csr_matrix(entries, shape=(rows, columns))
        case Scale(shape, factor):
            return sparse.csr_matrix(sparse.diags(np.broadcast_to(factor.values, shape).ravel()))
        case Flatten() | Delay():
            return sparse.csr_matrix(sparse.identity(rows))
        case Conv():
            return _conv_matrix(op)
        case Pool():
            return _conv_matrix(_pool_as_conv(op))


def _pool_as_conv(op: Pool) -> Conv:
    """A sum or average as a depthwise convolution."""
    channels = op.in_shape[0]
    weight = np.ones((channels, 1, *op.kernel))
    if op.pooling is Pooling.AVERAGE:
        weight /= size_of(op.kernel)
    ones = (1,) * len(op.kernel)
    return Conv(op.in_shape, Tensor(weight), None, op.stride, op.padding, ones, channels)


def _conv_matrix(op: Conv) -> Matrix:
    """The matrix of a convolution, one entry for each tap that falls inside the input."""
    out_shape = output_shape(op)
    weight = op.weight.values
    out_channels, in_a_group = weight.shape[:2]
    out_a_group = out_channels // op.groups
    taps = np.indices(weight.shape[2:]).reshape(len(op.stride), -1)  # (space, taps)
    places = np.indices(out_shape[1:]).reshape(len(op.stride), -1)  # (space, places)
    stride, dilation = np.array(op.stride)[:, None, None], np.array(op.dilation)[:, None, None]
    before = np.array([pad[0] for pad in op.padding])[:, None, None]
    at = places[:, :, None] * stride + taps[:, None, :] * dilation - before  # (space, places, taps)
    inside = np.all((at >= 0) & (at < np.array(op.in_shape[1:])[:, None, None]), axis=0)
    place, tap = np.nonzero(inside)
    space_in = np.ravel_multi_index(tuple(at[:, place, tap]), op.in_shape[1:])
    o, i = np.meshgrid(np.arange(out_channels), np.arange(in_a_group), indexing="ij")
    o, i = o.ravel()[:, None], i.ravel()[:, None]
    row = o * size_of(out_shape[1:]) + place
    column = ((o // out_a_group) * in_a_group + i) * size_of(op.in_shape[1:]) + space_in
    value = weight.reshape(out_channels, in_a_group, -1)[o, i, tap]
    shape = (size_of(out_shape), size_of(op.in_shape))
    return sparse.csr_matrix((value.ravel(), (row.ravel(), column.ravel())), shape=shape)


def bias(op: PureLinear) -> Reals | None:
    """The constant that the operation adds, in its output shape, or None."""
    match op:
        case Linear(_, Tensor() as constant):
            return constant.values
        case Conv(_, _, Tensor() as constant):
            space = (1,) * (len(output_shape(op)) - 1)
            return np.array(np.broadcast_to(constant.values.reshape(-1, *space), output_shape(op)))
        case _:
            return None


def without_bias(op: Affine) -> Affine:
    """The same operation without its constant."""
    return replace(op, bias=None) if isinstance(op, Linear | Conv) else op


def identity(shape: Shape) -> Sparse:
    """One synapse of weight one from each neuron to its own."""
    ids = np.arange(size_of(shape))
    return make_sparse(shape, shape, pre=ids, post=ids, weight=np.ones(len(ids)), delay=np.zeros(len(ids)))


def scale_rows(op: Linear | Sparse | Conv, factor: Reals) -> Linear | Sparse | Conv:
    """The operation, bias left out, times `factor` over its output shape; a `Conv` stays one if channels share it."""
    shape = output_shape(op)
    op = without_bias(op)
    match op:
        case Linear(weight):
            full = np.broadcast_to(factor, shape)
            return replace(op, weight=Tensor(weight.values * full[:, None]))
        case Conv(_, weight):
            by_channel = np.broadcast_to(factor, shape).reshape(shape[0], -1)
            if np.any(by_channel != by_channel[:, :1]):
                return scale_rows(synapses(op), factor)
            scaled = weight.values * by_channel[:, :1].reshape(-1, *(1,) * (weight.data.ndim - 1))
            return replace(op, weight=Tensor(scaled))
        case Sparse():
            full = np.broadcast_to(factor, shape).ravel()
            return replace(op, weight=Tensor(op.weight.values * full[op.post.data]))


def compose(first: PureLinear, second: PureLinear) -> PureLinear:
    """One operation that does `first` and then `second`, biases left out, in the most compact form.

    A bias of either is the caller's: push it through `matrix(second)`.
    """
    first, second = without_bias(first), without_bias(second)
    match first, second:
        case Pool(), Conv() if (merged := _pool_then_conv(first, second)) is not None:
            return merged
        case Scale(_, factor), Conv() if (merged := _scale_then_conv(factor, second)) is not None:
            return merged
        case Conv() | Linear(), Scale(_, factor):
            return scale_rows(first, np.asarray(factor.values))
        case Scale(shape, factor), Linear(weight):
            return replace(
                second, weight=Tensor(weight.values * np.broadcast_to(factor.values, shape)), bias=None
            )
        case Linear(), Linear():
            return Linear(Tensor(second.weight.values @ first.weight.values))
        case _:
            pass
    a, b = synapses(first), synapses(second)
    if is_wiring(first):
        return replace(b, in_shape=a.in_shape)
    if is_wiring(second):
        return replace(a, out_shape=b.out_shape)
    return _compose_synapses(a, b)


def is_wiring(op: PureLinear) -> bool:
    """Whether the operation only renames its elements."""
    return isinstance(op, Flatten)


def _compose_synapses(a: Sparse, b: Sparse) -> Sparse:
    """Products of matrices, for every pair of delays."""
    middle = size_of(a.out_shape)
    nothing = np.zeros(0, np.int64)
    parts: list[tuple[npt.NDArray[Any], ...]] = [(nothing, nothing, np.zeros(0), nothing)]
    for da in np.unique(a.delay.data):
        at = a.delay.data == da
        left: Matrix = sparse.csr_matrix(
            (a.weight.values[at], (a.post.data[at], a.pre.data[at])), shape=(middle, size_of(a.in_shape))
        )
        for db in np.unique(b.delay.data):
            bt = b.delay.data == db
            right: Matrix = sparse.csr_matrix(
                (b.weight.values[bt], (b.post.data[bt], b.pre.data[bt])), shape=(size_of(b.out_shape), middle)
            )
            product: Matrix = (right @ left).tocoo()
            parts.append((product.col, product.row, product.data, np.full(product.nnz, int(da) + int(db))))
    pre, post, weight, delay = (np.concatenate(column) for column in zip(*parts, strict=True))
    return make_sparse(a.in_shape, b.out_shape, pre=pre, post=post, weight=weight, delay=delay)


def _pool_then_conv(pool: Pool, conv: Conv) -> Conv | None:
    """A window that tiles its input, then a convolution: one convolution with larger kernel and stride."""
    tiles = pool.kernel == pool.stride and all(pad == (0, 0) for pad in pool.padding)
    whole = all(size % k == 0 for size, k in zip(pool.in_shape[1:], pool.kernel, strict=True))
    if not tiles or not whole or any(d != 1 for d in conv.dilation) or pool.pooling is Pooling.MAX:
        return None
    weight = conv.weight.values
    for axis, k in enumerate(pool.kernel):
        weight = np.repeat(weight, k, axis=2 + axis)
    if pool.pooling is Pooling.AVERAGE:
        weight = weight / size_of(pool.kernel)
    stride = tuple(s * k for s, k in zip(conv.stride, pool.kernel, strict=True))
    padding = tuple((a * k, b * k) for (a, b), k in zip(conv.padding, pool.kernel, strict=True))
    return Conv(pool.in_shape, Tensor(weight), None, stride, padding, conv.dilation, conv.groups)


def _scale_then_conv(factor: Tensor, conv: Conv) -> Conv | None:
    """A scale per channel goes into the kernel of an ungrouped convolution."""
    by_channel = np.broadcast_to(factor.values, conv.in_shape).reshape(conv.in_shape[0], -1)
    if conv.groups != 1 or np.any(by_channel != by_channel[:, :1]):
        return None
    space = (1,) * (conv.weight.data.ndim - 2)
    return replace(
        conv, weight=Tensor(conv.weight.values * by_channel[:, 0].reshape(1, -1, *space)), bias=None
    )
