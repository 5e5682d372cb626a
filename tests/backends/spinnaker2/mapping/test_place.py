"""The pass, and the mappings that come of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nmc.backends.spinnaker2.mapping.build import mapping_of
from nmc.backends.spinnaker2.mapping.cost import costs_of
from nmc.backends.spinnaker2.mapping.mapping import HOST, Mapping
from nmc.backends.spinnaker2.mapping.partition import Partitioner
from nmc.backends.spinnaker2.mapping.place import place
from nmc.backends.spinnaker2.spec import SPINNAKER2_BOARD, SPINNAKER2_CHIP, Chip
from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.verify import verify
from tests.backends.spinnaker2.mapping.networks import chain, conv, dense, recurrent, ring, shuffled

SMALL = replace(SPINNAKER2_CHIP, sram_bytes=24_000)
"""A chip on which small networks take many parts."""


def mapped(graph: Graph, chip: Chip = SMALL, how: Partitioner = Partitioner.KM1) -> Mapping:
    return mapping_of(place(graph, chip=chip, partitioner=how), chip=chip)


def random(size: int, degree: int, seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    return recurrent(rng.integers(0, size, size * degree), rng.integers(0, size, size * degree), size)


NETWORKS = {
    "dense": chain(dense(300, 500), dense(500, 200), dense(200, 10), in_shape=(300,)),
    "images": chain(conv((2, 20, 20), 8, 5, stride=2), conv((8, 10, 10), 16, 3), in_shape=(2, 20, 20)),
    "channels in groups": chain(conv((8, 12, 12), 8, 3, groups=8), in_shape=(8, 12, 12)),
    "ring": recurrent(*ring(1500, 20), 1500),
    "shuffled": recurrent(*shuffled(*ring(1500, 20), 1500), 1500),
    "random": random(1200, 20),
    "wide fan-in": chain(dense(6000, 40), dense(40, 10), in_shape=(6000,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_neuron_is_on_one_living_pe_and_pes_hold_one_part(name: str) -> None:
    placed = place(NETWORKS[name], chip=SMALL)
    assert [finding for finding in verify(placed) if finding.code.startswith("NMC13")] == []
    mapping = mapping_of(placed, chip=SMALL)
    pes = [each.pe for each in (*mapping.parts, *mapping.synapse_parts)]
    assert len(set(pes)) == len(pes)
    assert set(pes) <= set(SMALL.alive)
    assert all(each.pe == HOST for each in mapping.inputs)
    at = {
        (each.node, neuron): each.core for each in placed.placement for neuron in range(each.start, each.stop)
    }
    for part in mapping.parts:
        assert {at[part.population, int(neuron)] for neuron in part.neurons} == {part.pe}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_part_fits_its_pe(name: str) -> None:
    graph = place(NETWORKS[name], chip=SMALL)
    mapping, costs = mapping_of(graph, chip=SMALL), costs_of(graph)
    names = [population.name for population in costs.network.populations]
    for part in mapping.parts:
        assert costs.base_bytes(names.index(part.population), part.size, 0) <= SMALL.sram_bytes
    assert bool(mapping.synapse_parts) == (name == "wide fan-in")


def test_synapses_beyond_a_pe_are_on_others_row_by_row() -> None:
    mapping = mapped(NETWORKS["wide fan-in"])
    assert len(mapping.synapse_parts) > 5
    for index in {each.part for each in mapping.synapse_parts}:
        spans = sorted(
            (rows.start, rows.stop)
            for each in mapping.synapse_parts
            if each.part == index
            for rows in each.rows
        )
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert spans[0][0] > 0 and spans[-1][1] == 6000  # the first rows are on the part's own PE


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_packets_are_at_least_five_percent_below_slices_on_irregular_networks(seed: int) -> None:
    size = 1500
    small_world = shuffled(*ring(size, 20, rewired=0.1, seed=seed), size, seed)
    for graph in (
        recurrent(*shuffled(*ring(size, 20, seed=seed), size, seed), size),
        recurrent(*small_world, size),
        random(size, 20, seed),
    ):
        ours, slices = mapped(graph), mapped(graph, how=Partitioner.SLICES)
        assert ours.traffic.km1 <= 0.95 * slices.traffic.km1


def test_packets_are_never_more_than_those_of_slices() -> None:
    for graph in NETWORKS.values():
        ours, slices = mapped(graph), mapped(graph, how=Partitioner.SLICES)
        assert ours.traffic.km1 <= slices.traffic.km1


def test_a_dead_pe_is_left_out_and_parts_stay_as_they_are() -> None:
    graph = NETWORKS["ring"]
    before = mapped(graph)
    chip = replace(SMALL, dead=frozenset({before.parts[0].pe, before.parts[3].pe}))
    after = mapped(graph, chip)
    assert {each.pe for each in after.parts} <= set(chip.alive)
    for old, new in zip(before.parts, after.parts, strict=True):
        np.testing.assert_array_equal(old.neurons, new.neurons)
        assert (old.key, old.mask) == (new.key, new.mask)


def test_equal_networks_get_equal_mappings() -> None:
    for graph in (NETWORKS["shuffled"], NETWORKS["images"]):
        a, b = mapped(graph), mapped(graph)
        assert [(x.pe, x.key, x.neurons.tobytes()) for x in a.sources] == [
            (x.pe, x.key, x.neurons.tobytes()) for x in b.sources
        ]
        assert [(t.key.tobytes(), t.mask.tobytes(), t.route.tobytes()) for t in a.tables] == [
            (t.key.tobytes(), t.mask.tobytes(), t.route.tobytes()) for t in b.tables
        ]


def test_several_chips_are_used_where_one_is_full() -> None:
    board = replace(SPINNAKER2_BOARD, sram_bytes=24_000, quads=((1, 1),))
    mapping = mapped(NETWORKS["shuffled"], board)
    assert len({each.pe // board.pes_per_chip for each in mapping.parts}) > 1
    assert len(mapping.tables) > 1


def test_routes_get_coarser_where_a_router_is_full() -> None:
    graph = random(1200, 20)
    fine = mapped(graph)
    (table,) = fine.tables
    tight = replace(SMALL, router_entries=table.entries // 3)
    coarse = mapped(graph, tight)
    assert (fine.grain, coarse.grain > 0) == (0, True)
    assert all(each.entries <= tight.router_entries for each in coarse.tables)


def test_a_network_that_takes_too_many_pes_is_refused_with_the_smallest_change() -> None:
    chip = replace(SMALL, quads=((1, 1),))
    with pytest.raises(CompileError) as fault:
        place(chain(dense(500, 500), in_shape=(500,)), chip=chip)
    (finding,) = fault.value.findings
    assert finding.code == "NMC423"
    assert "24000 bytes" in finding.message and "has 4" in finding.message and "`lif0`" in finding.message
    assert "chips" in finding.help


def test_too_few_routing_entries_are_refused() -> None:
    with pytest.raises(CompileError, match="NMC424"):
        mapped(NETWORKS["ring"], replace(SMALL, router_entries=2))


def test_too_few_keys_are_refused() -> None:
    with pytest.raises(CompileError, match="NMC425"):
        mapped(random(1200, 20), replace(SMALL, key_bits=8))


def test_a_kernel_that_fits_no_pe_is_refused_with_bytes_and_cause() -> None:
    with pytest.raises(
        CompileError, match=r"NMC422.*neuron 0 of `lif0` takes \d+ bytes .* `w0` alone takes \d+"
    ):
        place(chain(conv((2000, 3, 3), 1, 3), in_shape=(2000, 3, 3)), chip=SMALL)


def test_frequent_neurons_weigh_more_once_they_are_measured() -> None:
    graph = chain(dense(40, 30), dense(30, 10), in_shape=(40,))
    data = {"in": (np.random.default_rng(0).random((20, 2, 40)) < 0.2).astype(np.float64)}
    assert place(graph, chip=SMALL, calibration=data).placement
