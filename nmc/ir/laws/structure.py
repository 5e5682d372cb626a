"""What nodes and edges must be together: names, ports, shapes along edges, loops, reachability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isfinite

import networkx as nx

from nmc.diagnostics import NOWHERE, Diagnostic, Loc, error, nearest, warning
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import (
    Elementwise,
    Input,
    Neuron,
    Ode,
    Output,
    Threshold,
    input_shape,
    output_shape,
    parameters,
    ports,
)


def reference_laws(graph: Graph) -> Iterator[Diagnostic]:
    """Names are unique; edges join ports of nodes that exist; time runs forward. The rest builds on these."""
    if graph.step is not None and not (isfinite(graph.step) and graph.step > 0):
        yield error("NMC109", f"a step of {graph.step:g} s", _place(graph), help="a step is a positive time")
    if graph.latency < 0:
        yield error("NMC109", f"a latency of {graph.latency} steps", _place(graph))
    if graph.stretch < 1:
        yield error("NMC109", f"{graph.stretch} steps for a step of the model", _place(graph))
    first: dict[str, Node] = {}
    for node in graph.nodes:
        if node.name in first:
            also = (first[node.name].at(),)
            yield error("NMC100", f"two nodes are named `{node.name}`", node.at(), also=also)
        first.setdefault(node.name, node)
    for edge, count in Counter(graph.edges).items():
        yield from _edge(graph, edge)
        if count > 1 and edge.dst in graph:
            message = f"the edge from `{edge.src}` is there {count} times, so its signal counts {count} times"
            yield warning("NMC108", message, graph[edge.dst].at())


def _place(graph: Graph) -> Loc:
    """The user's file, as far as the graph knows it."""
    return Loc(graph.nodes[0].loc.file) if graph.nodes else NOWHERE


def _edge(graph: Graph, edge: Edge) -> Iterator[Diagnostic]:
    for name, other in ((edge.src, edge.dst), (edge.dst, edge.src)):
        if name not in graph:
            message = f"the edge `{edge.src}` -> `{edge.dst}` names `{name}`, which does not exist"
            loc = graph[other].at() if other in graph else _place(graph)
            yield error("NMC101", message, loc, help=nearest(name, [node.name for node in graph.nodes]))
    if edge.src in graph and isinstance(graph[edge.src].op, Output):
        message = f"the edge to `{edge.dst}` leaves an output"
        help_ = "connect it to what feeds the output"
        yield error("NMC102", message, graph[edge.src].at(), help=help_)
    if edge.dst in graph:
        node = graph[edge.dst]
        known = ports(node.op)
        if not known:
            yield error("NMC102", f"the edge from `{edge.src}` enters an input", node.at())
        elif edge.port not in known:
            message = f"the edge from `{edge.src}` enters port `{edge.port}`, which does not exist"
            yield error("NMC102", message, node.at(), help=nearest(edge.port, known))
        if edge.delay < 0:
            message = f"the edge from `{edge.src}` has a delay of {edge.delay} steps; it cannot be negative"
            yield error("NMC104", message, node.at())


def shape_laws(graph: Graph, shaped: set[str]) -> Iterator[Diagnostic]:
    """Every edge carries the shape that its end takes, as far as both ends are in `shaped`."""
    for edge in graph.edges:
        if edge.src not in shaped or edge.dst not in shaped:
            continue
        src, dst = graph[edge.src], graph[edge.dst]
        if isinstance(dst.op, Input):
            continue
        gives, takes = output_shape(src.op), input_shape(dst.op, edge.port)
        if gives != takes:
            message = f"`{src.name}` gives shape {list(gives)}, `{dst.name}` takes {list(takes)}"
            yield error("NMC103", message, dst.at(), also=(src.at(),))


def loop_laws(graph: Graph) -> Iterator[Diagnostic]:
    """Each loop has a delay of at least one step on an edge, and a neuron or threshold in it."""
    undelayed = [edge for edge in graph.edges if edge.delay <= 0]
    for cycle in _cycles(graph, undelayed):
        message = f"the loop {_arrows(cycle)} has no delay"
        help_ = "give an edge of the loop a delay of one step, as the frameworks do for recurrent connections"
        yield error("NMC105", message, graph[cycle[0]].at(), help=help_)
    linear = {
        node.name
        for node in graph.nodes
        if not isinstance(node.op, Neuron | Threshold | Ode | Elementwise | Input | Output)
    }
    stateless = [edge for edge in graph.edges if edge.src in linear and edge.dst in linear]
    for cycle in _cycles(graph, stateless):
        message = f"the loop {_arrows(cycle)} passes no neuron, so its values have no type"
        yield error("NMC106", message, graph[cycle[0]].at())


def _cycles(graph: Graph, edges: list[Edge]) -> Iterator[list[str]]:
    """One loop of each strongly connected part, beginning with its first node in the graph's order."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_edges_from((edge.src, edge.dst) for edge in edges)
    rank = {node.name: index for index, node in enumerate(graph.nodes)}
    for part in sorted(nx.strongly_connected_components(digraph), key=lambda c: min(rank[n] for n in c)):
        start = min(part, key=rank.__getitem__)
        if len(part) > 1 or digraph.has_edge(start, start):
            yield [src for src, _ in nx.find_cycle(digraph.subgraph(part), start)]


def _arrows(cycle: list[str]) -> str:
    return " -> ".join(f"`{name}`" for name in (*cycle, cycle[0]))


def reach_laws(graph: Graph) -> Iterator[Diagnostic]:
    """Signals enter and leave, and what lies between is on a way from one to the other."""
    if not graph.inputs:
        yield error("NMC107", "the graph has no input", _place(graph))
    if not graph.outputs:
        yield error("NMC107", "the graph has no output", _place(graph))
    incoming = graph.incoming()
    own = [node.name for node in graph.nodes if _drives_itself(node)]
    fed = _reachable(graph, [node.name for node in graph.inputs] + own, forward=True)
    used = _reachable(graph, [node.name for node in graph.outputs], forward=False)
    for node in graph.nodes:
        if isinstance(node.op, Output) and not incoming[node.name]:
            yield error("NMC107", f"nothing enters the output `{node.name}`", node.at())
        elif graph.inputs and node.name not in fed:
            yield warning("NMC108", f"no input reaches `{node.name}`", node.at())
        if graph.outputs and node.name not in used:
            yield warning("NMC108", f"`{node.name}` reaches no output", node.at())


def _drives_itself(node: Node) -> bool:
    """Whether a node gives something without receiving anything: a bias, or a program that may have one."""
    constants = (parameters(node.op).get(path) for path in ("bias", "membrane.bias", "v_leak"))
    driven = any(tensor is not None and tensor.data.any() for tensor in constants)
    return driven or isinstance(node.op, Elementwise)


def _reachable(graph: Graph, start: list[str], *, forward: bool) -> set[str]:
    groups = graph.outgoing() if forward else graph.incoming()
    seen, stack = set(start), list(start)
    while stack:
        for edge in groups[stack.pop()]:
            name = edge.dst if forward else edge.src
            if name not in seen:
                seen.add(name)
                stack.append(name)
    return seen
