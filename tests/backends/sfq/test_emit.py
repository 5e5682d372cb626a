"""Networks of every shape become netlists that do what golden does, in both ways to count and with both clocks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.sfq.backend import SFQ
from nmc.diagnostics import CompileError
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.linear import make_sparse
from nmc.ir.neuron import Comparison, Reset
from nmc.ir.ops import Conv, Flatten, Input, Linear, Neuron, Output, Signal, SignalKind, Threshold
from nmc.ir.tensor import Tensor
from nmc.sim import golden
from tests.backends.sfq.networks import compiled, layered, neurons, spikes
from tests.backends.sfq.test_cells import FASTER

RANDOM = np.random.default_rng(0)


def reals(values: object) -> Tensor:
    return Tensor(np.asarray(values, np.float64))


def linear(post: int, pre: int, most: int = 7) -> Linear:
    return Linear(reals(RANDOM.integers(-most, most + 1, (post, pre))))


def source(*shape: int) -> Input:
    return Input(Signal(shape, SignalKind.REAL))


def convolutional() -> Graph:
    """Names that are no identifiers, a convolution, a flatten."""
    flat = neurons(1, np.array(4.0), reset=Reset.SUBTRACT)
    kernel = reals(RANDOM.integers(-3, 4, (2, 1, 3, 3)))
    nodes = (
        Node("0.in", source(1, 4, 4)),
        Node("conv", Conv((1, 4, 4), kernel, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
        Node("1.lif", Neuron((2, 4, 4), None, flat.membrane, flat.fire)),
        Node("flat", Flatten((2, 4, 4), 0, 2)),
        Node("fc", linear(3, 32, 3)),
        Node("out pop", neurons(3, np.array([5.0, 6, 7]), reset=Reset.TO_VALUE)),
        Node("y", Output((3,))),
    )
    names = [node.name for node in nodes]
    return Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(names)))


def skipping() -> Graph:
    """Two inputs, delays, a connection past a layer, an input and a delayed population as outputs."""
    nodes = (
        Node("a", source(3)),
        Node("b", source(2)),
        Node("wa", linear(4, 3)),
        Node("wb", linear(4, 2)),
        Node("h", neurons(4, np.array([3.0, 1, 2, 9]), reset=Reset.SUBTRACT)),
        Node("wo", linear(2, 4)),
        Node("ws", linear(2, 3)),
        Node("o", Threshold((2,), reals([2, 3]), Comparison.ABOVE)),
        Node("y", Output((2,))),
        Node("z", Output((3,))),
        Node("hh", Output((4,))),
    )
    edges = [("a", "wa", 0), ("wa", "h", 0), ("b", "wb", 2), ("wb", "h", 0), ("h", "wo", 0), ("wo", "o", 0)]
    edges += [("a", "ws", 3), ("ws", "o", 0), ("o", "y", 0), ("a", "z", 0), ("h", "hh", 1)]
    return Graph(nodes, tuple(Edge(*each) for each in edges))


def delayed_synapses() -> Graph:
    """Each synapse with a delay of its own, two between the same neurons."""
    pre, post, delay = (
        np.array([0, 0, 1, 2, 3, 3]),
        np.array([0, 0, 1, 2, 0, 2]),
        np.array([0, 3, 1, 2, 0, 5]),
    )
    op = make_sparse((4,), (3,), pre=pre, post=post, weight=np.array([3, 2, 5, 7, 1, 6]), delay=delay)
    nodes = (
        Node("x", source(4)),
        Node("s", op),
        Node("n", neurons(3, np.array([3.0, 5, 6]), reset=Reset.SUBTRACT)),
        Node("y", Output((3,))),
    )
    return Graph(nodes, (Edge("x", "s"), Edge("s", "n"), Edge("n", "y")))


def degenerate() -> Graph:
    """Neurons that never spike, always spike, hear nothing, or drift."""
    nodes = (
        Node("x", source(2)),
        Node("w", Linear(reals([[-1, -2], [0, 0], [3, 0]]))),
        Node("n", Threshold((3,), reals([1, 0, 1]), Comparison.AT_LEAST)),
        Node("v", Linear(reals([[1, 2, -3], [0, 5, 0]]))),
        Node("m", neurons(2, np.array([3.0, 4]), reset=Reset.SUBTRACT, bias=np.array([-1, 0]))),
        Node("y", Output((2,))),
        Node("d", Output((3,))),
    )
    edges = (
        Edge("x", "w"),
        Edge("w", "n"),
        Edge("n", "v", 1),
        Edge("v", "m"),
        Edge("m", "y"),
        Edge("n", "d"),
    )
    return Graph(nodes, edges)


GRAPHS = {
    "convolutional": convolutional(),
    "skipping": skipping(),
    "delayed_synapses": delayed_synapses(),
    "degenerate": degenerate(),
}


@pytest.mark.parametrize(
    "settings", [{}, {"toggle": "library"}, {"sequencer": "on-chip", "sharing": "off"}], ids=str
)
@pytest.mark.parametrize("name", GRAPHS)
def test_netlist_gives_the_spikes_of_golden(name: str, settings: dict[str, str]) -> None:
    done = compiled(GRAPHS[name], settings)
    inputs = spikes(1, done.graph)
    expected = golden.simulate(done.graph, inputs)
    got = SFQ.simulate(done.artifact, inputs, ())
    assert {k for k, a in expected.outputs.items() if not np.array_equal(a, got.outputs[k])} == set()
    assert got.spikes == expected.spikes


def test_weights_of_twelve_bits_are_kept() -> None:
    graph = layered(RANDOM.integers(-2000, 2001, (3, 5)), threshold=900.0)
    done = compiled(graph, {"weight_bits": "12"})
    inputs = spikes(2, done.graph)
    got = SFQ.simulate(done.artifact, inputs, ()).outputs["y"]
    assert np.array_equal(got, golden.simulate(graph, inputs).outputs["y"])


def test_a_users_cells_change_the_netlist_and_its_times(tmp_path: Path) -> None:
    slower = FASTER.replace("[JTL]", "[MERGE]").replace('["a"]', '["a", "b"]').replace("jj = 2", "jj = 5")
    slower = slower.replace('["0 a -> 0 q@2.25"]', '["0 a -> 0 q@20.0", "0 b -> 0 q@20.0"]')
    (tmp_path / "cells.toml").write_text(slower.replace('outputs = ["q", "b"]', 'outputs = ["q"]'))
    graph = layered(np.array([[1, 1, 1]]), threshold=2.0)
    plain, changed = (
        {each.name: each.used for each in compiled(graph, {"cells": cells}).resources}
        for cells in ("", str(tmp_path / "cells.toml"))
    )
    assert changed["longest path (ps)"] > plain["longest path (ps)"]
    assert changed["Josephson junctions"] < plain["Josephson junctions"]


def test_a_counter_beyond_the_widest_is_refused() -> None:
    op = neurons(1, np.array([3.0]), reset=Reset.NONE, bias=np.array([4_000_000.0]))
    nodes = (Node("x", source(1)), Node("w", Linear(reals([[1]]))), Node("n", op), Node("y", Output((1,))))
    graph = Graph(nodes, (Edge("x", "w"), Edge("w", "n"), Edge("n", "y")))
    with pytest.raises(CompileError) as refused:
        compiled(graph, {"steps": "1000000"})
    (finding,) = refused.value.findings
    assert finding.code == "NMC482" and "40 are possible" in finding.message
