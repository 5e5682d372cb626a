"""The numbers of tiles: exact evaluation, by which rolling and lifting are proved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nmc.frontend.onnx.tiles import ConvAttr, Kind, PoolAttr, Tiles
from nmc.ir.ops import Pooling
from nmc.ir.program import Scalar, apply
from nmc.ir.tensor import Array


def evaluate(
    tiles: Tiles, roots: Iterable[int], leaves: Mapping[int, Array], samples: int
) -> dict[int, Array]:
    """The values of the roots, (samples, *shape), from those of the leaves; in the leaves' real type."""
    wanted = list(roots)
    real = next((array.dtype for array in leaves.values()), np.dtype(np.float64))
    values: dict[int, Array] = dict(leaves)
    cone = tiles.cone(wanted, stop=leaves)
    last: dict[int, int] = {}
    for tile in cone:
        if tile not in leaves:
            for arg in tiles.args[tile]:
                last[arg] = tile
    kept = set(wanted)
    with np.errstate(all="ignore"):
        for tile in cone:
            if tile in values:
                continue
            values[tile] = _value(tiles, tile, values, real, samples)
            for arg in set(tiles.args[tile]):
                if last[arg] == tile and arg not in kept and arg not in leaves:
                    del values[arg]
    return {root: _full(tiles, root, values[root], samples) for root in wanted}


def _full(tiles: Tiles, tile: int, array: Array, samples: int) -> Array:
    shape = tiles.shapes[tile]
    if tiles.ops[tile] is Kind.CONST:
        return np.broadcast_to(array, (samples, *shape))
    return array


def _value(
    tiles: Tiles, tile: int, values: Mapping[int, Array], real: np.dtype[np.generic], samples: int
) -> Array:
    op, args, attr = tiles.ops[tile], tiles.args[tile], tiles.attrs[tile]
    if isinstance(op, Scalar):
        return apply(op, [values[arg] for arg in args])
    if op is Kind.CONST:
        constant = tiles.value(tile)
        assert constant is not None
        return constant.astype(real)[None] if constant.ndim else constant.astype(real)
    x = values[args[0]] if args else np.zeros(0)
    if op is Kind.LINEAR and isinstance(attr, tuple):
        weight = tiles.arrays[attr[0]].astype(real)
        full = _full(tiles, args[0], x, samples)
        result = (full if weight.shape[1] > 1 else full[..., None]) @ weight.T
        if attr[1] is not None:
            result = result + tiles.arrays[attr[1]].astype(real)
        return result.reshape(samples, *tiles.shapes[tile])
    if isinstance(attr, ConvAttr):
        result = convolve(
            _full(tiles, args[0], x, samples).reshape(samples, *attr.in_shape), attr, tiles, real
        )
        return result.reshape(samples, *tiles.shapes[tile])
    if isinstance(attr, PoolAttr):
        result = pool(_full(tiles, args[0], x, samples).reshape(samples, *attr.in_shape), attr)
        return result.reshape(samples, *tiles.shapes[tile])
    if op is Kind.GATHER and isinstance(attr, int):
        flat = [_full(tiles, arg, values[arg], samples).reshape(samples, -1) for arg in args]
        joined = flat[0] if len(flat) == 1 else np.concatenate(flat, 1)
        return joined[:, tiles.arrays[attr].ravel()].reshape(samples, *tiles.shapes[tile])
    if op is Kind.MATMUL and isinstance(attr, tuple):
        a, b = (
            _full(tiles, arg, values[arg], samples).reshape(samples, *shape)
            for arg, shape in zip(args, attr[:2], strict=True)
        )
        return np.matmul(a, b).reshape(samples, *tiles.shapes[tile])
    raise AssertionError(f"a leaf without a value: {op} {attr}")


def convolve(x: Array, attr: ConvAttr, tiles: Tiles, real: np.dtype[np.generic]) -> Array:
    """The convolution of x (samples, channel, *space)."""
    weight = tiles.arrays[attr.weight].astype(real)
    x = np.pad(x, [(0, 0), (0, 0), *attr.padding])
    rank = len(attr.stride)
    spans = [d * (k - 1) + 1 for d, k in zip(attr.dilation, weight.shape[2:], strict=True)]
    windows = sliding_window_view(x, spans, axis=tuple(range(2, 2 + rank)))
    steps = tuple(slice(None, None, s) for s in attr.stride)
    taps = tuple(slice(None, None, d) for d in attr.dilation)
    windows = windows[(slice(None), slice(None), *steps, *taps)]
    groups = attr.groups
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    parts: list[Array] = []
    for g in range(groups):
        w = weight[g * rows : (g + 1) * rows]
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        part = np.tensordot(windows[:, g * columns : (g + 1) * columns], w, (axes, list(range(1, 2 + rank))))
        parts.append(np.moveaxis(part, -1, 1))
    result = np.concatenate(parts, 1)
    if attr.bias is not None:
        result = result + tiles.arrays[attr.bias].astype(real).reshape(-1, *[1] * rank)
    return result


def pool(x: Array, attr: PoolAttr) -> Array:
    """The pool of x (samples, channel, *space)."""
    rank = len(attr.kernel)
    fill = -np.inf if attr.pooling is Pooling.MAX else 0.0
    x = np.pad(x, [(0, 0), (0, 0), *attr.padding], constant_values=fill)
    windows = sliding_window_view(x, attr.kernel, axis=tuple(range(2, 2 + rank)))
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in attr.stride))]
    axes = tuple(range(2 + rank, 2 + 2 * rank))
    if attr.pooling is Pooling.MAX:
        return windows.max(axis=axes)
    total = windows.sum(axis=axes)
    return total / np.asarray(prod(attr.kernel), x.dtype) if attr.pooling is Pooling.AVERAGE else total
