"""A slow simulator for tests, written from the formulas of the docstrings alone: one number after the other.

It shares no code with `nmc.sim` nor with the rules in `nmc.ir.neuron` and `nmc.ir.fixed`: integers are rounded as
exact fractions. Real sums are rounded in the order of sources in memory, channels last, oldest step first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, DecayForm, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    LinearOp,
    Neuron,
    Output,
    Pool,
    Pooling,
    Scale,
    Shape,
    Sparse,
    Threshold,
    input_shape,
    output_shape,
)
from nmc.ir.tensor import Tensor

Value = Any
"""An int, a float or a numpy.float32: whatever the run computes in."""


@dataclass
class Run:
    """What every node gave, by step, for one sample; and the states of neurons."""

    out: dict[str, list[list[Value]]] = field(default_factory=dict)
    v: dict[str, list[list[Value]]] = field(default_factory=dict)
    i: dict[str, list[list[Value]]] = field(default_factory=dict)


def reference(
    graph: Graph, inputs: Mapping[str, np.ndarray], *, dtype: type | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Outputs of all nodes, and traces `node.v` and `node.i`, (steps, samples, *shape).

    `dtype` is float64 or float32 of a real graph, None of an integer one.
    """
    steps, samples = next(iter(inputs.values())).shape[:2]
    runs = [
        _Sample(graph, {k: a[:, b] for k, a in inputs.items()}, steps, dtype).run() for b in range(samples)
    ]
    shapes = {node.name: output_shape(node.op) for node in graph.nodes}

    def stack(per_run: list[list[list[Value]]], shape: Shape) -> np.ndarray:
        array = np.array(per_run, np.int64 if dtype is None else dtype)  # (samples, steps, size)
        return array.swapaxes(0, 1).reshape(steps, samples, *shape)

    out = {name: stack([run.out[name] for run in runs], shape) for name, shape in shapes.items()}
    traces = {f"{name}.v": stack([run.v[name] for run in runs], shapes[name]) for name in runs[0].v}
    traces |= {f"{name}.i": stack([run.i[name] for run in runs], shapes[name]) for name in runs[0].i}
    return out, traces


# ---- exact rounding ---------------------------------------------------------------------------------------


def rounded(x: Fraction, rounding: Rounding) -> int:
    match rounding:
        case Rounding.FLOOR:
            return math.floor(x)
        case Rounding.TO_ZERO:
            return math.trunc(x)
        case Rounding.NEAREST_EVEN:
            return round(x)


def kept(x: int, bits: int, overflow: Overflow) -> int:
    """`x` in a register."""
    half = 2 ** (bits - 1)
    match overflow:
        case Overflow.PROVED_ABSENT:
            assert -half <= x < half
            return x
        case Overflow.WRAP:
            while x >= half:
                x -= 2 * half
            while x < -half:
                x += 2 * half
            return x
        case Overflow.WRAP_ONCE:
            return x - 2 * half if x > half else x + 2 * half if x <= -half else x
        case Overflow.SATURATE:
            return min(max(x, -half), half - 1)
        case Overflow.SATURATE_SYMMETRIC:
            return min(max(x, 1 - half), half - 1)


def two_to(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def memory_order(shape: Shape) -> list[int]:
    """C-order indices of elements, in the order in which they stand in memory: channels last."""
    order = np.arange(math.prod(shape)).reshape(shape)
    return (np.moveaxis(order, 0, -1) if len(shape) > 1 else order).ravel().tolist()


# ---- linear operations as lists of synapses ---------------------------------------------------------------


def synapses(op: LinearOp) -> list[tuple[int, int, Value, int]]:
    """(pre, post, weight, delay) in C-order indices."""
    match op:
        case Linear(weight):
            return [(pre, post, weight.data[post, pre].item(), 0) for post, pre in np.ndindex(weight.shape)]
        case Sparse():
            columns = (op.pre.data, op.post.data, op.weight.data, op.delay.data)
            return list(zip(*(column.tolist() for column in columns), strict=True))
        case Conv():
            return list(_conv_synapses(op))


def _conv_synapses(op: Conv) -> Any:
    out_shape, in_shape, weight = output_shape(op), op.in_shape, op.weight.data
    out_a_group, in_a_group = weight.shape[0] // op.groups, weight.shape[1]
    for o in range(out_shape[0]):
        for c in range(in_a_group):
            channel = o // out_a_group * in_a_group + c
            for place in itertools.product(*map(range, out_shape[1:])):
                for tap in itertools.product(*map(range, weight.shape[2:])):
                    at = [
                        p * s + k * d - before
                        for p, s, k, d, (before, _) in zip(
                            place, op.stride, tap, op.dilation, op.padding, strict=True
                        )
                    ]
                    if all(0 <= a < size for a, size in zip(at, in_shape[1:], strict=True)):
                        pre = int(np.ravel_multi_index((channel, *at), in_shape))
                        post = int(np.ravel_multi_index((o, *place), out_shape))
                        yield pre, post, weight[(o, c, *tap)].item(), 0


def window(op: Pool) -> list[list[int]]:
    """For each output, in C order, the inputs that its window sees, in the order of memory."""
    rank = {element: k for k, element in enumerate(memory_order(op.in_shape))}
    seen: list[list[int]] = []
    for channel, *place in itertools.product(*map(range, output_shape(op))):
        inside: list[int] = []
        for tap in itertools.product(*map(range, op.kernel)):
            at = [
                p * s + k - before
                for p, s, k, (before, _) in zip(place, op.stride, tap, op.padding, strict=True)
            ]
            if all(0 <= a < size for a, size in zip(at, op.in_shape[1:], strict=True)):
                inside.append(int(np.ravel_multi_index((channel, *at), op.in_shape)))
        seen.append(sorted(inside, key=rank.__getitem__))
    return seen


# ---- the run ----------------------------------------------------------------------------------------------


class _Sample:
    def __init__(self, graph: Graph, inputs: dict[str, np.ndarray], steps: int, dtype: type | None) -> None:
        self.graph, self.inputs, self.steps = graph, inputs, steps
        self.integer = dtype is None
        self.num: Callable[[Any], Value] = int if dtype is None else float if dtype is np.float64 else dtype
        self.signals = graph.signals()
        self.incoming = graph.incoming()
        self.result = Run()
        self.wait: dict[str, list[int]] = {}
        self.wiring: dict[str, Any] = {}

    def run(self) -> Run:
        order = self.graph.order()
        for name in order:
            self.result.out[name] = []
            op = self.graph[name].op
            if isinstance(op, Neuron):
                size = math.prod(op.shape)
                self.result.v[name], self.wait[name] = [], [0] * size
                if op.synapse is not None:
                    self.result.i[name] = []
            elif isinstance(op, Linear | Sparse | Conv):
                rank = {element: k for k, element in enumerate(memory_order(input_shape(op)))}
                self.wiring[name] = sorted(synapses(op), key=lambda s: (-s[3], rank[s[0]]))
            elif isinstance(op, Pool):
                self.wiring[name] = window(op)
        for t in range(self.steps):
            for name in order:
                self.result.out[name].append(self.step(self.graph[name], t))
        return self.result

    def at(self, name: str, t: int) -> list[Value]:
        """What a node gave in step t, zero before step 0."""
        if t >= 0:
            return self.result.out[name][t]
        return [self.num(0)] * math.prod(output_shape(self.graph[name].op))

    def exponent(self, name: str) -> int:
        number = self.signals[name].number
        return 0 if number is None else number.exponent

    def received(self, node: Node, t: int) -> tuple[list[Value], int]:
        """The sum of what enters, and its exponent: the finest of all."""
        size = math.prod(input_shape(node.op))
        edges = self.incoming[node.name]
        finest = min((self.exponent(edge.src) for edge in edges), default=0)
        total = [self.num(0)] * size
        for edge in edges:
            factor = 2 ** (self.exponent(edge.src) - finest) if self.integer else 1
            values = self.at(edge.src, t - edge.delay)
            total = [a + (b * factor if self.integer else b) for a, b in zip(total, values, strict=True)]
        return total, finest

    def parameter(
        self, tensor: Tensor | None, shape: Shape, default: float, exponent: int | None = None
    ) -> list[Value]:
        """One value an element, in integers in units of 2**exponent."""
        if tensor is None:
            return [self.num(default)] * math.prod(shape)
        given = tensor.data if self.integer else tensor.values
        values = np.broadcast_to(given, shape).ravel().tolist()
        if not self.integer or exponent is None:
            return [self.num(x) for x in values]
        assert tensor.number is not None
        scaled = [x * two_to(tensor.number.exponent - exponent) for x in values]
        assert all(x.denominator == 1 for x in scaled)
        return [int(x) for x in scaled]

    def step(self, node: Node, t: int) -> list[Value]:
        name = node.name
        if isinstance(node.op, Input):
            return [self.num(x) for x in self.inputs[name][t].ravel().tolist()]
        if isinstance(node.op, Delay):
            return self.delayed(node, node.op, t)
        if isinstance(node.op, Neuron):
            return self.neuron(node, node.op, t)
        if isinstance(node.op, Linear | Sparse | Conv):
            return self.linear(node, node.op, t)
        x, exponent = self.received(node, t)
        match node.op:
            case Output() | Flatten():
                return x
            case Scale(shape, factor):
                return [a * f for a, f in zip(x, self.parameter(factor, shape, 1), strict=True)]
            case Pool():
                return self.pool(node, node.op, x)
            case Threshold(shape, threshold, comparison):
                return [
                    self.num(self.past(a, limit, exponent, threshold, comparison))
                    for a, limit in zip(x, self.parameter(threshold, shape, 0), strict=True)
                ]
            case op:
                raise AssertionError(op)

    def past(self, x: Value, limit: Value, exponent: int, threshold: Tensor, comparison: Comparison) -> bool:
        if self.integer:
            assert threshold.number is not None
            x, limit = x * two_to(exponent), limit * two_to(threshold.number.exponent)
        return bool(x > limit if comparison is Comparison.ABOVE else x >= limit)

    def delayed(self, node: Node, op: Delay, t: int) -> list[Value]:
        steps = np.broadcast_to(op.steps.data, op.shape).ravel().tolist()
        past = {d: self.received(node, t - d)[0] for d in set(steps)}
        return [past[d][k] for k, d in enumerate(steps)]

    def pool(self, node: Node, op: Pool, x: list[Value]) -> list[Value]:
        seen = self.wiring[node.name]
        if op.pooling is Pooling.MAX:
            return [max((x[k] for k in inputs), default=self.num(0)) for inputs in seen]
        sums: list[Value] = []
        for inputs in seen:
            total = self.num(0)
            for k in inputs:
                total = total + x[k]
            sums.append(total)
        if op.pooling is Pooling.AVERAGE and not self.integer:
            return [total / self.num(math.prod(op.kernel)) for total in sums]
        return sums

    def linear(self, node: Node, op: LinearOp, t: int) -> list[Value]:
        shape = output_shape(op)
        bias = None if isinstance(op, Sparse) else op.bias
        by_channel = None if bias is None else bias.data.reshape(-1, *(1,) * (len(shape) - 1))
        b = [self.num(0)] * math.prod(shape)
        if by_channel is not None:
            b = [self.num(x) for x in np.broadcast_to(by_channel, shape).ravel().tolist()]
        past: dict[int, list[Value]] = {}
        total = [self.num(0)] * len(b) if self.integer else list(b)
        for pre, post, weight, delay in self.wiring[node.name]:
            if delay not in past:
                past[delay] = self.received(node, t - delay)[0]
            x = past[delay][pre]
            if x != 0:
                total[post] = total[post] + self.num(weight) * x
        if not self.integer:
            return total
        _, exponent = self.received(node, t)
        assert op.accumulator is not None and op.weight.number is not None
        unit = two_to(exponent + op.weight.number.exponent)
        bias_unit = two_to(bias.number.exponent) if bias is not None and bias.number is not None else 0
        return [
            self.accumulated(x * unit + y * bias_unit, op.accumulator) for x, y in zip(total, b, strict=True)
        ]

    def accumulated(self, value: Fraction, accumulator: Accumulator) -> int:
        number = accumulator.number
        mantissa = rounded(value / two_to(number.exponent), accumulator.rounding)
        return kept(mantissa, number.bits, accumulator.overflow)

    # ---- neurons ----

    def neuron(self, node: Node, op: Neuron, t: int) -> list[Value]:
        name, e = node.name, op.exponent
        synapse, membrane, fire = op.synapse, op.membrane, op.fire

        def p(tensor: Tensor | None, default: float = 0) -> list[Value]:
            return self.parameter(tensor, op.shape, default, e)

        def decays(tensor: Tensor | None) -> list[Value]:
            if tensor is None:
                return [None] * math.prod(op.shape)
            return self.parameter(tensor, op.shape, 1)

        x = self.aligned(node, op, t)
        first = t == 0
        v = p(membrane.initial) if first else self.result.v[name][-1]
        decay, gain, bias = decays(membrane.decay), p(membrane.gain, 1), p(membrane.bias)
        minimum = p(membrane.minimum)
        drive = x
        if synapse is not None:
            old = p(synapse.initial) if first else self.result.i[name][-1]
            i_decay, i_gain = decays(synapse.decay), p(synapse.gain, 1)
            new = [self.current(op, i, d, g, a) for i, d, g, a in zip(old, i_decay, i_gain, x, strict=True)]
            self.result.i[name].append(new)
            drive = new if synapse.used is CurrentUsed.NEW else old
        states: list[Value] = []
        out: list[Value] = []
        thresholds = p(fire.threshold) if fire else [None] * len(v)
        values = p(fire.value) if fire else [None] * len(v)
        periods = np.broadcast_to(fire.refractory.data, op.shape).ravel().tolist() if fire else [0] * len(v)
        for k in range(len(v)):
            if self.wait[name][k] > 0:
                self.wait[name][k] -= 1
                states.append(v[k])
                out.append(v[k] if fire is None else self.num(0))
                continue
            integrate = self.integration(op, decay[k], gain[k], drive[k], bias[k])
            one = _OneNeuron(self, op, thresholds[k], values[k])
            state, spikes = one.step(v[k], integrate)
            if membrane.minimum is not None:
                state = max(state, minimum[k])
            if spikes > 0:
                self.wait[name][k] = periods[k]
            states.append(state)
            out.append(state if fire is None else self.num(spikes))
        self.result.v[name].append(states)
        return out

    def aligned(self, node: Node, op: Neuron, t: int) -> list[Value]:
        """The summed input, in integers in units of the state, each edge rounded by itself."""
        if not self.integer:
            return self.received(node, t)[0]
        assert op.arithmetic is not None
        total = [0] * math.prod(op.shape)
        for edge in self.incoming[node.name]:
            unit = two_to(self.exponent(edge.src) - op.exponent)
            values = [rounded(x * unit, op.arithmetic.rounding) for x in self.at(edge.src, t - edge.delay)]
            total = [a + b for a, b in zip(total, values, strict=True)]
        return total

    def decayed(self, op: Neuron, x: Value, decay: Value) -> Value:
        if decay is None:
            return x
        if not self.integer:
            return decay * x
        a = op.arithmetic
        assert a is not None
        whole = 2**a.decay_bits
        match a.decay_form:
            case DecayForm.NONE:
                return x
            case DecayForm.MULTIPLY:
                return rounded(Fraction(x * decay, whole), a.rounding)
            case DecayForm.SHIFTS:
                missing = whole - decay
                parts = [k for k in range(a.decay_bits + 1) if missing * 2**k & whole]
                return x - sum(rounded(Fraction(x, 2**k), a.rounding) for k in parts)

    def current(self, op: Neuron, i: Value, decay: Value, gain: Value, x: Value) -> Value:
        if not self.integer:
            return self.decayed(op, i, decay) + gain * x
        assert op.arithmetic is not None
        return kept(self.decayed(op, i, decay) + x, op.arithmetic.i_bits, op.arithmetic.i_overflow)

    def v_kept(self, op: Neuron, v: Value) -> Value:
        if not self.integer:
            return v
        assert op.arithmetic is not None
        return kept(v, op.arithmetic.v_bits, op.arithmetic.v_overflow)

    def integration(
        self, op: Neuron, decay: Value, gain: Value, drive: Value, bias: Value
    ) -> Callable[[Value, Callable[[Value], Value], Callable[[Value], Value]], Value]:
        """v after leak and input, with something done after the leak and something after the input."""
        after = self.integer and op.arithmetic is not None and op.arithmetic.leak_after
        term = drive + bias if self.integer else (drive if op.membrane.gain is None else gain * drive) + bias

        def integrate(
            v: Value, after_leak: Callable[[Value], Value], after_input: Callable[[Value], Value]
        ) -> Value:
            if after:
                # The last leak was at the end of the step before.
                v = self.v_kept(op, after_leak(v))
                v = after_input(self.v_kept(op, v + term))
                return self.decayed(op, v, decay)
            v = after_leak(self.decayed(op, v, decay))
            return after_input(self.v_kept(op, v + term))

        return integrate


@dataclass
class _OneNeuron:
    sample: _Sample
    op: Neuron
    threshold: Value
    value: Value

    def spikes(self, v: Value) -> int:
        fire = self.op.fire
        assert fire is not None
        past = v > self.threshold if fire.comparison is Comparison.ABOVE else v >= self.threshold
        if not past:
            return 0
        return math.floor(v / self.threshold) if fire.reset is Reset.MULTI_SPIKE else 1

    def reset(self, v: Value, spikes: int) -> Value:
        fire = self.op.fire
        assert fire is not None
        if spikes == 0 or fire.reset is Reset.NONE:
            return v
        if fire.reset is Reset.TO_VALUE:
            return self.value
        if fire.reset is Reset.SUBTRACT:
            spikes = 1
        return self.sample.v_kept(self.op, v - self.sample.num(spikes) * self.threshold)

    def step(self, old: Value, integrate: Callable[..., Value]) -> tuple[Value, int]:
        fire = self.op.fire

        def same(v: Value) -> Value:
            return v

        if fire is None:
            return integrate(old, same, same), 0
        late = 0 if fire.when is ResetWhen.SAME_STEP else self.spikes(old)

        def reset_late(v: Value) -> Value:
            return self.reset(v, late)

        match fire.when:
            case ResetWhen.SAME_STEP:
                v = integrate(old, same, same)
            case ResetWhen.NEXT_BEFORE_LEAK:
                v = integrate(self.reset(old, late), same, same)
            case ResetWhen.NEXT_AFTER_LEAK:
                v = integrate(old, reset_late, same)
            case ResetWhen.NEXT_AFTER_INPUT | ResetWhen.SAME_STEP_ONCE:
                v = integrate(old, same, reset_late)
        spikes = self.spikes(old if fire.spike_from is SpikeFrom.OLD else v)
        if fire.when is ResetWhen.SAME_STEP:
            v = self.reset(v, spikes)
        elif fire.when is ResetWhen.SAME_STEP_ONCE:
            v = self.sample.v_kept(self.op, v - self.sample.num(spikes - late) * self.threshold)
        return v, spikes
