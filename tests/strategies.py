"""Random lawful graphs and inputs for them, as hypothesis strategies that every test may use.

A graph is a chain of layers (a connection, perhaps a delay, a population) with what real models have beside it:
skip connections, recurrent ones with a delay, feedback over layers, a second input, a second output. Sizes are
small. Weights are multiples of 1/64, so that sums of them are exact in any order.
"""

from __future__ import annotations

from enum import Enum
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from nmc.diagnostics import Loc
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Arithmetic, Comparison, CurrentUsed, DecayForm, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Fire,
    Flatten,
    Input,
    Linear,
    MatMul,
    Membrane,
    Neuron,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
    Transpose,
    input_shape,
    output_shape,
)
from nmc.ir.program import ARITY, TRUTH, Instruction, Program, Scalar
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER, join, signal_of

T = TypeVar("T")
STEP = 1e-3
SHAPES: tuple[Shape, ...] = ((1,), (5,), (2, 6), (1, 4, 5), (3, 5, 4), (2, 3, 3))
RESETS = (
    (Reset.NONE, ResetWhen.SAME_STEP),
    *((Reset.TO_VALUE, when) for when in ResetWhen if when is not ResetWhen.SAME_STEP_ONCE),
    *((Reset.SUBTRACT, when) for when in ResetWhen),
    (Reset.MULTI_SPIKE, ResetWhen.SAME_STEP),
)


class Numbers(Enum):
    """In which numbers a graph computes, and how it counts time."""

    SECONDS = "seconds"
    """Reals, with `Ode` and `DelayLine`: as a frontend delivers them."""
    REALS = "reals"
    INTEGERS = "integers"


@st.composite
def graphs(draw: st.DrawFn, numbers: Numbers, *, layers: int = 3, programs: bool = False) -> Graph:
    """A lawful graph of one kind of numbers, with at most so many layers.

    With `programs` also populations outside the known families, products and movements of activations.
    """
    return _Builder(draw, numbers, programs=programs).build(draw(st.integers(1, layers)))


def real_graphs(*, layers: int = 3) -> st.SearchStrategy[Graph]:
    """Discrete graphs in reals, of every operation and every attribute."""
    return graphs(Numbers.REALS, layers=layers)


def integer_graphs(*, layers: int = 3) -> st.SearchStrategy[Graph]:
    """Graphs in integers, of arbitrary arithmetics: not what a certain target has."""
    return graphs(Numbers.INTEGERS, layers=layers)


def continuous_graphs(*, layers: int = 3) -> st.SearchStrategy[Graph]:
    """Graphs with time constants and delays in seconds."""
    return graphs(Numbers.SECONDS, layers=layers)


def program_graphs(*, layers: int = 3) -> st.SearchStrategy[Graph]:
    """Discrete graphs in reals with populations outside the known families, as ONNX models have them."""
    return graphs(Numbers.REALS, layers=layers, programs=True)


@st.composite
def spike_inputs(
    draw: st.DrawFn, graph: Graph, *, steps: int = 6, samples: int = 2
) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays (steps, samples, *shape) for the inputs: uint8 spikes, int64 mantissas or float64 reals."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        signal = node.op.signal
        shape = (steps, samples, *signal.shape)
        if signal.kind is SignalKind.SPIKE:
            arrays[node.name] = (rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))).astype(np.uint8)
        elif signal.number is not None:
            arrays[node.name] = rng.integers(
                signal.number.lowest, signal.number.highest, shape, endpoint=True
            )
        else:
            arrays[node.name] = rng.integers(-128, 128, shape) / 64
    return arrays


class _Builder:
    """Grows a graph node by node and knows the type of each node's output."""

    def __init__(self, draw: st.DrawFn, numbers: Numbers, *, programs: bool) -> None:
        self.draw = draw
        self.numbers = numbers
        self.programs = programs
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.signals: dict[str, Signal] = {}
        self.arithmetic = self.new_arithmetic()

    @property
    def integer(self) -> bool:
        return self.numbers is Numbers.INTEGERS

    def one_of(self, *choices: T) -> T:
        return self.draw(st.sampled_from(choices))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    # ---- the graph

    def build(self, layers: int) -> Graph:
        at = self.add("input", Input(self.new_signal(self.one_of(*SHAPES))))
        populations: list[str] = []
        for _ in range(layers):
            at = self.layer(at, populations)
            populations.append(at)
        if self.chance():
            extra = self.add("input", Input(self.new_signal(self.one_of(*SHAPES))))
            self.connect_to(extra, self.one_of(*populations), delay=self.one_of(0, 1))
        for dst in populations[:-1]:
            if self.chance():
                self.connect_to(at, dst, delay=self.one_of(1, 2))
        self.add("output", Output(self.signals[at].shape), at)
        if self.chance():
            at = self.one_of(*populations)
            self.add("output", Output(self.signals[at].shape), at)
        step = self.one_of(None, STEP) if self.numbers is not Numbers.SECONDS else None
        return Graph(tuple(self.nodes), tuple(self.edges), step)

    def layer(self, at: str, populations: list[str]) -> str:
        """A connection, perhaps something else linear, and a population; perhaps recurrent, perhaps skipped to."""
        if self.chance():
            at = self.add_linear(self.one_of(*self.linear_choices(self.signals[at])), at)
        if self.chance():
            at = self.add_linear("delay", at)
        if self.chance():
            at = self.add_linear(self.one_of(*self.linear_choices(self.signals[at])), at)
        if self.programs and len(self.signals[at].shape) > 1:
            at = self.add_product(at)
        shape = self.signals[at].shape
        name = self.add("neuron", self.new_population(shape), at, delay=self.one_of(0, 0, 1, 3))
        if self.chance():
            self.connect_to(name, name, delay=self.one_of(1, 2))
        if populations and self.chance():
            self.connect_to(self.one_of(*populations), name, delay=self.one_of(0, 1))
        return name

    def add(self, kind: str, op: Op, src: str | None = None, *, delay: int = 0) -> str:
        name = f"{kind}{len(self.nodes)}"
        loc = Loc("model.nir", name) if self.rng.random() < 0.5 else Loc("<graph>")
        self.nodes.append(Node(name, op, loc))
        received: list[Signal] = []
        if src is not None:
            self.edges.append(Edge(src, name, delay))
            received.append(self.signals[src])
        self.signals[name] = signal_of(op, join(output_shape(op), received))
        return name

    def connect_to(self, src: str, dst: str, *, delay: int) -> None:
        """A further connection into a population: an edge alone where shapes agree, else synapses."""
        shape = input_shape(next(node.op for node in self.nodes if node.name == dst))
        direct = self.signals[src].shape == shape and Edge(src, dst, delay) not in self.edges
        if not direct or self.chance():
            src = self.add("synapses", self.new_sparse(self.signals[src], shape), src, delay=delay)
            delay = 0
        self.edges.append(Edge(src, dst, delay))

    def add_product(self, src: str) -> str:
        """x @ x^T over the last two axes, or x reshaped."""
        shape = self.signals[src].shape
        if self.chance():
            return self.add("reshape", Reshape(shape, shape[::-1]), src)
        axes = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
        turned = self.add("transpose", Transpose(shape, axes), src)
        product = self.add("product", MatMul(shape, self.signals[turned].shape))
        self.edges += [Edge(src, product, port="a"), Edge(turned, product, port="b")]
        return product

    # ---- linear operations

    def linear_choices(self, signal: Signal) -> tuple[str, ...]:
        if len(signal.shape) == 1:
            return ("linear", "linear", "sparse", "scale")
        return ("conv", "conv", "pool", "flatten", "sparse", "scale")

    def add_linear(self, kind: str, src: str) -> str:
        signal = self.signals[src]
        shape = signal.shape
        match kind:
            case "linear":
                return self.add("linear", self.new_linear(signal), src)
            case "sparse":
                return self.add("sparse", self.new_sparse(signal, self.one_of(*SHAPES)), src)
            case "conv":
                return self.add("conv", self.new_conv(signal), src)
            case "pool":
                return self.add("pool", self.new_pool(signal), src)
            case "flatten":
                start = self.draw(st.integers(0, len(shape) - 1))
                return self.add(
                    "flatten", Flatten(shape, start, self.draw(st.integers(start, len(shape) - 1))), src
                )
            case "scale":
                number = FixedPoint(5, True, self.one_of(-3, 0)) if self.integer else None
                return self.add("scale", Scale(shape, self.values(self.parameter_shape(shape), number)), src)
            case _:
                steps = self.rng.integers(0, 4, self.parameter_shape(shape))
                if self.numbers is Numbers.SECONDS:
                    return self.add("delay", DelayLine(shape, Tensor(steps * STEP)), src)
                return self.add("delay", Delay(shape, Tensor(steps)), src)

    def new_linear(self, signal: Signal) -> Linear:
        post, pre = self.draw(st.integers(1, 7)), signal.shape[0]
        weight, number = self.values((post, pre), self.weight_number()), self.bias_number()
        bias = self.values((post,), number) if self.chance() else None
        return Linear(weight, bias, self.new_accumulator(signal, weight, pre))

    def new_sparse(self, signal: Signal, out_shape: Shape) -> Sparse:
        pre, post = prod(signal.shape), prod(out_shape)
        longest = self.one_of(1, 1, 4)
        keys = np.flatnonzero(self.rng.random(pre * longest * post) < self.one_of(0.0, 0.2, 1.0) / longest)
        sources, rest = np.divmod(keys, longest * post)
        delay, targets = np.divmod(rest, post)
        weight = self.values((len(keys),), self.weight_number())
        accumulator = self.new_accumulator(signal, weight, pre * longest)
        return Sparse(
            signal.shape, out_shape, Tensor(sources), Tensor(targets), weight, Tensor(delay), accumulator
        )

    def new_conv(self, signal: Signal) -> Conv:
        channels, *space = signal.shape
        groups = self.one_of(1, channels)
        kernel, stride, padding = self.new_window(tuple(space))
        dilation = tuple(
            self.one_of(1, 2) if 2 * (k - 1) + 1 <= size + sum(pads) else 1
            for size, k, pads in zip(space, kernel, padding, strict=True)
        )
        weight = self.values((groups * self.one_of(1, 2), channels // groups, *kernel), self.weight_number())
        bias = self.values((weight.shape[0],), self.bias_number()) if self.chance() else None
        accumulator = self.new_accumulator(signal, weight, weight.size // weight.shape[0])
        return Conv(signal.shape, weight, bias, stride, padding, dilation, groups, accumulator)

    def new_pool(self, signal: Signal) -> Pool:
        kernel, stride, padding = self.new_window(signal.shape[1:])
        size = prod(kernel)
        exact = size & (size - 1) == 0 or not self.integer
        pooling = self.one_of(Pooling.SUM, Pooling.MAX, *[Pooling.AVERAGE] * exact)
        if pooling is Pooling.MAX:
            padding = tuple((min(a, k - 1), min(b, k - 1)) for (a, b), k in zip(padding, kernel, strict=True))
        return Pool(signal.shape, pooling, kernel, stride, padding)

    def new_window(self, space: Shape) -> tuple[Shape, Shape, tuple[tuple[int, int], ...]]:
        """Kernel, stride and padding; the kernel fits even where padding is cut to less than it."""
        kernel = tuple(self.draw(st.integers(1, min(3, size))) for size in space)
        stride = tuple(self.one_of(1, 2, 3) for _ in space)
        return kernel, stride, tuple((self.one_of(0, 1, 2), self.one_of(0, 1)) for _ in space)

    # ---- populations

    def new_population(self, shape: Shape) -> Op:
        if self.programs and self.chance():
            return self.new_elementwise(shape)
        if self.draw(st.integers(0, 5)) == 0:
            number = FixedPoint(8, False, -2) if self.integer else None
            return Threshold(shape, self.positive(shape, number), self.one_of(*Comparison))
        if self.numbers is Numbers.SECONDS:
            return self.new_ode(shape)
        exponent = self.one_of(-6, 0) if self.integer else 0
        state = FixedPoint(10, True, exponent + self.one_of(0, 2)) if self.integer else None
        arithmetic = self.arithmetic if self.integer else None
        synapse = None
        if self.chance() and self.decays():
            gain = self.optional_gain(shape)
            used, initial = self.one_of(*CurrentUsed), self.initial(shape, state)
            synapse = Synapse(self.decay(shape), gain, used, initial)
        membrane = Membrane(
            self.decay(shape) if self.chance() and self.decays() else None,
            self.optional_gain(shape),
            self.values(self.parameter_shape(shape), state) if self.chance() else None,
            self.negative(shape, state) if self.chance() else None,
            self.initial(shape, state),
        )
        fire = self.new_fire(shape, state) if self.draw(st.integers(0, 4)) else None
        return Neuron(shape, synapse, membrane, fire, arithmetic, exponent)

    def new_fire(self, shape: Shape, state: FixedPoint | None) -> Fire:
        reset, when = self.one_of(*RESETS)
        to_value = reset is Reset.TO_VALUE and self.chance()
        return Fire(
            self.positive(shape, state),
            self.one_of(*Comparison),
            self.one_of(*SpikeFrom),
            reset,
            when,
            self.values(self.parameter_shape(shape), state) if to_value else self.zero(state),
            Tensor(self.rng.integers(0, 3, self.parameter_shape(shape)) if self.chance() else 0),
        )

    def new_elementwise(self, shape: Shape) -> Elementwise:
        """A program of a few instructions on whatever values come before them; spikes if the last compares."""
        states, constants = self.one_of(0, 1, 2), self.one_of(0, 1, 2)
        known = 1 + states + constants
        code: list[Instruction] = []
        for number in range(self.draw(st.integers(1, 5))):
            op = self.one_of(*Scalar)
            args = tuple(self.draw(st.integers(0, known + number - 1)) for _ in range(ARITY[op]))
            code.append(Instruction(op, args))
        last = known + len(code) - 1
        program = Program(
            ("",),
            tuple(f"s{k}" for k in range(states)),
            tuple(self.values(self.parameter_shape(shape), None) for _ in range(constants)),
            tuple(code),
            last,
            tuple(self.draw(st.integers(0, last)) for _ in range(states)),
        )
        initial = tuple(self.initial(shape, None) for _ in range(states))
        kind = SignalKind.SPIKE if code[-1].op in TRUTH else SignalKind.REAL
        return Elementwise(shape, program, initial, kind)

    def new_ode(self, shape: Shape) -> Ode:
        def tau() -> Tensor:
            return Tensor(self.rng.integers(2, 20, self.parameter_shape(shape)) * STEP)

        synapse, leak, fire = self.chance(), self.chance(), self.chance()
        return Ode(
            shape,
            tau() if synapse else None,
            self.values(self.parameter_shape(shape), None) if synapse else None,
            tau() if leak else None,
            self.positive(shape, None),
            self.values(self.parameter_shape(shape), None) if leak else None,
            self.positive(shape, None) if fire else None,
            self.zero(None) if fire else None,
        )

    def new_arithmetic(self) -> Arithmetic:
        overflows = [overflow for overflow in Overflow if overflow is not Overflow.PROVED_ABSENT]
        return Arithmetic(
            v_bits=self.one_of(14, 24),
            i_bits=self.one_of(14, 24),
            decay_form=self.one_of(*DecayForm),
            decay_bits=self.one_of(3, 12),
            rounding=self.one_of(*Rounding),
            v_overflow=self.one_of(*overflows),
            i_overflow=self.one_of(*overflows),
            comparisons=tuple(Comparison),
            resets=RESETS,
            threshold_bits=14,
            threshold_shift=0,
            input_shift=0,
            bias_bits=13,
            bias_shift=2,
            leak_after=self.chance(),
            minimum=True,
            refractory=3,
            heterogeneous=("decay", "synapse_decay", "threshold", "bias"),
        )

    # ---- numbers

    def new_signal(self, shape: Shape) -> Signal:
        kind = self.one_of(SignalKind.SPIKE, SignalKind.SPIKE, SignalKind.GRADED, SignalKind.REAL)
        if kind is SignalKind.GRADED or (kind is SignalKind.REAL and self.integer):
            return Signal(
                shape, SignalKind.GRADED, self.one_of(FixedPoint(3, False, 0), FixedPoint(4, True, -2))
            )
        return Signal(shape, kind)

    def new_accumulator(self, signal: Signal, weight: Tensor, fan_in: int) -> Accumulator | None:
        """Wide enough for every sum, and then without overflow; or narrow, and with one."""
        if weight.number is None:
            return None
        number = signal.number or SPIKE_NUMBER
        exponent = weight.number.exponent + number.exponent
        bits = weight.number.bits + number.bits + (4 * fan_in).bit_length() + 10  # 10: the bias's exponent
        if bits <= 34 and self.chance():
            return Accumulator(FixedPoint(bits, True, exponent), Rounding.FLOOR, Overflow.PROVED_ABSENT)
        rounding, overflow = self.one_of(*Rounding), self.one_of(Overflow.WRAP, Overflow.SATURATE)
        return Accumulator(FixedPoint(12, True, exponent + self.one_of(-2, 0, 1)), rounding, overflow)

    def weight_number(self) -> FixedPoint | None:
        return FixedPoint(self.one_of(4, 8), True, self.one_of(-4, 0)) if self.integer else None

    def bias_number(self) -> FixedPoint | None:
        return FixedPoint(6, True, 0) if self.integer else None

    def parameter_shape(self, shape: Shape) -> Shape:
        """Shared by all, one a channel, or one a neuron."""
        return self.one_of((), (shape[0], *(1,) * (len(shape) - 1)), shape)

    def values(self, shape: Shape, number: FixedPoint | None) -> Tensor:
        if number is None:
            return Tensor(self.rng.integers(-128, 128, shape) / 64)
        return Tensor(self.rng.integers(number.lowest, number.highest, shape, endpoint=True), number)

    def positive(self, shape: Shape, number: FixedPoint | None) -> Tensor:
        shape = self.parameter_shape(shape)
        if number is None:
            return Tensor(self.rng.integers(16, 128, shape) / 64)
        return Tensor(self.rng.integers(1, number.highest, shape, endpoint=True), number)

    def negative(self, shape: Shape, number: FixedPoint | None) -> Tensor:
        tensor = self.positive(shape, number)
        return Tensor(-tensor.data, number)

    def initial(self, shape: Shape, number: FixedPoint | None) -> Tensor:
        return self.values(self.parameter_shape(shape), number) if self.chance() else self.zero(number)

    def zero(self, number: FixedPoint | None) -> Tensor:
        return Tensor(0.0) if number is None else Tensor(0, number)

    def optional_gain(self, shape: Shape) -> Tensor | None:
        return self.positive(shape, None) if not self.integer and self.chance() else None

    def decays(self) -> bool:
        """Whether the arithmetic has a decay at all."""
        return not self.integer or self.arithmetic.decay_form is not DecayForm.NONE

    def decay(self, shape: Shape) -> Tensor:
        n = self.arithmetic.decay_bits
        mantissa = self.rng.integers(0, 1 << n, self.parameter_shape(shape), endpoint=True)
        return Tensor(mantissa, FixedPoint(n + 1, False, -n)) if self.integer else Tensor(mantissa / (1 << n))
