"""From a placed graph to its mapping: local orders, keys, routes, tables, and the proof that they deliver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.blocks import Box, box_neurons, image
from nmc.backends.spinnaker2.mapping.check import misrouted
from nmc.backends.spinnaker2.mapping.kernels import bitsets, sort_rows, take_rows, unite_rows
from nmc.backends.spinnaker2.mapping.keys import blocks_of_keys, overlaps
from nmc.backends.spinnaker2.mapping.mapping import HOST, Integers, Mapping, Part, Table, Traffic
from nmc.backends.spinnaker2.mapping.network import Network, Reach, network_of
from nmc.backends.spinnaker2.mapping.reach import reach_of_source
from nmc.backends.spinnaker2.mapping.routes import Grid, grid_of, links_of, load_links
from nmc.backends.spinnaker2.mapping.slices import Parts, is_image, whole
from nmc.backends.spinnaker2.mapping.tables import tables_of, visits_of
from nmc.backends.spinnaker2.spec import Chip
from nmc.ir.graph import Graph
from nmc.ir.ops import Sparse

Array = npt.NDArray[Any]


def mapping_of(graph: Graph, *, chip: Chip) -> Mapping:
    """The mapping of a graph that `place` has placed on this chip."""
    network = network_of(graph)
    parts, pes = placed_parts(graph, network)
    return mapping_from(network, parts, pes, chip=chip)


def placed_parts(graph: Graph, network: Network) -> tuple[Parts, Integers]:
    """The parts of each population as the placement has them, by their lowest neuron, and the PEs of all parts."""
    cores: dict[str, dict[int, list[Integers]]] = {}
    for each in graph.placement:
        runs = cores.setdefault(each.node, {}).setdefault(each.core, [])
        runs.append(np.arange(each.start, each.stop, dtype=np.int64))
    parts: list[tuple[Integers, ...]] = []
    pes: list[int] = []
    for index, population in enumerate(network.populations):
        if population.is_input:
            parts.append((whole(network, index),))
            continue
        found = [(np.sort(np.concatenate(runs)), core) for core, runs in cores[population.name].items()]
        found.sort(key=lambda each: int(each[0][0]))
        boxed = is_image(network, index)
        parts.append(tuple(as_box(each, population.shape) if boxed else each for each, _ in found))
        pes += [core for _, core in found]
    return tuple(parts), np.array(pes, np.int64)


def as_box(neurons: Integers, shape: tuple[int, ...]) -> Integers:
    """Ascending ids in the order of the box that they fill, channel last; as they are if they fill none."""
    places = np.unravel_index(neurons, image(shape))
    (a, b), (c, d), (e, f) = ((int(axis.min()), int(axis.max()) + 1) for axis in places)
    if (b - a) * (d - c) * (f - e) != len(neurons):
        return neurons
    return box_neurons(shape, Box((a, b), (c, d), (e, f)))


@dataclass(frozen=True, slots=True)
class Senders:
    """Every neuron that sends, source by source, each in its local order, and the PEs that it reaches, ascending."""

    neuron: Integers
    """Counted over the whole network."""
    source: Integers
    """Index in `Mapping.sources`."""
    key: Integers
    pe: Integers
    """Where it is; `HOST` for inputs."""
    start: Integers
    target: Array
    """The PEs of sender n are `target[start[n]:start[n + 1]]`."""


def mapping_from(
    network: Network, parts: Parts, pes: Integers, *, chip: Chip, rates: Array | None = None
) -> Mapping:
    """The mapping of a network whose parts, inputs left out, are on `pes`; a rate for each neuron of the network."""
    reach = reach_of_all(network, parts)
    sources = _named(network, parts, pes, reach, chip)
    senders = senders_of(network, sources, reach, pes)
    grid = grid_of(chip)
    grain, tables = _tables(chip, grid, senders)
    everywhere = np.ones(network.neurons) if rates is None else rates
    return Mapping(
        chip,
        tuple(each for each in sources if each.pe != HOST),
        tuple(each for each in sources if each.pe == HOST),
        (),
        tables,
        traffic_of(grid, senders, everywhere),
        grain,
    )


def reach_of_all(network: Network, parts: Parts) -> Reach:
    """Which parts every neuron of the network reaches; parts of neurons are counted over all populations."""
    receivers = [
        () if population.is_input else each
        for population, each in zip(network.populations, parts, strict=True)
    ]
    found = [reach_of_source(network, each, receivers) for each in range(len(network.populations))]
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(each.start) for each in found)])
    return Reach(np.cumsum(sizes), np.concatenate([each.part for each in found]))


def _named(network: Network, parts: Parts, pes: Integers, reach: Reach, chip: Chip) -> list[Part]:
    """Parts of neurons, then inputs, in local order and with their keys."""
    found: list[tuple[int, Integers, int]] = []
    at = 0
    for index, each in enumerate(parts):
        if not network.populations[index].is_input:
            found += [
                (index, neurons, int(pe)) for neurons, pe in zip(each, pes[at : at + len(each)], strict=True)
            ]
            at += len(each)
    found += [
        (index, each[0], HOST) for index, each in enumerate(parts) if network.populations[index].is_input
    ]
    keys = blocks_of_keys([len(neurons) for _, neurons, _ in found], chip.key_bits)
    assert keys is not None, "a network that fits a many-core has fewer neurons than there are keys"
    sources: list[Part] = []
    for (index, neurons, pe), (key, mask) in zip(found, keys, strict=True):
        ordered = local_order(network, index, neurons, reach, at)
        ids = network.first[index] + ordered
        sends = bool(np.any(reach.start[ids + 1] > reach.start[ids]))
        sources.append(Part(network.populations[index].name, ordered, pe, key, mask, sends))
    assert not overlaps(sources, chip.key_bits)
    return sources


def local_order(network: Network, population: int, neurons: Integers, reach: Reach, parts: int) -> Integers:
    """Neurons that reach the same parts side by side, so that one entry routes them all; images as they are."""
    out = network.out_of(population)
    if is_image(network, population) or not out or not all(isinstance(each.op, Sparse) for each in out):
        return neurons
    sets = bitsets(reach.start, reach.part, network.first[population] + neurons, parts)
    return neurons[np.lexsort((neurons, *sets.T[::-1]))]


def senders_of(network: Network, sources: list[Part], reach: Reach, pes: Integers) -> Senders:
    """The neurons of sources that send, with the PEs of the parts that they reach."""
    index = {population.name: at for at, population in enumerate(network.populations)}
    sending = [(at, each) for at, each in enumerate(sources) if each.sends]
    who = [network.first[index[each.population]] + each.neurons for _, each in sending]
    neuron = np.concatenate([np.zeros(0, np.int64), *who])
    sizes = [each.size for _, each in sending]
    start, part = take_rows(reach.start, reach.part, neuron)
    target = pes[part]
    sort_rows(start, target)
    return Senders(
        neuron,
        np.repeat([at for at, _ in sending], sizes).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *(each.key + np.arange(each.size) for _, each in sending)]),
        np.repeat([each.pe for _, each in sending], sizes).astype(np.int64),
        start,
        target,
    )


def _tables(chip: Chip, grid: Grid, senders: Senders) -> tuple[int, tuple[Table, ...]]:
    """(grain, tables): the finest grain at which every table fits its router, proved to deliver."""
    grain = 0
    while True:
        coarse = coarsen(senders, grain, chip.pes)
        homes = np.where(coarse.pe < 0, 0, coarse.pe // chip.pes_per_chip)
        visits = visits_of(
            chip, grid, homes, coarse.key, Reach(coarse.start, coarse.target), np.arange(chip.pes)
        )
        tables = tables_of(visits, key_bits=chip.key_bits, grain=grain)
        most = max((each.entries for each in tables), default=0)
        if most <= chip.router_entries:
            break
        if len(coarse.key) == len(np.unique(coarse.source)):
            raise AssertionError("too many entries")
        grain += max(1, (most // chip.router_entries).bit_length() - 1)
    for proved in (tables_of(visits, key_bits=chip.key_bits, grain=grain, compress=False), tables):
        wrong = misrouted(chip, proved, homes, coarse.key, start=coarse.start, pes=coarse.target)
        assert wrong is None, f"a table does not deliver: {wrong}"
    return grain, tables


def coarsen(senders: Senders, grain: int, pes: int) -> Senders:
    """Senders whose keys differ in the lowest `grain` bits only as one, which reaches what any of them reaches."""
    if grain == 0:
        return senders
    block = senders.key >> grain
    (first,) = np.nonzero(
        np.concatenate((np.ones(1, np.bool_), (np.diff(block) != 0) | (np.diff(senders.source) != 0)))
    )
    start, target = unite_rows(senders.start, senders.target, np.append(first, len(senders.key)), pes)
    return Senders(
        senders.neuron[first], senders.source[first], block[first] << grain, senders.pe[first], start, target
    )


def traffic_of(grid: Grid, senders: Senders, rates: Array) -> Traffic:
    """Packets and links a step at `rates` of all neurons of the network."""
    rate = rates[senders.neuron].astype(np.float64)
    fan = np.diff(senders.start)
    walk = links_of(grid)
    weight = np.rint(rate * UNIT).astype(np.int64)
    load_links(senders.pe, senders.start, senders.target, weight, grid, walk)
    packets, km1 = float((rate * fan).sum()), float((rate * np.maximum(fan - 1, 0)).sum())
    return Traffic(packets, km1, int(walk.load.sum()) / UNIT, int(walk.load.max(initial=0)) / UNIT)


UNIT = 1 << 16
"""Loads of links are integers in units of a packet a step over this, so that their order does not matter."""
