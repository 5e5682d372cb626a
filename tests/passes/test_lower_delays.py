import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.connections import connections
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.linear import make_sparse
from nmc.ir.ops import Input, Neuron, Op, Output, Signal, SignalKind
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.connect import connect
from nmc.passes.facts import Fact
from nmc.passes.lower_delays import lower_delays
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from nmc.passes.stretch import stretch
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, graph, lif, linear, spikes
from tests.targets import TARGET

LONGEST = int(TARGET.max_delay.value)


def integers(model: Graph, *, bias_source: bool = False, factor: int = 1) -> Graph:
    populations = stretch(normalize(connect(model, bias_source=bias_source)), factor=factor)
    chosen = choose_neurons(populations, target=TARGET, unsupported=Unsupported.CUSTOM)
    quantized = quantize(chosen, target=TARGET, weight_bits=8, message_bits=8, calibration={})
    return replace_graph(quantized, facts=frozenset({Fact.QUANTIZED.value}))


def assert_only_later(before: Graph, after: Graph, *, steps: int = 60) -> None:
    """The lowered graph's outputs equal the model's, `latency` steps later, to the bit."""
    shape = before.inputs[0].op.signal.shape  # pyright: ignore
    x = spikes(steps, 2, shape)
    late = after.latency
    padded = np.concatenate([x, np.zeros((late, *x.shape[1:]), x.dtype)])
    a, b = simulate(before, {"x": x}), simulate(after, {"x": padded})
    for name, expected in a.outputs.items():
        assert expected.any(), "nothing spikes: the comparison would say nothing"
        np.testing.assert_array_equal(b.outputs[name][late:], expected)
        assert not b.outputs[name][:late].any()


def assert_held(lowered: Graph) -> None:
    """Every connection takes what the target adds by itself, and no synapse more than it holds."""
    for link in connections(lowered):
        op = lowered[link.name].op
        own = int(op.delay.data.max(initial=0)) if hasattr(op, "delay") else 0  # pyright: ignore
        assert link.delay >= TARGET.connection_delay
        assert link.delay - TARGET.connection_delay + own <= LONGEST


def test_lower_delays_makes_a_chain_later_by_its_depth() -> None:
    rng = np.random.default_rng(1)
    before = integers(
        chain(
            ("a", linear(rng, 6, 8)), ("l", lif((6,))), ("b", linear(rng, 4, 6)), ("m", lif((4,))), shape=(8,)
        )
    )
    after = lower_delays(before, target=TARGET)
    assert after.latency == 2
    assert_only_later(before, after)
    assert_held(after)


def test_lower_delays_balances_a_skip_connection() -> None:
    rng = np.random.default_rng(2)
    ops: dict[str, Op] = {"x": Input(Signal((8,), SignalKind.REAL))}
    edges: list[tuple[str, str] | tuple[str, str, int]] = []
    last = "x"
    for k in range(3):
        ops[f"w{k}"], ops[f"l{k}"] = linear(rng, 6, 8 if k == 0 else 6, mean=0.2), lif((6,))
        edges += [(last, f"w{k}"), (f"w{k}", f"l{k}")]
        last = f"l{k}"
    ops["skip"], ops["y"] = linear(rng, 6, 8), Output((6,))
    edges += [("x", "skip"), ("skip", "l2"), ("l2", "y")]
    before = integers(graph(ops, edges))
    after = lower_delays(before, target=TARGET)
    assert {link.name: link.delay for link in connections(after)} == {"w0": 1, "w1": 1, "w2": 1, "skip": 3}
    assert_only_later(before, after)


def test_lower_delays_keeps_a_loop_of_one_step() -> None:
    rng = np.random.default_rng(3)
    before = integers(
        graph(
            {
                "x": Input(Signal((8,), SignalKind.REAL)),
                "w": linear(rng, 6, 8),
                "l": lif((6,)),
                "r": linear(rng, 6, 6, mean=0.0),
                "y": Output((6,)),
            },
            [("x", "w"), ("w", "l"), ("l", "r", 1), ("r", "l"), ("l", "y")],
        )
    )
    after = lower_delays(before, target=TARGET)
    assert {link.name: link.delay for link in connections(after)} == {"w": 1, "r": 1}
    assert_only_later(before, after)


def test_lower_delays_names_a_loop_that_is_faster_than_the_target() -> None:
    rng = np.random.default_rng(4)
    before = integers(
        graph(
            {
                "x": Input(Signal((8,), SignalKind.REAL)),
                "w": linear(rng, 6, 8),
                "a": lif((6,)),
                "there": linear(rng, 6, 6),
                "b": lif((6,)),
                "back": linear(rng, 6, 6),
                "y": Output((6,)),
            },
            [
                ("x", "w"),
                ("w", "a"),
                ("a", "there"),
                ("there", "b"),
                ("b", "back", 1),
                ("back", "a"),
                ("b", "y"),
            ],
        )
    )
    with pytest.raises(CompileError, match=r"NMC250.*`[ab]` -> `[ab]` -> `[ab]` takes 1 steps .* at least 2"):
        lower_delays(before, target=TARGET)


@pytest.mark.parametrize("delay", [LONGEST, LONGEST + 1, 3 * LONGEST + 5])
def test_lower_delays_relays_what_no_synapse_holds(delay: int) -> None:
    rng = np.random.default_rng(5)
    before = integers(
        graph(
            {
                "x": Input(Signal((8,), SignalKind.REAL)),
                "w": linear(rng, 6, 8),
                "late": linear(rng, 6, 8),
                "l": lif((6,)),
                "y": Output((6,)),
            },
            [("x", "w"), ("w", "l"), ("x", "late", delay), ("late", "l"), ("l", "y")],
        )
    )
    after = lower_delays(before, target=TARGET)
    relays = [node for node in after.nodes if "relay" in node.name and isinstance(node.op, Neuron)]
    assert bool(relays) == (delay > LONGEST)
    assert_only_later(before, after)
    assert_held(after)


def test_lower_delays_splits_synapses_whose_own_delays_are_too_long() -> None:
    rng = np.random.default_rng(6)
    count = 40
    op = make_sparse(
        (8,),
        (6,),
        pre=rng.integers(0, 8, count),
        post=rng.integers(0, 6, count),
        weight=rng.normal(0.2, 0.4, count),
        delay=rng.integers(0, 4 * LONGEST, count),
    )
    before = integers(chain(("w", op), ("l", lif((6,))), shape=(8,)))
    after = lower_delays(before, target=TARGET)
    assert_only_later(before, after, steps=80)
    assert_held(after)


def test_lower_delays_starts_biased_populations_so_that_nothing_moves() -> None:
    rng = np.random.default_rng(7)
    bias = np.linspace(-0.2, 0.15, 6)
    before = integers(
        chain(
            ("a", linear(rng, 6, 8, bias=True)),
            ("l", lif((6,), bias=bias)),
            ("b", linear(rng, 4, 6, bias=True)),
            ("m", lif((4,), decay=None)),
            shape=(8,),
        )
    )
    after = lower_delays(before, target=TARGET)
    first = after["l"].op
    assert isinstance(first, Neuron) and first.membrane.initial.data.any()
    assert_only_later(before, after)


def test_lower_delays_refuses_a_bias_that_cannot_wait() -> None:
    rng = np.random.default_rng(8)
    model = chain(
        ("a", linear(rng, 6, 8)),
        ("l", lif((6,))),
        ("b", linear(rng, 4, 6)),
        ("m", lif((4,), bias=-0.9)),
        shape=(8,),
    )
    with pytest.raises(CompileError, match=r"NMC253.*would spike before its first input"):
        lower_delays(integers(model), target=TARGET)


def test_lower_delays_sends_a_bias_that_cannot_wait_from_the_constant_neuron() -> None:
    rng = np.random.default_rng(8)
    model = chain(
        ("a", linear(rng, 6, 8)),
        ("l", lif((6,))),
        ("b", linear(rng, 4, 6, mean=0.6)),
        ("m", lif((4,), bias=-0.6)),
        shape=(8,),
    )
    before = integers(model, bias_source=True)
    assert_only_later(before, lower_delays(before, target=TARGET))


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Populations in a row with skips forward and loops back, delays anywhere, biases on some."""
    count = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    nodes = [Node("x", Input(Signal((5,), SignalKind.REAL)))]
    edges: list[Edge] = []
    names = ["x"]
    for k in range(count):
        name = f"l{k}"
        bias = float(draw(st.sampled_from([0.0, 0.0, 0.05, -0.05])))
        make = draw(st.sampled_from([lif, cubalif]))
        nodes.append(Node(name, make((4,), bias=bias or None)))
        for source in sorted(draw(st.sets(st.sampled_from(names), max_size=2)) | {names[-1]}):
            w = f"{source}_{name}"
            pre = 5 if source == "x" else 4
            nodes.append(Node(w, linear(rng, 4, pre, mean=0.3)))
            edges += [Edge(source, w, draw(st.integers(0, 9))), Edge(w, name)]
        names.append(name)
    for k in range(draw(st.integers(0, 4))):  # loops within loops, and loops that share connections
        at = draw(st.integers(1, count))
        to = draw(st.integers(1, at))
        nodes.append(Node(f"back{k}", linear(rng, 4, 4, mean=0.0)))
        edges += [Edge(names[at], f"back{k}", draw(st.integers(1, 5))), Edge(f"back{k}", names[to])]
    nodes.append(Node("y", Output((4,))))
    edges.append(Edge(names[-1], "y"))
    return Graph(tuple(nodes), tuple(edges))


def too_fast(before: Graph) -> bool:
    """Whether some loop has fewer steps than connections, by another algorithm: a negative cycle."""
    paths: nx.DiGraph[str] = nx.DiGraph()
    for link in connections(before):
        room = link.delay - TARGET.connection_delay
        known = paths.get_edge_data(link.src, link.dst, {"weight": room})["weight"]
        paths.add_edge(link.src, link.dst, weight=min(room, known))
    return bool(nx.negative_edge_cycle(paths))


def assert_lowered_exactly(model: Graph, seed: int) -> None:
    """As the model, later by the latency; or the loop is named, and the advice to stretch time is good."""
    before = integers(model)
    factor = 1
    try:
        after = lower_delays(before, target=TARGET)
        assert not too_fast(before)
    except CompileError as refused:
        assert {finding.code for finding in refused.findings} <= {"NMC250", "NMC253"}
        if refused.findings[0].code == "NMC253":
            return
        assert too_fast(before)
        excess = refused.findings[0].excess
        assert excess is not None and excess.needed > excess.available
        factor = int(re.findall(r"--stretch (\d+)", refused.findings[0].help)[0])
        slow = slowed_down(model, factor)
        if slow is None:
            return
        after, factor = slow, slow.stretch
    x = spikes(40, 2, (5,), seed=seed)
    late = after.latency
    padded = np.concatenate([x, np.zeros((-(-late // factor), *x.shape[1:]), x.dtype)])
    a, b = simulate(before, {"x": x}), simulate(after, {"x": padded})
    np.testing.assert_array_equal(b.outputs["y"][late::factor][:40], a.outputs["y"])
    assert_held(after)


def slowed_down(model: Graph, factor: int) -> Graph | None:
    """The model lowered at `factor` steps for each of its own; None if another loop or a bias needs more."""
    while True:
        try:
            return lower_delays(integers(model, factor=factor), target=TARGET)
        except CompileError as refused:
            (finding,) = refused.findings[:1]
            if finding.code == "NMC253":
                return None
            assert finding.code == "NMC250"
            more = int(re.findall(r"--stretch (\d+)", finding.help)[0])
            assert more > factor
            factor = more


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(0, 99))
def test_lower_delays_is_exact_on_random_networks_or_names_why_not(model: Graph, seed: int) -> None:
    assert_lowered_exactly(model, seed)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(0, 99))
def test_lower_delays_is_exact_on_1000_random_networks(model: Graph, seed: int) -> None:
    assert_lowered_exactly(model, seed)
