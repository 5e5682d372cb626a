"""A graph seen as populations and the connections between them, once passes have made it so."""

from __future__ import annotations

from dataclasses import dataclass

from nmc.ir.graph import Graph
from nmc.ir.ops import Conv, Input, Linear, Neuron, Op, Output, Sparse


@dataclass(frozen=True, slots=True)
class Connection:
    """A linear operation between two populations, as the edges around it say."""

    src: str
    name: str
    dst: str
    delay: int
    """Steps in the model, synapses' own delays left out."""


def connections(graph: Graph) -> list[Connection]:
    """The connections of a canonical graph, in its node order."""
    incoming, outgoing = graph.incoming(), graph.outgoing()
    found: list[Connection] = []
    for node in graph.nodes:
        if not isinstance(node.op, Linear | Sparse | Conv):
            continue
        (after,) = outgoing[node.name]
        (before,) = incoming[node.name]
        delay = before.delay + after.delay
        while not is_population(graph[before.src].op):
            (before,) = incoming[before.src]
            delay += before.delay
        found.append(Connection(before.src, node.name, after.dst, delay))
    return found


def is_population(op: Op) -> bool:
    """Whether signals of steps begin or end here."""
    return isinstance(op, Input | Neuron | Output)
