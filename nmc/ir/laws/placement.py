"""What a placement must be: slices of populations that cover each neuron once."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from nmc.diagnostics import NOWHERE, Diagnostic, error, nearest
from nmc.ir.graph import Graph, Node, Slice
from nmc.ir.ops import Neuron, Threshold, output_shape


def placement_laws(graph: Graph) -> Iterator[Diagnostic]:
    """Needs operations whose shapes are known. A graph without slices is not placed, and lawful."""
    if not graph.placement:
        return
    populations = {node.name: node for node in graph.nodes if isinstance(node.op, Neuron | Threshold)}
    slices: dict[str, list[Slice]] = {name: [] for name in populations}
    for each in graph.placement:
        if each.node in populations:
            slices[each.node].append(each)
        else:
            help_ = nearest(each.node, populations)
            yield error("NMC130", f"`{each.node}` is placed and is no population", NOWHERE, help=help_)
        if each.core < 0:
            yield error("NMC130", f"`{each.node}` is placed on core {each.core}", NOWHERE)
    for name, node in populations.items():
        yield from _cover(node, sorted(slices[name], key=lambda each: (each.start, each.stop)))


def _cover(node: Node, slices: list[Slice]) -> Iterator[Diagnostic]:
    """`slices`, in order, are not empty, follow on one another and end with the population."""
    size, at = prod(output_shape(node.op)), 0
    for each in slices:
        if not 0 <= each.start < each.stop <= size:
            message = f"a slice of neurons {each.start} to {each.stop} of {size}"
            yield error("NMC130", message, node.at())
        elif each.start < at:
            last = min(each.stop, at) - 1
            yield error("NMC131", f"neurons {each.start} to {last} are on two cores", node.at())
        elif each.start > at:
            yield error("NMC132", f"neurons {at} to {each.start - 1} are on no core", node.at())
        at = max(at, each.stop)
    if at < size:
        yield error("NMC132", f"neurons {at} to {size - 1} are on no core", node.at())
