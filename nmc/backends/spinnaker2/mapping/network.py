"""A graph as mapping sees it: populations that take room, inputs, and projections that say who reaches whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.kernels import starts_of, transpose
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.diagnostics import Loc
from nmc.ir.connections import connections
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of
from nmc.ir.ops import Input, LinearOp, Neuron, Shape, Sparse, output_shape

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Population:
    """Neurons of one kind, or an input; `op` says which."""

    name: str
    op: Neuron | Input
    shape: Shape
    size: int
    loc: Loc

    @property
    def is_input(self) -> bool:
        """Whether its spikes come from outside."""
        return isinstance(self.op, Input)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which parts each neuron of a source reaches: `part[start[n]:start[n + 1]]`, ascending, for neuron n."""

    start: Integers
    part: Array


@dataclass(frozen=True, slots=True)
class Projection:
    """A connection between two populations, given by their index in `Network.populations`."""

    name: str
    src: int
    dst: int
    op: LinearOp
    delay: int
    """Steps of its edges, synapses' own left out."""
    start: Integers
    """Of a `Sparse`: the synapses of source neuron n are `start[n]` to `start[n + 1]`. Empty for others."""
    first: Integers
    by_post: Array
    """Of a `Sparse`: the sources of neuron n are `by_post[first[n]:first[n + 1]]`, ascending. Empty for others."""


@dataclass(frozen=True, slots=True)
class Network:
    """All populations, neurons and inputs, in the order of the graph; their neurons are numbered from `first` on."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    first: Integers

    @property
    def neurons(self) -> int:
        """How many neurons and input elements there are."""
        return int(self.first[-1])

    def into(self, population: int) -> tuple[Projection, ...]:
        """The projections that end in a population."""
        return tuple(each for each in self.projections if each.dst == population)

    def out_of(self, population: int) -> tuple[Projection, ...]:
        """The projections that begin in a population."""
        return tuple(each for each in self.projections if each.src == population)


def network_of(graph: Graph) -> Network:
    """The populations of a canonical graph and the connections that end in neurons."""
    nodes = [node for node in graph.nodes if isinstance(node.op, Neuron | Input)]
    index = {node.name: at for at, node in enumerate(nodes)}
    populations = tuple(
        Population(node.name, node.op, output_shape(node.op), size_of(output_shape(node.op)), node.loc)
        for node in nodes
        if isinstance(node.op, Neuron | Input)
    )
    projections: list[Projection] = []
    for each in connections(graph):
        op = graph[each.name].op
        assert isinstance(op, LinearOp)
        if each.dst in index:
            projections.append(_projection(each.name, index[each.src], index[each.dst], op, each.delay))
    first = np.concatenate(([0], np.cumsum([each.size for each in populations], dtype=np.int64)))
    return Network(populations, tuple(projections), first)


def _projection(name: str, src: int, dst: int, op: LinearOp, delay: int) -> Projection:
    none = np.zeros(0, np.int64)
    if not isinstance(op, Sparse):
        return Projection(name, src, dst, op, delay, none, none, none)
    pre, post = op.pre.data, op.post.data
    start = starts_of(pre, size_of(op.in_shape))
    first, by_post = transpose(start, post, size_of(op.out_shape))
    return Projection(name, src, dst, op, delay, start, first, by_post)
