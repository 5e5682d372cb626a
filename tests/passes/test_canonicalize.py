from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.frontend.load import load
from nmc.ir.graph import Edge, Graph
from nmc.ir.linear import make_sparse
from nmc.ir.ops import (
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Op,
    Output,
    Pool,
    Pooling,
    Scale,
    Signal,
    SignalKind,
    Sparse,
)
from nmc.ir.tensor import Tensor
from nmc.ir.verify import verify
from nmc.passes.canonicalize import canonicalize
from nmc.passes.discretize import discretize
from nmc.sim.golden import simulate
from tests.passes.nets import chain, graph, lif, linear, real, spikes

RNG = np.random.default_rng(7)


def steps(*values: int) -> Tensor:
    return Tensor(np.array(values))


def dyadic(rng: np.random.Generator, *shape: int) -> Tensor:
    """Weights whose sums are exact in any order."""
    return real(rng.integers(-8, 9, shape) / 8)


def same_spikes(before: Graph, after: Graph, *, shape: tuple[int, ...], seed: int = 0) -> None:
    inputs = {"x": spikes(30, 4, shape, seed=seed, rate=0.5)}
    old, new = simulate(before, inputs).outputs, simulate(after, inputs).outputs
    assert old.keys() == new.keys()
    assert any(array.any() for array in old.values())
    for name, array in old.items():
        assert np.array_equal(array, new[name])


def names(of: Graph) -> list[str]:
    return [node.name for node in of.nodes]


# ---- what nobody needs ------------------------------------------------------------------------------------


def test_canonicalize_leaves_a_plain_graph_as_it_is() -> None:
    plain = chain(("w", linear(RNG, 2, 3, bias=True)), ("n", lif((2,))), shape=(3,))
    assert canonicalize(plain) == plain


def test_canonicalize_drops_what_no_output_depends_on() -> None:
    ops: dict[str, Op] = {
        "x": Input(Signal((3,), SignalKind.REAL)),
        "w": linear(RNG, 2, 3),
        "n": lif((2,)),
        "probe": linear(RNG, 5, 2),
        "m": lif((5,)),
        "y": Output((2,)),
    }
    wide = graph(ops, [("x", "w"), ("w", "n"), ("n", "probe"), ("probe", "m"), ("n", "y")])
    small = canonicalize(wide)
    assert names(small) == ["x", "w", "n", "y"]
    (said,) = small.notes
    assert said.code == "NMC170"
    assert "`probe`, `m`: 2 of 6 nodes" in said.message


@pytest.mark.parametrize(
    "identity",
    [
        Scale((2, 4, 4), real(np.ones((2, 1, 1)))),
        Flatten((2, 4, 4), 1, 1),
        Delay((2, 4, 4), steps(0)),
        Pool((2, 4, 4), Pooling.MAX, (1, 1), (1, 1), ((0, 0), (0, 0))),
    ],
)
def test_canonicalize_removes_operations_that_change_nothing(identity: Op) -> None:
    net = chain(("i", identity), ("n", lif((2, 4, 4))), shape=(2, 4, 4))
    assert names(canonicalize(net)) == ["x", "n", "y"]


@pytest.mark.parametrize(
    "op",
    [
        Flatten((2, 4, 4), 0, 1),
        Pool((2, 4, 4), Pooling.SUM, (1, 1), (2, 2), ((0, 0), (0, 0))),
        Pool((2, 4, 4), Pooling.SUM, (1, 1), (1, 1), ((1, 0), (0, 0))),
        Delay((2, 4, 4), Tensor(np.array([0, 1]).reshape(2, 1, 1))),
    ],
)
def test_canonicalize_keeps_operations_that_change_something(op: Op) -> None:
    assert "i" in names(canonicalize(chain(("i", op), shape=(2, 4, 4))))


def test_canonicalize_drops_constants_of_zero() -> None:
    op = Linear(real(RNG.normal(size=(2, 3))), real(np.zeros(2)))
    (after,) = (node.op for node in canonicalize(chain(("w", op), shape=(3,))).nodes if node.name == "w")
    assert after == Linear(op.weight)


# ---- delays -----------------------------------------------------------------------------------------------


def test_canonicalize_puts_a_shared_delay_onto_the_edges() -> None:
    net = chain(("d", Delay((3,), steps(4, 4, 4))), ("w", linear(RNG, 2, 3)), ("n", lif((2,))), shape=(3,))
    small = canonicalize(net)
    assert small.edges[0] == Edge("x", "w", 4)
    same_spikes(net, small, shape=(3,))


def test_canonicalize_adds_delays_of_a_chain_and_of_its_edges() -> None:
    ops: dict[str, Op] = {
        "x": Input(Signal((3,), SignalKind.REAL)),
        "a": Delay((3,), steps(2)),
        "b": Delay((3,), steps(3)),
        "n": lif((3,)),
        "y": Output((3,)),
    }
    net = graph(ops, [("x", "a", 1), ("a", "b", 0), ("b", "n", 4), ("a", "n"), ("n", "y")])
    assert canonicalize(net).edges == (Edge("x", "n", 10), Edge("x", "n", 3), Edge("n", "y"))


def test_canonicalize_gives_each_synapse_the_delay_of_its_channel() -> None:
    weight = dyadic(RNG, 2, 3)
    net = chain(("d", Delay((3,), steps(2, 5, 3))), ("w", Linear(weight)), ("n", lif((2,))), shape=(3,))
    small = canonicalize(net)
    op = small["w"].op
    assert isinstance(op, Sparse)
    assert small.edges[0] == Edge("x", "w", 2)
    assert {(p, d) for p, d in zip(op.pre.data.tolist(), op.delay.data.tolist(), strict=True)} == {
        (0, 0),
        (1, 3),
        (2, 1),
    }
    same_spikes(net, small, shape=(3,))


def test_canonicalize_moves_the_delay_that_all_synapses_share() -> None:
    op = make_sparse(
        (3,), (2,), pre=np.arange(3), post=np.array([0, 1, 1]), weight=np.ones(3), delay=np.full(3, 6)
    )
    small = canonicalize(chain(("w", op), ("n", lif((2,))), shape=(3,)))
    after = small["w"].op
    assert isinstance(after, Sparse)
    assert small.edges[0] == Edge("x", "w", 6)
    assert not after.delay.data.any()


# ---- weight layers side by side ---------------------------------------------------------------------------


def branches(rng: np.random.Generator, delays: list[int]) -> Graph:
    """From x through a delay and a weight layer each into n, which feeds itself back through two as well."""
    ops: dict[str, Op] = {"x": Input(Signal((3,), SignalKind.REAL)), "n": lif((2,)), "y": Output((2,))}
    edges: list[tuple[str, str] | tuple[str, str, int]] = [("n", "y")]
    for index, delay in enumerate(delays):
        mask = rng.random((2, 3)) < 0.5
        ops[f"d{index}"] = Delay((3,), steps(delay))
        ops[f"w{index}"] = Linear(real(np.where(mask, dyadic(rng, 2, 3).data, 0)))
        edges += [("x", f"d{index}"), (f"d{index}", f"w{index}"), (f"w{index}", "n")]
    for index in range(2):
        ops[f"r{index}"] = Linear(dyadic(rng, 2, 2))
        edges += [("n", f"r{index}", 1 + index), (f"r{index}", "n")]
    return graph(ops, edges)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(delays=st.lists(st.integers(0, 6), min_size=2, max_size=5), seed=st.integers(0, 1000))
def test_canonicalize_makes_one_layer_of_branches(delays: list[int], seed: int) -> None:
    net = branches(np.random.default_rng(seed), delays)
    small = canonicalize(net)
    layers = [node for node in small.nodes if isinstance(node.op, Linear | Sparse)]
    assert len(layers) == 2
    assert verify(small) == []
    inputs = {"x": spikes(30, 4, (3,), seed=seed, rate=0.5)}
    assert np.array_equal(simulate(net, inputs).outputs["y"], simulate(small, inputs).outputs["y"])


def test_canonicalize_adds_weights_of_branches_with_one_delay() -> None:
    a, b = dyadic(RNG, 2, 3), dyadic(RNG, 2, 3)
    ops: dict[str, Op] = {
        "x": Input(Signal((3,), SignalKind.REAL)),
        "a": Linear(a),
        "b": Linear(b),
        "n": lif((2,)),
        "y": Output((2,)),
    }
    edges = [("x", "a", 2), ("x", "b", 1), ("a", "n"), ("b", "n", 1), ("n", "y")]
    small = canonicalize(graph(ops, edges))
    assert small["a"].op == Linear(real(a.data + b.data))
    assert small.edges == (Edge("x", "a", 2), Edge("a", "n"), Edge("n", "y"))


def test_canonicalize_keeps_apart_what_has_another_source_a_constant_or_another_reader() -> None:
    ops: dict[str, Op] = {
        "x": Input(Signal((3,), SignalKind.REAL)),
        "z": Input(Signal((3,), SignalKind.REAL)),
        "a": linear(RNG, 2, 3),
        "b": linear(RNG, 2, 3),
        "c": linear(RNG, 2, 3, bias=True),
        "d": linear(RNG, 2, 3),
        "n": lif((2,)),
        "y": Output((2,)),
    }
    edges = [("x", "a"), ("z", "b"), ("x", "c"), ("x", "d"), ("d", "y"), ("n", "y")]
    edges += [(name, "n") for name in "abcd"]
    net = graph(ops, edges)
    assert canonicalize(net) == net


def test_canonicalize_gives_the_delays_of_a_network_that_learned_them(shared: Path) -> None:
    folder = shared / "corpus/nir_delay_dcls_a"
    expected = np.load(folder / "expected.npz")
    small = canonicalize(discretize(load(folder / "model.nir")))
    assert [type(node.op).__name__ for node in small.nodes] == [
        "Input",
        "Sparse",
        "Neuron",
        "Sparse",
        "Neuron",
        "Output",
    ]
    for name, weight, delay in (("w1_d0", "w1", "d1"), ("w2_d0", "w2", "d2")):
        op = small[name].op
        assert isinstance(op, Sparse)
        post, pre = np.nonzero(expected[weight])
        given = {
            (a, b): (w, d)
            for a, b, w, d in zip(op.post.data, op.pre.data, op.weight.data, op.delay.data, strict=True)
        }
        assert given == {
            (a, b): (expected[weight][a, b], expected[delay][a, b]) for a, b in zip(post, pre, strict=True)
        }
    result = simulate(small, {"input": np.load(folder / "input.npz")["x"]})
    assert np.array_equal(result.outputs["output"].sum(axis=0), expected["spike_counts_all"])


# ---- scales -----------------------------------------------------------------------------------------------


def test_canonicalize_merges_a_scale_into_the_weights_before_it() -> None:
    weights = Linear(dyadic(RNG, 2, 3), dyadic(RNG, 2))
    net = chain(("w", weights), ("s", Scale((2,), real([0.5, 4.0]))), ("n", lif((2,))), shape=(3,))
    small = canonicalize(net)
    assert names(small) == ["x", "w", "n", "y"]
    op = small["w"].op
    assert isinstance(op, Linear)
    assert weights.bias is not None
    assert op.bias == real(weights.bias.data * [0.5, 4.0])
    same_spikes(net, small, shape=(3,))


def test_canonicalize_merges_a_scale_into_the_weights_after_it() -> None:
    kernel = Tensor(RNG.normal(size=(2, 3, 2, 2)).astype(np.float32))
    conv = Conv((3, 4, 4), kernel, real([1.0, -1.0]), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    scale = Scale((3, 4, 4), Tensor(np.float32([0.3, 1.7, -2.1]).reshape(3, 1, 1)))
    small = canonicalize(chain(("s", scale), ("c", conv), shape=(3, 4, 4)))
    assert names(small) == ["x", "c", "y"]
    op = small["c"].op
    assert isinstance(op, Conv)
    assert op.bias == conv.bias
    assert np.array_equal(op.weight.data, kernel.values * scale.factor.values[None])


def test_canonicalize_merges_a_chain_of_scales() -> None:
    net = chain(
        ("a", Scale((3,), real(2.0))),
        ("b", Scale((3,), real(4.0))),
        ("w", Linear(dyadic(RNG, 2, 3))),
        shape=(3,),
    )
    assert names(canonicalize(net)) == ["x", "w", "y"]


def test_canonicalize_keeps_a_scale_whose_products_would_be_rounded() -> None:
    thirds = Linear(real(np.full((2, 3), 1 / 3)))
    net = chain(("w", thirds), ("s", Scale((2,), real(0.1))), ("n", lif((2,))), shape=(3,))
    assert canonicalize(net) == net


def test_canonicalize_keeps_a_scale_that_differs_within_a_channel() -> None:
    conv = Conv((1, 4, 4), real(np.ones((1, 1, 1, 1))), None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    factor = real(2.0 ** np.arange(16).reshape(1, 4, 4))
    net = chain(("c", conv), ("s", Scale((1, 4, 4), factor)), shape=(1, 4, 4))
    assert canonicalize(net) == net
