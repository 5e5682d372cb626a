"""The closed union of operations. Each is a frozen value; nothing is a convention.

Shapes are of one sample at one step, without batch and time. Images are (channel, y, x), weights (post, pre).
A parameter `Tensor` of a population broadcasts to the population's shape by numpy's rules: a scalar is shared
by all, (channel, 1, 1) is one a channel, the full shape is one a neuron. Parameters are reals or mantissas
with a number; those of `COUNTS` are plain integers.

Every operation has one output. Its inputs are ports; edges into the same port are summed. All operations here
have the one port `""`; operations with several (gates, products of two activations) name theirs in `ports`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import assert_never

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.program import Program
from nmc.ir.tensor import FixedPoint, Tensor

Shape = tuple[int, ...]


class SignalKind(Enum):
    """What an edge carries."""

    SPIKE = "spike"
    """0 or 1, for every neuron and step."""
    GRADED = "graded"
    """Integers with a `FixedPoint`."""
    REAL = "real"


@dataclass(frozen=True, slots=True)
class Signal:
    """The type of an output: its shape, its kind and, for graded signals, its number format."""

    shape: Shape
    kind: SignalKind
    number: FixedPoint | None = None


@dataclass(frozen=True, slots=True)
class Accumulator:
    """How a linear operation sums in integers: exactly, then once onto `number` with rounding and overflow.

    Lava's negative weight exponents are the case where the rounding drops bits: floor of the sum.
    """

    number: FixedPoint
    rounding: Rounding
    overflow: Overflow


# ---- ends -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """Where a signal enters the graph."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Output:
    """Where a signal leaves the graph: the value of its input."""

    shape: Shape


# ---- linear operations ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linear:
    """weight @ x + bias; x (pre,), weight (post, pre), bias (post,)."""

    weight: Tensor
    bias: Tensor | None = None
    accumulator: Accumulator | None = None


@dataclass(frozen=True, slots=True)
class Sparse:
    """Synapses one by one, each with a delay of its own: y[t, post] = sum of weight * x[t - delay, pre].

    Arrays (synapses,), ordered by (pre, delay, post), the triple unique; x and y are flattened in C order to
    `in_shape` and `out_shape`. Delays are steps >= 0. A delay that all synapses share belongs on the edge.
    """

    in_shape: Shape
    out_shape: Shape
    pre: Tensor
    post: Tensor
    weight: Tensor
    delay: Tensor
    accumulator: Accumulator | None = None


@dataclass(frozen=True, slots=True)
class Conv:
    """Cross-correlation over (channel, *space), space of one or two axes; weight (out, in / groups, *kernel).

    `padding` is (before, after) per axis, in zeros.
    """

    in_shape: Shape
    weight: Tensor
    bias: Tensor | None
    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int
    accumulator: Accumulator | None = None


class Pooling(Enum):
    """What a pool makes of its window."""

    SUM = "sum"
    AVERAGE = "average"
    """The sum over kernel size, padding counted, as NIR and PyTorch's default do."""
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Pool:
    """A window that slides over (channel, *space), space of one or two axes.

    `padding` is (before, after) per axis, in zeros; a maximum takes no notice of it.
    """

    in_shape: Shape
    pooling: Pooling
    kernel: Shape
    stride: Shape
    padding: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """x * factor, elementwise; factor broadcasts to `shape`."""

    shape: Shape
    factor: Tensor


@dataclass(frozen=True, slots=True)
class Flatten:
    """Axes `start` to `end`, inclusive and not negative, become one; C order."""

    in_shape: Shape
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Delay:
    """y[t] = x[t - steps], zero before step 0; steps (int, >= 0) broadcasts to `shape`."""

    shape: Shape
    steps: Tensor


@dataclass(frozen=True, slots=True)
class DelayLine:
    """A delay in seconds, before `discretize` knows the step."""

    shape: Shape
    seconds: Tensor


# ---- neurons ----------------------------------------------------------------------------------------------


class Family(Enum):
    """The names the field gives to the combinations that `Neuron` and `Ode` cover."""

    IF = "if"
    LIF = "lif"
    CUBALIF = "cubalif"
    LI = "li"
    CUBALI = "cubali"
    INTEGRATOR = "integrator"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Ode:
    """A neuron as NIR has it, in seconds: a differential equation without a step, before `discretize`.

    tau_syn di/dt = -i + w_in x;  tau_mem dv/dt = (v_leak - v) + r i.  Without tau_syn, i = x; without
    tau_mem, dv/dt = r i. Without a threshold nothing spikes and the output is v.
    """

    shape: Shape
    tau_syn: Tensor | None
    w_in: Tensor | None
    tau_mem: Tensor | None
    r: Tensor
    v_leak: Tensor | None
    threshold: Tensor | None
    v_reset: Tensor | None

    @property
    def family(self) -> Family:
        """The field's name for it."""
        return _family(
            synapse=self.tau_syn is not None, leak=self.tau_mem is not None, fire=self.threshold is not None
        )


@dataclass(frozen=True, slots=True)
class Synapse:
    """A first-order synaptic current: i = decay * i + gain * x."""

    decay: Tensor
    gain: Tensor | None
    used: CurrentUsed
    initial: Tensor


@dataclass(frozen=True, slots=True)
class Membrane:
    """v = decay * v + gain * drive + bias; no decay: nothing leaks; then v = max(v, minimum)."""

    decay: Tensor | None
    gain: Tensor | None
    bias: Tensor | None
    minimum: Tensor | None
    initial: Tensor


@dataclass(frozen=True, slots=True)
class Fire:
    """When a membrane spikes, and what the spike does to it."""

    threshold: Tensor
    comparison: Comparison
    spike_from: SpikeFrom
    reset: Reset
    when: ResetWhen
    value: Tensor
    """The membrane after a reset to a value; 0 for other resets."""
    refractory: Tensor
    """Steps (int, >= 0) in which the neuron holds its membrane, drops its input and does not spike."""


@dataclass(frozen=True, slots=True)
class Clock:
    """When a population takes its steps: in steps t with t % every == phase.

    In between it holds its state, drops its input and does not spike; without `fire` its output is the v it holds.
    """

    every: int
    phase: int


@dataclass(frozen=True, slots=True)
class Neuron:
    """A population of the IF, LIF, CubaLIF, LI and CubaLI families. Output: spikes, or v without `fire`.

    `arithmetic` is None in reals. In integers v and i are mantissas at 2**exponent, inputs and parameters are
    aligned to that exponent, and gains are folded away (None).
    """

    shape: Shape
    synapse: Synapse | None
    membrane: Membrane
    fire: Fire | None
    arithmetic: Arithmetic | None = None
    exponent: int = 0
    clock: Clock | None = None
    """None: every step."""

    @property
    def family(self) -> Family:
        """The field's name for it."""
        return _family(
            synapse=self.synapse is not None,
            leak=self.membrane.decay is not None,
            fire=self.fire is not None,
        )


@dataclass(frozen=True, slots=True)
class Threshold:
    """A spike where x exceeds the threshold; no state."""

    shape: Shape
    threshold: Tensor
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A population outside the known families: what `program` does, element by element, in reals.

    The program's inputs are the ports. `initial` are its states before step 0. `kind` is what it gives.
    """

    shape: Shape
    program: Program
    initial: tuple[Tensor, ...]
    kind: SignalKind


# ---- products and movements of activations ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MatMul:
    """numpy.matmul of what enters at `a` and at `b`: attention, spike by spike."""

    a_shape: Shape
    b_shape: Shape


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in C order in another shape, where `Flatten` is not enough."""

    in_shape: Shape
    out_shape: Shape


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axis k of the output is axis `axes[k]` of the input."""

    in_shape: Shape
    axes: tuple[int, ...]


Op = (
    Input
    | Output
    | Linear
    | Sparse
    | Conv
    | Pool
    | Scale
    | Flatten
    | Delay
    | DelayLine
    | Ode
    | Neuron
    | Threshold
    | Elementwise
    | MatMul
    | Reshape
    | Transpose
)
LinearOp = Linear | Sparse | Conv

COUNTS = frozenset({"pre", "post", "delay", "steps", "fire.refractory"})
"""Paths of the tensors that hold neither reals nor mantissas but indices and steps."""


def parameters(op: Op) -> dict[str, Tensor]:
    """Every tensor of an operation by the path of its fields: `weight`, `membrane.decay`; `0` in a tuple."""
    found: dict[str, Tensor] = {}

    def walk(part: object, path: str) -> None:
        if isinstance(part, Tensor):
            found[path] = part
        elif isinstance(part, tuple):
            for index, each in enumerate(part):
                walk(each, f"{path}.{index}")
        elif is_dataclass(part):
            for each in fields(part):
                walk(getattr(part, each.name), f"{path}.{each.name}" if path else each.name)

    walk(op, "")
    return found


def _family(*, synapse: bool, leak: bool, fire: bool) -> Family:
    if synapse:
        return Family.CUBALIF if fire else Family.CUBALI
    if leak:
        return Family.LIF if fire else Family.LI
    return Family.IF if fire else Family.INTEGRATOR


def ports(op: Op) -> tuple[str, ...]:
    """The input ports of an operation, in order."""
    match op:
        case Input():
            return ()
        case Elementwise():
            return op.program.inputs
        case MatMul():
            return ("a", "b")
        case _:
            return ("",)


def window_shape(
    in_shape: Shape, kernel: Shape, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape
) -> Shape:
    """The spatial shape that a sliding window leaves of `in_shape` (channel, *space)."""
    return tuple(
        (size + before + after - d * (k - 1) - 1) // s + 1
        for size, k, s, (before, after), d in zip(
            in_shape[1:], kernel, stride, padding, dilation, strict=True
        )
    )


def input_shape(op: Op, port: str = "") -> Shape:
    """The shape an operation takes at a port. Raises TypeError for `Input`, which takes nothing."""
    match op:
        case Input():
            raise TypeError("an Input takes no input")
        case (
            Output(shape)
            | Scale(shape)
            | Delay(shape)
            | DelayLine(shape)
            | Ode(shape)
            | Neuron(shape)
            | Threshold(shape)
            | Elementwise(shape)
        ):
            return shape
        case Linear(weight):
            return (weight.shape[1],)
        case (
            Sparse(in_shape)
            | Conv(in_shape)
            | Pool(in_shape)
            | Flatten(in_shape)
            | Reshape(in_shape)
            | Transpose(in_shape)
        ):
            return in_shape
        case MatMul(a_shape, b_shape):
            return b_shape if port == "b" else a_shape
        case _:
            assert_never(op)


def output_shape(op: Op) -> Shape:
    """The shape an operation gives."""
    match op:
        case Input(signal):
            return signal.shape
        case (
            Output(shape)
            | Scale(shape)
            | Delay(shape)
            | DelayLine(shape)
            | Ode(shape)
            | Neuron(shape)
            | Threshold(shape)
            | Elementwise(shape)
        ):
            return shape
        case Reshape(_, out_shape):
            return out_shape
        case Transpose(in_shape, axes):
            return tuple(in_shape[axis] for axis in axes)
        case MatMul(a_shape, b_shape):
            lead = tuple(max(a, b) for a, b in zip(a_shape[:-2], b_shape[:-2], strict=True))
            return (*lead, a_shape[-2], b_shape[-1])
        case Linear(weight):
            return (weight.shape[0],)
        case Sparse(_, out_shape):
            return out_shape
        case Conv(in_shape, weight, _, stride, padding, dilation):
            return (weight.shape[0], *window_shape(in_shape, weight.shape[2:], stride, padding, dilation))
        case Pool(in_shape, _, kernel, stride, padding):
            return (in_shape[0], *window_shape(in_shape, kernel, stride, padding, (1,) * len(kernel)))
        case Flatten(in_shape, start, end):
            size = 1
            for axis in in_shape[start : end + 1]:
                size *= axis
            return (*in_shape[:start], size, *in_shape[end + 1 :])
        case _:
            assert_never(op)
