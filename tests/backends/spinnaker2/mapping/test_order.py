"""Orders in which neighbours share sources."""

import numpy as np

from nmc.backends.spinnaker2.mapping.network import network_of
from nmc.backends.spinnaker2.mapping.order import cuthill_mckee, grow
from nmc.backends.spinnaker2.mapping.partition import best_order, hypergraph, packets
from tests.backends.spinnaker2.mapping.networks import recurrent, ring, shuffled


def test_every_order_has_each_neuron_once() -> None:
    network = network_of(recurrent(*shuffled(*ring(500, 10), 500), 500))
    graph = hypergraph(network, 1, np.ones(network.neurons))
    visited = cuthill_mckee(network)
    grown = grow(graph.start, graph.pins, graph.first, graph.nets, visited[1], 64, 10**9)
    for order, size in ((visited[0], 16), (visited[1], 500), (grown, 500)):
        np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_growing_gives_up_where_it_would_take_too_long() -> None:
    network = network_of(recurrent(*ring(500, 10), 500))
    graph = hypergraph(network, 1, np.ones(network.neurons))
    assert grow(graph.start, graph.pins, graph.first, graph.nets, np.arange(500), 64, 100).size == 0


def test_an_order_is_found_where_ids_say_nothing_and_kept_where_they_do() -> None:
    size = 2000
    local = network_of(recurrent(*ring(size, 10, spread=20), size))
    graph = hypergraph(local, 1, np.ones(local.neurons))
    assert best_order(graph, np.arange(size), cuthill_mckee(local)[1]).tolist() == list(range(size))
    mixed = network_of(recurrent(*shuffled(*ring(size, 10, spread=20), size), size))
    graph = hypergraph(mixed, 1, np.ones(mixed.neurons))
    order = best_order(graph, np.arange(size), cuthill_mckee(mixed)[1])
    in_slices = packets(graph, np.array_split(np.arange(size), 8))
    assert packets(graph, np.array_split(order, 8)) < 0.5 * in_slices
