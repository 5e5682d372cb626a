"""Chains of linear operations become one connection each between two populations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, note
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.linear import (
    PureLinear,
    Reals,
    bias,
    compose,
    identity,
    is_linear,
    make_sparse,
    matrix,
    size_of,
    synapses,
    without_bias,
)
from nmc.ir.neuron import Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Elementwise,
    Fire,
    Flatten,
    Input,
    Linear,
    MatMul,
    Membrane,
    Neuron,
    Op,
    Output,
    Reshape,
    Shape,
    Sparse,
    Threshold,
    Transpose,
    input_shape,
    output_shape,
)
from nmc.ir.tensor import Tensor
from nmc.passes.canonicalize import without_unused
from nmc.passes.repeater import repeater

BIAS_SOURCE = "bias"
"""The name of the neuron that spikes in every step and stands for the constant one."""


@dataclass(frozen=True, slots=True)
class _Path:
    """From one source through linear operations to a sink: `names` and `ops` in the order of flow."""

    src: str
    delay: int
    names: tuple[str, ...]
    ops: tuple[PureLinear, ...]


@dataclass(frozen=True, slots=True)
class _Constant:
    """A bias that reaches a sink, over the sink's shape, from step `delay` on."""

    value: Reals
    delay: int
    loc: Loc


def connect(graph: Graph, *, bias_source: bool = False) -> Graph:
    """Between two populations exactly one linear operation without bias (before it, a `Flatten` at most).

    Pools, scales and chains are multiplied out: pool and convolution become one convolution where that is
    exact, else single synapses. Biases become the membrane's where they act on it from step 0, and spikes of
    one constant neuron where they act on a synaptic current or later (or everywhere, with `bias_source`). A
    linear operation that ends in an `Output` gets a readout population that holds its value for the step. The
    function computed is the same; sums of reals may be rounded in another order.

    An output that shows what no population holds (a membrane before its reset) is dropped with a note (NMC164)
    where another output remains.
    """
    return _Connector(_wired(_without_unheld_outputs(graph)), bias_source=bias_source).run()


def _without_unheld_outputs(graph: Graph) -> Graph:
    incoming, outgoing = graph.incoming(), graph.outgoing()
    ends = {
        node.name
        for node in graph.nodes
        if isinstance(node.op, Elementwise)
        and all(isinstance(graph[edge.dst].op, Output) for edge in outgoing[node.name])
    }
    dropped = [out for out in graph.outputs if any(edge.src in ends for edge in incoming[out.name])]
    if not dropped or len(dropped) == len(graph.outputs):
        return graph
    gone = {out.name for out in dropped}
    kept = ", ".join(f"`{out.name}`" for out in graph.outputs if out.name not in gone)
    notes = [
        note(
            "NMC164",
            f"output `{out.name}` shows what no population on the target holds: it is left out, {kept} remains",
            out.loc,
        )
        for out in dropped
    ]
    nodes = tuple(node for node in graph.nodes if node.name not in gone)
    edges = tuple(edge for edge in graph.edges if edge.dst not in gone)
    return without_unused(replace_graph(graph, nodes=nodes, edges=edges, notes=(*graph.notes, *notes)))


def _wired(graph: Graph) -> Graph:
    """Movements of activations as the synapses of weight one that they are."""
    new: dict[str, Op] = {}
    for node in graph.nodes:
        if isinstance(node.op, Reshape | Transpose):
            in_shape, out_shape = input_shape(node.op), output_shape(node.op)
            order = np.arange(size_of(in_shape)).reshape(in_shape)
            if isinstance(node.op, Transpose):
                order = order.transpose(node.op.axes)
            post, one = np.arange(order.size), np.ones(order.size)
            new[node.name] = make_sparse(
                in_shape, out_shape, pre=order.ravel(), post=post, weight=one, delay=np.zeros(order.size)
            )
    return graph.replace_nodes(new) if new else graph


class _Connector:
    def __init__(self, graph: Graph, *, bias_source: bool) -> None:
        self.graph = graph
        self.bias_source = bias_source
        self.incoming = graph.incoming()
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.used = {node.name for node in graph.nodes if not is_linear(node.op)}
        self.constant_name = ""
        self.findings: list[Diagnostic] = []

    def run(self) -> Graph:
        for node in self.graph.nodes:
            match node.op:
                case Input():
                    self.nodes.append(node)
                case Neuron():
                    self._population(node, node.op)
                case Threshold():
                    self._population(node, _as_neuron(node.op))
                case Output():
                    self._output(node)
                case op if is_linear(op):
                    pass
                case _:
                    self.findings.append(_unknown(node))
        if self.findings:
            raise CompileError(*self.findings)
        nodes = self._in_order_of_use()
        return replace_graph(self.graph, nodes=nodes, edges=tuple(self.edges))

    def _in_order_of_use(self) -> tuple[Node, ...]:
        if not self.constant_name:
            return tuple(self.nodes)
        one = Node(self.constant_name, repeater((1,), bias=1.0))
        return (one, *self.nodes)

    def _population(self, node: Node, op: Neuron) -> None:
        paths, constants = self._sources(node.name)
        at_membrane = np.zeros(op.shape)
        for constant in constants:
            direct = op.synapse is None and constant.delay == 0 and not self.bias_source
            if direct:
                at_membrane = at_membrane + constant.value
            else:
                self._connect_constant(node, constant)
        for path in paths:
            self._connect(path, node.name, op.shape)
        if op.membrane.bias is not None and self.bias_source:
            if op.synapse is not None:
                message = "a bias of the membrane cannot come through the synaptic current"
                self.findings.append(
                    error("NMC162", message, node.loc, help="compile with `--set bias=membrane`")
                )
            self._connect_constant(node, _Constant(_unscaled_bias(op), 0, node.loc))
            op = _with_bias(op, None)
        elif at_membrane.any():
            gain = 1.0 if op.membrane.gain is None else op.membrane.gain.values
            own = 0.0 if op.membrane.bias is None else op.membrane.bias.values
            op = _with_bias(op, Tensor(np.broadcast_to(own + gain * at_membrane, op.shape)))
        self.nodes.append(Node(node.name, op, node.loc))

    def _output(self, node: Node) -> None:
        shape = output_shape(node.op)
        edges = self.incoming[node.name]
        if len(edges) == 1 and not is_linear(self.graph[edges[0].src].op):
            self.edges += edges
            self.nodes.append(node)
            return
        paths, constants = self._sources(node.name)
        held = Tensor(np.float64(0))
        readout = Neuron(shape, None, Membrane(held, None, None, None, held), None)
        last = edges[0].src if len(edges) == 1 else node.name
        name = self._fresh(f"{last}.readout")
        total = sum((c.value for c in constants if c.delay == 0 and not self.bias_source), np.zeros(shape))
        if np.any(total):
            readout = _with_bias(readout, Tensor(total))
        holder = Node(name, readout, node.loc)
        for constant in constants:
            if constant.delay or self.bias_source:
                self._connect_constant(holder, constant)
        for path in paths:
            self._connect(path, name, shape)
        self.nodes += [holder, node]
        self.edges.append(Edge(name, node.name))

    def _sources(self, sink: str) -> tuple[list[_Path], list[_Constant]]:
        paths: list[_Path] = []
        constants: list[_Constant] = []
        for found in self._walk(sink, _Path("", 0, (), ())):
            if isinstance(found, _Path):
                paths.append(found)
            else:
                constants.append(found)
        return paths, constants

    def _walk(self, name: str, suffix: _Path) -> Iterator[_Path | _Constant]:
        for edge in self.incoming[name]:
            node = self.graph[edge.src]
            delay = suffix.delay + edge.delay
            if not is_linear(node.op):
                yield _Path(node.name, delay, suffix.names, suffix.ops)
                continue
            op: PureLinear = node.op  # pyright: ignore[reportAssignmentType] - is_linear has just said so
            constant = bias(op)
            if constant is not None and constant.any():
                yield from _push(constant, suffix.ops, delay, node.loc)
            longer = _Path("", delay, (node.name, *suffix.names), (without_bias(op), *suffix.ops))
            yield from self._walk(node.name, longer)

    def _connect(self, path: _Path, sink: str, shape: Shape) -> None:
        names, ops = path.names, path.ops
        if not ops:
            names, ops = (f"{path.src}.{sink}",), (identity(shape),)
        flatten = ops[0] if len(ops) > 1 and isinstance(ops[0], Flatten) else None
        joined = _dense_if_full(reduce(compose, ops[1:] if flatten is not None else ops))
        if not isinstance(joined, Linear | Conv):
            source_shape = input_shape(flatten) if flatten is not None else input_shape(joined)
            joined, flatten = _reshaped(synapses(joined), source_shape, shape), None
        weighted = [n for n, op in zip(names, ops, strict=True) if isinstance(op, Linear | Sparse | Conv)]
        name = self._fresh((weighted or list(names))[-1])
        source = path.src
        loc = self.graph[names[-1]].loc if names[-1] in self.graph else self.graph[path.src].loc
        delay = path.delay
        if isinstance(joined, Linear):
            source_shape = output_shape(self.graph[path.src].op)
            if len(source_shape) != 1:
                flat = self._fresh(f"{name}.flatten")
                self.nodes.append(Node(flat, Flatten(source_shape, 0, len(source_shape) - 1), loc))
                self.edges.append(Edge(source, flat, delay))
                source, delay = flat, 0
        self.nodes.append(Node(name, joined, loc))
        self.edges += [Edge(source, name, delay), Edge(name, sink)]

    def _connect_constant(self, sink: Node, constant: _Constant) -> None:
        if not self.constant_name:
            self.constant_name = self._fresh(BIAS_SOURCE)
        value = constant.value.ravel()
        (post,) = np.nonzero(value)
        zeros = np.zeros(len(post))
        op = make_sparse((1,), constant.value.shape, pre=zeros, post=post, weight=value[post], delay=zeros)
        name = self._fresh(f"{sink.name}.bias")
        self.nodes.append(Node(name, op, constant.loc))
        self.edges += [Edge(self.constant_name, name, constant.delay), Edge(name, sink.name)]

    def _fresh(self, name: str) -> str:
        candidate, count = name, 2
        while candidate in self.used:
            candidate, count = f"{name}.{count}", count + 1
        self.used.add(candidate)
        return candidate


def _unknown(node: Node) -> Diagnostic:
    """Why a node is neither a population nor a connection."""
    ways = "golden runs it: `nmc simulate MODEL`"
    match node.op:
        case Elementwise() if node.op.initial:
            message = "this population is in none of the neuron families that targets have"
            ways += (
                "; a core that runs software, as those of SpiNNaker2 do, could hold it in a kernel of its own"
            )
        case Elementwise():
            message = (
                "this function of activations keeps no state and gives no spikes: no target has such a neuron"
            )
            ways += "; a target needs a spiking network"
        case MatMul():
            message = "this multiplies activations with activations, and synapses have fixed weights"
        case _:
            message = f"`{type(node.op).__name__.lower()}` is not a population or a connection"
    return error("NMC161", message, node.loc, help=ways)


def _push(value: Reals, ops: tuple[PureLinear, ...], delay: int, loc: Loc) -> Iterator[_Constant]:
    """A constant through the operations after it; each delay inside them starts its part later."""
    parts = [(value.ravel(), delay)]
    shape = value.shape
    for op in ops:
        shape = output_shape(op)
        single = synapses(op)
        delays = np.unique(single.delay.data)
        parts = [
            (matrix(_at_delay(single, int(d))) @ part, late + int(d)) for part, late in parts for d in delays
        ]
    for part, late in parts:
        yield _Constant(np.asarray(part).reshape(shape), late, loc)


def _at_delay(op: Sparse, delay: int) -> Sparse:
    at = op.delay.data == delay
    return make_sparse(
        op.in_shape,
        op.out_shape,
        pre=op.pre.data[at],
        post=op.post.data[at],
        weight=op.weight.values[at],
        delay=op.delay.data[at],
    )


def _dense_if_full(op: PureLinear) -> PureLinear:
    """A `Linear` where at least half of all pairs have a synapse and nothing is delayed."""
    if not isinstance(op, Sparse) or len(op.out_shape) != 1 or op.delay.data.any():
        return op
    rows, columns = size_of(op.out_shape), size_of(op.in_shape)
    if 2 * op.weight.size < rows * columns:
        return op
    return Linear(Tensor(matrix(op).toarray()))


def _reshaped(op: Sparse, in_shape: Shape, out_shape: Shape) -> Sparse:
    return Sparse(in_shape, out_shape, op.pre, op.post, op.weight, op.delay)


def _with_bias(op: Neuron, value: Tensor | None) -> Neuron:
    membrane = op.membrane
    changed = Membrane(membrane.decay, membrane.gain, value, membrane.minimum, membrane.initial)
    return Neuron(op.shape, op.synapse, changed, op.fire)


def _unscaled_bias(op: Neuron) -> Reals:
    """The membrane's bias as an input: divided by the gain that inputs get."""
    own = np.zeros(op.shape) if op.membrane.bias is None else op.membrane.bias.values
    gain = 1.0 if op.membrane.gain is None else op.membrane.gain.values
    return np.array(np.broadcast_to(own / gain, op.shape))


def _as_neuron(op: Threshold) -> Neuron:
    """A threshold as a population that forgets everything after each step."""
    zero = Tensor(np.float64(0))
    fire = Fire(
        op.threshold,
        op.comparison,
        SpikeFrom.NEW,
        Reset.TO_VALUE,
        ResetWhen.SAME_STEP,
        zero,
        Tensor(np.int64(0)),
    )
    return Neuron(op.shape, None, Membrane(zero, None, None, None, zero), fire)
