"""What integer operations must be: numbers present, aligned and in range, and sums proved to fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import Diagnostic, error
from nmc.ir.fixed import Overflow, align
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Arithmetic, DecayForm, Reset
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Fire,
    Linear,
    LinearOp,
    Membrane,
    Neuron,
    Scale,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
    input_shape,
    parameters,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER, join

MOST_BITS = 62
"""The widest integer that any sum may reach; 64-bit registers then never overflow in silence."""


def integer_laws(graph: Graph) -> Iterator[Diagnostic]:
    """Needs a graph that the other laws accept."""
    signals, incoming = graph.signals(), graph.incoming()
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Neuron | LinearOp | Scale | Threshold) or not _computes_in_integers(op):
            continue
        real = [edge for edge in incoming[node.name] if signals[edge.src].kind is SignalKind.REAL]
        for edge in real:
            yield _receives_real(graph, edge)
        received = join(input_shape(op), [signals[edge.src] for edge in incoming[node.name]])
        number = received.number or SPIKE_NUMBER
        if not real and number.bits > MOST_BITS:
            message = f"the inputs' sum may need {number.bits} bits or more; {MOST_BITS} are possible"
            yield error("NMC125", message, node.at())
        elif isinstance(op, LinearOp):
            yield from _linear(node, op, None if real else number)
        elif isinstance(op, Neuron):
            yield from _neuron(node, op)
            if not real and incoming[node.name]:
                yield from _alignment(node, op, number)


def _computes_in_integers(op: Neuron | LinearOp | Scale | Threshold) -> bool:
    match op:
        case Neuron():
            return op.arithmetic is not None
        case Linear() | Sparse() | Conv():
            return op.accumulator is not None
        case Scale(_, tensor) | Threshold(_, tensor):
            return tensor.number is not None


def _receives_real(graph: Graph, edge: Edge) -> Diagnostic:
    src, dst = graph[edge.src], graph[edge.dst]
    message = f"`{dst.name}` computes in integers, but `{src.name}` gives reals"
    return error("NMC120", message, dst.at(), also=(src.at(),))


def _without_number(node: Node, path: str) -> Diagnostic:
    return error("NMC121", f"`{path}` has no number format in an integer operation", node.at(path))


# ---- linear operations ------------------------------------------------------------------------------------


def _linear(node: Node, op: LinearOp, number: FixedPoint | None) -> Iterator[Diagnostic]:
    bias = None if isinstance(op, Sparse) else op.bias
    if op.weight.number is None:
        yield _without_number(node, "weight")
    if bias is not None and bias.number is None:
        yield _without_number(node, "bias")
    if op.accumulator is None or number is None or op.weight.number is None:
        return
    low, high = _sums(op, number)
    exponent = op.weight.number.exponent + number.exponent
    if bias is not None and bias.number is not None:
        finest = min(exponent, bias.number.exponent)
        up, bias_up = exponent - finest, bias.number.exponent - finest
        low = (low << up) + (min(0, int(bias.data.min())) << bias_up)
        high = (high << up) + (max(0, int(bias.data.max())) << bias_up)
        exponent = finest
    yield from _sum_fits(node, op.accumulator, low, high, exponent=exponent)


def _sums(op: LinearOp, number: FixedPoint) -> tuple[int, int]:
    """The least and the largest sum of weights times input mantissas that the actual weights allow."""
    weight = op.weight.data.astype(np.int64)
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    low, high = 0, 0
    for up, down in zip(_totals(op, positive), _totals(op, negative), strict=True):
        high = max(high, int(up) * number.highest + int(down) * number.lowest)
        low = min(low, int(up) * number.lowest + int(down) * number.highest)
    return low, high


def _totals(op: LinearOp, weight: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of weights into each neuron, or into each channel of a convolution."""
    if isinstance(op, Sparse):
        totals = np.zeros(int(op.post.data.max(initial=0)) + 1, np.int64)
        np.add.at(totals, op.post.data, weight)
        return totals
    return weight.reshape(weight.shape[0], -1).sum(axis=1)


def _sum_fits(
    node: Node, accumulator: Accumulator, low: int, high: int, *, exponent: int
) -> Iterator[Diagnostic]:
    number = accumulator.number
    shift = exponent - number.exponent
    reach = max(high, -low) << max(0, shift)
    if reach.bit_length() >= MOST_BITS:
        message = f"a sum may need {reach.bit_length() + 1} bits; {MOST_BITS} are possible"
        yield error("NMC125", message, node.at())
    elif accumulator.overflow is Overflow.PROVED_ABSENT:
        least, most = (align(bound, shift, accumulator.rounding) for bound in (low, high))
        if least < number.lowest or most > number.highest:
            message = (
                f"a sum may be {least} to {most}, the accumulator {number} holds {number.lowest} to "
                f"{number.highest}, and its overflow is said to be absent"
            )
            yield error("NMC125", message, node.at("accumulator"))


# ---- neurons ----------------------------------------------------------------------------------------------


def _neuron(node: Node, op: Neuron) -> Iterator[Diagnostic]:
    """First that every number is there and aligns exactly to the state; then that the arithmetic has it."""
    findings = [
        finding for path, tensor in parameters(op).items() for finding in _number(node, op, path, tensor)
    ]
    yield from findings
    arithmetic = op.arithmetic
    if findings or arithmetic is None:
        return
    yield from _membrane(node, op.membrane, op.exponent, arithmetic)
    if op.synapse is not None:
        yield from _synapse(node, op.synapse, op.exponent, arithmetic)
    if op.fire is not None:
        yield from _fire(node, op.fire, op.exponent, arithmetic)
    if op.clock is not None and not arithmetic.clocked:
        yield _cannot(node, "clock", "steps that it lets pass")


def _number(node: Node, op: Neuron, path: str, tensor: Tensor) -> Iterator[Diagnostic]:
    if path.endswith("gain"):
        yield error(
            "NMC124", f"`{path}` in an integer neuron", node.at(path), help="fold it into the weights"
        )
    elif path == "fire.refractory":
        return
    elif tensor.number is None:
        yield _without_number(node, path)
    elif not path.endswith("decay") and tensor.number.exponent < op.exponent:
        message = (
            f"`{path}` has the exponent {tensor.number.exponent}, finer than {op.exponent} of the state, so "
            "it does not align exactly"
        )
        yield error("NMC122", message, node.at(path))


def _membrane(node: Node, part: Membrane, exponent: int, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    yield from _state(node, "membrane.initial", part.initial, _Register(exponent, arithmetic.v_bits))
    if part.decay is not None:
        yield from _decay(node, "membrane.decay", part.decay, arithmetic)
        yield from _shared(node, "membrane.decay", part.decay, arithmetic, name="decay")
    if part.minimum is not None:
        yield from _state(node, "membrane.minimum", part.minimum, _Register(exponent, arithmetic.v_bits))
        if not arithmetic.minimum:
            yield _cannot(node, "membrane.minimum", "a lower bound on the membrane")
    if part.bias is not None:
        yield from _bias(node, part.bias, exponent, arithmetic)
        yield from _shared(node, "membrane.bias", part.bias, arithmetic, name="bias")


def _synapse(node: Node, part: Synapse, exponent: int, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    yield from _state(node, "synapse.initial", part.initial, _Register(exponent, arithmetic.i_bits))
    yield from _decay(node, "synapse.decay", part.decay, arithmetic)
    yield from _shared(node, "synapse.decay", part.decay, arithmetic, name="synapse_decay")


def _fire(node: Node, part: Fire, exponent: int, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    if part.comparison not in arithmetic.comparisons:
        yield _cannot(node, "fire.comparison", f"the comparison `{part.comparison.name.lower()}`")
    if part.reset is not Reset.NONE and (part.reset, part.when) not in arithmetic.resets:
        what = f"the reset `{part.reset.name.lower()}`, `{part.when.name.lower()}`"
        yield _cannot(node, "fire.reset", what)
    longest = int(part.refractory.data.max(initial=0))
    if longest > arithmetic.refractory:
        yield _cannot(
            node, "fire.refractory", f"{longest} refractory steps, but {arithmetic.refractory} at most"
        )
    yield from _state(node, "fire.value", part.value, _Register(exponent, arithmetic.v_bits))
    yield from _threshold(node, part.threshold, exponent, arithmetic)
    yield from _shared(node, "fire.threshold", part.threshold, arithmetic, name="threshold")


def _cannot(node: Node, path: str, what: str) -> Diagnostic:
    return error("NMC124", f"the arithmetic of `{node.name}` does not have {what}", node.at(path))


@dataclass(frozen=True, slots=True)
class _Register:
    """A signed state register: its unit 2**exponent and its width."""

    exponent: int
    bits: int


def _state(node: Node, path: str, tensor: Tensor, register: _Register) -> Iterator[Diagnostic]:
    low, high = _units(tensor, register.exponent)
    limit = 1 << (register.bits - 1)
    if low < -limit or high >= limit:
        message = f"`{path}` is {low} to {high} in units of the state, which has {register.bits} bits"
        yield error("NMC123", message, node.at(path))


def _units(tensor: Tensor, exponent: int) -> tuple[int, int]:
    """The least and the largest mantissa in units of 2**exponent."""
    shift = _shift(tensor, exponent)
    return int(tensor.data.min()) << shift, int(tensor.data.max()) << shift


def _shift(tensor: Tensor, exponent: int) -> int:
    return 0 if tensor.number is None else tensor.number.exponent - exponent


def _decay(node: Node, path: str, tensor: Tensor, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    n = arithmetic.decay_bits
    limits = arithmetic.v_decays if path == "membrane.decay" else arithmetic.i_decays
    lowest, highest = limits or (0, 1 << n)
    low, high = int(tensor.data.min()), int(tensor.data.max())
    if arithmetic.decay_form is DecayForm.NONE:
        yield _cannot(node, path, "a decay")
    elif tensor.number != FixedPoint(n + 1, False, -n):
        message = f"`{path}` is {tensor.number}; this arithmetic takes {FixedPoint(n + 1, False, -n)}"
        yield error("NMC123", message, node.at(path))
    elif low < lowest or high > highest:
        message = f"`{path}` has mantissas {low} to {high}; this arithmetic takes {lowest} to {highest}"
        yield error("NMC123", message, node.at(path))


def _threshold(node: Node, tensor: Tensor, exponent: int, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    low, high = _units(tensor, exponent)
    highest = ((1 << arithmetic.threshold_bits) - 1) << arithmetic.threshold_shift
    coarser = max(0, arithmetic.threshold_shift - _shift(tensor, exponent))
    if low < 0 or high > highest or (tensor.data & ((1 << coarser) - 1)).any():
        message = (
            f"thresholds are {low} to {high} in units of the state; possible are the multiples of "
            f"{1 << arithmetic.threshold_shift} up to {highest}"
        )
        yield error("NMC123", message, node.at("fire.threshold"))


def _bias(node: Node, tensor: Tensor, exponent: int, arithmetic: Arithmetic) -> Iterator[Diagnostic]:
    """A bias is mantissa << k with one k of 0 .. bias_shift for each neuron; the largest is the narrowest."""
    shift = _shift(tensor, exponent)
    mantissa = tensor.data.astype(np.int64)
    for _ in range(arithmetic.bias_shift - shift):
        mantissa = np.where(mantissa & 1 == 0, mantissa >> 1, mantissa)
    up = max(0, shift - arithmetic.bias_shift)
    low, high = int(mantissa.min()) << up, int(mantissa.max()) << up
    limit = 1 << max(0, arithmetic.bias_bits - 1)
    if arithmetic.bias_bits == 0:
        yield _cannot(node, "membrane.bias", "a bias")
    elif low < -limit or high >= limit:
        message = (
            f"bias mantissas are {low} to {high} after a shift of at most {arithmetic.bias_shift}; "
            f"{arithmetic.bias_bits} signed bits hold {-limit} to {limit - 1}"
        )
        yield error("NMC123", message, node.at("membrane.bias"))


def _shared(
    node: Node, path: str, tensor: Tensor, arithmetic: Arithmetic, *, name: str
) -> Iterator[Diagnostic]:
    if name not in arithmetic.heterogeneous and (tensor.data != tensor.data.flat[0]).any():
        yield _cannot(node, path, f"a `{path}` that differs between neurons")


def _alignment(node: Node, op: Neuron, number: FixedPoint) -> Iterator[Diagnostic]:
    """The summed input, shifted to the state's unit, stays within `MOST_BITS`."""
    shift = max(0, number.exponent - op.exponent)
    if number.bits + shift > MOST_BITS:
        message = (
            f"the input {number} may need {number.bits + shift} bits at the state's exponent {op.exponent}; "
            f"{MOST_BITS} are possible"
        )
        yield error("NMC125", message, node.at())
