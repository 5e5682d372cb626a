"""The pass that maps: populations in parts that fit a PE, with few packets between them, on PEs that are near."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.build import copies_of
from nmc.backends.spinnaker2.mapping.cost import Costs, costs_of
from nmc.backends.spinnaker2.mapping.kernels import bitsets
from nmc.backends.spinnaker2.mapping.locate import Flows, located, weights_of
from nmc.backends.spinnaker2.mapping.mapping import HOST, Integers
from nmc.backends.spinnaker2.mapping.network import Network
from nmc.backends.spinnaker2.mapping.partition import Partitioner, is_free, partition
from nmc.backends.spinnaker2.mapping.plan import Plan, plan_of
from nmc.backends.spinnaker2.mapping.rates import firing_rates
from nmc.backends.spinnaker2.mapping.slices import Parts
from nmc.backends.spinnaker2.spec import Chip
from nmc.diagnostics import CompileError, Diagnostic, error
from nmc.ir.graph import Graph, Slice, replace_graph

Array = npt.NDArray[Any]


def place(
    graph: Graph,
    *,
    chip: Chip,
    partitioner: Partitioner = Partitioner.KM1,
    calibration: Mapping[str, Array] = MappingProxyType({}),
) -> Graph:
    """Every neuron on a PE: `placement` has a slice for each run of ids, and PEs as `Chip` counts them.

    `calibration` (steps, samples, *shape) by input says how often neurons spike; without, all spike alike.

    Synapses go to further PEs (`overflow.py`) only where a neuron does not fit one, or there are too few PEs.
    Raises CompileError: NMC422 for what fits no PE, NMC423 if there are too few PEs.
    """
    costs = costs_of(graph)
    rates = firing_rates(graph, costs.network, calibration)
    plan, parts = _fitting(costs, rates, chip, partitioner)
    pes = located(chip, flows_of(costs.network, plan, rates), plan.parts)
    return replace_graph(graph, placement=placement_of(costs.network, parts, pes))


def _fitting(costs: Costs, rates: Array, chip: Chip, how: Partitioner) -> tuple[Plan, Parts]:
    """A plan that takes no more PEs than there are."""
    plain: CompileError | None = None
    fewest = 0
    for split in (False, True):
        try:
            found = _cut(costs, rates, chip, how, split=split)
        except CompileError as fault:
            plain = plain or fault
            continue
        if found[0].pes <= len(chip.alive):
            return found
        fewest = min(fewest or found[0].pes, found[0].pes)
    if not fewest:
        assert plain is not None
        raise plain
    raise CompileError(_too_few_pes(costs, rates, chip, fewest))


def _cut(costs: Costs, rates: Array, chip: Chip, how: Partitioner, *, split: bool) -> tuple[Plan, Parts]:
    """The plan of a partitioner, or that of contiguous slices if spikes have fewer copies there and it fits."""
    network = costs.network
    parts = partition(costs, rates, chip.sram_bytes, how=how, split=split)
    found = plan_of(costs, parts, chip), parts
    moves = any(is_free(network, each) for each in range(len(network.populations)))
    if how is Partitioner.SLICES or not moves or network.neurons > COMPARED:
        return found
    try:
        parts = partition(costs, rates, chip.sram_bytes, how=Partitioner.SLICES, split=split)
        slices = plan_of(costs, parts, chip), parts
    except CompileError:  # ids that say nothing may bring more sources to a slice than a PE has room for
        return found
    return min(
        (found, slices),
        key=lambda each: (each[0].pes > len(chip.alive), copies_of(network, each[0], rates)),
    )


COMPARED = 20_000
"""Neurons of networks whose cut is compared with slices; beyond, slices of shuffled ids alone take minutes."""


def _too_few_pes(costs: Costs, rates: Array, chip: Chip, needed: int) -> Diagnostic:
    """What would make the network fit: fewer bits of weights if they are enough, else more chips."""
    network = costs.network
    whole = plan_of(costs, partition(costs, rates, chip.sram_bytes, how=Partitioner.SLICES, split=True), chip)
    owners = [*range(whole.parts), *(each.part for each in whole.further)]
    taken = Counter(whole.sources[each].population for each in owners)
    most, name = max((count, name) for name, count in taken.items())
    chips = -(-needed // (len(chip.alive) // len(chip.chips)))
    message = (
        f"the network takes {needed} PEs of {chip.sram_bytes} bytes, and `{chip.name}` has {len(chip.alive)}; "
        f"`{name}` alone takes {most}"
    )
    narrow = replace(
        costs, traits={name: replace(each, weight_bits=4) for name, each in costs.traits.items()}
    )
    parts = partition(narrow, rates, chip.sram_bytes, how=Partitioner.SLICES, split=True)
    help_ = f"use {chips} chips, in a file for `--set chip=FILE.toml`"
    if plan_of(narrow, parts, chip).pes <= len(chip.alive):
        help_ = f"use `--set weight_bits=4`, with which it fits, or {chips} chips"
    return error("NMC423", message, network.populations[0].loc, help=help_)


PINS = 30_000
"""Targets of flows that placement looks at; of larger networks it takes every so many-th neuron."""


def flows_of(network: Network, plan: Plan, rates: Array) -> Flows:
    """The packets between parts: neurons of a part that reach the same parts are one flow."""
    reach, count = plan.reach, plan.parts
    every = max(1, len(reach.part) // PINS) if len(reach.part) > 8 * PINS else 1
    source: list[Array] = [np.zeros(0, np.int64)]
    sets: list[Array] = [np.zeros((0, -(-count // 64)), np.uint64)]
    rate: list[Array] = [np.zeros(0)]
    for at, part in enumerate(plan.sources):
        ids = network.first[plan.population[at]] + part.neurons[part.size % every // 2 :: every]
        found, which = np.unique(bitsets(reach.start, reach.part, ids, count), axis=0, return_inverse=True)
        packets = np.bincount(which.ravel(), rates[ids], len(found)) * every
        some = found.any(axis=1)
        sets.append(found[some])
        rate.append(packets[some])
        source.append(np.full(int(some.sum()), HOST if part.pe == HOST else at))
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
