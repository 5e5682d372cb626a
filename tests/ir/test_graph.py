"""The graph as a value: look-ups, orders, components, types of signals, equality and pickling."""

import pickle
from dataclasses import FrozenInstanceError, replace

import networkx as nx
import pytest
from hypothesis import given

from nmc.diagnostics import NOWHERE, Loc, note
from nmc.ir.graph import Edge, Graph, Node, Slice, replace_graph
from nmc.ir.ops import Output, SignalKind, output_shape
from nmc.ir.tensor import FixedPoint
from tests.nets import (
    STATE,
    chain,
    feed_forward,
    integer_feed_forward,
    integer_linear,
    lif,
    linear,
    spikes,
)
from tests.strategies import continuous_graphs, integer_graphs, real_graphs


def recurrent() -> Graph:
    """input -> fc1 -> lif1 -> output, and lif1 -> rec -> lif1 one step later; nodes listed backwards."""
    graph = chain(input=spikes(4), fc1=linear(3, 4), lif1=lif(3))
    edges = (*graph.edges, Edge("lif1", "rec", 1), Edge("rec", "lif1"))
    return Graph((Node("rec", linear(3, 3)), *reversed(graph.nodes)), edges)


def test_graph_finds_nodes_by_name() -> None:
    graph = feed_forward()
    assert graph["fc2"].op == linear(2, 3)
    assert "fc2" in graph and "fc3" not in graph
    with pytest.raises(KeyError):
        _ = graph["fc3"]


def test_graph_names_its_inputs_and_outputs() -> None:
    graph = feed_forward()
    assert [node.name for node in graph.inputs] == ["input"]
    assert [node.name for node in graph.outputs] == ["output"]


def test_graph_groups_edges_by_either_end() -> None:
    graph = recurrent()
    assert [edge.src for edge in graph.incoming()["lif1"]] == ["fc1", "rec"]
    assert [edge.dst for edge in graph.outgoing()["lif1"]] == ["output", "rec"]
    assert graph.incoming()["input"] == [] == graph.outgoing()["output"]


def test_order_follows_edges_without_delay_and_else_the_nodes() -> None:
    assert feed_forward().order() == ["input", "fc1", "lif1", "fc2", "lif2", "output"]
    assert recurrent().order() == ["rec", "input", "fc1", "lif1", "output"]


def test_order_refuses_a_loop_without_delay() -> None:
    graph = recurrent()
    edges = tuple(replace(edge, delay=0) for edge in graph.edges)
    with pytest.raises(nx.NetworkXUnfeasible):
        replace_graph(graph, edges=edges).order()


def test_components_are_loops_and_single_nodes_in_the_order_of_flow() -> None:
    assert recurrent().components() == [["input"], ["fc1"], ["rec", "lif1"], ["output"]]
    assert feed_forward().components() == [["input"], ["fc1"], ["lif1"], ["fc2"], ["lif2"], ["output"]]


@given(real_graphs())
def test_components_partition_the_nodes_and_edges_never_lead_back(graph: Graph) -> None:
    components = graph.components()
    place = {name: index for index, component in enumerate(components) for name in component}
    assert sorted(place) == sorted(node.name for node in graph.nodes)
    assert len(place) == sum(map(len, components))
    assert all(place[edge.src] <= place[edge.dst] for edge in graph.edges)


@given(real_graphs())
def test_order_puts_every_source_before_what_it_reaches_in_the_same_step(graph: Graph) -> None:
    place = {name: index for index, name in enumerate(graph.order())}
    assert all(place[edge.src] < place[edge.dst] for edge in graph.edges if edge.delay == 0)


def test_signals_type_every_node_through_a_loop() -> None:
    signals = recurrent().signals()
    assert {name: signal.kind for name, signal in signals.items()} == {
        "input": SignalKind.SPIKE,
        "fc1": SignalKind.REAL,
        "rec": SignalKind.REAL,
        "lif1": SignalKind.SPIKE,
        "output": SignalKind.SPIKE,
    }


def test_signals_of_an_integer_graph_have_numbers() -> None:
    graph = integer_feed_forward()
    assert graph.signals()["fc1"].number == STATE
    both = Graph(
        (*graph.nodes, Node("fc2", integer_linear(3, 4)), Node("sum", Output((3,)))),
        (*graph.edges, Edge("input", "fc2"), Edge("fc1", "sum"), Edge("fc2", "sum"), Edge("lif1", "sum")),
    )
    # Two numbers of 12 bits at 2**-6 and a spike, 64 of that unit: 2 * 2047 + 64 = 4158, 13 bits and a sign.
    assert both.signals()["sum"].number == FixedPoint(14, True, -6)


@given(continuous_graphs())
def test_signals_have_the_shapes_that_operations_give(graph: Graph) -> None:
    signals = graph.signals()
    assert all(signals[node.name].shape == output_shape(node.op) for node in graph.nodes)


def test_replace_nodes_changes_operations_and_nothing_else() -> None:
    graph = feed_forward()
    changed = graph.replace_nodes({"fc1": linear(3, 4), "lif1": replace(lif(3), fire=None)})
    assert changed["lif1"].op == replace(lif(3), fire=None)
    assert changed["lif1"].loc == graph["lif1"].loc
    assert changed.replace_nodes({"lif1": lif(3)}) == graph


def test_replace_graph_keeps_what_it_is_not_given() -> None:
    graph = replace_graph(
        feed_forward(),
        step=1e-3,
        latency=2,
        placement=(Slice("lif1", 0, 3, 0),),
        facts=frozenset({"discrete"}),
        notes=(note("NMC151", "assumed", NOWHERE),),
    )
    assert replace_graph(graph) == graph
    fewer = replace_graph(graph, nodes=graph.nodes[:1], edges=())
    assert (fewer.step, fewer.latency, fewer.placement, fewer.facts, fewer.notes) == (
        graph.step,
        graph.latency,
        graph.placement,
        graph.facts,
        graph.notes,
    )
    assert "fc1" not in fewer


def test_with_notes_appends() -> None:
    first, second = note("NMC151", "first", NOWHERE), note("NMC151", "second", NOWHERE)
    assert feed_forward().with_notes([first]).with_notes([second]).notes == (first, second)


def test_graph_is_immutable() -> None:
    graph = feed_forward()
    with pytest.raises(FrozenInstanceError):
        graph.latency = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_node_at_names_the_users_node_and_field() -> None:
    assert Node("fc1", linear(3, 4), Loc("a.nir", "net.0")).at("weight") == Loc("a.nir", "net.0", "weight")
    assert Node("fc1", linear(3, 4)).at() == Loc("<graph>", "fc1", None)


@given(integer_graphs())
def test_graph_equals_its_pickled_copy_and_hashes_alike(graph: Graph) -> None:
    copy = pickle.loads(pickle.dumps(graph))
    assert copy == graph
    assert hash(copy) == hash(graph)
    assert copy[graph.nodes[0].name] == graph.nodes[0]


def test_graph_differs_where_any_part_differs() -> None:
    graph = feed_forward()
    others = [
        replace_graph(graph, nodes=graph.nodes[::-1]),
        replace_graph(graph, edges=graph.edges[::-1]),
        replace_graph(graph, step=1.0),
        replace_graph(graph, latency=1),
        replace_graph(graph, facts=frozenset({"discrete"})),
        graph.replace_nodes({"fc1": linear(3, 4), "fc2": replace(linear(2, 3), bias=linear(2, 1).weight)}),
    ]
    assert all(other != graph for other in others)
