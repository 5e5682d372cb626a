"""What an ONNX operator makes of constants: shapes, indices and parameters, with numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from nmc.frontend.onnx.read import NEAR_LIMIT, NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.ir.program import Scalar, apply
from nmc.ir.tensor import Array

ELEMENTWISE: Mapping[str, Scalar] = {
    "Add": Scalar.ADD,
    "Sub": Scalar.SUB,
    "Mul": Scalar.MUL,
    "Div": Scalar.DIV,
    "Pow": Scalar.POW,
    "Neg": Scalar.NEG,
    "Abs": Scalar.ABS,
    "Sign": Scalar.SIGN,
    "Floor": Scalar.FLOOR,
    "Ceil": Scalar.CEIL,
    "Round": Scalar.ROUND,
    "Sqrt": Scalar.SQRT,
    "Exp": Scalar.EXP,
    "Log": Scalar.LOG,
    "Sigmoid": Scalar.SIGMOID,
    "Tanh": Scalar.TANH,
    "Erf": Scalar.ERF,
    "Sin": Scalar.SIN,
    "Cos": Scalar.COS,
    "Greater": Scalar.ABOVE,
    "GreaterOrEqual": Scalar.AT_LEAST,
    "Equal": Scalar.EQUAL,
    "And": Scalar.AND,
    "Or": Scalar.OR,
    "Not": Scalar.NOT,
    "Where": Scalar.WHERE,
}
"""Operators that are one scalar operation."""

DTYPES: Mapping[int, type[np.generic]] = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float32,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
    16: np.float32,
}
"""ONNX's element types; half precision is computed in single."""


def checked_size(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape, if an array of it can be made."""
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes) or prod(sizes) > NEAR_LIMIT:
        raise Refusal("NMC063", f"an array of shape {list(sizes)} is needed, which is impossible")
    return sizes


def fold(node: NodeIn, args: Sequence[Array | None], opset: int) -> Array | None:
    """The operator on constants; None if the operator is not one of a constant's."""
    if node.op in ELEMENTWISE:
        return _elementwise(ELEMENTWISE[node.op], [arg for arg in args if arg is not None])
    handler = _HANDLERS.get(node.op)
    if handler is None:
        return None
    return handler(node, args)


def _elementwise(op: Scalar, args: Sequence[Array]) -> Array:
    values = args[1:] if op is Scalar.WHERE else args
    real = np.result_type(*values)
    if real.kind == "f":
        result = apply(op, [np.asarray(arg).astype(real) for arg in args])
    elif op is Scalar.DIV:
        with np.errstate(all="ignore"):
            quotient = np.trunc(args[0].astype(np.float64) / args[1].astype(np.float64))
        result = np.nan_to_num(quotient).astype(real)
    elif op is Scalar.WHERE:
        result = np.where(args[0] != 0, args[1], args[2])
    else:
        wide = [np.asarray(arg).astype(np.float64) for arg in args]
        computed = apply(op, wide)
        floating = op in {Scalar.SQRT, Scalar.EXP, Scalar.LOG, Scalar.SIGMOID, Scalar.TANH}
        result = computed.astype(np.float32 if floating else (np.int64 if real.kind == "b" else real))
    if op in {Scalar.ABOVE, Scalar.AT_LEAST, Scalar.EQUAL, Scalar.AND, Scalar.OR, Scalar.NOT}:
        result = result != 0
    return np.asarray(result)


def _given(args: Sequence[Array | None], index: int) -> Array:
    arg = args[index] if index < len(args) else None
    if arg is None:
        raise Refusal("NMC061", f"argument {index} is missing")
    return arg


def integers(array: Array) -> list[int]:
    """A constant as a list of integers."""
    return [int(each) for each in np.ravel(array)]


def _cast(node: NodeIn, args: Sequence[Array | None]) -> Array:
    value = _given(args, 0)
    to = node.attrs.get("to", 1)
    if to not in DTYPES:
        raise Refusal("NMC061", f"a cast to element type {to} is not understood")
    with np.errstate(all="ignore"):
        result = value.astype(DTYPES[to])
        if to == 10:
            result = value.astype(np.float16).astype(np.float32)
    return result


def _constant_of_shape(node: NodeIn, args: Sequence[Array | None]) -> Array:
    shape = checked_size(integers(_given(args, 0)))
    value = node.attrs.get("value")
    fill = np.float32(0) if value is None else np.ravel(value)[0]
    return np.broadcast_to(np.asarray(fill), shape)


def _range(node: NodeIn, args: Sequence[Array | None]) -> Array:
    start, stop, step = (np.ravel(_given(args, index))[0] for index in range(3))
    if step == 0 or abs((float(stop) - float(start)) / float(step)) > NEAR_LIMIT:
        raise Refusal("NMC061", "a range without end")
    return np.arange(start, stop, step)


def _clip(node: NodeIn, args: Sequence[Array | None]) -> Array:
    value = _given(args, 0)
    low = args[1] if len(args) > 1 else node.attrs.get("min")
    high = args[2] if len(args) > 2 else node.attrs.get("max")
    result = value
    if low is not None:
        result = np.maximum(result, np.asarray(low, value.dtype))
    if high is not None:
        result = np.minimum(result, np.asarray(high, value.dtype))
    return result


def _reduce(function: Callable[..., Array]) -> Callable[[NodeIn, Sequence[Array | None]], Array]:
    def reduce(node: NodeIn, args: Sequence[Array | None]) -> Array:
        value = _given(args, 0)
        given = args[1] if len(args) > 1 else node.attrs.get("axes")
        axes = None if given is None or len(np.ravel(given)) == 0 else tuple(integers(np.asarray(given)))
        if axes is None and node.attrs.get("noop_with_empty_axes", 0):
            return value
        return np.asarray(function(value, axis=axes, keepdims=bool(node.attrs.get("keepdims", 1)))).astype(
            value.dtype
        )

    return reduce


def _cumsum(node: NodeIn, args: Sequence[Array | None]) -> Array:
    return np.cumsum(_given(args, 0), axis=int(np.ravel(_given(args, 1))[0]))


def _matmul(node: NodeIn, args: Sequence[Array | None]) -> Array:
    return np.matmul(_given(args, 0), _given(args, 1))


def _quantize(node: NodeIn, args: Sequence[Array | None]) -> Array:
    value, scale = _given(args, 0), _given(args, 1)
    zero = args[2] if len(args) > 2 and args[2] is not None else np.zeros((), np.uint8)
    axis = int(node.attrs.get("axis", 1))
    limits = np.iinfo(zero.dtype) if zero.dtype.kind in "iu" else np.iinfo(np.uint8)
    steps = np.rint(value / along(scale, value.ndim, axis)) + along(zero, value.ndim, axis)
    return np.clip(steps, limits.min, limits.max).astype(zero.dtype)


def _dequantize(node: NodeIn, args: Sequence[Array | None]) -> Array:
    value, scale = _given(args, 0), _given(args, 1)
    axis = int(node.attrs.get("axis", 1))
    zero = args[2] if len(args) > 2 and args[2] is not None else np.zeros((), np.int32)
    wide = value.astype(np.int32) - along(zero.astype(np.int32), value.ndim, axis)
    return wide.astype(scale.dtype) * along(scale, value.ndim, axis)


def along(parameter: Array, rank: int, axis: int) -> Array:
    """A parameter of one axis with the rank of what it applies to."""
    if parameter.size == 1 or rank == 0:
        return parameter.reshape(())
    shape = [1] * rank
    shape[axis] = parameter.size
    return parameter.reshape(shape)


def _one_hot(node: NodeIn, args: Sequence[Array | None]) -> Array:
    index, depth, values = (_given(args, number) for number in range(3))
    size = int(np.ravel(depth)[0])
    checked_size((*index.shape, size))
    hot = (np.asarray(index)[..., None] % size) == np.arange(size)
    return np.where(np.moveaxis(hot, -1, int(node.attrs.get("axis", -1))), values[1], values[0])


_HANDLERS: Mapping[str, Callable[[NodeIn, Sequence[Any]], Array]] = {
    "Cast": _cast,
    "CastLike": lambda node, args: _given(args, 0).astype(_given(args, 1).dtype),
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Clip": _clip,
    "Relu": lambda node, args: np.maximum(_given(args, 0), np.asarray(0, _given(args, 0).dtype)),
    "Reciprocal": lambda node, args: np.asarray(1, _given(args, 0).dtype) / _given(args, 0),
    "Less": lambda node, args: _given(args, 0) < _given(args, 1),
    "LessOrEqual": lambda node, args: _given(args, 0) <= _given(args, 1),
    "Xor": lambda node, args: (_given(args, 0) != 0) ^ (_given(args, 1) != 0),
    "Mod": lambda node, args: (np.fmod if node.attrs.get("fmod", 0) else np.mod)(
        _given(args, 0), _given(args, 1)
    ),
    "Min": lambda node, args: np.minimum.reduce([arg for arg in args if arg is not None]),
    "Max": lambda node, args: np.maximum.reduce([arg for arg in args if arg is not None]),
    "Sum": lambda node, args: np.add.reduce([arg for arg in args if arg is not None]),
    "Softplus": lambda node, args: np.log1p(np.exp(_given(args, 0))),
    "ReduceSum": _reduce(np.sum),
    "ReduceProd": _reduce(np.prod),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceMean": _reduce(np.mean),
    "CumSum": _cumsum,
    "MatMul": _matmul,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "NonZero": lambda node, args: np.array(np.nonzero(_given(args, 0)), np.int64),
    "OneHot": _one_hot,
}
