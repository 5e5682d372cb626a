"""The IR in PyTorch: what golden computes, step by step, with gradients through spikes (extra `torch`).

Neurons run the functions of `nmc.ir.neuron`, integers those of `nmc.ir.fixed` (`sim/branches.py`), and sums are taken
in golden's order, so that spikes and membranes in float32 are golden's to the bit, and integers (int64) too.
"""

# ruff: noqa: PLR0917 - rules of neurons take their numbers in the order of their formulas

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from math import prod
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, error
from nmc.ir import ops
from nmc.ir.fixed import align, fit
from nmc.ir.graph import Graph, Node
from nmc.ir.linear import matrix
from nmc.ir.neuron import (
    Arithmetic,
    Comparison,
    CurrentUsed,
    DecayForm,
    current_integer,
    current_real,
    step_integer,
    step_real,
)
from nmc.ir.program import Scalar
from nmc.ir.tensor import Tensor
from nmc.sim import layout
from nmc.sim.arrays import is_integer
from nmc.sim.branches import Array, elementwise

STEEPNESS = 2.0
"""Slope of the surrogate at the threshold per threshold: of atan, as SpikingJelly's default (0.0.0.0.14)."""


def ready() -> str | None:
    """Why PyTorch cannot be used here and what installs it; None if it can."""
    try:
        available = find_spec("torch") is not None
    except (ImportError, ValueError):
        available = False
    return None if available else "PyTorch is not installed: pip install 'nmc[torch]'"


@dataclass(frozen=True, slots=True)
class Run:
    """What nodes gave, (steps, samples, *shape) by name, and states by `node.v` and `node.i`, as torch tensors."""

    given: Mapping[str, Array]
    states: Mapping[str, Array]


@dataclass(slots=True)
class _Wire:
    """Synapses in golden's order of summation: of each its source, its target, its weight's place, its delay."""

    pre: Array
    post: Array
    weight: Array
    delays: tuple[tuple[int, slice], ...]


class Executor:
    """A graph in steps as PyTorch runs it.

    `parameters` are the tensors of a real graph by `node.path`, leaves with gradients in float32 (or `dtype`); what
    changes them changes what runs. Integer graphs compute in int64 and have no gradients.
    Raises CompileError: NMC230 where PyTorch is absent, NMC231 for operations that it does not run.
    """

    def __init__(self, graph: Graph, *, dtype: str = "float32") -> None:
        missing = ready()
        if missing is not None:
            raise CompileError(error("NMC230", "gradients need PyTorch", graph.nodes[0].loc, help=missing))
        import torch

        self.torch: Any = torch
        self.graph = graph
        self.integer = is_integer(graph)
        self.dtype: Any = torch.int64 if self.integer else getattr(torch, dtype)
        _refuse(graph)
        self.signals = graph.signals()
        self.incoming = graph.incoming()
        self.order = graph.order()
        self.parameters: dict[str, Array] = {}
        self.wires: dict[str, _Wire] = {}
        for node in graph.nodes:
            for path, tensor in ops.parameters(node.op).items():
                if path not in ops.COUNTS:
                    self.parameters[f"{node.name}.{path}"] = self._leaf(tensor)
            if isinstance(node.op, ops.LinearOp):
                self.wires[node.name] = self._wire(node.op, self._shape_in_memory(node.name))

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Run:
        """Run on arrays (steps, samples, *shape) by input, which golden accepts."""
        arrays = {name: self._array(array.reshape(*array.shape[:2], -1)) for name, array in inputs.items()}
        arrays = {name: array.transpose(1, 2).contiguous() for name, array in arrays.items()}
        steps, _, samples = next(iter(arrays.values())).shape
        walk = _Walk(self, arrays, samples)
        for t in range(steps):
            for name in self.order:
                walk.given[name].append(walk.step(self.graph[name], t))
        shapes = {node.name: ops.output_shape(node.op) for node in self.graph.nodes}

        def gathered(rows: list[Array], shape: ops.Shape) -> Array:
            return self.torch.stack(rows).transpose(1, 2).reshape(steps, samples, *shape)

        given = {name: gathered(rows, shapes[name]) for name, rows in walk.given.items()}
        states = {
            name: gathered(rows, shapes[name.rpartition(".")[0]]) for name, rows in walk.kept.items() if rows
        }
        return Run(given, states)

    def _leaf(self, tensor: Tensor) -> Array:
        if self.integer:
            return self.torch.tensor(tensor.data.astype(np.int64))
        return self.torch.tensor(tensor.values, dtype=self.dtype, requires_grad=True)

    def _array(self, array: npt.NDArray[Any]) -> Array:
        return self.torch.tensor(np.ascontiguousarray(array), dtype=self.dtype)

    def _shape_in_memory(self, name: str) -> ops.Shape:
        """The shape by whose memory golden orders what enters a linear operation: of spikes that before a `Flatten`,
        since they are added up as they come.
        """
        shape = ops.input_shape(self.graph[name].op)
        edges = self.incoming[name]
        if any(self.signals[edge.src].kind is not ops.SignalKind.SPIKE for edge in edges):
            return shape
        while len(edges) == 1 and isinstance(before := self.graph[edges[0].src].op, ops.Flatten):
            shape = before.in_shape
            edges = self.incoming[edges[0].src]
        return shape

    def _wire(self, op: ops.LinearOp, shape: ops.Shape) -> _Wire:
        """Synapses by falling delay, then by where their sources stand in memory: as golden adds them up."""
        if isinstance(op, ops.Sparse):
            pre, post, delay = op.pre.data, op.post.data, op.delay.data
            place = np.arange(op.pre.size)
        else:
            numbered = _numbered(op)
            pre, post, place = numbered.col, numbered.row, numbered.data.astype(np.int64) - 1
            delay = np.zeros(pre.size, np.int64)
        rank = np.empty(prod(shape), np.int64)
        rank[layout.inner(np.arange(prod(shape)).reshape(shape), np.dtype(np.int64))] = np.arange(prod(shape))
        order = np.lexsort((post, rank[pre], -delay))
        pre, post, place, delay = pre[order], post[order], place[order], delay[order]
        cuts = [0, *(np.flatnonzero(np.diff(delay)) + 1).tolist(), delay.size]
        parts = tuple((int(delay[a]), slice(a, b)) for a, b in pairwise(cuts) if a < b)
        as_index = [self.torch.tensor(each.astype(np.int64)) for each in (pre, post, place)]
        return _Wire(as_index[0], as_index[1], as_index[2], parts)


def _numbered(op: ops.Linear | ops.Conv) -> Any:  # a scipy.sparse.coo_matrix
    """The operation's matrix with the number of each weight, from 1, in its place."""
    numbers = Tensor(np.arange(1, op.weight.size + 1, dtype=np.float64).reshape(op.weight.shape))
    if isinstance(op, ops.Linear):
        return matrix(ops.Linear(numbers)).tocoo()
    plain = ops.Conv(op.in_shape, numbers, None, op.stride, op.padding, op.dilation, op.groups)
    return matrix(plain).tocoo()


def _refuse(graph: Graph) -> None:
    seconds = [node for node in graph.nodes if isinstance(node.op, ops.Ode | ops.DelayLine)]
    found = [
        error(
            "NMC231",
            f"`{node.name}` is in seconds, and gradients are of steps",
            node.loc,
            help="discretize it first",
        )
        for node in seconds
    ]
    if found:
        raise CompileError(*found)


class _Walk:
    """One run: what every node gave so far, (elements, samples) a step, and the states of neurons."""

    def __init__(self, executor: Executor, inputs: Mapping[str, Array], samples: int) -> None:
        self.x = executor
        self.torch = executor.torch
        self.inputs = inputs
        self.samples = samples
        self.given: dict[str, list[Array]] = {name: [] for name in executor.order}
        self.kept: dict[str, list[Array]] = {}
        self.wait: dict[str, Array] = {}
        self.programs: dict[str, list[Array]] = {}

    # ---- what enters ----

    def zeros(self, size: int) -> Array:
        return self.torch.zeros(size, self.samples, dtype=self.x.dtype)

    def at(self, name: str, t: int) -> Array:
        """What a node gave in step t, zero before step 0."""
        return self.given[name][t] if t >= 0 else self.zeros(prod(ops.output_shape(self.x.graph[name].op)))

    def exponent(self, name: str) -> int:
        number = self.x.signals[name].number
        return 0 if number is None else number.exponent

    def received(self, node: Node, t: int, port: str = "") -> Array:
        """The sum of what enters; in integers at `finest`."""
        finest = self.finest(node)
        total = self.zeros(prod(ops.input_shape(node.op, port)))
        for edge in self.x.incoming[node.name]:
            if edge.port == port:
                values = self.at(edge.src, t - edge.delay)
                total = total + (values << (self.exponent(edge.src) - finest) if self.x.integer else values)
        return total

    def finest(self, node: Node) -> int:
        """The finest exponent of all edges into the node."""
        return min((self.exponent(edge.src) for edge in self.x.incoming[node.name]), default=0)

    def parameter(
        self, node: Node, path: str, shape: ops.Shape, default: float, exponent: int | None = None
    ) -> Array:
        """One value an element, (elements, 1); mantissas in units of 2**exponent."""
        given = self.x.parameters.get(f"{node.name}.{path}")
        if given is None:
            return self.torch.full((prod(shape), 1), default, dtype=self.x.dtype)
        if self.x.integer and exponent is not None:
            number = ops.parameters(node.op)[path].number
            assert number is not None
            given = given << (number.exponent - exponent)
        return given.broadcast_to(shape).reshape(-1, 1)

    # ---- operations ----

    def step(self, node: Node, t: int) -> Array:
        """What a node gives in step t."""
        op = node.op
        match op:
            case ops.Input():
                return self.inputs[node.name][t]
            case ops.Output() | ops.Flatten() | ops.Reshape():
                return self.received(node, t)
            case ops.Transpose():
                moved = self.received(node, t).reshape(*op.in_shape, self.samples)
                return moved.permute(*op.axes, len(op.axes)).reshape(-1, self.samples)
            case ops.Delay():
                steps = np.broadcast_to(op.steps.data, op.shape).ravel()
                past = {int(d): self.received(node, t - int(d)) for d in np.unique(steps)}
                return self.torch.stack([past[int(d)][k] for k, d in enumerate(steps)])
            case ops.Scale():
                return self.received(node, t) * self.parameter(node, "factor", op.shape, 1)
            case ops.Linear() | ops.Sparse() | ops.Conv():
                return self.linear(node, op, t)
            case ops.Pool():
                return self.pool(op, self.received(node, t))
            case ops.Threshold():
                return self.threshold(node, op, t)
            case ops.Neuron():
                return self.neuron(node, op, t)
            case ops.MatMul():
                a = self.received(node, t, "a").reshape(*op.a_shape, self.samples).movedim(-1, 0)
                b = self.received(node, t, "b").reshape(*op.b_shape, self.samples).movedim(-1, 0)
                return self.torch.matmul(a, b).movedim(0, -1).reshape(-1, self.samples)
            case ops.Elementwise():
                return self.program(node, op, t)
            case ops.Ode() | ops.DelayLine():
                raise AssertionError(node.name)  # refused before
            case _:
                assert_never(op)

    def linear(self, node: Node, op: ops.LinearOp, t: int) -> Array:
        wire, shape = self.x.wires[node.name], ops.output_shape(op)
        weight = self.x.parameters[f"{node.name}.weight"].reshape(-1)[wire.weight][:, None]
        bias = self.x.parameters.get(f"{node.name}.bias")
        total = by_channel = self.zeros(prod(shape))
        if bias is not None:
            by_channel = bias.reshape(-1, *(1,) * (len(shape) - 1)).broadcast_to(shape).reshape(-1, 1)
            if not self.x.integer:
                total = total + by_channel
        for delay, part in wire.delays:
            x = self.received(node, t - delay)
            total = total.index_add(0, wire.post[part], weight[part] * x[wire.pre[part]])
        if not self.x.integer:
            return total
        assert op.accumulator is not None and op.weight.number is not None
        unit = self.finest(node) + op.weight.number.exponent
        if bias is not None and not isinstance(op, ops.Sparse):
            assert op.bias is not None and op.bias.number is not None
            finest = min(unit, op.bias.number.exponent)
            total = (total << (unit - finest)) + (by_channel << (op.bias.number.exponent - finest))
            unit = finest
        accumulator = op.accumulator

        def summed(x: int) -> int:
            aligned = align(x, unit - accumulator.number.exponent, accumulator.rounding)
            return fit(aligned, accumulator.number.bits, accumulator.overflow)

        return elementwise(self.torch, summed, [total], like=total)[0][0]

    def pool(self, op: ops.Pool, x: Array) -> Array:
        space, torch = len(op.kernel), self.torch
        image = x.movedim(-1, 0).reshape(self.samples, *op.in_shape)
        lowest = torch.iinfo(torch.int64).min if self.x.integer else -torch.inf
        empty = lowest if op.pooling is ops.Pooling.MAX else 0
        pads = [side for pair in reversed(op.padding) for side in pair]
        image = torch.nn.functional.pad(image, pads, value=empty)
        for axis in range(space):
            image = image.unfold(2 + axis, op.kernel[axis], op.stride[axis])
        taps = image.reshape(*image.shape[: 2 + space], -1)
        if op.pooling is ops.Pooling.MAX:
            result = taps.amax(-1)
            result = torch.where(result == lowest, torch.zeros_like(result), result)  # nothing but padding
        else:
            result = torch.zeros_like(taps[..., 0])
            for k in range(taps.shape[-1]):  # in golden's order
                result = result + taps[..., k]
            if op.pooling is ops.Pooling.AVERAGE and not self.x.integer:
                result = result / prod(op.kernel)
        return result.reshape(self.samples, -1).movedim(0, -1)

    def threshold(self, node: Node, op: ops.Threshold, t: int) -> Array:
        x, exponent = self.received(node, t), self.finest(node)
        if self.x.integer:
            number = op.threshold.number
            assert number is not None
            finest = min(exponent, number.exponent)
            x = x << (exponent - finest)
            limit = self.parameter(node, "threshold", op.shape, 0, finest)
        else:
            limit = self.parameter(node, "threshold", op.shape, 0)
        above = x > limit if op.comparison is Comparison.ABOVE else x >= limit
        return self.with_surrogate(above.to(self.x.dtype), x - limit, limit)

    def with_surrogate(self, spikes: Array, margin: Array | None, threshold: Array) -> Array:
        """The spikes, whose gradient is that of a smooth step: atan(pi/2 * slope * margin) / pi."""
        if self.x.integer or margin is None or not margin.requires_grad:
            return spikes
        torch = self.torch
        margin = torch.where(torch.isfinite(margin), margin, torch.zeros_like(margin))
        scale = threshold.detach().abs()
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        soft = torch.atan(torch.pi / 2 * STEEPNESS * margin / scale) / torch.pi
        return spikes + (soft - soft.detach())

    # ---- neurons ----

    def neuron(self, node: Node, op: ops.Neuron, t: int) -> Array:
        name, size = node.name, prod(op.shape)
        if t == 0:
            self.wait[name] = self.torch.zeros(size, self.samples, dtype=self.torch.int64)
        v = self.state(node, "v", "membrane.initial", op)
        clock = op.clock
        if clock is not None and t % clock.every != clock.phase:
            self.kept[f"{name}.v"].append(v)
            if op.synapse is not None:
                self.kept[f"{name}.i"].append(self.state(node, "i", "synapse.initial", op))
            return v if op.fire is None else self.torch.zeros_like(v)
        drive = self.aligned(node, op, t)
        if op.synapse is not None:
            old = self.state(node, "i", "synapse.initial", op)
            new = self.current(node, op, old, drive)
            self.kept[f"{name}.i"].append(new)
            drive = old if op.synapse.used is CurrentUsed.OLD else new
        v, wait, spikes = self.membrane(node, op, v, drive)
        self.kept[f"{name}.v"].append(v)
        self.wait[name] = wait
        return v if op.fire is None else spikes

    def state(self, node: Node, variable: str, initial: str, op: ops.Neuron) -> Array:
        """The state after the step before, or the initial one."""
        past = self.kept.setdefault(f"{node.name}.{variable}", [])
        if past:
            return past[-1]
        exponent = op.exponent if self.x.integer else None
        return self.parameter(node, initial, op.shape, 0, exponent).broadcast_to(prod(op.shape), self.samples)

    def aligned(self, node: Node, op: ops.Neuron, t: int) -> Array:
        """The summed input; in integers each edge rounded by itself to units of the state."""
        arithmetic = op.arithmetic
        if arithmetic is None:
            return self.received(node, t)
        total = self.zeros(prod(op.shape))
        for edge in self.x.incoming[node.name]:
            shift = self.exponent(edge.src) - op.exponent
            values = self.at(edge.src, t - edge.delay)

            def moved(x: int, shift: int = shift) -> int:
                return align(x, shift, arithmetic.rounding)

            total = total + elementwise(self.torch, moved, [values], like=values)[0][0]
        return total

    def current(self, node: Node, op: ops.Neuron, i: Array, x: Array) -> Array:
        a = op.arithmetic
        if a is None:
            decay = self.parameter(node, "synapse.decay", op.shape, 1)
            gain = self.parameter(node, "synapse.gain", op.shape, 1)
            return current_real(i, x, decay, gain)  # type: ignore[return-value, arg-type] # no branches: arrays go through

        def rule(i: int, x: int, mantissa: int) -> int:
            return current_integer(
                i, x, mantissa, a.decay_bits, int(a.decay_form), int(a.rounding), a.i_bits, int(a.i_overflow)
            )

        return self.by_decay(node, "synapse.decay", op, a, rule, [i, x])[0]

    def membrane(self, node: Node, op: ops.Neuron, v: Array, drive: Array) -> tuple[Array, Array, Array]:
        fire, a = op.fire, op.arithmetic
        when = int(fire.when) if fire else 0
        choices = (
            int(fire.comparison) if fire else 0,
            int(fire.spike_from) if fire else 0,
            int(fire.reset) if fire else 0,
            when,
            op.membrane.minimum is not None,
        )
        exponent = None if a is None else op.exponent
        threshold, value, minimum, bias = (
            self.parameter(node, path, op.shape, 0, exponent)
            for path in ("fire.threshold", "fire.value", "membrane.minimum", "membrane.bias")
        )
        periods = np.broadcast_to(fire.refractory.data if fire else 0, op.shape).reshape(-1, 1)
        wait, period = self.wait[node.name], self.torch.tensor(np.array(periods, np.int64))
        if a is None:

            def rule(
                v: float, wait: int, drive: float, decay: float, gain: float, bias: float,
                threshold: float, value: float, minimum: float, period: int,
            ) -> tuple[float, int, int]:  # fmt: skip
                return step_real(
                    v, wait, drive, decay, gain, bias, threshold, value, minimum, period, *choices, _number
                )

            decay = self.parameter(node, "membrane.decay", op.shape, 1)
            gain = self.parameter(node, "membrane.gain", op.shape, 1)
            given = [v, wait, drive, decay, gain, bias, threshold, value, minimum, period]
            watch = None if fire is None else 6
            (new, rest, spikes), margin = elementwise(self.torch, rule, given, like=v, watch=watch)
            spikes = self.with_surrogate(spikes, margin, threshold)
            return new, rest.to(self.torch.int64), spikes

        def integers(
            v: int,
            wait: int,
            drive: int,
            threshold: int,
            value: int,
            minimum: int,
            period: int,
            mantissa: int,
        ) -> tuple[int, int, int]:
            return step_integer(
                v, wait, drive, mantissa, threshold, value, minimum, period, a.decay_bits, int(a.decay_form),
                int(a.rounding), a.v_bits, int(a.v_overflow), a.leak_after, *choices,
            )  # fmt: skip

        given = [v, wait, drive + bias, threshold, value, minimum, period]
        new, rest, spikes = self.by_decay(node, "membrane.decay", op, a, integers, given)
        return new, rest, spikes

    def by_decay(
        self, node: Node, path: str, op: ops.Neuron, a: Arithmetic, rule: Any, given: list[Array]
    ) -> list[Array]:
        """`rule` on the arguments and a decay; sums of shifts are taken for all elements of one mantissa at a time,
        since which shifts there are is a matter of the mantissa's bits.
        """
        mantissas = ops.parameters(op).get(path)
        whole = 1 << a.decay_bits
        each = np.broadcast_to(whole if mantissas is None else mantissas.data, op.shape).ravel()
        like = given[0]
        if a.decay_form is not DecayForm.SHIFTS:
            decay = self.torch.tensor(each.astype(np.int64))[:, None]
            return elementwise(self.torch, rule, [*given, decay], like=like)[0]
        results: list[Array] = []
        for mantissa in np.unique(each).tolist():
            found, _ = elementwise(self.torch, rule, [*given, int(mantissa)], like=like)
            mine = self.torch.tensor(each == mantissa)[:, None]
            results = (
                [self.torch.where(mine, *pair) for pair in zip(found, results, strict=True)]
                if results
                else found
            )
        return results

    # ---- programs ----

    def program(self, node: Node, op: ops.Elementwise, t: int) -> Array:
        program = op.program
        shape = (prod(op.shape), self.samples)
        states = self.programs.get(node.name)
        if states is None:
            states = [
                self.parameter(node, f"initial.{k}", op.shape, 0).broadcast_to(shape)
                for k in range(len(program.states))
            ]
        values = [
            *(self.received(node, t, port).reshape(-1, self.samples) for port in program.inputs),
            *states,
        ]
        constants = [
            self.parameter(node, f"program.constants.{k}", op.shape, 0) for k in range(len(program.constants))
        ]
        values += constants
        for instruction in program.code:
            values.append(self.scalar(instruction.op, [values[index] for index in instruction.args]))
        self.programs[node.name] = [values[index].broadcast_to(shape) for index in program.next]
        for name, value in zip(program.states, self.programs[node.name], strict=True):
            self.kept.setdefault(f"{node.name}.{name}", []).append(value)
        return values[program.output].broadcast_to(shape)

    def scalar(self, op: Scalar, args: list[Array]) -> Array:
        """A scalar operation; truths are smooth steps backwards."""
        torch = self.torch
        a = args[0]
        b = args[1] if len(args) > 1 else a
        match op:
            case Scalar.ABOVE | Scalar.AT_LEAST:
                holds = a > b if op is Scalar.ABOVE else a >= b
                return self.with_surrogate(holds.to(self.x.dtype), a - b, torch.ones_like(a))
            case Scalar.EQUAL:
                return (a == b).to(self.x.dtype)
            case Scalar.AND:
                return ((a != 0) & (b != 0)).to(self.x.dtype)
            case Scalar.OR:
                return ((a != 0) | (b != 0)).to(self.x.dtype)
            case Scalar.NOT:
                return (a == 0).to(self.x.dtype)
            case Scalar.WHERE:
                return torch.where(a != 0, b, args[2])
            case Scalar.SIGMOID:
                return 1 / (1 + torch.exp(-a))
            case _:
                named = _TORCH_NAMES[op]
                return getattr(torch, named)(*args)


_TORCH_NAMES: Mapping[Scalar, str] = {
    Scalar.ADD: "add",
    Scalar.SUB: "sub",
    Scalar.MUL: "mul",
    Scalar.DIV: "div",
    Scalar.POW: "pow",
    Scalar.MOD: "remainder",
    Scalar.MIN: "minimum",
    Scalar.MAX: "maximum",
    Scalar.NEG: "neg",
    Scalar.ABS: "abs",
    Scalar.SIGN: "sign",
    Scalar.FLOOR: "floor",
    Scalar.CEIL: "ceil",
    Scalar.ROUND: "round",
    Scalar.TRUNC: "trunc",
    Scalar.SQRT: "sqrt",
    Scalar.EXP: "exp",
    Scalar.LOG: "log",
    Scalar.TANH: "tanh",
    Scalar.ERF: "erf",
    Scalar.SIN: "sin",
    Scalar.COS: "cos",
}


def _number(count: Any) -> Any:
    """A count as a number of the state's precision: torch keeps that of the array that it meets."""
    return float(count) if isinstance(count, int) else count
