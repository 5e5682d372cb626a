"""Laws of nodes and edges together, each broken alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmc.diagnostics import Diagnostic, Loc, Severity
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.laws.structure import loop_laws, reach_laws, reference_laws, shape_laws
from nmc.ir.ops import Neuron, Scale
from nmc.ir.tensor import Tensor
from tests.nets import FILE, chain, feed_forward, lif, linear, spikes
from tests.strategies import real_graphs


def with_edges(graph: Graph, *edges: Edge) -> Graph:
    return replace_graph(graph, edges=(*graph.edges, *edges))


def with_node(graph: Graph, node: Node, *edges: Edge) -> Graph:
    return with_edges(replace_graph(graph, nodes=(*graph.nodes, node)), *edges)


def places(findings: list[Diagnostic]) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.loc.node) for finding in findings]


# ---- references -------------------------------------------------------------------------------------------


def test_reference_laws_find_nothing_in_a_lawful_graph() -> None:
    assert list(reference_laws(feed_forward())) == []


def test_reference_laws_name_both_places_of_one_name() -> None:
    graph = with_node(feed_forward(), Node("fc1", linear(3, 4), Loc("other.nir", "fc1")))
    (finding,) = reference_laws(graph)
    assert finding.code == "NMC100"
    assert (finding.loc, finding.also) == (Loc("other.nir", "fc1"), (Loc(FILE, "fc1"),))


@pytest.mark.parametrize(
    ("edge", "node"), [(Edge("lif1", "lif3"), "lif1"), (Edge("lif3", "fc2"), "fc2"), (Edge("x", "y"), None)]
)
def test_reference_laws_name_the_missing_end_of_an_edge(edge: Edge, node: str | None) -> None:
    findings = list(reference_laws(with_edges(feed_forward(), edge)))
    assert findings and {finding.code for finding in findings} == {"NMC101"}
    assert findings[0].loc == Loc(FILE, node)


def test_reference_laws_suggest_the_nearest_node() -> None:
    (finding,) = reference_laws(with_edges(feed_forward(), Edge("lif1", "fc_2")))
    assert "names `fc_2`, which does not exist" in finding.message
    assert finding.help == "did you mean `fc2`?"


@pytest.mark.parametrize(
    ("edge", "node"),
    [
        (Edge("output", "fc2", 1), "output"),
        (Edge("lif2", "input", 1), "input"),
        (Edge("lif1", "fc2", 1, "gate"), "fc2"),
    ],
)
def test_reference_laws_refuse_edges_where_none_can_be(edge: Edge, node: str) -> None:
    assert places(list(reference_laws(with_edges(feed_forward(), edge)))) == [("NMC102", node)]


def test_reference_laws_refuse_negative_delays() -> None:
    assert places(list(reference_laws(with_edges(feed_forward(), Edge("lif1", "fc2", -1))))) == [
        ("NMC104", "fc2")
    ]


def test_reference_laws_warn_of_an_edge_that_is_there_twice() -> None:
    (finding,) = reference_laws(with_edges(feed_forward(), Edge("lif1", "fc2")))
    assert (finding.code, finding.severity) == ("NMC108", Severity.WARNING)
    assert "2 times" in finding.message


@pytest.mark.parametrize("step", [0.0, -1e-3, float("nan"), float("inf")])
def test_reference_laws_refuse_steps_that_are_no_time(step: float) -> None:
    (finding,) = reference_laws(replace_graph(feed_forward(), step=step))
    assert (finding.code, finding.loc) == ("NMC109", Loc(FILE))


def test_reference_laws_refuse_a_negative_latency() -> None:
    assert [f.code for f in reference_laws(replace_graph(feed_forward(), latency=-1))] == ["NMC109"]


# ---- shapes -----------------------------------------------------------------------------------------------


def test_shape_laws_name_both_ends_and_both_shapes() -> None:
    graph = feed_forward().replace_nodes({"fc2": linear(2, 5)})
    (finding,) = shape_laws(graph, {node.name for node in graph.nodes})
    assert finding.code == "NMC103"
    assert finding.message == "`lif1` gives shape [3], `fc2` takes [5]"
    assert (finding.loc, finding.also) == (Loc(FILE, "fc2"), (Loc(FILE, "lif1"),))


def test_shape_laws_tell_shapes_of_one_size_apart() -> None:
    graph = chain(input=spikes(6), lif=lif(2, 3))
    assert [finding.code for finding in shape_laws(graph, {"input", "lif"})] == ["NMC103"]


def test_shape_laws_pass_over_nodes_without_a_shape() -> None:
    graph = feed_forward().replace_nodes({"fc2": linear(2, 5)})
    assert list(shape_laws(graph, {"input", "fc1", "lif1"})) == []


# ---- loops ------------------------------------------------------------------------------------------------


def test_loop_laws_accept_a_recurrent_connection_with_a_delay() -> None:
    graph = with_node(feed_forward(), Node("rec", linear(3, 3)), Edge("lif1", "rec", 1), Edge("rec", "lif1"))
    assert list(loop_laws(graph)) == []


def test_loop_laws_name_the_loop_without_delay_from_its_first_node() -> None:
    graph = with_node(feed_forward(), Node("rec", linear(3, 3)), Edge("rec", "lif1"), Edge("lif1", "rec"))
    (finding,) = loop_laws(graph)
    assert finding.code == "NMC105"
    assert finding.message == "the loop `lif1` -> `rec` -> `lif1` has no delay"
    assert finding.loc == Loc(FILE, "lif1")


def test_loop_laws_name_every_separate_loop_and_self_loops() -> None:
    graph = with_edges(feed_forward(), Edge("lif2", "lif2"), Edge("lif1", "lif1"))
    assert places(list(loop_laws(graph))) == [("NMC105", "lif1"), ("NMC105", "lif2")]


def test_loop_laws_refuse_a_delayed_loop_that_passes_no_neuron() -> None:
    scale = Node("scale", Scale((3,), Tensor(0.5)))
    graph = with_node(feed_forward(), scale, Edge("fc1", "scale"), Edge("scale", "scale", 1))
    (finding,) = loop_laws(graph)
    assert finding.code == "NMC106"
    assert "`scale` -> `scale`" in finding.message


@given(real_graphs(), st.data())
def test_loop_laws_find_any_loop_that_is_closed_without_delay(graph: Graph, data: st.DataObject) -> None:
    order = graph.order()
    populations = [name for name in order if isinstance(graph[name].op, Neuron)]
    if not populations:
        return
    late = data.draw(st.sampled_from(populations))
    early = data.draw(st.sampled_from(populations[: populations.index(late) + 1]))
    undelayed = [edge for edge in graph.edges if edge.delay == 0]
    reached = {early}
    for name in order:
        if any(edge.dst == name and edge.src in reached for edge in undelayed):
            reached.add(name)
    findings = list(loop_laws(with_edges(graph, Edge(late, early))))
    assert ("NMC105" in {finding.code for finding in findings}) == (late in reached)


# ---- reachability -----------------------------------------------------------------------------------------


def test_reach_laws_want_an_input_and_an_output() -> None:
    graph = feed_forward()
    inner = replace_graph(graph, nodes=graph.nodes[1:-1], edges=graph.edges[1:-1])
    assert [finding.message for finding in reach_laws(inner)] == [
        "the graph has no input",
        "the graph has no output",
    ]
    assert [finding.code for finding in reach_laws(Graph((), ()))] == ["NMC107", "NMC107"]


def test_reach_laws_refuse_an_output_that_nothing_enters() -> None:
    graph = feed_forward()
    cut = replace_graph(graph, edges=graph.edges[:-1])
    findings = [finding for finding in reach_laws(cut) if finding.severity is Severity.ERROR]
    assert places(findings) == [("NMC107", "output")]


def test_reach_laws_warn_of_what_no_input_reaches_and_what_reaches_no_output() -> None:
    graph = with_node(feed_forward(), Node("lost", lif(3)), Edge("lost", "fc2"))
    graph = with_node(graph, Node("dead", lif(3)), Edge("lif1", "dead"))
    findings = list(reach_laws(graph))
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    assert [finding.message for finding in findings] == [
        "no input reaches `lost`",
        "`dead` reaches no output",
    ]


@pytest.mark.parametrize("bias", [0.2, 0.0])
def test_reach_laws_accept_what_a_bias_drives(bias: float) -> None:
    op = lif(3)
    driven = replace(op, membrane=replace(op.membrane, bias=Tensor(bias)))
    alone = with_node(feed_forward(), Node("one", driven), Edge("one", "fc2"))
    biased = replace(linear(3, 3), bias=Tensor([0.0, bias, 0.0]))
    loop = with_node(feed_forward(), Node("lif", op), Edge("lif", "fc", 1), Edge("lif", "fc2"))
    loop = with_node(loop, Node("fc", biased), Edge("fc", "lif"))
    for graph, lost in ((alone, ["one"]), (loop, ["lif", "fc"])):
        names = [finding.message for finding in reach_laws(graph)]
        assert names == ([] if bias else [f"no input reaches `{name}`" for name in lost])
