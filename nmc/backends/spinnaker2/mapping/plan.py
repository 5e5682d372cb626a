"""What a cut decides, wherever its parts will be: local orders, keys, and which synapses need further PEs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmc.backends.spinnaker2.mapping.cost import Costs, cut_of
from nmc.backends.spinnaker2.mapping.kernels import bitsets
from nmc.backends.spinnaker2.mapping.keys import blocks_of_keys, overlaps
from nmc.backends.spinnaker2.mapping.mapping import HOST, Integers, Part, Rows
from nmc.backends.spinnaker2.mapping.network import Network, Reach
from nmc.backends.spinnaker2.mapping.overflow import further_rows
from nmc.backends.spinnaker2.mapping.reach import reach_of_source
from nmc.backends.spinnaker2.mapping.slices import Parts, is_image
from nmc.backends.spinnaker2.spec import Chip
from nmc.diagnostics import CompileError, error
from nmc.ir.ops import Sparse


@dataclass(frozen=True, slots=True)
class Further:
    """A PE that sums for part `part`: the rows that it holds, and its keys."""

    part: int
    rows: tuple[Rows, ...]
    key: int
    mask: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Parts of neurons in the order of populations, then inputs; their `pe` is not known yet.

    `reach` says which parts each neuron of the network reaches, `population` where each source is from.
    """

    sources: tuple[Part, ...]
    population: tuple[int, ...]
    further: tuple[Further, ...]
    reach: Reach

    @property
    def parts(self) -> int:
        """How many parts of neurons there are."""
        return sum(each.pe != HOST for each in self.sources)

    @property
    def pes(self) -> int:
        """How many PEs are needed."""
        return self.parts + len(self.further)


UNPLACED = -2
"""The PE of a part before it is placed."""


def plan_of(costs: Costs, parts: Parts, chip: Chip) -> Plan:
    """The plan of a cut.

    Raises CompileError: NMC422 for a row of synapses that fits no PE, NMC425 if keys run out.
    """
    network = costs.network
    reach = reach_of_all(network, parts)
    inputs = [at for at, population in enumerate(network.populations) if population.is_input]
    neurons = [at for at, population in enumerate(network.populations) if not population.is_input]
    found = [(at, each) for at in (*neurons, *inputs) for each in parts[at]]
    count = sum(len(parts[at]) for at in neurons)
    ordered = [(at, local_order(network, at, each, reach, count)) for at, each in found]
    bare = [_part(network, at, each, reach) for at, each in ordered]
    cuts = [cut_of(each) for each in parts]
    held: list[tuple[int, tuple[Rows, ...]]] = []
    for index, (at, each) in enumerate(ordered[:count]):
        if costs.part_bytes(at, each, cuts) <= chip.sram_bytes:
            continue
        rows = further_rows(costs, at, each, list(enumerate(bare)), chip.sram_bytes)
        if rows is None:
            node = network.populations[at]
            message = f"a row of synapses into {len(each)} neurons of `{node.name}` takes more than a PE"
            raise CompileError(error("NMC422", message, node.loc, help="prune, or use a smaller layer"))
        held += [(index, one) for one in rows]
    sizes = [len(each) for _, each in ordered] + [len(ordered[part][1]) for part, _ in held]
    keys = blocks_of_keys(sizes, chip.key_bits)
    if keys is None:
        message = f"{sum(sizes)} sources need more keys than {chip.key_bits} bits have"
        raise CompileError(error("NMC425", message, network.populations[0].loc, help="use fewer neurons"))
    sources = tuple(
        replace(part, key=key, mask=mask)
        for part, (key, mask) in zip(bare, keys[: len(ordered)], strict=True)
    )
    further = tuple(
        Further(part, rows, key, mask)
        for (part, rows), (key, mask) in zip(held, keys[len(ordered) :], strict=True)
    )
    assert not overlaps([(each.key, each.mask) for each in (*sources, *further)], chip.key_bits), (
        "blocks of keys overlap"
    )
    return Plan(sources, tuple(at for at, _ in ordered), further, reach)


def _part(network: Network, population: int, neurons: Integers, reach: Reach) -> Part:
    ids = network.first[population] + neurons
    sends = bool(np.any(reach.start[ids + 1] > reach.start[ids]))
    named = network.populations[population]
    return Part(named.name, neurons, HOST if named.is_input else UNPLACED, 0, 0, sends)


def reach_of_all(network: Network, parts: Parts) -> Reach:
    """Which parts every neuron of the network reaches; parts of neurons are counted over all populations."""
    receivers = [
        () if population.is_input else each
        for population, each in zip(network.populations, parts, strict=True)
    ]
    found = [reach_of_source(network, each, receivers) for each in range(len(network.populations))]
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(each.start) for each in found)])
    return Reach(np.cumsum(sizes), np.concatenate([each.part for each in found]))


def local_order(network: Network, population: int, neurons: Integers, reach: Reach, parts: int) -> Integers:
    """Neurons that reach the same parts side by side, so that one entry routes them all; images as they are."""
    out = network.out_of(population)
    if is_image(network, population) or not out or not all(isinstance(each.op, Sparse) for each in out):
        return neurons
    sets = bitsets(reach.start, reach.part, network.first[population] + neurons, parts)
    return neurons[np.lexsort((neurons, *sets.T[::-1]))]
