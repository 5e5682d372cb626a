"""Constants that are repeated give the model's spikes, and leave the other weights their bits."""

from dataclasses import replace

import numpy as np

from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, Neuron, Sparse
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.passes.connect import connect
from nmc.passes.normalize import normalize
from nmc.passes.repeat_constants import repeat_constants, repeated_as
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, linear, spikes


def model(bias: float) -> Graph:
    rng = np.random.default_rng(0)
    layer = replace(linear(rng, 6, 8), bias=Tensor(np.full(6, bias)))
    return normalize(connect(chain(("w", layer), ("l", cubalif((6,))), shape=(8,))))


def constant(graph: Graph) -> Neuron:
    op = graph["bias"].op
    assert isinstance(op, Neuron)
    return op


def test_repeat_constants_keeps_every_spike() -> None:
    exact = model(bias=3.0)
    repeated = repeat_constants(exact, {})
    assert constant(repeated).shape[0] > 1
    x = {"x": spikes(40, 4, (8,))}
    np.testing.assert_array_equal(simulate(repeated, x).outputs["y"], simulate(exact, x).outputs["y"])


def test_repeat_constants_makes_no_share_larger_than_the_other_weights() -> None:
    exact = model(bias=3.0)
    repeated = repeat_constants(exact, {})
    largest = {
        n.name: np.abs(n.op.weight.values).max() for n in repeated.nodes if isinstance(n.op, Linear | Sparse)
    }
    assert largest["l.bias"] <= largest["w"]
    assert repeated_as(exact, repeated) == repeated


def test_repeat_constants_counts_weights_per_unit_of_their_message() -> None:
    exact = model(bias=0.1)
    coarse = repeat_constants(exact, {"x": FixedPoint(8, False, -6)})
    assert constant(exact).shape == constant(repeat_constants(exact, {})).shape == (1,)
    assert constant(coarse).shape[0] > 1


def test_repeat_constants_leaves_small_biases_alone() -> None:
    exact = model(bias=1e-3)
    assert repeat_constants(exact, {}) == exact
