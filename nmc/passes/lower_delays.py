"""Delays as the target has them: every connection takes the steps it needs, and no spike changes but in time.

Retiming after Leiserson and Saxe, "Retiming synchronous circuitry" (Algorithmica 6, 1991): each population p
gets a number of steps by which it runs late, so that for every connection from p to q with a delay of d steps
in the model d + late(q) - late(p) is what the target needs or more. All outputs end equally late; that is the
graph's `latency`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, Excess, Loc, error, note
from nmc.ir.connections import Connection, connections, is_population
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.ops import Clock, Neuron, Op, SignalKind, Sparse, output_shape
from nmc.ir.tensor import Tensor
from nmc.passes.relay import relay
from nmc.passes.warm_up import warm_up
from nmc.target import TargetSpec


def lower_delays(graph: Graph, *, target: TargetSpec) -> Graph:
    """The canonical graph with delays that `target` holds; spikes equal the model's, `latency` steps later.

    Raises CompileError: NMC250 for a loop that is faster than the target, NMC251 for a delay that can be
    neither held nor relayed, NMC253 for a population whose biases cannot wait for their first input.
    """
    graph = _split_long(graph, int(target.max_delay.value))
    links = connections(graph)
    late = _retime(graph, links, target.connection_delay)
    graph = _set_delays(graph, links, late)
    latency = max((late[node.name] for node in graph.outputs), default=0)
    graph = warm_up(graph, {name: steps // _every(graph, name) for name, steps in late.items()})
    graph = _set_phases(graph, late)
    graph = _hold(graph, target)
    notes = graph.notes
    if latency:
        message = (
            f"outputs come {latency} steps later than the model's: one step a connection on `{target.name}`"
        )
        notes = (*notes, note("NMC252", message, graph.outputs[0].loc))
    return replace_graph(graph, latency=graph.latency + latency, notes=notes)


def _every(graph: Graph, name: str) -> int:
    """Every how many steps a population takes one."""
    op = graph[name].op
    return op.clock.every if isinstance(op, Neuron) and op.clock is not None else 1


def _set_phases(graph: Graph, late: Mapping[str, int]) -> Graph:
    """Populations that let steps pass take theirs as late as retiming has made them."""
    new: dict[str, Op] = {}
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Neuron) and op.clock is not None:
            phase = (op.clock.phase + late[node.name]) % op.clock.every
            new[node.name] = replace(op, clock=Clock(op.clock.every, phase))
    return graph.replace_nodes(new)


def _split_long(graph: Graph, longest: int) -> Graph:
    """Synapses with delays of their own beyond `longest` become connections with a delay that all share."""
    nodes, edges = list(graph.nodes), list(graph.edges)
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Sparse) or int(op.delay.data.max(initial=0)) <= longest:
            continue
        (before,) = [edge for edge in edges if edge.dst == node.name]
        (after,) = [edge for edge in edges if edge.src == node.name]
        at = nodes.index(node)
        edges.remove(before)
        edges.remove(after)
        parts: list[Node] = []
        for bucket in np.unique(op.delay.data // (longest + 1)).tolist():
            base = bucket * (longest + 1)
            name = node.name if bucket == 0 else f"{node.name}.after{base}"
            parts.append(Node(name, _between(op, base, base + longest), node.loc))
            edges.append(replace(before, dst=name, delay=before.delay + base))
            edges.append(replace(after, src=name))
        nodes[at : at + 1] = parts
    return replace_graph(graph, nodes=tuple(nodes), edges=tuple(edges))


def _between(op: Sparse, first: int, last: int) -> Sparse:
    """The synapses with delays from `first` to `last`, counted from `first`."""
    kept = (op.delay.data >= first) & (op.delay.data <= last)
    return replace(
        op,
        pre=Tensor(op.pre.data[kept]),
        post=Tensor(op.post.data[kept]),
        weight=Tensor(op.weight.data[kept], op.weight.number),
        delay=Tensor(op.delay.data[kept] - first),
    )


def _retime(graph: Graph, links: list[Connection], needed: int) -> dict[str, int]:
    """The least lateness of each population: longest paths by Bellman and Ford over lateness constraints."""
    through = {link.name for link in links}
    arcs = [(link.src, link.dst, needed - link.delay) for link in links]
    direct = [
        (edge.src, edge.dst, -edge.delay)
        for edge in graph.edges
        if edge.src not in through
        and edge.dst not in through
        and is_population(graph[edge.src].op)
        and is_population(graph[edge.dst].op)
    ]
    arcs += direct
    late = {node.name: 0 for node in graph.nodes if is_population(node.op)}
    via: dict[str, str] = {}
    changed = ""
    for _ in range(len(late) + 1):
        changed = ""
        for src, dst, length in arcs:
            if late[src] + length > late[dst]:
                late[dst] = late[src] + length
                via[dst] = src
                changed = dst
        if not changed:
            last = max((late[node.name] for node in graph.outputs), default=0)
            return late | {node.name: last for node in graph.outputs}
    raise CompileError(_too_fast(graph, links, needed, _loop(via, changed, len(late))))


def _loop(via: dict[str, str], start: str, count: int) -> list[str]:
    """The loop that lies behind `start`, in the direction of flow."""
    for _ in range(count):
        start = via[start]
    loop = [start]
    while via[loop[-1]] != start:
        loop.append(via[loop[-1]])
    return loop[::-1]


def _too_fast(graph: Graph, links: list[Connection], needed: int, loop: list[str]) -> Diagnostic:
    pairs = list(zip(loop, loop[1:] + loop[:1], strict=True))
    delays = [min(link.delay for link in links if (link.src, link.dst) == pair) for pair in pairs]
    names = " -> ".join(f"`{name}`" for name in [*loop, loop[0]])
    factor = graph.stretch * -(-needed * len(loop) // sum(delays))
    message = (
        f"the loop {names} takes {sum(delays)} steps in the model and at least {needed * len(loop)} here"
    )
    places = tuple(graph[name].loc for name in loop)
    return error(
        "NMC250",
        message,
        places[0],
        help=f"every connection takes {needed} step: `--stretch {factor}` gives the loop time, with {factor} steps "
        "for a step of the model; or give it more delay and train again",
        also=places[1:],
        excess=Excess("steps around a loop", needed * len(loop), sum(delays)),
    )


def _set_delays(graph: Graph, links: list[Connection], late: dict[str, int]) -> Graph:
    """The model's delays plus what each connection bridges, all on the edge that leaves the source."""
    by_name = {link.name: link for link in links}
    incoming = graph.incoming()
    new: dict[Edge, Edge] = {}
    for link in links:
        (before,) = incoming[link.name]
        first = before
        while not is_population(graph[first.src].op):
            new[first] = replace(first, delay=0)
            (first,) = incoming[first.src]
        total = link.delay + late[link.dst] - late[link.src]
        new[first] = replace(first, delay=total)
    edges: list[Edge] = []
    for edge in graph.edges:
        if edge in new:
            edges.append(new[edge])
        elif edge.src in by_name:
            edges.append(replace(edge, delay=0))
        elif edge.dst in late and edge.src in late:
            edges.append(replace(edge, delay=edge.delay + late[edge.dst] - late[edge.src]))
        else:
            edges.append(edge)
    return replace_graph(graph, edges=tuple(edges))


def _hold(graph: Graph, target: TargetSpec) -> Graph:
    """Relays before every connection whose delay is longer than a synapse of the target holds."""
    longest = int(target.max_delay.value)
    signals = graph.signals()
    nodes, edges, notes = list(graph.nodes), list(graph.edges), list(graph.notes)
    findings: list[Diagnostic] = []
    for link in connections(graph):
        op = graph[link.name].op
        own = int(op.delay.data.max(initial=0)) if isinstance(op, Sparse) else 0
        extra = link.delay - target.connection_delay
        if extra + own <= longest:
            continue
        loc = graph[link.name].loc
        if own > longest or signals[link.src].kind is not SignalKind.SPIKE:
            findings.append(_too_long(loc, extra + own, longest, target.name))
            continue
        first = _first_edge(edges, link)
        hop = longest + target.connection_delay
        count = -(-(extra + own - longest) // hop)
        shape = output_shape(graph[link.src].op)
        weight, neuron = relay(graph, shape, target=target)
        left = link.delay
        src = link.src
        for k in range(count):
            wire, name = f"{link.name}.relay{k}.in", f"{link.name}.relay{k}"
            take = min(hop, left - target.connection_delay)
            nodes += [Node(wire, weight, loc), Node(name, neuron, loc)]
            edges += [Edge(src, wire, take), Edge(wire, name)]
            src, left = name, left - take
        edges[edges.index(first)] = replace(first, src=src, delay=left)
        message = (
            f"a delay of {extra + own} steps exceeds the {longest} of a synapse: {count} relay populations"
        )
        notes.append(note("NMC254", f"{message} of {int(np.prod(shape))} neurons", loc))
    if findings:
        raise CompileError(*findings)
    return replace_graph(graph, nodes=tuple(nodes), edges=tuple(edges), notes=tuple(notes))


def _first_edge(edges: list[Edge], link: Connection) -> Edge:
    (edge,) = [edge for edge in edges if edge.dst == link.name]
    while edge.src != link.src:
        (edge,) = [before for before in edges if before.dst == edge.src]
    return edge


def _too_long(loc: Loc, steps: int, longest: int, target: str) -> Diagnostic:
    return error(
        "NMC251",
        f"delay of {steps} steps exceeds the {longest} that `{target}` holds",
        loc,
        help="only spikes can be relayed, and only delays that all synapses of a connection share",
        excess=Excess("max_delay", steps, longest),
    )
