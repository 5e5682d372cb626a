"""All laws together: what random graphs keep, which findings come together, and which wait for others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.graph import Edge, Graph, Node, Slice, replace_graph
from nmc.ir.ops import Neuron
from nmc.ir.tensor import Tensor
from nmc.ir.verify import verify, verify_or_raise
from tests.nets import feed_forward, integer_feed_forward, lif, linear
from tests.strategies import continuous_graphs, integer_graphs, program_graphs, real_graphs


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(real_graphs(), integer_graphs(), continuous_graphs(), program_graphs()))
def test_verify_finds_nothing_in_the_graphs_of_the_strategies(graph: Graph) -> None:
    assert verify(graph) == []


@given(real_graphs(), st.data())
def test_verify_finds_any_node_that_is_taken_out(graph: Graph, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(graph.nodes))
    cut = replace_graph(graph, nodes=tuple(node for node in graph.nodes if node is not gone))
    assert "NMC101" in {finding.code for finding in verify(cut)}


@given(integer_graphs(), st.data())
def test_verify_finds_any_tensor_that_is_not_finite(graph: Graph, data: st.DataObject) -> None:
    neurons = {node.name: node.op for node in graph.nodes if isinstance(node.op, Neuron)}
    assume(neurons)
    name = data.draw(st.sampled_from(sorted(neurons)))
    op = neurons[name]
    broken = replace(op, membrane=replace(op.membrane, initial=Tensor(np.inf)))
    findings = verify(graph.replace_nodes({name: broken}))
    assert [(finding.code, finding.loc.field) for finding in findings] == [("NMC111", "membrane.initial")]


def broken_weight() -> Graph:
    """`feed_forward` with a NaN in the first matrix, a second one of a wrong shape, and a loop without delay."""
    nan = replace(linear(3, 4), weight=Tensor(np.full((3, 4), np.nan)))
    graph = feed_forward().replace_nodes({"fc1": nan, "fc2": linear(2, 5)})
    return replace_graph(graph, edges=(*graph.edges, Edge("lif2", "lif2")))


def test_verify_names_faults_of_all_kinds_at_once() -> None:
    assert [(finding.code, finding.loc.node) for finding in verify(broken_weight())] == [
        ("NMC111", "fc1"),
        ("NMC103", "fc2"),
        ("NMC105", "lif2"),
    ]


def test_verify_leaves_out_what_builds_on_a_broken_law() -> None:
    shapeless = feed_forward().replace_nodes({"fc2": replace(linear(2, 3), weight=Tensor(np.ones(3)))})
    assert [finding.code for finding in verify(shapeless)] == ["NMC110"]
    dangling = replace_graph(shapeless, edges=(*shapeless.edges, Edge("lif1", "nowhere")))
    assert [finding.code for finding in verify(dangling)] == ["NMC110", "NMC101"]


def test_verify_checks_placement_and_integers_last() -> None:
    graph = replace_graph(integer_feed_forward(), placement=(Slice("lif1", 0, 2, 0),))
    assert [finding.code for finding in verify(graph)] == ["NMC132"]
    real = graph.replace_nodes({"fc1": linear(3, 4)})
    assert [finding.code for finding in verify(real)] == ["NMC132", "NMC120"]


def test_verify_or_raise_raises_all_findings_if_one_is_an_error() -> None:
    with pytest.raises(CompileError) as raised:
        verify_or_raise(broken_weight())
    assert list(raised.value.findings) == verify(broken_weight())


def test_verify_or_raise_returns_warnings() -> None:
    graph = feed_forward()
    unused = replace_graph(
        graph, nodes=(*graph.nodes, Node("dead", lif(3))), edges=(*graph.edges, Edge("lif1", "dead"))
    )
    assert [finding.code for finding in verify_or_raise(unused)] == ["NMC108"]
