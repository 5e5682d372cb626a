from dataclasses import replace

import numpy as np
import pytest

from nmc.ir.graph import Graph
from nmc.ir.neuron import CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Neuron, Op
from nmc.passes.connect import connect
from nmc.passes.normalize import normalize
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, fire, lif, linear, real, spikes


def network(population: Op) -> Graph:
    rng = np.random.default_rng(3)
    second = lif((4,))
    before = chain(
        ("fc1", linear(rng, 6, 8, mean=0.15)),
        ("l", population),
        ("fc2", linear(rng, 4, 6)),
        ("m", second),
        shape=(8,),
    )
    return connect(before)


def neuron(graph: Graph) -> Neuron:
    op = graph["l"].op
    assert isinstance(op, Neuron)
    return op


def assert_same_spikes(before: Graph, after: Graph) -> None:
    x = spikes(60, 3, (8,))
    record = ["l.spikes", "m.spikes"]
    a, b = simulate(before, {"x": x}, record=record), simulate(after, {"x": x}, record=record)
    assert a.outputs["y"].any(), "nothing spikes: the comparison would say nothing"
    np.testing.assert_array_equal(b.outputs["y"], a.outputs["y"])


@pytest.mark.parametrize("gain", [0.5, np.linspace(0.25, 1.5, 6)])
def test_normalize_folds_gains_into_weights(gain: float | np.ndarray) -> None:
    before = network(lif((6,), gain=gain, bias=0.05))
    after = normalize(before)
    assert neuron(after).membrane.gain is None
    assert_same_spikes(before, after)


def test_normalize_folds_both_gains_of_a_synapse() -> None:
    before = network(cubalif((6,), synapse_gain=0.5, gain=1.5, bias=0.02))
    after = normalize(before)
    op = neuron(after)
    assert op.membrane.gain is None and op.synapse is not None and op.synapse.gain is None
    assert_same_spikes(before, after)


def test_normalize_moves_a_reset_value_to_zero() -> None:
    before = network(lif((6,), bias=0.1, minimum=-0.5, spikes=fire(value=-0.25)))
    after = normalize(before)
    op = neuron(after)
    assert op.fire is not None and op.fire.value.values == 0.0
    assert op.fire.threshold.values == 1.25 and op.membrane.initial.values == 0.25
    assert op.membrane.minimum is not None and op.membrane.minimum.values == -0.25
    assert_same_spikes(before, after)


@pytest.mark.parametrize("reset", [Reset.TO_VALUE, Reset.SUBTRACT])
def test_normalize_makes_a_reset_before_the_next_leak_one_of_this_step(reset: Reset) -> None:
    before = network(lif((6,), spikes=fire(reset=reset, when=ResetWhen.NEXT_BEFORE_LEAK)))
    after = normalize(before)
    op = neuron(after)
    assert op.fire is not None and op.fire.when is ResetWhen.SAME_STEP
    assert_same_spikes(before, after)


@pytest.mark.parametrize("when", [ResetWhen.NEXT_AFTER_LEAK, ResetWhen.NEXT_AFTER_INPUT])
def test_normalize_keeps_a_reset_that_acts_after_the_leak(when: ResetWhen) -> None:
    before = network(lif((6,), spikes=fire(reset=Reset.SUBTRACT, when=when)))
    op = neuron(normalize(before))
    assert op.fire is not None and op.fire.when is when


def test_normalize_turns_an_old_current_into_later_inputs() -> None:
    before = network(cubalif((6,), used=CurrentUsed.OLD))
    after = normalize(before)
    op = neuron(after)
    assert op.synapse is not None and op.synapse.used is CurrentUsed.NEW
    assert [edge.delay for edge in after.edges if edge.dst == "l"] == [1]
    assert_same_spikes(before, after)


def test_normalize_turns_an_old_spike_into_a_later_output() -> None:
    spyx = fire(reset=Reset.SUBTRACT, when=ResetWhen.NEXT_AFTER_LEAK, spike_from=SpikeFrom.OLD)
    before = network(lif((6,), spikes=spyx))
    after = normalize(before)
    op = neuron(after)
    assert op.fire is not None and op.fire.spike_from is SpikeFrom.NEW
    assert [edge.delay for edge in after.edges if edge.src == "l"] == [1]
    assert_same_spikes(before, after)


def test_normalize_keeps_a_waiting_reset_where_the_first_step_would_reset() -> None:
    late = fire(when=ResetWhen.NEXT_BEFORE_LEAK)
    population = lif((6,), spikes=late)
    population = replace(population, membrane=replace(population.membrane, initial=real(2.0)))
    op = neuron(normalize(network(population)))
    assert op.fire is not None and op.fire.when is ResetWhen.NEXT_BEFORE_LEAK


def test_normalize_says_where_states_are_not_the_model_s() -> None:
    plain = normalize(network(lif((6,))))
    moved = normalize(network(lif((6,), spikes=fire(value=-0.25))))
    assert not plain.notes
    assert [(note.code, "`l`" in note.message) for note in moved.notes] == [("NMC163", True)]
