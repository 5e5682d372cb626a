"""The pipeline: its order is checked before anything runs, and facts after every pass."""

from dataclasses import replace

import pytest

from nmc.ir.graph import Graph, replace_graph
from nmc.ir.tensor import Tensor
from nmc.passes.facts import Fact
from nmc.passes.pipeline import Pass, check_order, run_pipeline
from tests.nets import feed_forward, linear

DISCRETE, CANONICAL, PLACED = (frozenset({fact}) for fact in (Fact.DISCRETE, Fact.CANONICAL, Fact.PLACED))


def same(graph: Graph) -> Graph:
    return graph


def later(graph: Graph) -> Graph:
    return replace_graph(graph, latency=graph.latency + 1)


def unplaced(graph: Graph) -> Graph:
    return replace_graph(graph, placement=())


def test_check_order_accepts_what_an_earlier_pass_or_the_graph_gives() -> None:
    first, second = Pass("first", same, gives=DISCRETE), Pass("second", same, needs=DISCRETE)
    check_order((first, second))
    check_order((second,), given=DISCRETE)


def test_check_order_names_the_pass_and_every_missing_fact() -> None:
    needy = Pass("place", same, needs=DISCRETE | CANONICAL)
    with pytest.raises(
        ValueError, match="pass `place` needs canonical, discrete, which no pass before it gives"
    ):
        check_order((needy, Pass("late", same, gives=DISCRETE | CANONICAL)))


def test_run_pipeline_runs_in_order_and_collects_facts() -> None:
    seen: list[tuple[str, int, frozenset[str]]] = []
    passes = (Pass("a", later, gives=DISCRETE), Pass("b", later, needs=DISCRETE, gives=CANONICAL))
    result = run_pipeline(
        feed_forward(), passes, after=lambda step, graph: seen.append((step.name, graph.latency, graph.facts))
    )
    assert seen == [("a", 1, frozenset({"discrete"})), ("b", 2, frozenset({"discrete", "canonical"}))]
    assert result == replace_graph(feed_forward(), latency=2, facts=frozenset({"discrete", "canonical"}))


def test_run_pipeline_runs_nothing_if_the_order_is_wrong() -> None:
    def must_not_run(graph: Graph) -> Graph:
        raise AssertionError

    with pytest.raises(ValueError, match="needs placed"):
        run_pipeline(feed_forward(), (Pass("a", must_not_run), Pass("b", same, needs=PLACED)))


def test_run_pipeline_knows_the_facts_that_the_graph_has_already() -> None:
    graph = replace_graph(feed_forward(), facts=frozenset({"discrete"}))
    assert run_pipeline(graph, (Pass("a", same, needs=DISCRETE),)) == graph


def test_run_pipeline_refuses_a_pass_that_does_not_give_what_it_says() -> None:
    with pytest.raises(AssertionError, match="after pass `place` the graph is not placed"):
        run_pipeline(feed_forward(), (Pass("place", unplaced, gives=PLACED),))


def test_run_pipeline_refuses_a_pass_that_breaks_an_earlier_fact() -> None:
    def spoil(graph: Graph) -> Graph:
        return graph.replace_nodes({"fc2": replace(linear(2, 3), bias=Tensor([1.0, 2.0]))})

    passes = (Pass("canonicalize", same, gives=CANONICAL), Pass("spoil", spoil))
    with pytest.raises(AssertionError, match="after pass `spoil` the graph is not canonical"):
        run_pipeline(feed_forward(), passes)
