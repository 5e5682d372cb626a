"""Linear operators: products, convolutions, pools, normalizations, sums along axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from nmc.frontend.onnx.elementwise import Builder
from nmc.frontend.onnx.movement import Args, data, known, optional, position, reshape, shape_of
from nmc.frontend.onnx.read import NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.tiles import ConvAttr, Kind, PoolAttr, squeeze
from nmc.frontend.onnx.values import BATCH, TIME, Axis, Space, Traced, Value
from nmc.ir.ops import Pooling, window_shape
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array


def linear(space: Space, value: Value, weight: Array, how: str, make: Callable[[Array], Array]) -> Value:
    """value @ W.T over the last axis, with W = make(weight)."""
    number = space.tiles.derived(weight, how, make)
    rows, columns = space.tiles.arrays[number].shape
    last = value.axes[-1]
    tokens = tuple(token for token in last if token != BATCH or space.batch > 1)
    if tokens not in {(), (columns,)} or (tokens == () and columns != 1):
        if TIME in tokens and BATCH not in tokens:
            return _over_time(space, value, space.tiles.arrays[number])
        raise Refusal("NMC060", f"a product over an axis of {columns} that is not features alone")
    axes = [*value.axes[:-1], (rows,) if rows > 1 else ()]
    tiles = [space.tiles.linear(tile, number) for tile in space.filled(value)]
    return space.make(axes, tiles)


def _rows(weight: Array) -> Array:
    return np.atleast_2d(weight)


def _over_time(space: Space, value: Value, matrix: Array) -> Value:
    """A weighted sum over time."""
    if matrix.shape[0] != 1 or value.axes[-1] != (TIME,):
        raise Refusal("NMC060", "a product mixes steps of time")
    build = Builder(space)
    total: Value | Array | None = None
    for tile, factor in zip(value.tiles, matrix[0], strict=True):
        term = build(Scalar.MUL, Value((*value.axes[:-1], ()), (tile,)), float(factor))
        total = term if total is None else build(Scalar.ADD, total, term)
    assert isinstance(total, Value)
    return total


def _matmul(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    a, b = data(args), data(args, 1)
    if isinstance(a, Value) and not isinstance(b, Value):
        matrix = b
        while matrix.ndim > 2 and matrix.shape[0] == 1:
            matrix = matrix[0]
        if matrix.ndim == 1:
            result = linear(space, a, matrix, "row", lambda w: w.reshape(1, -1))
            return [space.without(result, len(result.axes) - 1)]
        if matrix.ndim == 2:
            return [
                linear(
                    space, a, matrix if matrix is b else b, f"T{b.ndim}", lambda w: w.reshape(w.shape[-2:]).T
                )
            ]
        raise Refusal("NMC054", "a product with a stack of constant matrices")
    if isinstance(b, Value) and not isinstance(a, Value):
        if a.ndim > 2:
            raise Refusal("NMC054", "a product with a stack of constant matrices")
        rank = len(b.axes)
        if rank == 1:
            return [linear(space, b, a, "own", _rows)]
        perm = [*range(rank - 2), rank - 1, rank - 2]
        result = linear(space, space.transpose(b, perm), a, "own", _rows)
        turned = space.transpose(result, perm)
        return [space.without(turned, rank - 2) if a.ndim == 1 else turned]
    assert isinstance(a, Value)
    assert isinstance(b, Value)
    return [product(space, a, b)]


def product(space: Space, a: Value, b: Value) -> Value:
    """a @ b of two values, over their last two axes; those before broadcast."""
    rank = max(len(a.axes), len(b.axes))
    if min(len(a.axes), len(b.axes)) < 2:
        raise Refusal("NMC054", "a product of two activations of rank one")
    fronts: list[tuple[Axis, ...]] = [((),) * (rank - len(each.axes)) + each.axes[:-2] for each in (a, b)]
    lead = space.broadcast([Value(front, (0,)) for front in fronts])
    for each in (a, b):
        for axis in each.axes[len(each.axes) - 2 :]:
            if TIME in axis or (BATCH in axis and space.batch > 1):
                raise Refusal("NMC060", "a product of two activations mixes time or samples")
    axes: list[Axis] = [*lead, a.axes[len(a.axes) - 2], b.axes[len(b.axes) - 1]]
    shape_a, shape_b = ((1,) * (rank - len(each.axes)) + space.shape_of_features(each) for each in (a, b))
    shape = (*np.broadcast_shapes(shape_a[:-2], shape_b[:-2]), shape_a[-2], shape_b[-1])
    steps = max(len(a.tiles), len(b.tiles))
    tiles = [
        space.tiles.matmul(
            a.tiles[min(t, len(a.tiles) - 1)],
            b.tiles[min(t, len(b.tiles) - 1)],
            shape_a=shape_a,
            shape_b=shape_b,
            shape=shape,
        )
        for t in range(steps)
    ]
    return space.make(axes, tiles)


def _gemm(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    a, b = data(args), data(args, 1)
    attrs = node.attrs
    alpha, beta = float(attrs.get("alpha", 1.0)), float(attrs.get("beta", 1.0))
    for place, (value, flag) in enumerate(((a, "transA"), (b, "transB"))):
        if attrs.get(flag, 0) and isinstance(value, Value):
            turned = space.transpose(value, [1, 0])
            a, b = (turned, b) if place == 0 else (a, turned)
    if isinstance(a, Value) and not isinstance(b, Value):
        turn = bool(attrs.get("transB", 0))
        result: Value | Array = linear(
            space,
            a,
            b,
            f"{turn}{alpha}",
            lambda w: (
                (w if turn else w.T) if alpha == 1.0 else (w if turn else w.T) * np.asarray(alpha, w.dtype)
            ),
        )
    else:
        if not isinstance(a, Value) and attrs.get("transA", 0):
            a = a.T
        product = _matmul(space, node, [a, b])[0]
        result = Builder(space)(Scalar.MUL, data([product]), alpha) if alpha != 1.0 else data([product])
    if len(args) > 2 and args[2] is not None and beta != 0.0:
        offset = data(args, 2)
        if isinstance(offset, Value):
            scaled = Builder(space)(Scalar.MUL, offset, beta) if beta != 1.0 else offset
            return [Builder(space)(Scalar.ADD, result, scaled)]
        assert isinstance(result, Value)
        return [_biased(space, result, offset if beta == 1.0 else offset * np.asarray(beta, offset.dtype))]
    return [result]


def _biased(space: Space, value: Value, bias: Array) -> Value:
    columns = space.constant(bias, value.axes, len(value.tiles))
    if len(columns) > 1:
        added = Builder(space)(Scalar.ADD, value, bias)
        assert isinstance(added, Value)
        return added
    array = space.tiles.value(columns[0])
    assert array is not None
    tiles = [space.tiles.scaled(tile, np.ones((), np.float32), array) for tile in value.tiles]
    return Value(value.axes, tuple(tiles), value.kind)


# ---- convolutions and pools -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """How a window slides over the axes of space."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilations: tuple[int, ...]

    def over(self, axes: Sequence[int]) -> Window:
        """Along some of the axes only."""
        return Window(
            tuple(self.strides[k] for k in axes),
            tuple(self.padding[k] for k in axes),
            tuple(self.dilations[k] for k in axes),
        )


def _window(node: NodeIn, sizes: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window of an operator's attributes."""
    rank = len(sizes)
    attrs = node.attrs
    strides = [int(each) for each in attrs.get("strides", [1] * rank)]
    dilations = [int(each) for each in attrs.get("dilations", [1] * rank)]
    pads = [int(each) for each in attrs.get("pads", [0] * (2 * rank))]
    if (
        len(strides) != rank
        or len(dilations) != rank
        or len(pads) != 2 * rank
        or min([1, *strides, *dilations]) < 1
    ):
        raise Refusal("NMC061", "strides, dilations and paddings do not match the kernel")
    padding = [(pads[k], pads[k + rank]) for k in range(rank)]
    automatic = attrs.get("auto_pad", "NOTSET")
    if automatic == "VALID":
        padding = [(0, 0)] * rank
    elif automatic in {"SAME_UPPER", "SAME_LOWER"}:
        padding = []
        for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size)
            small, large = total // 2, total - total // 2
            padding.append((small, large) if automatic == "SAME_UPPER" else (large, small))
    return Window(tuple(strides), tuple(padding), tuple(dilations))


def _conv(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value, weight = data(args), known(args, 1, "a kernel")
    bias = optional(args, 2, "a bias")
    if not isinstance(value, Value):
        raise Refusal("NMC054", "a convolution of a constant")
    rank = weight.ndim - 2
    shape = space.dims(value)
    if len(shape) != rank + 2:
        raise Refusal("NMC061", f"a kernel of {rank} axes on a value of rank {len(shape)}")
    groups = int(node.attrs.get("group", 1))
    window = _window(node, shape[2:], weight.shape[2:])
    _spatial(space, value)
    if shape[1] != weight.shape[1] * groups or groups < 1 or weight.shape[0] % groups:
        raise Refusal("NMC061", f"a kernel for {weight.shape[1] * groups} channels on {shape[1]}")
    if any(
        size + a + b < d * (k - 1) + 1
        for size, k, (a, b), d in zip(
            shape[2:], weight.shape[2:], window.padding, window.dilations, strict=True
        )
    ):
        raise Refusal("NMC061", "a kernel larger than what it slides over")
    timed = [k for k in range(rank) if TIME in value.axes[k + 2]]
    if timed:
        return [_conv_in_time(space, value, weight, bias=bias, time=timed[0], window=window, groups=groups)]
    if rank > 2:
        raise Refusal("NMC054", f"a convolution over {rank} axes; one and two are known")
    number = space.tiles.derived(weight, "own", lambda w: w)
    offset = None if bias is None else space.tiles.derived(bias, "own", lambda w: w)
    attr = _attr(shape[1:], number, offset, window=window, groups=groups)
    tiles = [space.tiles.conv(tile, attr) for tile in value.tiles]
    shaped = _with_space(value, (weight.shape[0], *shape[2:]), kernel=weight.shape[2:], window=window)
    return [space.make(shaped, tiles)]


def _attr(in_shape: Sequence[int], weight: int, bias: int | None, *, window: Window, groups: int) -> ConvAttr:
    return ConvAttr(tuple(in_shape), weight, bias, window.strides, window.padding, window.dilations, groups)


def _spatial(space: Space, value: Value) -> None:
    for place, axis in enumerate(value.axes):
        features = any(isinstance(token, int) for token in axis)
        if place == 0 and features:
            raise Refusal("NMC060", "a window slides over samples that are features")
        if place > 0 and BATCH in axis:
            raise Refusal("NMC060", "a window mixes samples")
        if place == 1 and TIME in axis:
            raise Refusal("NMC060", "a window takes time for channels")


def _with_space(value: Value, shape: Sequence[int], *, kernel: Sequence[int], window: Window) -> list[Axis]:
    """The axes of what a window leaves of (channels, *space)."""
    sizes = window_shape(tuple(shape), tuple(kernel), window.strides, window.padding, window.dilations)
    axes: list[Axis] = [value.axes[0]]
    return axes + [(size,) if size != 1 else () for size in (shape[0], *sizes)]


def _conv_in_time(
    space: Space,
    value: Value,
    weight: Array,
    *,
    bias: Array | None,
    time: int,
    window: Window,
    groups: int,
) -> Value:
    """A convolution along time: each tap is a linear operation on an earlier step."""
    rank = weight.ndim - 2
    if value.axes[time + 2] != (TIME,) or window.strides[time] != 1 or rank > 3:
        raise Refusal("NMC060", "a convolution along time with a stride")
    steps = len(value.tiles)
    before, after = window.padding[time]
    dilation = window.dilations[time]
    length = steps + before + after - dilation * (weight.shape[time + 2] - 1)
    rest = [k for k in range(rank) if k != time]
    in_shape = [size for k, size in enumerate(space.dims(value)[1:]) if k != time + 1]
    taps: dict[int, Callable[[int], int]] = {}
    for k in range(weight.shape[time + 2]):
        part = weight.take(k, time + 2)
        if part.any():
            taps[k] = _tap(space, part, in_shape, window=window.over(rest), groups=groups)
    columns = space.filled(value)
    tiles: list[int] = []
    for t in range(length):
        total: int | None = None
        for k in reversed(taps):
            source = t + k * dilation - before
            if 0 <= source < steps:
                term = taps[k](columns[source])
                total = term if total is None else space.tiles.scalar(Scalar.ADD, [total, term])
        tiles.append(space.tiles.const(np.zeros((), np.float32)) if total is None else total)
    kernel = [weight.shape[k + 2] for k in rest]
    axes = _with_space(value, (weight.shape[0], *in_shape[1:]), kernel=kernel, window=window.over(rest))
    result = space.make([*axes[: time + 2], (TIME,), *axes[time + 2 :]], tiles)
    if bias is None:
        return result
    added = Builder(space)(Scalar.ADD, result, bias.reshape(-1, *[1] * rank))
    assert isinstance(added, Value)
    return added


def _tap(
    space: Space, part: Array, in_shape: Sequence[int], *, window: Window, groups: int
) -> Callable[[int], int]:
    """What one tap of a convolution along time does to a step."""
    if len(in_shape) == 1:
        number = space.tiles.intern(_dense(part, groups))
        return lambda tile: space.tiles.linear(tile, number)
    attr = _attr(in_shape, space.tiles.intern(part), None, window=window, groups=groups)
    return lambda tile: space.tiles.conv(tile, attr)


def _dense(kernel: Array, groups: int) -> Array:
    """The matrix of a grouped product of channels."""
    if groups == 1:
        return kernel
    rows, columns = kernel.shape
    matrix = np.zeros((rows, columns * groups), kernel.dtype)
    for row in range(rows):
        start = row * groups // rows * columns
        matrix[row, start : start + columns] = kernel[row]
    return matrix


def _pool(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    if not isinstance(value, Value) or len(node.outputs) > 1:
        raise Refusal("NMC054", f"{node.op} of a constant, or with the places of its maxima")
    shape = space.dims(value)
    rank = len(shape) - 2
    _spatial(space, value)
    if rank not in {1, 2} or any(TIME in axis for axis in value.axes[1:]):
        raise Refusal("NMC054", f"{node.op} over {rank} axes or over time")
    everything = node.op.startswith("Global")
    kernel = list(shape[2:]) if everything else [int(each) for each in node.attrs.get("kernel_shape", ())]
    if len(kernel) != rank:
        raise Refusal("NMC061", f"a kernel of {len(kernel)} axes on {rank}")
    window = _window(node, shape[2:], kernel)
    strides, padding = window.strides, window.padding
    if any(each != 1 for each in window.dilations):
        raise Refusal("NMC054", f"{node.op} with dilation")
    counted = bool(node.attrs.get("count_include_pad", 0))
    declared = list(padding)
    if node.attrs.get("ceil_mode", 0):
        padding = tuple(
            (a, b + (-(size + a + b - k) % s))
            for size, k, s, (a, b) in zip(shape[2:], kernel, strides, padding, strict=True)
        )
    if any(size + a + b < k for size, k, (a, b) in zip(shape[2:], kernel, padding, strict=True)):
        raise Refusal("NMC061", "a kernel larger than what it slides over")
    pooling = Pooling.MAX if "Max" in node.op else Pooling.AVERAGE
    attr = PoolAttr(shape[1:], pooling, tuple(kernel), strides, padding)
    tiles = [space.tiles.pool(tile, attr) for tile in value.tiles]
    axes = _with_space(value, shape[1:], kernel=kernel, window=Window(strides, padding, window.dilations))
    result = space.make(axes, tiles)
    uncounted = (
        padding if not counted else [(0, b - c) for (_, b), (_, c) in zip(padding, declared, strict=True)]
    )
    if pooling is Pooling.MAX or not any(a or b for a, b in uncounted):
        return [result]
    correction = _counts(shape[2:], kernel, strides, padding, declared if counted else [(0, 0)] * rank)
    corrected = Builder(space)(Scalar.MUL, result, prod(kernel) / correction)
    return [corrected]


def _counts(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    counted: Sequence[tuple[int, int]],
) -> Array:
    """How many cells each window counts."""
    total = np.ones((1,) * len(sizes), np.float32)
    for k, size in enumerate(sizes):
        a, b = padding[k]
        line = np.zeros(size + a + b, np.float32)
        line[a - counted[k][0] : a + size + counted[k][1]] = 1
        windows = [line[s : s + kernel[k]].sum() for s in range(0, size + a + b - kernel[k] + 1, strides[k])]
        shape = [1] * len(sizes)
        shape[k] = len(windows)
        total = total * np.asarray(windows, np.float32).reshape(shape)
    return total


def _batch_norm(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    scale, shift, mean, variance = (known(args, place, "a statistic") for place in range(1, 5))
    if node.attrs.get("training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        raise Refusal(
            "NMC064",
            "the batch normalization is in training mode: its output depends on the other samples",
            help="call `model.eval()` before the export",
        )
    if not isinstance(value, Value):
        raise Refusal("NMC054", "a normalization of a constant")
    wide = [each.astype(np.float64) for each in (scale, shift, mean, variance)]
    factor = wide[0] / np.sqrt(wide[3] + float(node.attrs.get("epsilon", 1e-5)))
    offset = wide[1] - wide[2] * factor
    rank = len(value.axes)
    channel = [1] * rank
    channel[min(1, rank - 1)] = factor.size
    arrays: list[Array] = []
    for each in (factor, offset):
        tile = space.constant(each.reshape(channel).astype(scale.dtype), value.axes, len(value.tiles))
        array = space.tiles.value(tile[0])
        assert array is not None
        arrays.append(array)
    tiles = [space.tiles.scaled(tile, arrays[0], arrays[1]) for tile in value.tiles]
    return [Value(value.axes, tuple(tiles))]


def _reduce(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    if not isinstance(value, Value):
        raise Refusal("NMC054", "a sum of a constant that cannot be folded")
    given = optional(args, 1, "an axis")
    listed = node.attrs.get("axes") if given is None else [int(each) for each in given.ravel()]
    rank = len(value.axes)
    if not listed and node.attrs.get("noop_with_empty_axes", 0):
        return [value]
    axes = sorted({position(int(axis), rank) for axis in (listed or range(rank))})
    result = value
    for axis in axes:
        result = reduced(space, node.op, result, axis)
    if not node.attrs.get("keepdims", 1):
        for axis in reversed(axes):
            result = space.without(result, axis)
    return [result]


def reduced(space: Space, op: str, value: Value, axis: int) -> Value:
    """The value with one axis summed up, or its mean, maximum or minimum; the axis stays, with size one."""
    tokens = value.axes[axis]
    if BATCH in tokens and space.batch > 1:
        raise Refusal("NMC060", f"{op} over the samples of a batch")
    combine = {
        "ReduceSum": Scalar.ADD,
        "ReduceMean": Scalar.ADD,
        "ReduceMax": Scalar.MAX,
        "ReduceMin": Scalar.MIN,
    }[op]
    build = Builder(space)
    rest = list(value.axes)
    if TIME in tokens:
        count = len(value.tiles)
        rest[axis] = tuple(token for token in tokens if token != TIME)
        parts = [Value(tuple(rest), (tile,), value.kind) for tile in value.tiles]
        total: Value | Array = parts[0]
        for part in parts[1:]:
            total = build(combine, total, part)
        if op == "ReduceMean":
            total = build(Scalar.MUL, total, 1.0 / count)
        assert isinstance(total, Value)
        return reduced(space, op, total, axis)
    size = prod(token for token in tokens if isinstance(token, int))
    if size == 1:
        return value
    first = space.select(value, axis, np.array([0]))
    stacked = (
        space.tiles.ops[value.tiles[0]] is Kind.GATHER and space.tiles.ops[first.tiles[0]] is not Kind.GATHER
    )
    if op in {"ReduceSum", "ReduceMean"} and not stacked:
        rank = len(value.axes)
        perm = [*(k for k in range(rank) if k != axis), axis]
        turned = space.transpose(value, perm)
        row = np.full((1, size), 1.0 if op == "ReduceSum" else 1.0 / size, np.float32)
        summed = linear(space, turned, row, "row", lambda w: w)
        back = [perm.index(k) for k in range(rank)]
        return space.transpose(summed, back)
    total = first
    for k in range(1, size):
        total = build(combine, total, space.select(value, axis, np.array([k])))
    if op == "ReduceMean":
        total = build(Scalar.MUL, total, 1.0 / size)
    assert isinstance(total, Value)
    return total


def _softmax(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    """exp(x) over its sum along an axis, or its logarithm; the largest x is taken off first, as frameworks do."""
    value = data(args)
    if not isinstance(value, Value):
        raise Refusal("NMC054", f"a {node.op} of a constant")
    rank = len(value.axes)
    axis = position(int(node.attrs.get("axis", -1)), rank)
    tokens = value.axes[axis]
    if TIME in tokens or (BATCH in tokens and space.batch > 1):
        raise Refusal("NMC060", f"a {node.op} over time or samples")
    perm = [*(k for k in range(rank) if k != axis), axis]
    turned = space.transpose(value, perm)
    build = Builder(space)
    low = build(Scalar.SUB, turned, _highest(space, turned))
    high = build(Scalar.EXP, low)
    assert isinstance(high, Value)
    ones = np.ones((1, space.shape_of_features(turned)[-1]), np.float32)
    total = linear(space, high, ones, "row", lambda w: w)
    result = (
        build(Scalar.DIV, high, total)
        if node.op == "Softmax"
        else build(Scalar.SUB, low, build(Scalar.LOG, total))
    )
    assert isinstance(result, Value)
    return [space.transpose(result, [perm.index(k) for k in range(rank)])]


def _highest(space: Space, value: Value) -> Value:
    """The maximum along the last axis, which is kept."""
    sizes = space.shape_of_features(value)
    lead = [size for size in sizes[:-1] if size != 1]
    rows = (prod(lead), sizes[-1])
    attr = PoolAttr(rows, Pooling.MAX, rows[1:], rows[1:], ((0, 0),))
    tiles: list[int] = []
    for tile in space.filled(value):
        flat = space.tiles.reshape(tile, squeeze(rows))
        tiles.append(space.tiles.reshape(space.tiles.pool(flat, attr), tuple(lead)))
    return Value((*value.axes[:-1], ()), tuple(tiles), value.kind)


HANDLERS: Mapping[str, Callable[[Space, NodeIn, Args], list[Traced]]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    **dict.fromkeys(("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"), _pool),
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"), _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
}

__all__ = ["HANDLERS", "linear", "product", "reduced", "reshape", "shape_of"]
