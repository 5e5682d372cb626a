"""The one value that flows: an immutable `Graph` of nodes and edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

import networkx as nx

from nmc.diagnostics import NOWHERE, Diagnostic, Loc
from nmc.ir.ops import (
    Elementwise,
    Input,
    MatMul,
    Neuron,
    Ode,
    Op,
    Output,
    Signal,
    Threshold,
    output_shape,
)
from nmc.ir.types import join, signal_of


@dataclass(frozen=True, slots=True)
class Node:
    """A named operation, and where in the user's file it came from."""

    name: str
    op: Op
    loc: Loc = NOWHERE

    def at(self, field: str | None = None) -> Loc:
        """The place of the node, or of one of its fields, in the user's model."""
        return Loc(self.loc.file, self.loc.node or self.name, field or self.loc.field)


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


class OverTime(Enum):
    """What a file gives of an output's values in all steps."""

    EVERY = "every"
    """Each of them."""
    LAST = "last"
    """That of the last step."""
    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Slots:
    """How a state holds the values of several steps: along an axis of one sample, each so many steps old."""

    axis: int
    ages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the user's file has the array of an input, an output or a state, where that is not (steps, samples, ...).

    `axes` are `time`, `samples`, both in C order as `time*samples`, or sizes. `variable` is the `node.variable` that
    a state is, "" for the input or output called `name`; `initial` is the name under which the file takes the state.
    `over_time` says what the file gives of the values of all steps. An input that the file has without time enters in
    each of `held` steps. `slots` says which steps a state holds that
    holds several.
    """

    name: str
    axes: tuple[str, ...]
    variable: str = ""
    initial: str = ""
    over_time: OverTime = OverTime.EVERY
    held: int = 0
    slots: Slots | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """A network. Nodes and edges keep the order they were given in; names are unique.

    `step` is the length of a step in seconds, None where time is in steps only. A step of the model is `stretch`
    steps of the graph, of which the first brings inputs. `latency` is the number of steps of the graph by which
    lowering has made every output later. `facts` are names of predicates that hold
    (`passes/facts.py`). `layouts` say how the user's file has arrays that differ from the graph's.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    step: float | None = None
    latency: int = 0
    placement: tuple[Slice, ...] = ()
    facts: frozenset[str] = frozenset()
    notes: tuple[Diagnostic, ...] = ()
    layouts: tuple[Layout, ...] = ()
    stretch: int = 1
    _by_name: Mapping[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", MappingProxyType({node.name: node for node in self.nodes}))

    def __reduce__(self) -> tuple[object, ...]:
        return (
            Graph,
            (
                self.nodes,
                self.edges,
                self.step,
                self.latency,
                self.placement,
                self.facts,
                self.notes,
                self.layouts,
                self.stretch,
            ),
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

        The nodes of a component are in the order of `order`; a component of one node without a self-edge can
        run over all steps at once.
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

        Defined for any graph that `verify` accepts. A sum of integers takes the finest exponent and enough
        bits.
        """
        incoming = self.incoming()
        signals: dict[str, Signal] = {}
        for name in _typing_order(self):
            op = self[name].op
            received = [signals[edge.src] for edge in incoming[name] if edge.src in signals]
            signals[name] = signal_of(op, join(output_shape(op), received))
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
    layouts: tuple[Layout, ...] | None = None,
    stretch: int | None = None,
) -> Graph:
    """The same graph with some fields replaced; `dataclasses.replace`, but its arguments are typed."""
    return Graph(
        graph.nodes if nodes is None else nodes,
        graph.edges if edges is None else edges,
        graph.step if step is None else step,
        graph.latency if latency is None else latency,
        graph.placement if placement is None else placement,
        graph.facts if facts is None else facts,
        graph.notes if notes is None else notes,
        graph.layouts if layouts is None else layouts,
        graph.stretch if stretch is None else stretch,
    )


def _typing_order(graph: Graph) -> list[str]:
    """Names such that a node comes after what its type depends on; that of `typed` depends on no other."""
    typed = Input | Neuron | Ode | Threshold | Elementwise | MatMul
    cut = {node.name for node in graph.nodes if isinstance(node.op, typed)}
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(node.name for node in graph.nodes)
    digraph.add_edges_from((edge.src, edge.dst) for edge in graph.edges if edge.dst not in cut)
    return list(nx.topological_sort(digraph))
