"""Pools that take a maximum become neurons, which every target has."""

from __future__ import annotations

from dataclasses import replace

from nmc.diagnostics import CompileError, Diagnostic, error
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.ops import Pool, Pooling, SignalKind, output_shape
from nmc.passes.repeater import repeater


def lower_pools(graph: Graph) -> Graph:
    """A maximum of spikes is whether there is one: a sum of the window into a repeater.

    Exact. Raises CompileError (NMC160) where a maximum is taken of something else than spikes.
    """
    signals, incoming = graph.signals(), graph.incoming()
    findings: list[Diagnostic] = []
    nodes: list[Node] = []
    edges = list(graph.edges)
    for node in graph.nodes:
        if not isinstance(node.op, Pool) or node.op.pooling is not Pooling.MAX:
            nodes.append(node)
            continue
        sources = incoming[node.name]
        kinds = {signals[edge.src].kind for edge in sources}
        if len(sources) != 1 or not kinds <= {SignalKind.SPIKE}:
            message = "a maximum over something that is not one population's spikes has no integer neuron"
            findings.append(
                error("NMC160", message, node.loc, help="pool spikes, or use a sum or average pool")
            )
            continue
        window = Node(f"{node.name}.sum", replace(node.op, pooling=Pooling.SUM), node.loc)
        nodes += [window, Node(node.name, repeater(output_shape(node.op)), node.loc)]
        edges = [replace(e, dst=window.name) if e.dst == node.name else e for e in edges]
        edges.append(Edge(window.name, node.name))
    if findings:
        raise CompileError(*findings)
    return replace_graph(graph, nodes=tuple(nodes), edges=tuple(edges))
