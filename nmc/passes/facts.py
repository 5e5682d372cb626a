"""Facts: predicates over a graph that the pipeline re-checks after each pass. They are not claims."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from math import prod

from nmc.diagnostics import Severity
from nmc.ir.graph import Graph, Node
from nmc.ir.ops import (
    COUNTS,
    Conv,
    Delay,
    DelayLine,
    Flatten,
    Input,
    Linear,
    LinearOp,
    Neuron,
    Ode,
    Output,
    Sparse,
    parameters,
)
from nmc.ir.verify import verify


class Fact(Enum):
    """What may be true of a graph."""

    DISCRETE = "discrete"
    """No operation is in seconds: no `Ode`, no `DelayLine`."""
    CANONICAL = "canonical"
    """Neurons without gain; between two of them one `Linear`, `Sparse` or `Conv` without bias, before a `Linear`
    at most a `Flatten`; each connection serves one neuron; an output shows one neuron or input."""
    QUANTIZED = "quantized"
    """Every parameter has a number format, every neuron an arithmetic, every connection an accumulator."""
    DELAYS_LOWERED = "delays_lowered"
    """No operation is a delay; edges and synapses alone have delays. Which ones a target holds is the pass's
    affair, since a graph does not know its target."""
    PLACED = "placed"
    """Every neuron is on exactly one core."""


def check(graph: Graph, *, after: str) -> None:
    """Raise AssertionError, naming the pass `after`, if a law or a fact of the graph is broken: a fault of nmc."""
    for finding in verify(graph):
        if finding.severity is Severity.ERROR:
            raise AssertionError(f"after pass `{after}` the graph breaks a law:\n{finding}")
    for name in sorted(graph.facts):
        for violation in violations(graph, Fact(name)):
            raise AssertionError(f"after pass `{after}` the graph is not {name}: {violation}")


def violations(graph: Graph, fact: Fact) -> Iterator[str]:
    """Why the fact does not hold, one reason for each node at fault; nothing if it holds."""
    match fact:
        case Fact.DISCRETE:
            return _in_seconds(graph)
        case Fact.CANONICAL:
            return _not_canonical(graph)
        case Fact.QUANTIZED:
            return _in_reals(graph)
        case Fact.DELAYS_LOWERED:
            return _delaying(graph)
        case Fact.PLACED:
            return _not_placed(graph)


def _in_seconds(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node.op, Ode | DelayLine):
            yield f"`{node.name}` is in seconds"


def _not_canonical(graph: Graph) -> Iterator[str]:
    incoming, outgoing = graph.incoming(), graph.outgoing()
    for node in graph.nodes:
        sources = [graph[edge.src] for edge in incoming[node.name]]
        match node.op:
            case Input():
                continue
            case Neuron():
                gains = [path for path in parameters(node.op) if path.endswith("gain")]
                if gains:
                    yield f"`{node.name}` has `{gains[0]}`"
                wrong = [source for source in sources if not isinstance(source.op, LinearOp)]
            case Linear() | Sparse() | Conv():
                flat = Flatten if isinstance(node.op, Linear) else ()
                wrong = [source for source in sources if not isinstance(source.op, (Input, Neuron, flat))]
                yield from _not_a_connection(node, len(sources), len(outgoing[node.name]))
            case Flatten():
                wrong = [source for source in sources if not isinstance(source.op, Input | Neuron)]
            case Output():
                wrong = [source for source in sources if not isinstance(source.op, Input | Neuron)]
            case _:
                yield f"`{node.name}` is neither a neuron nor a connection"
                continue
        for source in wrong:
            yield f"`{source.name}` leads to `{node.name}`"


def _not_a_connection(node: Node, entering: int, leaving: int) -> Iterator[str]:
    if "bias" in parameters(node.op):
        yield f"the connection `{node.name}` has a bias"
    if (entering, leaving) != (1, 1):
        yield f"the connection `{node.name}` has {entering} edges in and {leaving} out"


def _in_reals(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        missing = [
            path
            for path, tensor in parameters(node.op).items()
            if path not in COUNTS and tensor.number is None
        ]
        if missing:
            yield f"`{node.name}` has no number format for `{missing[0]}`"
        elif isinstance(node.op, Neuron) and node.op.arithmetic is None:
            yield f"`{node.name}` has no arithmetic"
        elif isinstance(node.op, LinearOp) and node.op.accumulator is None:
            yield f"`{node.name}` has no accumulator"


def _delaying(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node.op, Delay | DelayLine):
            yield f"`{node.name}` is a delay"
    for edge in graph.edges:
        if edge.delay < 0:
            yield f"the edge `{edge.src}` -> `{edge.dst}` has a delay of {edge.delay}"


def _not_placed(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not isinstance(node.op, Neuron):
            continue
        slices = sorted((each.start, each.stop) for each in graph.placement if each.node == node.name)
        ends = [(0, 0), *slices, (prod(node.op.shape),) * 2]
        if any(before[1] != after[0] for before, after in pairwise(ends)):
            yield f"slices of `{node.name}` are {slices}"
