"""The parts of all populations: contiguous slices, of a better order where ids say nothing, then refined."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.mapping.cost import Costs, cut_of
from nmc.backends.spinnaker2.mapping.kahypar import kahypar
from nmc.backends.spinnaker2.mapping.kernels import join_rows, reach_of_sparse
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network
from nmc.backends.spinnaker2.mapping.order import PATIENCE, cuthill_mckee, grow
from nmc.backends.spinnaker2.mapping.refine import Hypergraph, Room, refined
from nmc.backends.spinnaker2.mapping.slices import GUESS, Parts, cut, is_image, whole
from nmc.ir.ops import Sparse

Array = npt.NDArray[Any]


class Partitioner(Enum):
    """How neurons come to parts."""

    SLICES = "slices"
    """Contiguous slices of ids."""
    KM1 = "km1"
    """Slices of the best order, refined by moves and swaps."""
    MT_KAHYPAR = "mtkahypar"
    """What Mt-KaHyPar finds, where it fits."""


def partition(costs: Costs, rates: Array, limit: int, *, how: Partitioner, split: bool = False) -> Parts:
    """The parts of every population by their lowest neuron, each of at most `limit` bytes unless `split`.

    `rates` are packets a step of each neuron of the network. No population has more packets than in contiguous
    slices.
    """
    network = costs.network
    orders = [whole(network, each) for each in range(len(network.populations))]
    free = [each for each in range(len(network.populations)) if is_free(network, each)]
    if how is Partitioner.SLICES or not free:
        return in_order(cut(costs, orders, limit, split=split))
    graphs = {each: hypergraph(network, each, rates) for each in free}
    visited = cuthill_mckee(network)
    for each in free:
        orders[each] = best_order(graphs[each], orders[each], visited[each])
    parts = cut(costs, orders, limit, split=split)
    for each in free:
        moved = refine(costs, each, graphs[each], parts, limit, split=split)
        if how is Partitioner.MT_KAHYPAR and len(parts[each]) > 1:
            found = parts_of(kahypar(graphs[each], len(parts[each])), len(parts[each]))
            moved = found if split or fits(costs, each, found, parts, limit) else moved
        parts = (*parts[:each], moved, *parts[each + 1 :])
    return in_order(parts)


def in_order(parts: Parts) -> Parts:
    """The same parts of each population by their lowest neuron."""
    return tuple(tuple(sorted(each, key=lambda neurons: int(neurons.min()))) for each in parts)


def is_free(network: Network, population: int) -> bool:
    """Whether the neurons of a population may be in any order: it is no image and its synapses are single ones."""
    into = network.into(population)
    return (
        bool(into) and not is_image(network, population) and all(isinstance(each.op, Sparse) for each in into)
    )


def hypergraph(network: Network, population: int, rates: Array) -> Hypergraph:
    """The neurons of a population, and the sources of every projection into it as nets."""
    joined: Hypergraph | None = None
    for each in network.into(population):
        assert isinstance(each.op, Sparse)
        low, high = network.first[each.src], network.first[each.src + 1]
        one = Hypergraph(each.start, each.op.post.data, each.first, each.by_post, rates[low:high])
        if joined is None:
            joined = one
            continue
        first, nets = join_rows(joined.first, joined.nets, one.first, one.nets, len(joined.rate))
        joined = Hypergraph(
            np.concatenate((joined.start, joined.start[-1] + one.start[1:])),
            np.concatenate((joined.pins, one.pins)),
            first,
            nets,
            np.concatenate((joined.rate, one.rate)),
        )
    assert joined is not None
    return joined


def packets(graph: Hypergraph, parts: Sequence[Integers]) -> float:
    """Packets a step into a population that is cut like that."""
    start, _ = reach_of_sparse(graph.start, graph.pins, cut_of(parts).part_of, len(parts))
    return float(np.diff(start) @ graph.rate)


def best_order(graph: Hypergraph, given: Integers, visited: Integers) -> Integers:
    """Of the given order, that of reverse Cuthill-McKee and one grown from it: the one with fewest packets."""
    parts = -(-len(given) // GUESS)
    grown = grow(graph.start, graph.pins, graph.first, graph.nets, visited, -(-len(given) // parts), PATIENCE)
    options = [given, visited, *([grown] if len(grown) else [])]
    return min(options, key=lambda order: packets(graph, np.array_split(order, parts)))


def refine(
    costs: Costs, population: int, graph: Hypergraph, parts: Parts, limit: int, *, split: bool
) -> tuple[Integers, ...]:
    """The parts of a population after moves and swaps; as they were if what comes out fits less well."""
    before = parts[population]
    cut = cut_of(before)
    synapses = np.bincount(cut.part_of, np.diff(graph.first), len(before))
    for slack in (1.03, 1.0):
        most = int(cut.sizes.max())
        widest = -(-most // blocks.NARROW_NEURONS) * blocks.NARROW_NEURONS  # beyond it words get longer
        room = Room(min(widest, int(most * slack)), int(synapses.max() * slack))
        found = refined(graph, cut.part_of, len(before), room)
        after = parts_of(found, len(before))
        if split or fits(costs, population, after, parts, limit):
            return after
    return before


def parts_of(part_of: Array, parts: int) -> tuple[Integers, ...]:
    """The neurons of each part, ascending; parts without any are left out."""
    found = (np.flatnonzero(part_of == each) for each in range(parts))
    return tuple(each for each in found if len(each))


def fits(costs: Costs, population: int, new: Sequence[Integers], parts: Parts, limit: int) -> bool:
    """Whether all parts fit if a population is cut like `new`: its own, and those that it reaches."""
    changed = (*parts[:population], tuple(new), *parts[population + 1 :])
    cuts = [cut_of(each) for each in changed]
    reached = {population} | {each.dst for each in costs.network.out_of(population)}
    return all(
        costs.part_bytes(each, neurons, cuts) <= limit for each in reached for neurons in changed[each]
    )
