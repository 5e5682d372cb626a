"""How a graph runs: each operation as stages over streams, its parameters in the form that kernels take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.diagnostics import CompileError, error
from nmc.ir.fixed import Overflow, shift_right
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset
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
    Threshold,
    Transpose,
    input_shape,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER, join
from nmc.sim import kernels, layout, neurons, programs, synapses
from nmc.sim.streams import Array, Kept, Source, Stage, State, Stream, Total, Unused, View, block_of

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


def is_integer(graph: Graph) -> bool:
    """Whether the graph computes in integers: one of its operations has an arithmetic or a number format."""
    return any(_computes_in_integers(node.op) for node in graph.nodes)


def _computes_in_integers(op: Op) -> bool:
    match op:
        case Neuron():
            return op.arithmetic is not None
        case Linear() | Sparse() | Conv():
            return op.accumulator is not None
        case Scale(_, tensor) | Threshold(_, tensor):
            return tensor.number is not None
        case _:
            return False


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

    def alias(self, node: Node) -> View | None:
        """Where a node's output already is, if the node only names, or delays as a whole, what enters it."""
        edges = self.incoming[node.name]
        if len(edges) != 1:
            return None
        match node.op:
            case Output():
                later = 0
            case Flatten() if layout.flattened(node.op) is None:
                later = 0
            case Reshape() | Transpose() if programs.moved(node.op) is None:
                later = 0
            case Delay(_, steps) if steps.size and int(steps.data.min()) == int(steps.data.max()):
                later = int(steps.data.flat[0])
            case _:
                return None
        return self.view(edges[0].src).later(edges[0].delay + later)

    def view(self, name: str) -> View:
        """Where the output of a node can be read."""
        if name in self.streams:
            return View(self.streams[name], 0)
        found = self.alias(self.graph[name])
        assert found is not None, name
        return found

    def stream(
        self, name: str, shape: Shape, dtype: np.dtype[Any] | None, number: FixedPoint | None
    ) -> Stream:
        """A new stream of the node or of one of its steps."""
        return Stream(name, int(np.prod(shape, dtype=np.int64)), dtype, number)

    def declare(self, node: Node) -> None:
        """The stream of a node that makes one."""
        if self.alias_declared(node):
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

    def alias_declared(self, node: Node) -> bool:
        """As `alias`, without following it."""
        if len(self.incoming[node.name]) != 1:
            return False
        match node.op:
            case Output():
                return True
            case Flatten():
                return layout.flattened(node.op) is None
            case Reshape() | Transpose():
                return programs.moved(node.op) is None
            case Delay(_, steps):
                return bool(steps.size) and int(steps.data.min()) == int(steps.data.max())
            case _:
                return False

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
                left, right = _alignment(node, source.number, number.exponent)
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
        if self.alias_declared(node):
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
        views = self.entering(node)
        plain = len(views) == 1 and views[0].stream.dtype is not EVENTS and node.name not in self.watched
        if op.arithmetic is None:
            source = views[0] if plain else self.sum_rows(node, views, None)
            self.plan_real_neuron(node, op, source, out)
            return
        if plain:
            source = views[0]
        else:
            state = FixedPoint(op.arithmetic.v_bits, True, op.exponent)
            source = self.sum_rows(node, views, state, int(op.arithmetic.rounding))
        self.plan_integer_neuron(node, op, op.arithmetic, source, out)

    def written(self, op: Neuron, out: Stream) -> tuple[object, object]:
        """The rings that a neuron kernel takes for events and for values."""
        if out.dtype is EVENTS:
            return out, Unused(self.dtype)
        return Unused(EVENTS), out

    def plan_real_neuron(self, node: Node, op: Neuron, source: View, out: Stream) -> None:
        synapse, membrane, fire = op.synapse, op.membrane, op.fire
        rule = _rule(op, each=False)

        def real(tensor: Tensor | None, default: float) -> Array:
            values = np.float64(default) if tensor is None else tensor.values
            return layout.inner(np.broadcast_to(values, op.shape), self.dtype)

        one, zero = 1.0, 0.0
        table = [
            real(membrane.decay, one),
            real(membrane.gain, one),
            real(synapse.decay if synapse else None, one),
            real(synapse.gain if synapse else None, one),
            real(fire.threshold if fire else None, zero),
            real(fire.value if fire else None, zero),
            real(membrane.minimum, zero),
        ]
        period = layout.inner(
            np.broadcast_to(fire.refractory.data if fire else 0, op.shape), np.dtype(np.int64)
        )
        each = not all(_uniform(row) for row in [*table, period])
        rule = _rule(op, each=each)
        p = np.array(table, self.dtype) if each else np.array([row[:1] for row in table], self.dtype)
        states = self.states(op, v=real(membrane.initial, zero), i=real(synapse and synapse.initial, zero))
        self.add(
            node,
            neurons.real_kernel(rule),
            source,
            *states,
            real(membrane.bias, zero)[: None if rule.biased else 0],
            p,
            period if each else period[:1],
            *self.written(op, out),
            *self.recordings(node, op, states),
        )

    def states(self, op: Neuron, *, v: Array, i: Array) -> tuple[State, State, State]:
        """v, i and the refractory steps that are left; empty where the neuron has none."""
        resting = op.fire is not None and bool(op.fire.refractory.data.any())
        wait = np.zeros(v.shape[0] if resting else 0, np.int32)
        return State(v), State(i if op.synapse is not None else i[:0]), State(wait)

    def recordings(self, node: Node, op: Neuron, states: tuple[State, State, State]) -> tuple[object, ...]:
        """Where v and i are recorded, and spikes counted."""
        v, i, _ = states
        return (
            Kept(f"{node.name}.v", v.initial.shape[0], v.initial.dtype),
            Kept(f"{node.name}.i", i.initial.shape[0], i.initial.dtype),
            Total(node.name),
        )

    def plan_integer_neuron(
        self, node: Node, op: Neuron, arithmetic: Arithmetic, source: View, out: Stream
    ) -> None:
        synapse, membrane, fire = op.synapse, op.membrane, op.fire
        assert source.stream.number is not None
        left, right = _alignment(node, source.stream.number, op.exponent)

        def aligned(tensor: Tensor | None) -> Array:
            return layout.inner(np.broadcast_to(_mantissas(tensor, op.exponent), op.shape), self.dtype)

        def decay(tensor: Tensor | None) -> Array:
            whole = np.int64(1) << np.int64(arithmetic.decay_bits)
            values = whole if tensor is None else tensor.data
            return layout.inner(np.broadcast_to(values, op.shape), self.dtype)

        table = [
            decay(membrane.decay),
            decay(synapse.decay if synapse else None),
            aligned(fire.threshold if fire else None),
            aligned(fire.value if fire else None),
            aligned(membrane.minimum),
            layout.inner(np.broadcast_to(fire.refractory.data if fire else 0, op.shape), self.dtype),
        ]
        each = not all(_uniform(row) for row in table)
        constant = not each and arithmetic.decay_form is DecayForm.SHIFTS
        rule = _rule(
            op,
            each=each,
            mantissa=int(table[0][0]) if constant else -1,
            synapse_mantissa=int(table[1][0]) if constant else -1,
        )
        v_dtype = _state_dtype(arithmetic.v_bits, arithmetic.v_overflow)
        i_dtype = _state_dtype(arithmetic.i_bits, arithmetic.i_overflow)
        states = self.states(
            op,
            v=aligned(membrane.initial).astype(v_dtype),
            i=aligned(synapse.initial if synapse else None).astype(i_dtype),
        )
        self.add(
            node,
            neurons.integer_kernel(rule),
            source,
            left,
            right,
            *states,
            _narrow(aligned(membrane.bias))[: None if rule.biased else 0],
            np.array(table if each else [row[:1] for row in table]),
            arithmetic.v_bits,
            arithmetic.i_bits,
            *self.written(op, out),
            *self.recordings(node, op, states),
        )


def _uniform(row: Array) -> bool:
    return bool((row == row[:1]).all())


def _rule(op: Neuron, *, each: bool, mantissa: int = -1, synapse_mantissa: int = -1) -> neurons.Rule:
    fire, arithmetic = op.fire, op.arithmetic
    emits = neurons.Emits.MEMBRANE
    if fire is not None:
        multi = fire.reset is Reset.MULTI_SPIKE
        emits = neurons.Emits.COUNTS if multi else neurons.Emits.SPIKES
    return neurons.Rule(
        emits=int(emits),
        synapse=op.synapse is not None,
        biased=op.membrane.bias is not None,
        refractory=fire is not None and bool(fire.refractory.data.any()),
        each=each,
        current_used=int(op.synapse.used) if op.synapse else 0,
        comparison=int(fire.comparison) if fire else 0,
        spike_from=int(fire.spike_from) if fire else 0,
        reset=int(fire.reset) if fire else 0,
        when=int(fire.when) if fire else 0,
        clamped=op.membrane.minimum is not None,
        decay_bits=arithmetic.decay_bits if arithmetic else 0,
        decay_form=int(arithmetic.decay_form) if arithmetic else 0,
        mantissa=mantissa,
        synapse_mantissa=synapse_mantissa,
        rounding=int(arithmetic.rounding) if arithmetic else 0,
        v_overflow=int(arithmetic.v_overflow) if arithmetic else 0,
        i_overflow=int(arithmetic.i_overflow) if arithmetic else 0,
        leak_after=arithmetic.leak_after if arithmetic else False,
    )


def _narrow(values: Array) -> Array:
    """int32 if that holds all values, to read half as much."""
    fits = not values.size or (int(values.min()) >= -(1 << 31) and int(values.max()) < 1 << 31)
    return values.astype(np.int32) if fits else values


def _state_dtype(bits: int, overflow: Overflow) -> np.dtype[Any]:
    """int32 where the register cannot hold more; one fold does not bound what it folds."""
    return np.dtype(np.int32 if bits <= 32 and overflow is not Overflow.WRAP_ONCE else np.int64)


def _width(number: FixedPoint) -> np.dtype[Any]:
    """int32 or int64, whichever holds every mantissa."""
    return np.dtype(np.int32 if number.bits + (not number.signed) <= 32 else np.int64)


def _alignment(node: Node, number: FixedPoint, exponent: int) -> tuple[int, int]:
    """Shifts to the left and to the right that take mantissas of `number` to 2**exponent; one of them is 0."""
    shift = number.exponent - exponent
    if shift > 0 and number.bits + (not number.signed) + shift > 64:
        raise CompileError(
            error(
                "NMC507",
                f"an input of `{node.name}` of {number.bits} bits, shifted left by {shift}, exceeds the 64 bits "
                "in which golden computes",
                node.loc,
                help="use fewer bits, or exponents that lie closer together",
            )
        )
    return max(shift, 0), max(-shift, 0)


def _mantissas(tensor: Tensor | None, exponent: int) -> Array:
    """A parameter in units of 2**exponent, 0 if there is none; its own exponent is not below."""
    if tensor is None:
        return np.zeros((), np.int64)
    assert tensor.number is not None, "a parameter of an integer neuron has a number"
    return tensor.data.astype(np.int64) << (tensor.number.exponent - exponent)


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
