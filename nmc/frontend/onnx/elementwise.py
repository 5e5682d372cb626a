"""Operators on each element, each as the scalar operations it consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np

from nmc.frontend.onnx.fold import ELEMENTWISE, along
from nmc.frontend.onnx.movement import Args, data, known, optional
from nmc.frontend.onnx.read import NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.values import Noise, Space, Traced, Value
from nmc.ir.program import TRUTH, Scalar
from nmc.ir.tensor import Array


class Builder:
    """Scalar operations on values and constants, as expressions."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def __call__(self, op: Scalar, *args: Value | Array | float) -> Value | Array:
        """The operation, folded if all its arguments are constants."""
        ready = [arg if isinstance(arg, Value) else np.asarray(arg, _real(arg)) for arg in args]
        if not any(isinstance(arg, Value) for arg in ready):
            return self.space.tiles.arrays[_folded(self.space, op, ready)]
        kinds = {arg.kind if isinstance(arg, Value) else "i" for arg in ready}
        kind = "b" if op in TRUTH else "i" if kinds <= {"i", "b"} else "f"
        return self.space.elementwise(op, ready, kind)


def _real(arg: object) -> np.dtype[np.generic]:
    double = isinstance(arg, np.ndarray) and arg.dtype == np.float64
    return np.dtype(np.float64 if double else np.float32)


def _folded(space: Space, op: Scalar, args: Sequence[Value | Array]) -> int:
    arrays = [arg for arg in args if not isinstance(arg, Value)]
    tile = space.tiles.scalar(op, [space.tiles.const(array) for array in arrays])
    number = space.tiles.attrs[tile]
    assert isinstance(number, int)
    return number


def _plain(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    op = ELEMENTWISE[node.op]
    if any(isinstance(arg, Noise) for arg in args):
        return [_noise(node, args)]
    build = Builder(space)
    result = build(op, *[data(args, place) for place in range(len(args))])
    whole = [arg.kind if isinstance(arg, Value) else data(args, k) for k, arg in enumerate(args)]
    if op is Scalar.DIV and all((isinstance(each, str) and each in "ib") or _integer(each) for each in whole):
        result = build(Scalar.TRUNC, result)
    return [result]


def _integer(each: object) -> bool:
    return isinstance(each, np.ndarray) and each.dtype.kind in "iub"


def _noise(node: NodeIn, args: Args) -> Traced:
    noise = next(arg for arg in args if isinstance(arg, Noise))
    other = next((arg for arg in args if isinstance(arg, np.ndarray)), None)
    if node.op == "Mul" and other is not None and not other.any():
        return np.broadcast_to(np.float32(0), np.broadcast_shapes(noise.shape, other.shape))
    data([noise])
    raise AssertionError


def _variadic(op: Scalar) -> Callable[[Space, NodeIn, Args], list[Traced]]:
    def handler(space: Space, node: NodeIn, args: Args) -> list[Traced]:
        build = Builder(space)
        result = data(args)
        for place in range(1, len(args)):
            result = build(op, result, data(args, place))
        return [build(Scalar.DIV, result, float(len(args)))] if node.op == "Mean" else [result]

    return handler


def _less(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    op = Scalar.ABOVE if node.op == "Less" else Scalar.AT_LEAST
    return [Builder(space)(op, data(args, 1), data(args))]


def _xor(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    build = Builder(space)
    return [build(Scalar.NOT, build(Scalar.EQUAL, truth(build, data(args)), truth(build, data(args, 1))))]


def truth(build: Builder, value: Value | Array) -> Value | Array:
    """The value as 0 or 1."""
    if isinstance(value, Value) and value.kind == "b":
        return value
    return build(Scalar.NOT, build(Scalar.EQUAL, value, 0.0))


def _cast(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    if isinstance(args[0], Noise):
        return [args[0]]
    value = data(args)
    to = int(node.attrs.get("to", 1))
    if not isinstance(value, Value):
        raise Refusal("NMC061", "a cast of a constant that cannot be folded")
    build = Builder(space)
    if to == 9:
        return [truth(build, value)]
    if to in {1, 10, 11, 16} or node.op == "CastLike":
        return [Value(value.axes, value.tiles, "f")]
    if to not in {2, 3, 4, 5, 6, 7, 12, 13}:
        raise Refusal("NMC061", f"a cast to element type {to} is not understood")
    result = value if value.kind in "ib" else build(Scalar.TRUNC, value)
    assert isinstance(result, Value)
    return [Value(result.axes, result.tiles, "i")]


def _clip(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    build = Builder(space)
    result = data(args)
    low = optional(args, 1, "a bound") if len(args) > 1 else node.attrs.get("min")
    high = optional(args, 2, "a bound") if len(args) > 2 else node.attrs.get("max")
    if low is not None and float(np.max(low)) > -3e38:
        result = build(Scalar.MAX, result, low)
    if high is not None and float(np.min(high)) < 3e38:
        result = build(Scalar.MIN, result, high)
    return [result]


def _activation(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    """Activation functions of one argument."""
    build = Builder(space)
    x = data(args)
    attrs = node.attrs
    zero = 0.0
    match node.op:
        case "Relu":
            return [build(Scalar.MAX, x, zero)]
        case "Reciprocal":
            return [build(Scalar.DIV, 1.0, x)]
        case "LeakyRelu":
            negative = build(Scalar.MUL, build(Scalar.MIN, x, zero), float(attrs.get("alpha", 0.01)))
            return [build(Scalar.ADD, build(Scalar.MAX, x, zero), negative)]
        case "PRelu":
            slope = build(Scalar.MUL, build(Scalar.MIN, x, zero), data(args, 1))
            return [build(Scalar.ADD, build(Scalar.MAX, x, zero), slope)]
        case "ThresholdedRelu":
            passes = build(Scalar.ABOVE, x, float(attrs.get("alpha", 1.0)))
            return [build(Scalar.MUL, x, passes)]
        case "HardSigmoid":
            line = build(
                Scalar.ADD,
                build(Scalar.MUL, x, float(attrs.get("alpha", 0.2))),
                float(attrs.get("beta", 0.5)),
            )
            return [build(Scalar.MIN, build(Scalar.MAX, line, zero), 1.0)]
        case "HardSwish":
            line = build(Scalar.ADD, build(Scalar.MUL, x, 1 / 6), 0.5)
            return [build(Scalar.MUL, x, build(Scalar.MIN, build(Scalar.MAX, line, zero), 1.0))]
        case "Swish":
            return [
                build(
                    Scalar.MUL, x, build(Scalar.SIGMOID, build(Scalar.MUL, x, float(attrs.get("alpha", 1.0))))
                )
            ]
        case "Softplus":
            return [build(Scalar.LOG, build(Scalar.ADD, build(Scalar.EXP, x), 1.0))]
        case "Softsign":
            return [build(Scalar.DIV, x, build(Scalar.ADD, build(Scalar.ABS, x), 1.0))]
        case "Elu":
            curve = build(Scalar.SUB, build(Scalar.EXP, build(Scalar.MIN, x, zero)), 1.0)
            scaled = build(Scalar.MUL, curve, float(attrs.get("alpha", 1.0)))
            return [build(Scalar.ADD, build(Scalar.MAX, x, zero), scaled)]
        case _:
            inner = build(Scalar.ERF, build(Scalar.DIV, x, sqrt(2.0)))
            if attrs.get("approximate", "none") == "tanh":
                cubic = build(Scalar.MUL, build(Scalar.MUL, build(Scalar.MUL, x, x), x), 0.044715)
                inner = build(Scalar.TANH, build(Scalar.MUL, build(Scalar.ADD, x, cubic), sqrt(2 / np.pi)))
            return [build(Scalar.MUL, build(Scalar.MUL, x, 0.5), build(Scalar.ADD, inner, 1.0))]


def _mod(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    build = Builder(space)
    x, y = data(args), data(args, 1)
    if not node.attrs.get("fmod", 0):
        return [build(Scalar.MOD, x, y)]
    whole = build(Scalar.TRUNC, build(Scalar.DIV, x, y))
    return [build(Scalar.SUB, x, build(Scalar.MUL, whole, y))]


def _dropout(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    training = optional(args, 2, "a mode")
    ratio = optional(args, 1, "a ratio")
    if training is not None and bool(training.ravel()[0]) and (ratio is None or float(ratio.ravel()[0]) > 0):
        raise Refusal("NMC056", "dropout is active", help="call `model.eval()` before the export")
    return [value, np.asarray(True)]


def _quantize(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    build = Builder(space)
    value, scale = data(args), known(args, 1, "a scale")
    zero = optional(args, 2, "a zero point")
    zero = np.zeros((), np.uint8) if zero is None else zero
    rank = len(space.dims(value)) if isinstance(value, Value) else value.ndim
    axis = int(node.attrs.get("axis", 1))
    limits = np.iinfo(zero.dtype) if zero.dtype.kind in "iu" else np.iinfo(np.uint8)
    steps = build(Scalar.ROUND, build(Scalar.DIV, value, along(scale, rank, axis)))
    moved = build(Scalar.ADD, steps, along(zero.astype(np.float32), rank, axis))
    result = build(Scalar.MIN, build(Scalar.MAX, moved, float(limits.min)), float(limits.max))
    return [result]


def _dequantize(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    build = Builder(space)
    value, scale = data(args), known(args, 1, "a scale")
    zero = optional(args, 2, "a zero point")
    rank = len(space.dims(value)) if isinstance(value, Value) else value.ndim
    axis = int(node.attrs.get("axis", 1))
    if zero is not None:
        value = build(Scalar.SUB, value, along(zero.astype(np.float32), rank, axis))
    result = build(Scalar.MUL, value, along(scale, rank, axis))
    assert isinstance(result, Value)
    return [Value(result.axes, result.tiles, "f")]


def _random(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    if args:
        arg = args[0]
        shape = space.dims(arg) if isinstance(arg, Value) else arg.shape if arg is not None else ()
    else:
        shape = tuple(int(size) for size in node.attrs.get("shape", ()))
    spread = float(node.attrs.get("scale", 1.0)) if "Normal" in node.op else 1.0
    if spread == 0.0:
        return [np.broadcast_to(np.float32(node.attrs.get("mean", 0.0)), shape)]
    return [Noise(shape, node.op)]


_ACTIVATIONS = [
    "Relu",
    "Reciprocal",
    "LeakyRelu",
    "PRelu",
    "ThresholdedRelu",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Softplus",
    "Softsign",
    "Elu",
    "Gelu",
]

HANDLERS: Mapping[str, Callable[[Space, NodeIn, Args], list[Traced]]] = {
    **dict.fromkeys(ELEMENTWISE, _plain),
    **dict.fromkeys(_ACTIVATIONS, _activation),
    **dict.fromkeys(("Less", "LessOrEqual"), _less),
    **dict.fromkeys(
        (
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "Bernoulli",
            "Multinomial",
        ),
        _random,
    ),
    "Sum": _variadic(Scalar.ADD),
    "Mean": _variadic(Scalar.ADD),
    "Min": _variadic(Scalar.MIN),
    "Max": _variadic(Scalar.MAX),
    "Xor": _xor,
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Mod": _mod,
    "Dropout": _dropout,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
