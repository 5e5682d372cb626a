"""The shared strategies: what random graphs and inputs contain."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.ir.graph import Graph
from nmc.ir.ops import Output, SignalKind, parameters
from tests.strategies import continuous_graphs, integer_graphs, real_graphs, spike_inputs


def test_the_strategies_reach_every_attribute() -> None:
    """Over a few hundred graphs: every parameter, real and integer, and outputs beside the last layer."""
    seen: set[str] = set()

    @settings(max_examples=200, database=None)
    @given(st.one_of(real_graphs(), integer_graphs(), continuous_graphs()))
    def collect(graph: Graph) -> None:
        for node in graph.nodes:
            kind = type(node.op).__name__
            seen.update(f"{kind}.{path}" for path in parameters(node.op))
            seen.add(kind)
        seen.update(f"delay {edge.delay}" for edge in graph.edges)
        seen.add(f"outputs {sum(isinstance(node.op, Output) for node in graph.nodes)}")
        seen.add(f"inputs {len(graph.inputs)}")

    collect()
    needed = {
        "Linear.bias", "Conv.bias", "Sparse.delay", "Pool", "Scale.factor", "Flatten", "Delay.steps",
        "DelayLine.seconds", "Threshold.threshold", "Neuron.synapse.decay", "Neuron.synapse.gain",
        "Neuron.synapse.initial", "Neuron.membrane.decay", "Neuron.membrane.gain", "Neuron.membrane.bias",
        "Neuron.membrane.minimum", "Neuron.fire.threshold", "Neuron.fire.refractory", "Ode.tau_syn", "Ode.tau_mem",
        "Ode.v_leak", "Ode.threshold", "delay 1", "delay 2", "outputs 1", "outputs 2", "inputs 1", "inputs 2",
    }  # fmt: skip
    assert needed <= seen


@given(integer_graphs(), st.data())
def test_spike_inputs_fit_the_inputs_they_are_for(graph: Graph, data: st.DataObject) -> None:
    arrays = data.draw(spike_inputs(graph, steps=3, samples=2))
    assert list(arrays) == [node.name for node in graph.inputs]
    for name, array in arrays.items():
        signal = graph.signals()[name]
        assert array.shape == (3, 2, *signal.shape)
        if signal.kind is SignalKind.SPIKE:
            assert array.dtype == np.uint8 and array.max() <= 1
        elif signal.number is not None:
            assert signal.number.lowest <= array.min() and array.max() <= signal.number.highest
