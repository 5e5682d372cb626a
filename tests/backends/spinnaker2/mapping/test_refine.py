"""Moves and swaps of neurons between parts."""

import numpy as np

from nmc.backends.spinnaker2.mapping.kernels import starts_of, transpose
from nmc.backends.spinnaker2.mapping.partition import packets, parts_of
from nmc.backends.spinnaker2.mapping.refine import Hypergraph, Room, refined
from tests.backends.spinnaker2.mapping.networks import Array, ring, shuffled


def graph_of(pre: Array, post: Array, size: int) -> Hypergraph:
    pre, post = np.divmod(np.unique(pre * size + post), size)
    start = starts_of(pre, size)
    return Hypergraph(start, post, *transpose(start, post, size), np.ones(size))


def test_groups_that_share_sources_come_together() -> None:
    pre = np.repeat(np.arange(8), 4)
    post = (pre % 2) + 2 * np.tile(np.arange(4), 8)  # even sources reach even neurons
    found = refined(graph_of(pre, post, 8), np.array([0, 0, 0, 0, 1, 1, 1, 1]), 2, Room(4, 100))
    assert len(set(found[::2].tolist())) == len(set(found[1::2].tolist())) == 1
    assert found[0] != found[1]


def test_parts_keep_within_their_room() -> None:
    graph = graph_of(*shuffled(*ring(600, 12, spread=30), 600), 600)
    before = np.arange(600) * 6 // 600
    room = Room(103, 1300)
    found = refined(graph, before, 6, room)
    assert np.bincount(found).max() <= room.neurons
    assert np.bincount(found, np.diff(graph.first)).max() <= room.synapses


def test_packets_never_rise_and_fall_much_where_ids_say_nothing() -> None:
    for seed in range(3):
        graph = graph_of(*shuffled(*ring(600, 12, spread=30, seed=seed), 600, seed), 600)
        before = np.arange(600) * 6 // 600
        found = refined(graph, before, 6, Room(103, 1300))
        assert packets(graph, parts_of(found, 6)) < 0.7 * packets(graph, parts_of(before, 6))


def test_a_part_that_is_best_already_stays() -> None:
    graph = graph_of(np.arange(100), np.arange(100), 100)
    before = np.arange(100) // 50
    np.testing.assert_array_equal(refined(graph, before, 2, Room(50, 50)), before)


def test_frequent_sources_count_for_more() -> None:
    pre, post = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 2])  # neuron 2 hears from both sources
    start = starts_of(pre, 2)
    graph = Hypergraph(start, post, *transpose(start, post, 3), np.array([1.0, 9.0]))
    found = refined(graph, np.array([0, 1, 0]), 2, Room(2, 4))
    assert found[2] == found[1]
