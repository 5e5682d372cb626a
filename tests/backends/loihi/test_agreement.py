"""Golden, the machine and Lava agree to the last bit; the machine and SANA-FE about time and energy."""

from __future__ import annotations

import numpy as np
import pytest

from nmc import driver
from nmc.artifact import Artifact
from nmc.backends.backend import Request
from nmc.backends.loihi import backend, files, lava, machine
from nmc.backends.loihi import sanafe as witness
from nmc.backends.loihi.program import Network
from nmc.diagnostics import CompileError
from nmc.ir import ops
from nmc.ir.graph import Graph
from nmc.sim import golden
from nmc.sim.compare import first_divergence
from nmc.sim.trace import SimResult
from tests.backends.loihi.networks import KINDS, Array, model, spikes

EACH = 50
STEPS, SAMPLES = 24, 2


def compiled(kind: str, seed: int) -> tuple[Graph, Artifact, dict[str, Array]]:
    graph = model(kind, seed)
    try:
        result = driver.compile(graph, target="loihi")
    except CompileError:  # a bias that cannot wait for its layer's first input
        result = driver.compile(graph, target="loihi", request=Request(settings={"bias": "source"}))
    return result.graph, result.artifact, spikes(result.graph, seed, steps=STEPS, samples=SAMPLES)


def in_golden(graph: Graph, inputs: dict[str, Array]) -> SimResult:
    record = [
        f"{node.name}.{variable}"
        for node in graph.nodes
        if isinstance(node.op, ops.Neuron)
        for variable in ("spikes", "v", "i")
    ]
    return golden.simulate(graph, inputs, record=record)


def populations(graph: Graph) -> tuple[str, ...]:
    return tuple(node.name for node in graph.nodes if isinstance(node.op, ops.Neuron))


@pytest.mark.parametrize("kind", KINDS)
def test_machine_is_golden_on_random_networks(kind: str) -> None:
    fired = 0
    for seed in range(EACH):
        graph, artifact, inputs = compiled(kind, seed)
        expected = in_golden(graph, inputs)
        got = machine.simulate(artifact.files, inputs, populations(graph))
        assert first_divergence(expected, got) is None, (kind, seed)
        fired += sum(count > 0 for count in got.spikes.values())
    assert fired > EACH  # more than one population of each network, on average


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_lava_is_golden_on_random_networks(kind: str, lava: None) -> None:
    runs = [compiled(kind, seed) for seed in range(EACH)]
    recordings = run_lava(runs)
    for seed, ((graph, artifact, inputs), recording) in enumerate(zip(runs, recordings, strict=True)):
        network = files.read(artifact.files)
        got = backend.lava_result(network, recording, populations(graph))
        assert first_divergence(in_golden(graph, inputs), got) is None, (kind, seed)


def run_lava(runs: list[tuple[Graph, Artifact, dict[str, Array]]]) -> list[lava.Recording]:
    return lava.run([lava.Job(artifact.files, inputs) for _, artifact, inputs in runs])


def test_sanafe_is_near_the_machine_on_random_networks(sanafe: None) -> None:
    runs: list[tuple[Network, machine.Run]] = []
    for kind in KINDS:
        for seed in range(12):
            _, artifact, inputs = compiled(kind, seed)
            network = files.read(artifact.files)
            runs.append((network, machine.run(network, inputs)))
    estimates = witness.estimate([(network, run.sent) for network, run in runs])
    for (_, run), estimate in zip(runs, estimates, strict=True):
        np.testing.assert_array_equal(run.messages, estimate.messages)
        np.testing.assert_array_equal(run.synaptic_events, estimate.synaptic_events)
        assert run.joules.sum() == pytest.approx(estimate.joules.sum(), rel=0.05)
        assert run.seconds.sum() == pytest.approx(estimate.seconds.sum(), rel=0.10)
