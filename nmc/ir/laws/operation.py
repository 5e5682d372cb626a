"""What one operation must be by itself: shapes, ranges and geometry, whatever it is connected to."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from nmc.diagnostics import Diagnostic, error, warning
from nmc.ir.graph import Node
from nmc.ir.neuron import Reset
from nmc.ir.ops import (
    COUNTS,
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Flatten,
    Input,
    Linear,
    MatMul,
    Neuron,
    Ode,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Shape,
    SignalKind,
    Sparse,
    Threshold,
    Transpose,
    parameters,
)
from nmc.ir.program import ARITY, Program
from nmc.ir.tensor import Tensor

SHAPE_CODES = frozenset({"NMC110", "NMC115", "NMC116"})
"""Findings after which the shape that an operation takes or gives is not defined."""


def operation_laws(node: Node) -> Iterator[Diagnostic]:
    """Everything that is wrong with the operation of one node."""
    yield from _tensors(node)
    match node.op:
        case Input(signal):
            yield from _shape(node, "signal", signal.shape)
            if (signal.kind is SignalKind.GRADED) != (signal.number is not None):
                message = (
                    f"a signal is graded if and only if it has a number; this one is {signal.kind.value}"
                )
                yield error("NMC112", message, node.at("signal"))
        case Linear():
            yield from _linear(node, node.op)
        case Sparse():
            yield from _sparse(node, node.op)
        case Conv():
            yield from _conv(node, node.op)
        case Pool():
            yield from _pool(node, node.op)
        case Flatten(in_shape, start, end):
            yield from _shape(node, "in_shape", in_shape)
            if not 0 <= start <= end < len(in_shape):
                message = f"axes {start} to {end} of a signal of shape {list(in_shape)}"
                yield error("NMC116", message, node.at(), help=f"axes are 0 to {len(in_shape) - 1}, in order")
        case Output(shape):
            yield from _shape(node, "shape", shape)
        case Scale(shape) | Delay(shape) | DelayLine(shape) | Threshold(shape):
            yield from _population(node, shape)
            if isinstance(node.op, DelayLine) and (node.op.seconds.values < 0).any():
                message = f"`seconds` is {node.op.seconds.values.min():g}; it cannot be negative"
                yield error("NMC112", message, node.at("seconds"))
        case Ode() | Neuron():
            yield from _population(node, node.op.shape)
            yield from _neuron(node, node.op)
            clock = node.op.clock if isinstance(node.op, Neuron) else None
            if clock is not None and not 0 <= clock.phase < clock.every:
                message = f"a clock of every {clock.every} steps has no phase {clock.phase}"
                yield error("NMC119", message, node.at("clock"))
        case Elementwise(shape, program, initial):
            yield from _population(node, shape)
            yield from _program(node, program, len(initial))
        case MatMul(a_shape, b_shape):
            yield from _shape(node, "a_shape", a_shape)
            yield from _shape(node, "b_shape", b_shape)
            if not _multiplies(a_shape, b_shape):
                message = f"a product of shapes {list(a_shape)} and {list(b_shape)}"
                yield error("NMC116", message, node.at())
        case Reshape(in_shape, out_shape):
            yield from _shape(node, "in_shape", in_shape)
            yield from _shape(node, "out_shape", out_shape)
            if prod(in_shape) != prod(out_shape):
                message = f"{prod(in_shape)} elements of shape {list(in_shape)} in shape {list(out_shape)}"
                yield error("NMC116", message, node.at())
        case Transpose(in_shape, axes):
            yield from _shape(node, "in_shape", in_shape)
            if sorted(axes) != list(range(len(in_shape))):
                yield error("NMC116", f"axes {list(axes)} of a signal of shape {list(in_shape)}", node.at())


# ---- tensors ----------------------------------------------------------------------------------------------


def _tensors(node: Node) -> Iterator[Diagnostic]:
    for path, tensor in parameters(node.op).items():
        whole = tensor.data.dtype.kind == "i"
        if path in COUNTS:
            if not whole or tensor.number is not None:
                message = f"`{path}` counts and needs plain integers, not {_format(tensor)}"
                yield error("NMC112", message, node.at(path))
            elif tensor.size and int(tensor.data.min()) < 0:
                message = f"`{path}` is {int(tensor.data.min())}; it cannot be negative"
                yield error("NMC112", message, node.at(path))
        elif whole and tensor.number is None:
            message = f"`{path}` holds integers without a number format"
            yield error(
                "NMC112", message, node.at(path), help="give reals, or a FixedPoint beside the mantissas"
            )
        elif not whole and not np.isfinite(tensor.data).all():
            bad = tensor.data[~np.isfinite(tensor.data)]
            message = (
                f"`{path}` holds {bad.size} of {tensor.size} values that are not finite, such as {bad[0]}"
            )
            yield error("NMC111", message, node.at(path))


def _format(tensor: Tensor) -> str:
    return str(tensor.data.dtype) if tensor.number is None else str(tensor.number)


def _shape(node: Node, field: str, shape: Shape) -> Iterator[Diagnostic]:
    if not shape or any(size < 1 for size in shape):
        message = f"`{field}` is {list(shape)}; a signal has at least one axis and no empty one"
        yield error("NMC110", message, node.at(field))


def _population(node: Node, shape: Shape) -> Iterator[Diagnostic]:
    yield from _shape(node, "shape", shape)
    for path, tensor in parameters(node.op).items():
        if not _broadcasts(tensor.shape, shape):
            message = f"`{path}` has shape {list(tensor.shape)}, which does not broadcast to {list(shape)}"
            yield error("NMC110", message, node.at(path))


def _broadcasts(shape: Shape, to: Shape) -> bool:
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(a in {1, b} for a, b in zip(shape, tail, strict=True))


# ---- linear operations ------------------------------------------------------------------------------------


def _linear(node: Node, op: Linear) -> Iterator[Diagnostic]:
    if len(op.weight.shape) != 2 or op.weight.size == 0:
        message = f"`weight` has shape {list(op.weight.shape)}; a matrix (post, pre) is needed"
        yield error("NMC110", message, node.at("weight"))
    else:
        yield from _bias(node, op.bias, op.weight.shape[0])


def _bias(node: Node, bias: Tensor | None, post: int) -> Iterator[Diagnostic]:
    if bias is not None and bias.shape != (post,):
        message = f"`bias` has shape {list(bias.shape)}, the weight has {post} rows"
        yield error("NMC110", message, node.at("bias"))


def _sparse(node: Node, op: Sparse) -> Iterator[Diagnostic]:
    yield from _shape(node, "in_shape", op.in_shape)
    yield from _shape(node, "out_shape", op.out_shape)
    shapes = {path: tensor.shape for path, tensor in parameters(op).items()}
    if len(set(shapes.values())) > 1 or len(op.pre.shape) != 1:
        listed = ", ".join(f"`{path}` {list(shape)}" for path, shape in shapes.items())
        yield error("NMC110", f"synapses need arrays of one axis and equal length: {listed}", node.at())
        return
    for path, tensor, shape in (("pre", op.pre, op.in_shape), ("post", op.post, op.out_shape)):
        if tensor.size and int(tensor.data.max()) >= prod(shape):
            message = f"`{path}` names neuron {int(tensor.data.max())} of {prod(shape)}"
            yield error("NMC117", message, node.at(path))
    if op.pre.size > 1:
        yield from _synapse_order(node, op)


def _synapse_order(node: Node, op: Sparse) -> Iterator[Diagnostic]:
    """Triples (pre, delay, post) must rise strictly."""
    pre, delay, post = (np.diff(tensor.data) for tensor in (op.pre, op.delay, op.post))
    rises = (pre > 0) | ((pre == 0) & ((delay > 0) | ((delay == 0) & (post > 0))))
    if not rises.all():
        first = int(np.argmin(rises))
        both = [
            f"(pre {op.pre.data[at]}, delay {op.delay.data[at]}, post {op.post.data[at]})"
            for at in (first, first + 1)
        ]
        message = f"synapses {first} and {first + 1} are {both[0]} and {both[1]}"
        help_ = "order synapses by (pre, delay, post) and merge equal ones"
        yield error("NMC118", message, node.at(), help=help_)


# ---- windows ----------------------------------------------------------------------------------------------


def _conv(node: Node, op: Conv) -> Iterator[Diagnostic]:
    space = len(op.in_shape) - 1
    yield from _shape(node, "in_shape", op.in_shape)
    if space not in {1, 2} or len(op.weight.shape) != 2 + space or op.weight.size == 0:
        message = (
            f"`weight` has shape {list(op.weight.shape)} for an input of shape {list(op.in_shape)}; "
            "(out, in / groups, *kernel) is needed for (channel, *space) with one or two axes of space"
        )
        yield error("NMC115", message, node.at("weight"))
        return
    out, per_group = op.weight.shape[:2]
    if op.groups < 1 or per_group * op.groups != op.in_shape[0] or out % max(1, op.groups):
        message = (
            f"{op.groups} groups of {per_group} channels into {out} channels, from {op.in_shape[0]} channels"
        )
        help_ = (
            "groups times the weight's second axis is the input's channels, and groups divide the output's"
        )
        yield error("NMC115", message, node.at("groups"), help=help_)
    yield from _bias(node, op.bias, out)
    yield from _window(
        node,
        op.in_shape,
        kernel=op.weight.shape[2:],
        stride=op.stride,
        padding=op.padding,
        dilation=op.dilation,
    )


def _pool(node: Node, op: Pool) -> Iterator[Diagnostic]:
    yield from _shape(node, "in_shape", op.in_shape)
    space = len(op.in_shape) - 1
    if space not in {1, 2}:
        message = (
            f"an input of shape {list(op.in_shape)}; (channel, *space) is needed, one or two axes of space"
        )
        yield error("NMC115", message, node.at("in_shape"))
        return
    ones = (1,) * space
    yield from _window(
        node, op.in_shape, kernel=op.kernel, stride=op.stride, padding=op.padding, dilation=ones
    )
    if op.pooling is Pooling.MAX:
        for k, pads in zip(op.kernel, op.padding, strict=False):
            if max(pads) >= k:
                message = f"a maximum over padding alone: padding {list(pads)}, kernel {k}"
                yield error("NMC115", message, node.at("padding"))


def _window(
    node: Node,
    in_shape: Shape,
    *,
    kernel: Shape,
    stride: Shape,
    padding: tuple[tuple[int, int], ...],
    dilation: Shape,
) -> Iterator[Diagnostic]:
    """Strides and the like are positive, one for each axis of space, and a kernel fits into its input."""
    space = in_shape[1:]
    fields = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    uneven = {name: value for name, value in fields.items() if len(value) != len(space)}
    for name, value in uneven.items():
        message = f"`{name}` has {len(value)} entries for {len(space)} axes of space"
        yield error("NMC115", message, node.at(name))
    counts = {"kernel": kernel, "stride": stride, "dilation": dilation}
    low = {name: values for name, values in counts.items() if any(value < 1 for value in values)}
    for name, values in low.items():
        yield error("NMC115", f"`{name}` is {list(values)}; at least 1 is needed", node.at(name))
    if any(pad < 0 for pads in padding for pad in pads):
        message = f"`padding` is {[list(pads) for pads in padding]}; it cannot be negative"
        yield error("NMC115", message, node.at("padding"))
    elif not uneven and not low:
        for axis, (size, k, (before, after), d) in enumerate(
            zip(space, kernel, padding, dilation, strict=True)
        ):
            extent = d * (k - 1) + 1
            if extent > size + before + after:
                message = (
                    f"a kernel that spans {extent} on an axis of {size} with {before + after} of padding"
                )
                yield error("NMC115", message, node.at("kernel"), help=f"axis {axis + 1} of {list(in_shape)}")


def _multiplies(a: Shape, b: Shape) -> bool:
    """Whether numpy.matmul takes shapes of equally many axes."""
    if len(a) != len(b) or len(a) < 2:
        return False
    return a[-1] == b[-2] and all(m == n or 1 in {m, n} for m, n in zip(a[:-2], b[:-2], strict=True))


# ---- neurons ----------------------------------------------------------------------------------------------


def _neuron(node: Node, op: Ode | Neuron) -> Iterator[Diagnostic]:
    if isinstance(op, Ode):
        for path, tau in (("tau_syn", op.tau_syn), ("tau_mem", op.tau_mem)):
            if tau is not None and (tau.values <= 0).any():
                message = f"`{path}` is {tau.values.min():g} s; a time constant is positive"
                yield error("NMC112", message, node.at(path))
        return
    decays = {"synapse.decay": op.synapse and op.synapse.decay, "membrane.decay": op.membrane.decay}
    for path, decay in decays.items():
        if decay is not None and ((decay.values < 0) | (decay.values > 1)).any():
            low, high = decay.values.min(), decay.values.max()
            message = f"`{path}` is {low:g} to {high:g}; what is outside 0 to 1 oscillates or grows"
            yield warning("NMC113", message, node.at(path))
    fire = op.fire
    if fire is None:
        return
    if fire.reset is not Reset.TO_VALUE and fire.value.data.any():
        message = f"a reset to {fire.value.values.flat[0]:g}, but the reset is `{fire.reset.name.lower()}`"
        yield error("NMC112", message, node.at("fire.value"))
    if fire.reset is Reset.MULTI_SPIKE and (fire.threshold.values <= 0).any():
        message = f"a threshold of {fire.threshold.values.min():g}; several spikes a step need a positive one"
        yield error("NMC112", message, node.at("fire.threshold"))


def _program(node: Node, program: Program, initial: int) -> Iterator[Diagnostic]:
    """Instructions have their arguments, which come before them; each state has one value before and after."""
    states = len(program.states)
    if not states == len(program.next) == initial:
        message = f"{states} states with {initial} initial and {len(program.next)} new values"
        yield error("NMC114", message, node.at("program"))
    known = len(program.inputs) + states + len(program.constants)
    for number, instruction in enumerate(program.code):
        if len(instruction.args) != ARITY[instruction.op]:
            message = f"`{instruction.op.value}` takes {ARITY[instruction.op]} arguments, not {len(instruction.args)}"
            yield error("NMC114", f"instruction {number}: {message}", node.at("program"))
        if not all(0 <= arg < known + number for arg in instruction.args):
            message = (
                f"instruction {number} takes values {list(instruction.args)} of {known + number} before it"
            )
            yield error("NMC114", message, node.at("program"))
    results = (program.output, *program.next)
    if not all(0 <= index < known + len(program.code) for index in results):
        message = f"results are values {list(results)} of {known + len(program.code)}"
        yield error("NMC114", message, node.at("program"))
