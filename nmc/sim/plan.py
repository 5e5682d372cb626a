"""How a graph runs: each operation as stages over streams, its parameters in the form that kernels take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.diagnostics import CompileError, error
from nmc.ir.fixed import shift_right
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Comparison
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Flatten,
    Input,
    Linear,
    LinearOp,
    MatMul,
    Neuron,
    Ode,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Threshold,
    Transpose,
    input_shape,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER, join
from nmc.sim import kernels, layout, neurons, populations, programs, synapses
from nmc.sim.arrays import is_integer
from nmc.sim.streams import Array, Kept, Source, Stage, State, Stream, Total, View, block_of

EVENTS = None
"""The dtype of a stream of events."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph as stages, grouped by strongly connected component in an order in which signals flow.

    `blocks` holds, for each component, how many steps it may run at once; None where nothing loops. `views`
    says where a node's output can be read, `entering` where its summed input can, for nodes that are watched.
    """

    graph: Graph
    signals: dict[str, Signal]
    integer: bool
    dtype: np.dtype[Any]
    components: tuple[tuple[Stage, ...], ...]
    blocks: tuple[int | None, ...]
    views: dict[str, View]
    entering: dict[str, View]


def make_plan(graph: Graph, *, dtype: np.dtype[Any], watched: frozenset[str] = frozenset()) -> Plan:
    """The plan of a discrete graph; `watched` names the nodes whose summed input will be recorded.

    Raises CompileError for graphs that cannot run step by step in one kind of number.
    """
    planner = _Planner(graph, dtype, watched)
    return planner.run()


class _Planner:
    """The state of making a plan: streams by node, and the stages of the node at hand."""

    def __init__(self, graph: Graph, dtype: np.dtype[Any], watched: frozenset[str]) -> None:
        self.graph = graph
        self.integer = is_integer(graph)
        self.dtype = np.dtype(np.int64) if self.integer else dtype
        self.watched = watched
        self.incoming = graph.incoming()
        _refuse_undiscrete(graph)
        self.signals = graph.signals()
        if self.integer:
            _refuse_reals(graph, self.signals)
        self.streams: dict[str, Stream] = {}
        self.stages: list[Stage] = []
        self.sums: dict[str, View] = {}
        self.prepared: dict[str, synapses.Weights] = {}

    def run(self) -> Plan:
        """Streams first, since a loop reads what comes later in the order; then the stages of each node."""
        for node in self.graph.nodes:
            self.declare(node)
        components: list[tuple[Stage, ...]] = []
        for names in self.graph.components():
            self.stages = []
            for name in names:
                self.plan(self.graph[name])
            components.append(tuple(self.stages))
        views = {node.name: self.view(node.name) for node in self.graph.nodes}
        blocks = tuple(block_of(component) for component in components)
        entering = {name: self.sums.get(name) or self.gather(self.graph[name]) for name in self.watched}
        return Plan(
            self.graph, self.signals, self.integer, self.dtype, tuple(components), blocks, views, entering
        )

    # ---- where signals are ----

    def received(self, node: Node) -> Signal:
        """The type of the sum of what enters a node."""
        entering = [self.signals[edge.src] for edge in self.incoming[node.name]]
        return join(input_shape(node.op), entering)

    def number(self, signal: Signal) -> FixedPoint | None:
        """The format of an integer signal, None in a graph of reals."""
        return (signal.number or SPIKE_NUMBER) if self.integer else None

    def lag(self, node: Node) -> int | None:
        """Steps by which a node only delays what enters it; None if it makes a signal of its own."""
        if len(self.incoming[node.name]) != 1:
            return None
        match node.op:
            case Output():
                return 0
            case Flatten():
                return 0 if layout.flattened(node.op) is None else None
            case Reshape() | Transpose():
                return 0 if programs.moved(node.op) is None else None
            case Delay(_, steps):
                shared = steps.size and int(steps.data.min()) == int(steps.data.max())
                return int(steps.data.flat[0]) if shared else None
            case _:
                return None

    def view(self, name: str) -> View:
        """Where the output of a node can be read."""
        if name in self.streams:
            return View(self.streams[name], 0)
        lag = self.lag(self.graph[name])
        assert lag is not None, name
        (edge,) = self.incoming[name]
        return self.view(edge.src).later(edge.delay + lag)

    def stream(
        self, name: str, shape: Shape, dtype: np.dtype[Any] | None, number: FixedPoint | None
    ) -> Stream:
        """A new stream of the node or of one of its steps."""
        return Stream(name, int(np.prod(shape, dtype=np.int64)), dtype, number)

    def declare(self, node: Node) -> None:
        """The stream of a node that makes one."""
        if self.lag(node) is not None:
            return
        signal = self.signals[node.name]
        number = self.number(signal)
        if signal.kind is SignalKind.SPIKE:
            self.streams[node.name] = self.stream(node.name, signal.shape, EVENTS, number)
            return
        dtype = self.dtype if number is None else _width(number)
        if isinstance(node.op, Linear | Sparse | Conv):
            prepared = synapses.prepare(node, node.op, self.number(self.received(node)), self.dtype)
            self.prepared[node.name] = prepared
            if prepared.finish is None:
                dtype = prepared.dtype
        elif isinstance(node.op, Neuron | Scale | Elementwise | MatMul):
            dtype = self.dtype
        self.streams[node.name] = self.stream(node.name, signal.shape, dtype, number)

    # ---- stages ----

    def add(self, node: Node, kernel: Any, *arguments: object, reach: int = 0, depth: int = 0) -> None:
        """One more stage of a node."""
        self.stages.append(Stage(node.name, kernel, arguments, reach, depth))

    def gather(self, node: Node) -> View:
        """The sum of what enters a node: of one edge as it is, else in rows."""
        edges = self.incoming[node.name]
        if len(edges) == 1:
            return self.view(edges[0].src).later(edges[0].delay)
        number = self.number(self.received(node))
        return self.sum_rows(node, self.entering(node), number)

    def entering(self, node: Node) -> list[View]:
        """What enters a node, edge by edge."""
        return [self.view(edge.src).later(edge.delay) for edge in self.incoming[node.name]]

    def rows(self, node: Node) -> View:
        """As `gather`, in rows even if it is spikes."""
        found = self.gather(node)
        if found.stream.dtype is not EVENTS:
            return found
        return self.sum_rows(node, [found], found.stream.number)

    def sum_rows(self, node: Node, views: list[View], number: FixedPoint | None, rounding: int = 0) -> View:
        """A stream of rows that is the sum of signals, integers aligned to the exponent of `number`."""
        out = self.stream(f"{node.name}.in", input_shape(node.op), self.dtype, number)
        self.sums[node.name] = View(out, 0)
        self.add(node, kernels.clear, out)
        for view in views:
            source = view.stream
            if number is None or source.number is None:
                left, right = 0, 0
            else:
                left, right = populations.alignment(source.number, number.exponent)
            if source.dtype is EVENTS:
                one = shift_right(1 << left, right, rounding)
                self.add(node, kernels.add_spikes, view, np.full(1, one, self.dtype), out)
            elif number is None:
                self.add(node, kernels.add_reals, view, out)
            else:
                self.add(node, kernels.add_integers, view, left, right, rounding, out)
        return View(out, 0)

    def plan(self, node: Node) -> None:
        """The stages of one node."""
        if self.lag(node) is not None:
            return
        out = self.streams[node.name]
        match node.op:
            case Input():
                self.plan_input(node, out)
            case Output() | Flatten() | Delay() | Reshape() | Transpose():
                self.plan_wiring(node, out)
            case Elementwise():
                self.plan_program(node, node.op, out)
            case MatMul():
                a, b = self.port_rows(node, "a"), self.port_rows(node, "b")
                self.add(node, programs.Product(node.op), a, b, out)
            case Linear() | Sparse() | Conv():
                self.plan_synapses(node, node.op, out)
            case Pool():
                self.plan_pool(node, node.op, out)
            case Scale(shape, factor):
                scale = layout.inner(np.broadcast_to(self.parameter(factor), shape), self.dtype)
                self.add(node, kernels.scale, self.rows(node), scale, out)
            case Threshold():
                self.plan_threshold(node, node.op, out)
            case Neuron():
                self.plan_neuron(node, node.op, out)
            case Ode() | DelayLine():
                raise AssertionError(node.name)

    def parameter(self, tensor: Tensor) -> Array:
        """Mantissas in a graph of integers, values in one of reals."""
        return tensor.data.astype(np.int64) if self.integer else tensor.values

    def plan_input(self, node: Node, out: Stream) -> None:
        place = layout.places(output_shape(node.op))
        source = Source(node.name)
        if out.dtype is EVENTS:
            self.add(node, kernels.take_spikes, source, place, out)
        else:
            self.add(node, kernels.take_values, source, place, out)

    def plan_wiring(self, node: Node, out: Stream) -> None:
        """Outputs that sum, flattening that moves elements, delays that differ between elements."""
        source = self.gather(node)
        spikes = source.stream.dtype is EVENTS
        op = node.op
        if isinstance(op, Delay):
            later = layout.inner(np.broadcast_to(op.steps.data, op.shape), np.dtype(np.int64))
            reach = int(later.max(initial=0))
            if spikes:
                self.add(node, kernels.delay_spikes, source, later, reach, out, reach=reach)
            else:
                self.add(node, kernels.delay_values, source, later, out, depth=reach)
            return
        place = None
        if isinstance(op, Flatten):
            place = layout.flattened(op)
        elif isinstance(op, Reshape | Transpose):
            place = programs.moved(op)
        if place is None:
            place = np.arange(out.size)
        self.add(node, kernels.move_spikes if spikes else kernels.move_values, source, place, out)

    def port_rows(self, node: Node, port: str) -> View:
        """The sum of what enters a port, in rows of the graph's numbers."""
        edges = [edge for edge in self.incoming[node.name] if edge.port == port]
        views = [self.view(edge.src).later(edge.delay) for edge in edges]
        if len(views) == 1 and views[0].stream.dtype == self.dtype:
            return views[0]
        out = self.stream(f"{node.name}.in.{port}", input_shape(node.op, port), self.dtype, None)
        self.add(node, kernels.clear, out)
        for view in views:
            if view.stream.dtype is EVENTS:
                self.add(node, kernels.add_spikes, view, np.full(1, 1, self.dtype), out)
            else:
                self.add(node, kernels.add_reals, view, out)
        return View(out, 0)

    def plan_program(self, node: Node, op: Elementwise, out: Stream) -> None:
        views = [self.port_rows(node, port) for port in op.program.inputs]
        states = [
            State(layout.inner(np.broadcast_to(each.values, op.shape), self.dtype)) for each in op.initial
        ]
        run = programs.Run(op, self.dtype, events=out.dtype is EVENTS)
        kept = [Kept(f"{node.name}.{name}", out.size, self.dtype) for name in op.program.states]
        self.add(node, run, *views, *states, *kept, out)

    def plan_threshold(self, node: Node, op: Threshold, out: Stream) -> None:
        source = self.rows(node)
        limit = np.broadcast_to(self.parameter(op.threshold), op.shape)
        if self.integer:
            assert op.threshold.number is not None and source.stream.number is not None
            shift = op.threshold.number.exponent - source.stream.number.exponent
            # Below the signal's resolution: x > y is x > floor(y), and x >= y is x >= ceil(y).
            if shift >= 0:
                limit = limit << shift
            elif op.comparison is Comparison.ABOVE:
                limit = limit >> -shift
            else:
                limit = -((-limit) >> -shift)
        inner = layout.inner(limit, self.dtype)
        self.add(node, neurons.threshold, source, inner, int(op.comparison), out, Total(node.name))

    def plan_pool(self, node: Node, op: Pool, out: Stream) -> None:
        source = self.gather(node)
        channels = op.in_shape[0]
        windows = layout.windows(op.in_shape, op.kernel, op.stride, op.padding, (1,) * len(op.kernel))
        start, target = windows.by_input(channels)
        spikes = source.stream.dtype is EVENTS
        if op.pooling is Pooling.MAX:
            if spikes:
                self.add(node, kernels.pool_any, source, channels, start, target, out, out.size)
            else:
                start, origin = windows.by_output(channels)
                self.add(node, kernels.pool_maximum, source, channels, start, origin, out)
            return
        average = op.pooling is Pooling.AVERAGE and not self.integer
        total = self.stream(f"{node.name}.sum", output_shape(op), out.dtype, out.number) if average else out
        kernel = kernels.pool_spikes if spikes else kernels.pool_values
        self.add(node, kernel, source, channels, start, target, total)
        if average:
            size = np.full(out.size, np.prod(op.kernel), self.dtype)
            self.add(node, kernels.divide, View(total, 0), size, out)

    def plan_synapses(self, node: Node, op: LinearOp, out: Stream) -> None:
        source, prepared = self.gather(node), self.prepared[node.name]
        spikes = source.stream.dtype is EVENTS
        raw = out
        if prepared.finish is not None:
            raw = self.stream(f"{node.name}.sum", output_shape(op), prepared.dtype, None)
        match op:
            case Linear():
                if not spikes:
                    self.add(node, kernels.rows_of_values, source, prepared.weight, prepared.bias, raw)
                elif prepared.part is None:
                    self.add(node, kernels.rows_of_reals, source, prepared.weight, prepared.bias, raw)
                else:
                    partial = (np.zeros(0, prepared.part), prepared.limit)
                    self.add(
                        node, kernels.rows_of_integers, source, prepared.weight, prepared.bias, *partial, raw
                    )
            case Sparse():
                self.plan_sparse(node, op, source, raw)
            case Conv():
                space = layout.windows(op.in_shape, op.weight.shape[2:], op.stride, op.padding, op.dilation)
                width = op.weight.shape[0] // op.groups
                runs = layout.runs(space, channels=op.weight.shape[0], width=width)
                weight = prepared.weight[:, runs.taps].reshape(op.in_shape[0], -1)
                table = (runs.start, runs.target, runs.tap, runs.length, layout.group_starts(op))
                kernel = kernels.conv if spikes else kernels.conv_of_values
                self.add(node, kernel, source, *table, weight, prepared.bias, raw)
        if prepared.finish is not None:
            number = prepared.finish.accumulator.number
            rounding, overflow = prepared.finish.accumulator.rounding, prepared.finish.accumulator.overflow
            alignment = (prepared.finish.left, prepared.finish.right, int(rounding))
            self.add(node, kernels.finish, View(raw, 0), *alignment, number.bits, int(overflow), out)

    def plan_sparse(self, node: Node, op: Sparse, source: View, raw: Stream) -> None:
        table = synapses.table(op, self.prepared[node.name].weight)
        reach = int(op.delay.data.max(initial=0))
        spikes = source.stream.dtype is EVENTS
        packed = synapses.pack(table) if spikes and self.integer else None
        if packed is not None:
            arguments = (table.start, packed.word, packed.post_bits, packed.delay_bits, packed.lowest)
            self.add(node, kernels.synapses_packed, source, *arguments, reach, raw, reach=reach)
            return
        kernel = kernels.synapses if spikes else kernels.synapses_of_values
        arguments = (table.start, table.post, table.later, table.weight)
        self.add(node, kernel, source, *arguments, reach, raw, reach=reach)

    def plan_neuron(self, node: Node, op: Neuron, out: Stream) -> None:
        """The update, on rows of the summed input: those of the one edge, or a sum aligned to the state."""
        views = self.entering(node)
        if len(views) == 1 and views[0].stream.dtype is not EVENTS and node.name not in self.watched:
            source = views[0]
        elif op.arithmetic is None:
            source = self.sum_rows(node, views, None)
        else:
            state = FixedPoint(op.arithmetic.v_bits, True, op.exponent)
            source = self.sum_rows(node, views, state, int(op.arithmetic.rounding))
        self.add(node, *populations.update(node.name, op, source, out, self.dtype))


def _width(number: FixedPoint) -> np.dtype[Any]:
    """int32 or int64, whichever holds every mantissa."""
    return np.dtype(np.int32 if number.bits + (not number.signed) <= 32 else np.int64)


def _refuse_undiscrete(graph: Graph) -> None:
    """Raise for operations that are in seconds."""
    found = [
        error(
            "NMC506",
            f"`{node.name}` is in seconds, and golden runs in steps",
            node.loc,
            help="discretize the model first: give the length of a step",
        )
        for node in graph.nodes
        if isinstance(node.op, Ode | DelayLine)
    ]
    if found:
        raise CompileError(*found)


def _refuse_reals(graph: Graph, signals: dict[str, Signal]) -> None:
    """Raise for what computes in reals in a graph that computes in integers."""
    found = [
        error(
            "NMC508",
            f"`{node.name}` gives reals in a graph that computes in integers",
            node.loc,
            help="quantize the whole model, or keep all of it in reals",
        )
        for node in graph.nodes
        if signals[node.name].kind is SignalKind.REAL
    ]
    if found:
        raise CompileError(*found)
