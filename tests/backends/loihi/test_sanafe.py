"""SANA-FE's own Loihi prices our networks as our machine does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nmc.backends.loihi import machine
from nmc.backends.loihi import sanafe as witness
from nmc.backends.loihi.program import WEIGHT, Conv, Dense, Network, Sign, Source, Sparse
from nmc.ir.graph import Slice
from nmc.ir.tensor import Tensor
from tests.backends.loihi.networks import Array, population


def spread(sizes: list[int], *, cores: int, dense: bool, seed: int) -> Network:
    """Layers in a row, each over some cores of its own."""
    random = np.random.default_rng(seed)
    names = ["in", *(f"l{k}" for k in range(1, len(sizes)))]
    slices: list[Slice] = []
    for name, size in zip(names, sizes, strict=True):
        width = -(-size // cores)
        for start in range(0, size, width):
            slices.append(Slice(name, start, min(size, start + width), len(slices)))
    connections: list[Dense | Sparse] = []
    for k, (pre, post) in enumerate(pairwise(sizes)):
        weight = 2 * random.integers(-60, 100, (post, pre))
        if dense:
            connections.append(
                Dense(f"w{k}", names[k], names[k + 1], Tensor(weight, WEIGHT), 0, 8, Sign.MIXED)
            )
            continue
        rows, columns = np.nonzero(random.random(weight.shape) < 0.2)
        weights = Tensor(weight[rows, columns], WEIGHT)
        connections.append(
            Sparse(f"w{k}", names[k], names[k + 1], Tensor(rows), Tensor(columns), weights, 0, 8, Sign.MIXED)
        )
    neurons = tuple(
        population(name, (size,), du=4095, dv=600, vth=300)
        for name, size in zip(names[1:], sizes[1:], strict=True)
    )
    return Network((Source("in", (sizes[0],)),), neurons, tuple(connections), (), tuple(slices))


def image() -> Network:
    """A convolution over two cores, biased neurons, and a recurrent connection."""
    random = np.random.default_rng(9)
    kernel = Tensor(2 * random.integers(-30, 80, (4, 3, 3, 2)), WEIGHT)
    conv = Conv("c", "in", "out", kernel, (1, 1), (1, 1), (1, 1), 1, 0, 8, Sign.MIXED)
    post, pre = np.nonzero(random.random((144, 144)) < 0.05)
    back = Sparse(
        "r",
        "out",
        "out",
        Tensor(post),
        Tensor(pre),
        Tensor(np.full(post.size, -20), WEIGHT),
        0,
        8,
        Sign.MIXED,
    )
    neurons = population(
        "out", (4, 6, 6), du=3000, dv=300, vth=200, bias_mant=random.integers(0, 3, (4, 6, 6))
    )
    cores = (Slice("in", 0, 72, 9), Slice("out", 0, 100, 0), Slice("out", 100, 144, 1))
    return Network((Source("in", (2, 6, 6)),), (neurons,), (conv, back), (), cores)


def inputs(network: Network, rate: float, *, steps: int = 10, samples: int = 1) -> dict[str, Array]:
    random = np.random.default_rng(1)
    (source,) = network.sources
    return {"in": (random.random((steps, samples, *source.shape)) < rate).astype(np.uint8)}


CASES = [
    (spread([20, 10, 5], cores=1, dense=True, seed=0), 0.3),
    (spread([300, 200, 100], cores=3, dense=True, seed=1), 0.1),
    (spread([300, 300, 300], cores=8, dense=False, seed=2), 0.5),
    (spread([200, 400], cores=14, dense=False, seed=3), 0.9),
    (image(), 0.4),
]


def test_energy_and_time_are_near(sanafe: None) -> None:
    runs = [(network, machine.run(network, inputs(network, rate))) for network, rate in CASES]
    estimates = witness.estimate([(network, run.sent) for network, run in runs])
    for (network, run), estimate in zip(runs, estimates, strict=True):
        inner = sum(run.sent[p.name].sum() for p in network.populations)
        assert inner > 0
        np.testing.assert_array_equal(run.messages, estimate.messages)
        np.testing.assert_array_equal(run.synaptic_events, estimate.synaptic_events)
        np.testing.assert_allclose(run.joules.sum(), estimate.joules.sum(), rtol=1e-3)
        np.testing.assert_allclose(run.seconds.sum(), estimate.seconds.sum(), rtol=0.02)


def test_samples_begin_anew(sanafe: None) -> None:
    network = CASES[0][0]
    given = inputs(network, 0.4, samples=3)
    given["in"][:, 2] = given["in"][:, 0]
    run = machine.run(network, given)
    (estimate,) = witness.estimate([(network, run.sent)])
    np.testing.assert_allclose(estimate.joules[0], estimate.joules[2])
    np.testing.assert_allclose(run.joules, estimate.joules, rtol=1e-3)
    np.testing.assert_allclose(run.seconds, estimate.seconds, rtol=0.02)


def test_without_sanafe_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness.importlib.util, "find_spec", lambda name: None)
    assert "pip install" in (witness.ready() or "")
    with pytest.raises(RuntimeError, match="not installed"):
        witness.estimate([])


def test_what_fails_over_there_is_said_here(sanafe: None) -> None:
    network = CASES[0][0]
    far = Network(
        network.sources,
        network.populations,
        network.connections,
        (),
        tuple(Slice(part.node, part.start, part.stop, part.core + 500) for part in network.cores),
    )
    spikes = {name: np.zeros((1, 1, *end.shape)) for name, end in far.ends.items()}
    with pytest.raises(RuntimeError, match="sanafe failed"):
        witness.estimate([(far, spikes)])
