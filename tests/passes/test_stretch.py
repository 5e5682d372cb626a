"""Slow motion: the model's values in every `factor`-th step, and nothing between them."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, Reset, ResetWhen
from nmc.ir.ops import Clock, Input, Neuron, Output, Signal, SignalKind, Threshold
from nmc.passes.connect import connect
from nmc.passes.normalize import normalize
from nmc.passes.stretch import rests, stretch
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, fire, lif, linear, real, spikes


def canonical(model: Graph) -> Graph:
    return normalize(connect(model, bias_source=False))


def loop(first: Neuron, second: Neuron, *, delay: int = 1) -> Graph:
    rng = np.random.default_rng(5)
    nodes = (
        Node("x", Input(Signal((5,), SignalKind.SPIKE))),
        Node("w", linear(rng, 4, 5)),
        Node("a", first),
        Node("there", linear(rng, 4, 4, mean=0.3)),
        Node("b", second),
        Node("back", linear(rng, 4, 4)),
        Node("y", Output((4,))),
    )
    edges = (
        Edge("x", "w"),
        Edge("w", "a"),
        Edge("a", "there"),
        Edge("there", "b"),
        Edge("b", "back", delay),
        Edge("back", "a"),
        Edge("b", "y"),
    )
    return canonical(Graph(nodes, edges))


NEURONS = {
    "if": lif((4,), decay=None),
    "lif": lif((4,), bias=0.05),
    "cubalif": cubalif((4,)),
    "subtract": lif((4,), decay=None, spikes=fire(reset=Reset.SUBTRACT)),
    "next": lif((4,), spikes=fire(reset=Reset.TO_VALUE, when=ResetWhen.NEXT_BEFORE_LEAK)),
    "refractory": lif((4,), decay=None, spikes=fire(refractory=2)),
    "silent": lif((4,), silent=True),
}


@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("first", NEURONS)
@pytest.mark.parametrize("second", ["if", "lif", "silent"])
def test_stretched_network_is_the_model_in_every_so_many_steps(first: str, second: str, factor: int) -> None:
    model = loop(NEURONS[first], NEURONS[second])
    slow = stretch(model, factor=factor)
    assert slow.stretch == factor
    x = spikes(30, 2, (5,))
    record = ["a.v", "b.v"]
    expected = simulate(model, {"x": x}, record=record)
    got = simulate(slow, {"x": x}, record=record)
    assert got.steps == 30 * factor
    np.testing.assert_array_equal(got.outputs["y"][::factor], expected.outputs["y"])
    for name in record:
        np.testing.assert_array_equal(got.trace[name][::factor], expected.trace[name])
    assert expected.outputs["y"].any()


def test_stretch_by_one_changes_nothing() -> None:
    model = loop(NEURONS["lif"], NEURONS["if"])
    assert stretch(model, factor=1) == model


def test_stretch_gives_a_clock_only_to_populations_that_move_by_themselves() -> None:
    slow = stretch(loop(NEURONS["if"], NEURONS["lif"]), factor=3)
    first, second = slow["a"].op, slow["b"].op
    assert isinstance(first, Neuron) and isinstance(second, Neuron)
    assert first.clock is None
    assert second.clock == Clock(3, 0)
    assert {edge.delay for edge in slow.edges} == {0, 3}


def test_stretch_gives_a_clock_to_a_population_that_receives_values() -> None:
    slow = stretch(loop(NEURONS["if"], NEURONS["silent"]), factor=3)
    first = slow["a"].op
    assert isinstance(first, Neuron)
    assert first.clock == Clock(3, 0)


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (lif((4,), decay=None), True),
        (lif((4,), decay=1.0), True),
        (lif((4,)), False),
        (cubalif((4,)), False),
        (lif((4,), decay=None, bias=0.1), False),
        (lif((4,), decay=None, initial=1.5), False),
        (lif((4,), decay=None, initial=-1.0, minimum=-0.5), False),
        (lif((4,), decay=None, spikes=fire(value=1.0)), True),
        (lif((4,), decay=None, spikes=fire(value=1.0, comparison=Comparison.AT_LEAST)), False),
        (lif((4,), decay=None, spikes=fire(reset=Reset.SUBTRACT)), False),
        (lif((4,), decay=None, spikes=fire(refractory=1)), False),
        (lif((4,), decay=None, silent=True), True),
    ],
)
def test_rests_says_whether_steps_without_input_change_nothing(neuron: Neuron, expected: bool) -> None:
    assert rests(neuron) is expected


def test_stretch_names_a_population_that_has_no_clock() -> None:
    rng = np.random.default_rng(0)
    threshold = Threshold((4,), real(0.5), Comparison.ABOVE)
    model = chain(("w", linear(rng, 4, 5)), ("t", threshold), shape=(5,))
    with pytest.raises(CompileError) as refused:
        stretch(model, factor=2)
    (finding,) = refused.value.findings
    assert finding.code == "NMC255"
    assert "`t`" in finding.message
