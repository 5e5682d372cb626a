"""Netlists are lawful and as small as they shall be."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.counters import Kind
from nmc.backends.sfq.lower import MARGIN, lower, plan
from nmc.backends.sfq.netlist import check, size
from nmc.backends.sfq.network import network_of
from nmc.backends.sfq.timing import analyse
from nmc.ir.graph import Graph
from tests.backends.sfq.networks import compiled, layered, random_network

XOR = layered(np.array([[1, 1], [1, 1]]), np.array([[1, -1]]), threshold=1.0)


def dense() -> Graph:
    random = np.random.default_rng(3)
    return layered(random.integers(-7, 8, (16, 64)), random.integers(-7, 8, (10, 16)), threshold=2.0)


@pytest.mark.parametrize("on_chip", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_net_has_one_driver_and_one_sink(seed: int, own: bool, on_chip: bool) -> None:
    network = network_of(compiled(random_network(seed)).graph)
    made = lower(network, standard(), own_toggle=own, on_chip=on_chip, sharing=True, steps=12)
    assert check(made.netlist, standard()) == []


@pytest.mark.parametrize(("toggle", "most"), [("library", 270), ("own", 200)])
def test_xor_takes_few_junctions(toggle: str, most: int) -> None:
    resources = {each.name: each.used for each in compiled(XOR, {"toggle": toggle}).resources}
    assert resources["Josephson junctions"] <= most


@pytest.mark.parametrize(("toggle", "most"), [("library", 24), ("own", 18)])
def test_dense_layers_take_few_junctions_a_synapse_and_short_frames(toggle: str, most: int) -> None:
    done = compiled(dense(), {"toggle": toggle})
    resources = {each.name: each.used for each in done.resources}
    synapses = sum(np.count_nonzero(done.graph[name].op.weight.data) for name in ("w0", "w1"))  # type: ignore[union-attr]
    assert resources["Josephson junctions"] / synapses <= most
    assert resources["step (ns)"] <= 150


def test_sharing_takes_junctions_away() -> None:
    network = network_of(compiled(dense()).graph)
    junctions: list[int] = []
    for on in (True, False):
        made = lower(network, standard(), own_toggle=True, on_chip=False, sharing=on, steps=1)
        junctions.append(size(made.netlist, standard()).jj)
    assert junctions[0] < 0.8 * junctions[1]


def test_on_chip_slots_need_one_clock_and_data_only() -> None:
    network = network_of(compiled(XOR).graph)
    made = lower(network, standard(), own_toggle=True, on_chip=True, sharing=True, steps=12)
    assert made.netlist.inputs == ("in_x_0", "in_x_1", "clk")


def test_plan_takes_neurons_that_never_spike_out_of_what_hears_them() -> None:
    graph = layered(np.array([[-1, 0], [1, 0]]), np.array([[5, 1]]), threshold=1.0)
    counters = plan(network_of(compiled(graph).graph), steps=12)
    assert [each.kind for each in counters["n0"]] == [Kind.NEVER, Kind.CLEARED]
    assert counters["n1"][0].plus.tolist()[0] == 0


def test_a_slot_is_longer_than_the_longest_path() -> None:
    made = lower(
        network_of(compiled(dense()).graph),
        standard(),
        own_toggle=True,
        on_chip=False,
        sharing=True,
        steps=12,
    )
    timing = analyse(made.netlist, standard(), margin=MARGIN)
    assert timing.slot > timing.longest
    assert timing.path[0] in made.netlist.inputs
