"""Facts: what makes each of them true and what breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from nmc.ir.graph import Edge, Graph, Node, Slice, replace_graph
from nmc.ir.neuron import Comparison
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Flatten,
    Input,
    Linear,
    Neuron,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Scale,
    Signal,
    SignalKind,
    Threshold,
)
from nmc.ir.tensor import Tensor
from nmc.passes.facts import Fact, check, violations
from tests.nets import chain, feed_forward, integer_feed_forward, integer_lif, lif, linear, spikes

ONE = Tensor(1.0)
PLACEMENT = (Slice("lif1", 1, 3, 0), Slice("lif1", 0, 1, 1))


def placed() -> Graph:
    return replace_graph(integer_feed_forward(), placement=PLACEMENT)


def with_gain(op: Neuron) -> Neuron:
    return replace(op, membrane=replace(op.membrane, gain=ONE))


@pytest.mark.parametrize("fact", Fact)
def test_violations_are_none_where_a_fact_holds(fact: Fact) -> None:
    read_out = chain(
        image=spikes(2, 3, 3),
        conv=Conv((2, 3, 3), Tensor(np.ones((1, 2, 2, 2))), None, (1, 1), ((0, 0),) * 2, (1, 1), 1),
        lif1=lif(1, 2, 2),
        flat=Flatten((1, 2, 2), 0, 2),
        fc=linear(2, 4),
        lif2=lif(2),
    )
    graph = {Fact.QUANTIZED: integer_feed_forward(), Fact.PLACED: placed()}.get(fact, read_out)
    assert list(violations(graph, fact)) == []


@pytest.mark.parametrize("op", [Ode((3,), None, None, ONE, ONE, ONE, None, None), DelayLine((3,), ONE)])
def test_discrete_is_broken_by_seconds(op: Op) -> None:
    assert list(violations(chain(input=spikes(3), x=op), Fact.DISCRETE)) == ["`x` is in seconds"]


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (chain(input=spikes(4), fc=linear(3, 4), lif=with_gain(lif(3))), "`lif` has `membrane.gain`"),
        (chain(input=spikes(3), lif=lif(3)), "`input` leads to `lif`"),
        (chain(input=spikes(4), fc=linear(3, 4)), "`fc` leads to `output`"),
        (chain(input=spikes(4), a=linear(3, 4), b=linear(3, 3), lif=lif(3)), "`a` leads to `b`"),
        (
            chain(input=spikes(3), x=Scale((3,), ONE), fc=linear(3, 3), lif=lif(3)),
            "`x` is neither a neuron nor a connection",
        ),
        (
            chain(
                input=spikes(1, 3, 3),
                x=Pool((1, 3, 3), Pooling.SUM, (3, 3), (1, 1), ((0, 0), (0, 0))),
                lif=lif(1, 1, 1),
            ),
            "`x` is neither a neuron nor a connection",
        ),
        (
            chain(input=spikes(3), fc=linear(3, 3), x=Threshold((3,), ONE, Comparison.ABOVE)),
            "`x` is neither a neuron nor a connection",
        ),
        (
            chain(input=spikes(4), fc=linear(4, 4), x=Flatten((4,), 0, 0), fc2=linear(3, 4), lif=lif(3)),
            "`fc` leads to `x`",
        ),
        (
            chain(input=spikes(4), fc=replace(linear(3, 4), bias=Tensor(np.ones(3))), lif=lif(3)),
            "the connection `fc` has a bias",
        ),
    ],
)
def test_canonical_is_broken_by_what_is_not_one_connection(graph: Graph, reason: str) -> None:
    assert reason in list(violations(graph, Fact.CANONICAL))


def test_canonical_is_broken_by_a_connection_that_serves_two() -> None:
    graph = feed_forward()
    shared = replace_graph(
        graph, nodes=(*graph.nodes, Node("lif3", lif(3))), edges=(*graph.edges, Edge("fc1", "lif3"))
    )
    assert list(violations(shared, Fact.CANONICAL)) == ["the connection `fc1` has 1 edges in and 2 out"]


@pytest.mark.parametrize(
    ("name", "op", "reason"),
    [
        ("fc1", linear(3, 4), "`fc1` has no number format for `weight`"),
        ("lif1", lif(3), "`lif1` has no number format for `membrane.decay`"),
        ("lif1", replace(integer_lif(3), arithmetic=None), "`lif1` has no arithmetic"),
    ],
)
def test_quantized_is_broken_by_what_is_still_real(name: str, op: Op, reason: str) -> None:
    graph = integer_feed_forward().replace_nodes({name: op})
    assert list(violations(graph, Fact.QUANTIZED)) == [reason]


def test_quantized_is_broken_by_a_connection_without_accumulator() -> None:
    graph = integer_feed_forward()
    op = graph["fc1"].op
    assert isinstance(op, Linear)
    changed = graph.replace_nodes({"fc1": replace(op, accumulator=None)})
    assert list(violations(changed, Fact.QUANTIZED)) == ["`fc1` has no accumulator"]


def test_quantized_lets_counts_be_plain_integers() -> None:
    graph = chain(input=spikes(3), delay=Delay((3,), Tensor([1, 2, 3])))
    assert list(violations(graph, Fact.QUANTIZED)) == []


def test_delays_lowered_is_broken_by_a_delay_operation() -> None:
    graph = chain(input=spikes(3), d=Delay((3,), Tensor(1)))
    assert list(violations(graph, Fact.DELAYS_LOWERED)) == ["`d` is a delay"]


@pytest.mark.parametrize(
    "slices",
    [
        (),
        (Slice("lif1", 0, 2, 0),),
        (Slice("lif1", 1, 3, 0),),
        (Slice("lif1", 0, 2, 0), Slice("lif1", 1, 3, 1)),
        (Slice("lif1", 0, 3, 0), Slice("lif1", 0, 3, 1)),
        (Slice("lif1", 0, 4, 0),),
    ],
)
def test_placed_is_broken_by_neurons_on_no_core_or_two(slices: tuple[Slice, ...]) -> None:
    graph = replace_graph(placed(), placement=slices)
    (reason,) = violations(graph, Fact.PLACED)
    assert reason.startswith("slices of `lif1` are")


def test_check_names_the_pass_and_the_fact_that_does_not_hold() -> None:
    graph = replace_graph(feed_forward(), facts=frozenset({"discrete", "quantized"}))
    with pytest.raises(AssertionError, match="after pass `place` the graph is not quantized: `fc1`"):
        check(graph, after="place")


def test_check_names_the_pass_and_the_law_that_is_broken() -> None:
    graph = feed_forward().replace_nodes({"fc2": linear(2, 5)})
    with pytest.raises(
        AssertionError, match=r"after pass `connect` the graph breaks a law:\nerror\[NMC103\]"
    ):
        check(graph, after="connect")


def test_check_accepts_facts_that_hold_and_knows_no_others() -> None:
    check(replace_graph(placed(), facts=frozenset(fact.value for fact in Fact)), after="place")
    with pytest.raises(ValueError, match="fast"):
        check(replace_graph(placed(), facts=frozenset({"fast"})), after="place")


def test_output_may_show_an_input() -> None:
    graph = Graph(
        (Node("in", Input(Signal((2,), SignalKind.REAL))), Node("out", Output((2,)))), (Edge("in", "out"),)
    )
    assert list(violations(graph, Fact.CANONICAL)) == []
