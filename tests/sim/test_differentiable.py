"""The executor in PyTorch against golden, to the bit; and its gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.neuron import ResetWhen
from nmc.ir.ops import Elementwise, MatMul, Neuron
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.connect import connect
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from nmc.sim import differentiable
from nmc.sim.golden import simulate
from tests.passes.nets import chain, fire, lif, linear, spikes
from tests.strategies import continuous_graphs, integer_graphs, program_graphs, real_graphs, spike_inputs
from tests.targets import TARGET

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(differentiable.ready() is not None, reason=str(differentiable.ready())),
]

EXAMPLES = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


FEW = settings(EXAMPLES, max_examples=5)


def states(graph: Graph) -> list[str]:
    """What is compared: what each node gives, and the states of neurons."""
    names = [f"{node.name}.out" for node in graph.nodes]
    for node in graph.nodes:
        if isinstance(node.op, Neuron):
            names += [f"{node.name}.v"] + [f"{node.name}.i"] * (node.op.synapse is not None)
    return names


def runs(graph: Graph, inputs: dict[str, Any]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """By name what golden and PyTorch give; real graphs in float32."""
    expected = simulate(graph, inputs, record=states(graph), dtype=np.float32).trace
    run = differentiable.Executor(graph).run(inputs)
    found: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name, array in expected.items():
        node, _, variable = name.rpartition(".")
        got = run.given[node] if variable == "out" else run.states[name]
        found.append((name, array, got.detach().numpy()))
    return found


@EXAMPLES
@given(st.data())
def test_executor_equals_golden_in_integers_to_the_bit(data: st.DataObject) -> None:
    graph = data.draw(integer_graphs())
    for name, expected, got in runs(graph, data.draw(spike_inputs(graph))):
        np.testing.assert_array_equal(got, expected, err_msg=name)


@EXAMPLES
@given(st.data())
def test_executor_equals_golden_in_float32(data: st.DataObject) -> None:
    graph = data.draw(real_graphs())
    for name, expected, got in runs(graph, data.draw(spike_inputs(graph))):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@FEW
@given(st.data())
def test_executor_runs_programs_and_products_as_golden_does(data: st.DataObject) -> None:
    graph = data.draw(program_graphs())
    kinds = [node for node in graph.nodes if isinstance(node.op, Elementwise | MatMul)]
    for name, expected, got in runs(graph, data.draw(spike_inputs(graph))):
        close = np.isclose(got, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
        assert kinds == [] or close.mean() > 0.99, name


def model() -> Graph:
    rng = np.random.default_rng(0)
    return chain(
        ("a", linear(rng, 24, 16, bias=True)),
        ("l", lif((24,), spikes=replace(fire(), when=ResetWhen.NEXT_AFTER_LEAK))),
        ("b", linear(rng, 4, 24)),
        ("m", lif((4,))),
        shape=(16,),
    )


def test_executor_gives_goldens_spikes_and_membranes_to_the_bit_in_real_and_integer_networks() -> None:
    real = normalize(connect(model()))
    graph = choose_neurons(real, target=TARGET, unsupported=Unsupported.CUSTOM)
    integers = quantize(graph, target=TARGET, weight_bits=4, message_bits=8, calibration={})
    x = {"x": spikes(30, 3, (16,))}
    for each in (model(), real, integers):
        for name, expected, got in runs(each, x):
            np.testing.assert_array_equal(got, expected, err_msg=name)


def test_gradients_reach_every_weight_and_training_lowers_the_loss() -> None:
    import torch

    x = {"x": spikes(20, 8, (16,))}
    executor = differentiable.Executor(model())
    weights = [executor.parameters[name] for name in ("a.weight", "b.weight")]
    optimizer = torch.optim.SGD(weights, lr=0.05)
    wanted = torch.tensor([0.0, 0.5, 0.0, 0.5])
    losses: list[float] = []
    for _ in range(10):
        rates = executor.run(x).given["y"].mean(dim=0)
        loss = torch.square(rates - wanted).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@EXAMPLES
@given(continuous_graphs())
def test_executor_refuses_what_is_in_seconds_by_name(graph: Graph) -> None:
    from nmc.ir.ops import DelayLine, Ode

    seconds = [node.name for node in graph.nodes if isinstance(node.op, Ode | DelayLine)]
    if not seconds:
        return
    with pytest.raises(CompileError, match="NMC231") as refused:
        differentiable.Executor(graph)
    assert {f"`{name}`" in str(refused.value) for name in seconds} == {True}
