"""A constant neuron becomes several, so that biases and weights of unlike size fit one scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, LinearOp, Neuron, Op, Sparse
from nmc.ir.tensor import FixedPoint, Tensor

MOST = 64
"""Copies at most; each is a neuron and a synapse for each bias."""


def repeat_constants(graph: Graph, numbers: Mapping[str, FixedPoint | None]) -> Graph:
    """As many copies of a constant neuron as its weights are larger than the others into the same population.

    Weights are compared as they are in integers: per unit of the message that they meet, of which `numbers` by source
    has the format.

    Each copy has its share of the weight, so that the sum is the model's. Otherwise one scale for both would leave
    the other weights a part of their bits only. Only constants of one neuron are repeated: those that stand for
    biases on a synaptic current.
    """
    links = connections(graph)
    driven = {link.dst for link in links}
    constants = {
        node.name
        for node in graph.nodes
        if isinstance(node.op, Neuron) and node.name not in driven and node.op.shape == (1,)
    }
    copies: dict[str, int] = {}
    for link in links:
        if link.src in constants:
            others = [each for each in links if each.dst == link.dst and each.src not in constants]
            largest = max((_per_unit(graph, each, numbers) for each in others), default=0.0)
            ratio = _largest(graph[link.name].op) / largest if largest > 0 else 1.0
            copies[link.name] = min(MOST, max(1, math.ceil(ratio)))
    new: dict[str, Op] = {}
    for name in constants:
        leaving = {link.name: copies[link.name] for link in links if link.src == name}
        most = max(leaving.values(), default=1)
        op = graph[name].op
        assert isinstance(op, Neuron)
        if most > 1:
            new[name] = replace(op, shape=(most,))
            new |= {each: _repeated(graph[each].op, count, most) for each, count in leaving.items()}
    return graph.replace_nodes(new)


def repeated_as(graph: Graph, other: Graph) -> Graph:
    """The graph with as many copies of each constant neuron as `other` has, which was made of it."""
    new: dict[str, Op] = {}
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Neuron) or other[node.name].op == op:
            continue
        wanted = other[node.name].op
        if isinstance(wanted, Neuron) and wanted.shape != op.shape:
            (most,) = wanted.shape
            new[node.name] = replace(op, shape=(most,))
            for link in connections(graph):
                if link.src == node.name:
                    new[link.name] = _repeated(graph[link.name].op, _copies(other[link.name].op), most)
    return graph.replace_nodes(new)


def _copies(op: Op) -> int:
    """How many copies a connection comes from."""
    if isinstance(op, Sparse):
        return int(op.pre.data.max(initial=0)) + 1
    assert isinstance(op, Linear)
    return 1 + int(np.flatnonzero(op.weight.data.any(axis=0)).max(initial=0))


def _per_unit(graph: Graph, link: Connection, numbers: Mapping[str, FixedPoint | None]) -> float:
    number = numbers.get(link.src)
    return math.ldexp(_largest(graph[link.name].op), 0 if number is None else number.exponent)


def _largest(op: Op) -> float:
    return float(np.abs(op.weight.values).max(initial=0)) if isinstance(op, LinearOp) else 0.0


def _repeated(op: Op, count: int, most: int) -> Op:
    """The connection from `count` of `most` copies of its one source."""
    assert isinstance(op, Linear | Sparse)
    if isinstance(op, Linear):
        weight = np.zeros((op.weight.shape[0], most))
        weight[:, :count] = op.weight.values / count
        return replace(op, weight=Tensor(weight))
    size = op.pre.size
    order = np.tile(np.arange(size), count)
    return replace(
        op,
        in_shape=(most,),
        pre=Tensor(np.repeat(np.arange(count), size)),
        post=Tensor(op.post.data[order]),
        weight=Tensor(op.weight.values[order] / count),
        delay=Tensor(op.delay.data[order]),
    )
