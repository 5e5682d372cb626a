"""Random networks that counters hold: threshold and integrate-and-fire neurons, recurrence, delays."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from nmc import driver
from nmc.backends.backend import Request
from nmc.driver import Compiled
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Output,
    Signal,
    SignalKind,
    Threshold,
    output_shape,
)
from nmc.ir.tensor import Array, Tensor

LARGEST = 7
STEPS = 12
ZERO = Tensor(np.float64(0))


def neurons(
    size: int,
    threshold: Array,
    *,
    reset: Reset,
    comparison: Comparison = Comparison.AT_LEAST,
    bias: Array | None = None,
) -> Neuron:
    """A population that integrates without a leak."""
    fire = Fire(
        Tensor(np.asarray(threshold, np.float64)),
        comparison,
        SpikeFrom.NEW,
        reset,
        ResetWhen.SAME_STEP,
        ZERO,
        Tensor(np.int64(0)),
    )
    drift = None if bias is None else Tensor(np.asarray(bias, np.float64))
    return Neuron((size,), None, Membrane(None, None, drift, None, ZERO), fire)


def random_network(seed: int) -> Graph:
    """One to three layers of one to seven neurons, weights up to 7, some layers recurrent, some edges with delays."""
    random = np.random.default_rng(seed)
    sizes = [int(random.integers(1, 8)) for _ in range(int(random.integers(1, 4)) + 1)]
    nodes = [Node("x", Input(Signal((sizes[0],), SignalKind.REAL)))]
    edges: list[Edge] = []
    source = "x"
    for k, (pre, post) in enumerate(pairwise(sizes)):
        nodes.append(Node(f"w{k}", _weights(random, post, pre)))
        edges.append(Edge(source, f"w{k}", int(random.choice([0, 0, 0, 1, 2, 5]))))
        nodes.append(Node(f"n{k}", _population(random, post)))
        edges.append(Edge(f"w{k}", f"n{k}"))
        if random.random() < 0.35:
            nodes.append(Node(f"r{k}", _weights(random, post, post)))
            edges += [Edge(f"n{k}", f"r{k}", int(random.integers(1, 4))), Edge(f"r{k}", f"n{k}")]
        source = f"n{k}"
    nodes.append(Node("y", Output((sizes[-1],))))
    edges.append(Edge(source, "y", int(random.choice([0, 0, 0, 1, 2]))))
    return Graph(tuple(nodes), tuple(edges))


def _weights(random: np.random.Generator, post: int, pre: int) -> Linear:
    return Linear(Tensor(random.integers(-LARGEST, LARGEST + 1, (post, pre)).astype(np.float64)))


def _population(random: np.random.Generator, size: int) -> Neuron | Threshold:
    threshold = random.integers(1, 10, size).astype(np.float64)
    comparison = Comparison(int(random.integers(2)))
    if random.random() < 0.4:
        return Threshold((size,), Tensor(threshold), comparison)
    reset = Reset(int(random.choice([Reset.SUBTRACT, Reset.TO_VALUE, Reset.NONE], p=[0.65, 0.25, 0.1])))
    bias = random.integers(-3, 4, size) if random.random() < 0.3 else None
    return neurons(size, threshold, reset=reset, comparison=comparison, bias=bias)


def layered(*weights: Array, threshold: float) -> Graph:
    """Threshold units in layers with given weights (post, pre)."""
    nodes = [Node("x", Input(Signal((weights[0].shape[1],), SignalKind.REAL)))]
    for k, each in enumerate(weights):
        size = each.shape[0]
        nodes.append(Node(f"w{k}", Linear(Tensor(each.astype(np.float64)))))
        nodes.append(Node(f"n{k}", Threshold((size,), Tensor(np.full(size, threshold)), Comparison.AT_LEAST)))
    nodes.append(Node("y", Output((weights[-1].shape[0],))))
    names = [node.name for node in nodes]
    return Graph(tuple(nodes), tuple(Edge(a, b) for a, b in pairwise(names)))


def compiled(graph: Graph, settings: Mapping[str, str] | None = None) -> Compiled:
    """The graph on `sfq`, its counters proved for `STEPS`."""
    return driver.compile(
        graph, target="sfq", request=Request(settings={"steps": str(STEPS), **(settings or {})})
    )


def spikes(seed: int, graph: Graph) -> dict[str, Array]:
    """Random spikes (STEPS, 2 samples, *shape) for every input."""
    random = np.random.default_rng(seed)
    rate = random.choice([0.2, 0.5, 0.8])
    return {
        node.name: (random.random((STEPS, 2, *output_shape(node.op))) < rate).astype(np.uint8)
        for node in graph.inputs
    }
