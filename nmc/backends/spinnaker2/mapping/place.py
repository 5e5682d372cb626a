"""The pass that maps: populations in parts that fit a PE, with few packets between them, on PEs that are near."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.build import reach_of_all
from nmc.backends.spinnaker2.mapping.cost import costs_of
from nmc.backends.spinnaker2.mapping.kernels import bitsets
from nmc.backends.spinnaker2.mapping.locate import Flows, located, weights_of
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network, network_of
from nmc.backends.spinnaker2.mapping.partition import Partitioner, partition
from nmc.backends.spinnaker2.mapping.slices import Parts
from nmc.backends.spinnaker2.spec import Chip
from nmc.ir.graph import Graph, Slice, replace_graph

Array = npt.NDArray[Any]


def place(graph: Graph, *, chip: Chip, partitioner: Partitioner = Partitioner.KM1) -> Graph:
    """Every neuron on a PE: `placement` has a slice for each run of ids, and PEs as `Chip` counts them."""
    network = network_of(graph)
    rates = np.ones(network.neurons)
    costs = costs_of(network, sum_bits=[32] * len(network.populations))
    parts = partition(network, costs, rates, chip.sram_bytes, how=partitioner)
    pes = located(chip, flows_of(network, parts, rates), count_of(network, parts))
    return replace_graph(graph, placement=placement_of(network, parts, pes))


def count_of(network: Network, parts: Parts) -> int:
    """How many parts of neurons there are."""
    return sum(
        len(each)
        for population, each in zip(network.populations, parts, strict=True)
        if not population.is_input
    )


PINS = 60_000
"""Targets of flows that placement looks at; of larger networks it takes every so many-th neuron."""


def flows_of(network: Network, parts: Parts, rates: Array) -> Flows:
    """The packets between parts: neurons of a part that reach the same parts are one flow."""
    reach = reach_of_all(network, parts)
    count = count_of(network, parts)
    every = max(1, len(reach.part) // PINS) if len(reach.part) > 8 * PINS else 1
    source: list[Array] = [np.zeros(0, np.int64)]
    sets: list[Array] = [np.zeros((0, -(-count // 64)), np.uint64)]
    rate: list[Array] = [np.zeros(0)]
    at = 0
    for index, population in enumerate(network.populations):
        for neurons in parts[index]:
            ids = network.first[index] + neurons[len(neurons) % every // 2 :: every]
            found, which = np.unique(
                bitsets(reach.start, reach.part, ids, count), axis=0, return_inverse=True
            )
            found_rate = np.bincount(which.ravel(), rates[ids], len(found)) * every
            some = found.any(axis=1)
            sets.append(found[some])
            rate.append(found_rate[some])
            source.append(np.full(int(some.sum()), -1 if population.is_input else at))
            at += not population.is_input
    bits = np.unpackbits(np.concatenate(sets).byteswap().view(np.uint8), axis=1)[:, :count]
    start = np.concatenate(([0], np.cumsum(bits.sum(axis=1, dtype=np.int64))))
    part = np.nonzero(bits)[1].astype(np.int64)
    return Flows(np.concatenate(source), start, part, weights_of(np.concatenate(rate)))


def placement_of(network: Network, parts: Parts, pes: Integers) -> tuple[Slice, ...]:
    """Parts as slices: one for each run of consecutive ids, in the order of populations and ids."""
    slices: list[Slice] = []
    at = 0
    for population, each in zip(network.populations, parts, strict=True):
        if population.is_input:
            continue
        on = np.empty(population.size, np.int64)
        for neurons in each:
            on[neurons] = pes[at]
            at += 1
        (cuts,) = np.nonzero(np.diff(on))
        starts, stops = [0, *(cuts + 1).tolist()], [*(cuts + 1).tolist(), population.size]
        slices += [
            Slice(population.name, a, b, core)
            for a, b, core in zip(starts, stops, on[starts].tolist(), strict=True)
        ]
    return tuple(slices)
