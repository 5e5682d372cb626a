"""The one value that flows: an immutable `Graph` of nodes and edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import networkx as nx

from nmc.diagnostics import NOWHERE, Diagnostic, Loc
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Pool,
    Pooling,
    Scale,
    Signal,
    SignalKind,
    Sparse,
    Threshold,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor


@dataclass(frozen=True, slots=True)
class Node:
    """A named operation, and where in the user's file it came from."""

    name: str
    op: Op
    loc: Loc = NOWHERE


@dataclass(frozen=True, slots=True)
class Edge:
    """In step t, `dst` receives at `port` what `src` produced in step t - delay; zero before step 0."""

    src: str
    dst: str
    delay: int = 0
    port: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """Neurons `start` (inclusive) to `stop` of a population, in C order, on one core."""

    node: str
    start: int
    stop: int
    core: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A network. Nodes and edges keep the order they were given in; names are unique.

    `step` is the length of a step in seconds, None where time is in steps only. `latency` is the number of steps
    by which lowering has made every output later. `facts` are names of predicates that hold (`passes/facts.py`).
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    step: float | None = None
    latency: int = 0
    placement: tuple[Slice, ...] = ()
    facts: frozenset[str] = frozenset()
    notes: tuple[Diagnostic, ...] = ()
    _by_name: Mapping[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", MappingProxyType({node.name: node for node in self.nodes}))

    def __reduce__(self) -> tuple[object, ...]:
        return (
            Graph,
            (self.nodes, self.edges, self.step, self.latency, self.placement, self.facts, self.notes),
        )

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes where signals enter."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @property
    def outputs(self) -> tuple[Node, ...]:
        """The nodes where signals leave."""
        return tuple(node for node in self.nodes if isinstance(node.op, Output))

    def incoming(self) -> dict[str, list[Edge]]:
        """The edges into each node, by its name."""
        return self._group(lambda edge: edge.dst)

    def outgoing(self) -> dict[str, list[Edge]]:
        """The edges out of each node, by its name."""
        return self._group(lambda edge: edge.src)

    def _group(self, key: Callable[[Edge], str]) -> dict[str, list[Edge]]:
        groups: dict[str, list[Edge]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            groups[key(edge)].append(edge)
        return groups

    def order(self) -> list[str]:
        """Names in topological order of the zero-delay edges; ties keep the order of `nodes`.

        Raises networkx.NetworkXUnfeasible if zero-delay edges form a cycle, which `verify` reports first.
        """
        digraph: nx.DiGraph[str] = nx.DiGraph()
        digraph.add_nodes_from(node.name for node in self.nodes)
        digraph.add_edges_from((edge.src, edge.dst) for edge in self.edges if edge.delay == 0)
        rank = {node.name: index for index, node in enumerate(self.nodes)}
        return list(nx.lexicographical_topological_sort(digraph, key=rank.__getitem__))

    def components(self) -> list[list[str]]:
        """Strongly connected components over all edges, in an order in which signals flow.

        The nodes of a component are in the order of `order`; a component of one node without a self-edge can run
        over all steps at once.
        """
        digraph: nx.DiGraph[str] = nx.DiGraph()
        digraph.add_nodes_from(node.name for node in self.nodes)
        digraph.add_edges_from((edge.src, edge.dst) for edge in self.edges)
        rank = {name: index for index, name in enumerate(self.order())}
        condensed = nx.condensation(digraph)
        first = {c: min(rank[name] for name in condensed.nodes[c]["members"]) for c in condensed.nodes}
        flow = nx.lexicographical_topological_sort(condensed, key=first.__getitem__)
        return [sorted(condensed.nodes[c]["members"], key=rank.__getitem__) for c in flow]

    def replace_nodes(self, new: Mapping[str, Op]) -> Graph:
        """The same graph with other operations at some names."""
        nodes = tuple(replace(node, op=new[node.name]) if node.name in new else node for node in self.nodes)
        return replace_graph(self, nodes=nodes)

    def with_notes(self, notes: Iterable[Diagnostic]) -> Graph:
        """The same graph with further notes."""
        return replace_graph(self, notes=self.notes + tuple(notes))

    def signals(self) -> dict[str, Signal]:
        """The type of each node's output; for an `Output`, of what it receives.

        Defined for any graph that `verify` accepts. Integer sums take the finest exponent and enough bits.
        """
        incoming = self.incoming()
        signals: dict[str, Signal] = {}
        # A loop passes through a neuron or a threshold, whose output does not depend on its input's type; so
        # iterate: those first, the rest in topological order of edges that do not leave them.
        names = _typing_order(self)
        for name in names:
            signals[name] = _signal(
                self[name].op, [signals[edge.src] for edge in incoming[name] if edge.src in signals]
            )
        return signals


def replace_graph(
    graph: Graph,
    *,
    nodes: tuple[Node, ...] | None = None,
    edges: tuple[Edge, ...] | None = None,
    step: float | None = None,
    latency: int | None = None,
    placement: tuple[Slice, ...] | None = None,
    facts: frozenset[str] | None = None,
    notes: tuple[Diagnostic, ...] | None = None,
) -> Graph:
    """The same graph with some fields replaced (dataclasses.replace does not know the index field)."""
    return Graph(
        graph.nodes if nodes is None else nodes,
        graph.edges if edges is None else edges,
        graph.step if step is None else step,
        graph.latency if latency is None else latency,
        graph.placement if placement is None else placement,
        graph.facts if facts is None else facts,
        graph.notes if notes is None else notes,
    )


def _typing_order(graph: Graph) -> list[str]:
    stateful = [node.name for node in graph.nodes if isinstance(node.op, Neuron | Threshold | Input)]
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(node.name for node in graph.nodes)
    cut = set(stateful)
    digraph.add_edges_from((edge.src, edge.dst) for edge in graph.edges if edge.dst not in cut)
    return list(nx.topological_sort(digraph))


def _signal(op: Op, inputs: list[Signal]) -> Signal:
    shape = output_shape(op)
    match op:
        case Input(signal):
            return signal
        case Threshold():
            return Signal(shape, SignalKind.SPIKE)
        case Neuron():
            return _neuron_signal(op, shape)
        case (
            Linear(_, _, accumulator)
            | Sparse(_, _, _, _, _, _, accumulator)
            | Conv(_, _, _, _, _, _, _, accumulator)
        ):
            return _accumulated(shape, accumulator)
        case _:
            pass
    joined = join(shape, inputs)
    match op:
        case Pool(_, pooling, kernel):
            return _pooled(joined, pooling, kernel)
        case Scale(_, factor):
            return _scaled(joined, factor)
        case Output() | Flatten() | Delay():
            return joined
        case _:
            return Signal(shape, SignalKind.REAL)


def _neuron_signal(op: Neuron, shape: tuple[int, ...]) -> Signal:
    if op.fire is not None:
        if op.fire.reset.name == "MULTI_SPIKE":
            return Signal(shape, SignalKind.GRADED, FixedPoint(31, False, 0))
        return Signal(shape, SignalKind.SPIKE)
    if op.arithmetic is None:
        return Signal(shape, SignalKind.REAL)
    return Signal(shape, SignalKind.GRADED, FixedPoint(op.arithmetic.v_bits, True, op.exponent))


def _accumulated(shape: tuple[int, ...], accumulator: Accumulator | None) -> Signal:
    if accumulator is None:
        return Signal(shape, SignalKind.REAL)
    return Signal(shape, SignalKind.GRADED, accumulator.number)


SPIKE_NUMBER = FixedPoint(1, False, 0)
"""A spike read as a number: 0 or 1."""


def join(shape: tuple[int, ...], inputs: list[Signal]) -> Signal:
    """The type of a sum of signals: real if one is, a spike if it is the only one, else graded."""
    if len(inputs) == 1:
        return Signal(shape, inputs[0].kind, inputs[0].number)
    if not inputs or any(signal.kind is SignalKind.REAL for signal in inputs):
        return Signal(shape, SignalKind.REAL)
    numbers = [signal.number or SPIKE_NUMBER for signal in inputs]
    exponent = min(number.exponent for number in numbers)
    signed = any(number.signed for number in numbers)
    high = sum(max(number.highest, -number.lowest) << (number.exponent - exponent) for number in numbers)
    return Signal(shape, SignalKind.GRADED, FixedPoint(min(63, high.bit_length() + signed), signed, exponent))


def _pooled(signal: Signal, pooling: Pooling, kernel: tuple[int, ...]) -> Signal:
    if pooling is Pooling.MAX or signal.kind is SignalKind.REAL:
        return signal
    size = 1
    for k in kernel:
        size *= k
    number = signal.number or SPIKE_NUMBER
    bits = min(63, number.bits + (size - 1).bit_length())
    shift = 0
    if pooling is Pooling.AVERAGE:
        if size & (size - 1):
            return Signal(signal.shape, SignalKind.REAL)
        shift = size.bit_length() - 1
    return Signal(signal.shape, SignalKind.GRADED, FixedPoint(bits, number.signed, number.exponent - shift))


def _scaled(signal: Signal, factor: Tensor) -> Signal:
    if signal.kind is SignalKind.REAL or factor.number is None:
        return Signal(signal.shape, SignalKind.REAL)
    number = signal.number or SPIKE_NUMBER
    return Signal(
        signal.shape,
        SignalKind.GRADED,
        FixedPoint(min(63, number.bits + factor.number.bits), True, number.exponent + factor.number.exponent),
    )


__all__ = ["SPIKE_NUMBER", "Edge", "Graph", "Node", "Slice", "join", "replace_graph"]
