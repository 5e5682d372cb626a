"""From a placed graph to its mapping: local orders, keys, routes, tables, and the proof that they deliver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.blocks import Box, box_neurons, image
from nmc.backends.spinnaker2.mapping.check import misrouted
from nmc.backends.spinnaker2.mapping.cost import Costs, costs_of
from nmc.backends.spinnaker2.mapping.kernels import sort_rows, take_rows, unite_rows
from nmc.backends.spinnaker2.mapping.mapping import Integers, Mapping, Part, SynapsePart, Table, Traffic
from nmc.backends.spinnaker2.mapping.network import Network, Reach
from nmc.backends.spinnaker2.mapping.overflow import synapses_by_row
from nmc.backends.spinnaker2.mapping.plan import Plan, plan_of
from nmc.backends.spinnaker2.mapping.routes import Grid, grid_of, links_of, load_links
from nmc.backends.spinnaker2.mapping.slices import Parts, is_image, whole
from nmc.backends.spinnaker2.mapping.tables import tables_of, visits_of
from nmc.backends.spinnaker2.spec import Chip, Position
from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Graph

Array = npt.NDArray[Any]


def mapping_of(graph: Graph, *, chip: Chip) -> Mapping:
    """The mapping of a graph that `place` has placed on this chip."""
    costs = costs_of(graph)
    parts, pes = placed_parts(graph, costs.network)
    return mapping_from(costs, parts, pes, chip=chip)


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
    costs: Costs, parts: Parts, pes: Integers, *, chip: Chip, rates: Array | None = None
) -> Mapping:
    """The mapping of a network whose parts, inputs left out, are on `pes`; a rate for each neuron of the network."""
    network, plan = costs.network, plan_of(costs, parts, chip)
    sources = [
        replace(each, pe=int(pes[at])) if at < plan.parts else each for at, each in enumerate(plan.sources)
    ]
    further = tuple(
        SynapsePart(each.part, each.rows, pe, each.key, each.mask)
        for each, pe in zip(plan.further, nearest_free(chip, pes, plan), strict=True)
    )
    senders = senders_of(network, plan, sources, further, pes)
    grid = grid_of(chip)
    grain, tables = _tables(chip, grid, senders, network.populations[0].loc)
    everywhere = np.ones(network.neurons) if rates is None else rates
    traffic = traffic_of(grid, senders, np.append(everywhere, 1.0))
    return Mapping(
        chip, tuple(sources[: plan.parts]), tuple(sources[plan.parts :]), further, tables, traffic, grain
    )


def nearest_free(chip: Chip, pes: Integers, plan: Plan) -> list[int]:
    """A PE for each of `plan.further`, in their order: the nearest one to its part that nobody has."""
    free = dict.fromkeys(sorted(set(chip.alive) - set(pes.tolist())))
    found: list[int] = []
    for each in plan.further:
        chip_at, quad, _ = chip.place(int(pes[each.part]))

        def distance(pe: int, chip_at: int = chip_at, quad: int = quad) -> tuple[int, int, int]:
            other_chip, other, _ = chip.place(pe)
            return (
                steps(chip.chips[chip_at], chip.chips[other_chip]),
                steps(chip.quads[quad], chip.quads[other]),
                pe,
            )

        found.append(min(free, key=distance))
        del free[found[-1]]
    return found


def steps(a: Position, b: Position) -> int:
    """Steps between two places."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def senders_of(
    network: Network, plan: Plan, sources: Sequence[Part], further: Sequence[SynapsePart], pes: Integers
) -> Senders:
    """The neurons of sources that send, with the PEs that hold rows of theirs, and PEs that send sums.

    A sum is sent by a neuron that counts as the one after the last of the network.
    """
    sending = [(at, each) for at, each in enumerate(sources) if each.sends]
    who = [network.first[plan.population[at]] + each.neurons for at, each in sending]
    neuron = np.concatenate([np.zeros(0, np.int64), *who])
    start, part = take_rows(plan.reach.start, plan.reach.part, neuron)
    pairs = (np.repeat(np.arange(len(neuron)), np.diff(start)), pes[part])
    if further:
        first = dict(zip((at for at, _ in sending), np.cumsum([0, *map(len, who)]).tolist(), strict=False))
        kept = ~np.isin(part, [each.part for each in further])
        pairs = tuple(
            np.concatenate(column)
            for column in zip(
                (pairs[0][kept], pairs[1][kept]),
                *_spread(network, plan, sources, further, first),
                strict=True,
            )
        )
    sums = [(each, np.arange(sources[each.part].size)) for each in further]
    owners = [np.full(len(local), pes[each.part]) for each, local in sums]
    extra = sum(len(local) for _, local in sums)
    size = len(neuron) + extra
    target = np.concatenate([pairs[1], *owners])
    sender = np.concatenate([pairs[0], len(neuron) + np.arange(extra)])
    order = np.lexsort((target, sender)) if further else slice(None)
    start = np.concatenate(([0], np.cumsum(np.bincount(sender, minlength=size))))
    target = target[order]
    sort_rows(start, target)
    sent = [*((at, each.key, each.pe, each.size) for at, each in sending)]
    sent += [(len(sources) + at, each.key, each.pe, len(local)) for at, (each, local) in enumerate(sums)]
    sizes = [count for *_, count in sent]
    return Senders(
        np.concatenate((neuron, np.full(extra, network.neurons))),
        np.repeat(np.array([at for at, *_ in sent], np.int64), sizes),
        np.concatenate([np.zeros(0, np.int64), *(key + np.arange(count) for _, key, _, count in sent)]),
        np.repeat(np.array([pe for _, _, pe, _ in sent], np.int64), sizes),
        start,
        target,
    )


def _spread(
    network: Network,
    plan: Plan,
    sources: Sequence[Part],
    further: Sequence[SynapsePart],
    first: dict[int, int],
) -> Iterator[tuple[Integers, Integers]]:
    """(sender, PE) of every packet to a part whose rows are on several PEs; `first` is the first sender of a source."""
    for index in sorted({each.part for each in further}):
        part, helpers = sources[index], [each for each in further if each.part == index]
        for projection in network.into(plan.population[index]):
            has_synapses = synapses_by_row(projection, part.neurons) > 0
            for source, at in first.items():
                if plan.population[source] != projection.src:
                    continue
                holder = np.full(sources[source].size, part.pe)
                for each in helpers:
                    for rows in each.rows:
                        if rows.connection == projection.name and rows.source == source:
                            holder[rows.start : rows.stop] = each.pe
                (local,) = np.nonzero(has_synapses[sources[source].neurons])
                yield at + local, holder[local]


def _tables(chip: Chip, grid: Grid, senders: Senders, loc: Loc) -> tuple[int, tuple[Table, ...]]:
    """(grain, tables): the finest grain at which every table fits its router, proved to deliver.

    Raises CompileError (NMC424) if none does.
    """
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
            message = f"a router needs {most} entries and has {chip.router_entries}, one for each part that passes it"
            help_ = "use larger parts (fewer weight bits, less fan-in), or a many-core of more chips"
            raise CompileError(error("NMC424", message, loc, help=help_))
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
    packets = float((rate * fan).sum())
    return Traffic(
        packets, _copies(senders, rates), int(walk.load.sum()) / UNIT, int(walk.load.max(initial=0)) / UNIT
    )


def copies_of(network: Network, plan: Plan, rates: Array) -> float:
    """Copies of packets a step (km1) in a plan, wherever its PEs will be; a rate for each neuron of the network."""
    sources = [replace(each, pe=at) if at < plan.parts else each for at, each in enumerate(plan.sources)]
    further = tuple(
        SynapsePart(each.part, each.rows, pe, each.key, each.mask)
        for pe, each in enumerate(plan.further, plan.parts)
    )
    senders = senders_of(network, plan, sources, further, np.arange(plan.parts))
    return _copies(senders, np.append(rates, 1.0))


def _copies(senders: Senders, rates: Array) -> float:
    rate = rates[senders.neuron].astype(np.float64)
    return float((rate * np.maximum(np.diff(senders.start) - 1, 0)).sum())


UNIT = 1 << 16
"""Loads of links are integers in units of a packet a step over this, so that their order does not matter."""
