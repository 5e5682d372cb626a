import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.ir.connections import connections
from nmc.ir.graph import Graph
from nmc.ir.neuron import Comparison
from nmc.ir.ops import (
    Conv,
    Delay,
    Elementwise,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Signal,
    SignalKind,
    Sparse,
    Threshold,
    Transpose,
)
from nmc.ir.program import Program
from nmc.ir.tensor import Tensor
from nmc.passes.connect import connect
from nmc.passes.lower_pools import lower_pools
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, fire, graph, lif, linear, real, spikes

RNG = np.random.default_rng(7)
CONV = Conv(
    (1, 8, 8),
    Tensor(RNG.normal(0.1, 0.4, (3, 1, 3, 3))),
    Tensor(RNG.normal(0, 0.1, 3)),
    (1, 1),
    ((1, 1), (1, 1)),
    (1, 1),
    1,
)
SECOND = Conv(
    (3, 4, 4),
    Tensor(RNG.normal(0.1, 0.3, (2, 3, 3, 3))),
    Tensor(RNG.normal(0, 0.1, 2)),
    (1, 1),
    ((1, 1), (1, 1)),
    (1, 1),
    1,
)


def assert_same_spikes(before: Graph, after: Graph, shape: tuple[int, ...]) -> None:
    x = spikes(30, 3, shape)
    a, b = simulate(before, {"x": x}), simulate(after, {"x": x})
    assert a.outputs.keys() == b.outputs.keys()
    for name, expected in a.outputs.items():
        assert expected.any(), "nothing spikes: the comparison would say nothing"
        np.testing.assert_array_equal(b.outputs[name], expected)


@pytest.mark.parametrize("pooling", [Pooling.SUM, Pooling.AVERAGE])
def test_connect_folds_a_pool_into_the_convolution_after_it(pooling: Pooling) -> None:
    pool = Pool((3, 8, 8), pooling, (2, 2), (2, 2), ((0, 0), (0, 0)))
    before = chain(
        ("conv1", CONV),
        ("l1", lif((3, 8, 8))),
        ("pool", pool),
        ("conv2", SECOND),
        ("l2", lif((2, 4, 4), spikes=fire(0.25))),
        shape=(1, 8, 8),
    )
    after = connect(before)
    assert [type(node.op) for node in after.nodes] == [Input, Conv, Neuron, Conv, Neuron, Output]
    assert_same_spikes(before, after, (1, 8, 8))


def test_connect_folds_pool_flatten_and_linear_into_one_matrix() -> None:
    pool = Pool((3, 8, 8), Pooling.AVERAGE, (3, 3), (2, 2), ((1, 0), (0, 1)))
    fc = linear(RNG, 5, 3 * 4 * 4, bias=True)
    before = chain(
        ("conv1", CONV),
        ("l1", lif((3, 8, 8))),
        ("pool", pool),
        ("flatten", Flatten((3, 4, 4), 0, 2)),
        ("fc", fc),
        ("l2", lif((5,))),
        shape=(1, 8, 8),
    )
    after = connect(before)
    assert [link.name for link in connections(after)] == ["conv1", "fc"]
    assert_same_spikes(before, after, (1, 8, 8))


def test_connect_keeps_a_flatten_before_a_linear() -> None:
    before = chain(
        ("conv1", CONV),
        ("l1", lif((3, 8, 8))),
        ("flatten", Flatten((3, 8, 8), 0, 2)),
        ("fc", linear(RNG, 4, 192)),
        ("l2", lif((4,))),
        shape=(1, 8, 8),
    )
    after = connect(before)
    assert isinstance(after["fc"].op, Linear) and isinstance(after["fc.flatten"].op, Flatten)
    assert_same_spikes(before, after, (1, 8, 8))


def test_connect_turns_a_delay_into_delays_of_synapses() -> None:
    delay = Delay((6,), Tensor(np.array([0, 1, 2, 0, 3, 1])))
    before = chain(("delay", delay), ("fc", linear(RNG, 4, 6)), ("l", lif((4,))), shape=(6,))
    after = connect(before)
    connection = after["fc"].op
    assert isinstance(connection, Sparse)
    assert sorted(set(connection.delay.data.tolist())) == [0, 1, 2, 3]
    assert_same_spikes(before, after, (6,))


def test_connect_gives_a_bias_to_the_membrane_through_its_gain() -> None:
    before = chain(("fc", linear(RNG, 4, 6, bias=True)), ("l", lif((4,), gain=0.5, bias=0.05)), shape=(6,))
    after = connect(before)
    assert isinstance(after["fc"].op, Linear) and after["fc"].op.bias is None
    assert_same_spikes(before, after, (6,))


def test_connect_sends_a_bias_into_a_synaptic_current_as_spikes_of_one_constant_neuron() -> None:
    before = chain(
        ("fc1", linear(RNG, 5, 6, bias=True)),
        ("l1", cubalif((5,))),
        ("fc2", linear(RNG, 4, 5, bias=True)),
        ("l2", cubalif((4,))),
        shape=(6,),
    )
    after = connect(before)
    assert [link.src for link in connections(after)].count("bias") == 2
    assert_same_spikes(before, after, (6,))


def test_connect_delays_a_bias_that_comes_through_a_delayed_edge() -> None:
    w = linear(RNG, 5, 5, bias=True)
    before = graph(
        {
            "x": Input(Signal((6,), SignalKind.REAL)),
            "fc": linear(RNG, 5, 6),
            "l": lif((5,)),
            "rec": w,
            "y": Output((5,)),
        },
        [("x", "fc"), ("fc", "l"), ("l", "rec"), ("rec", "l", 1), ("l", "y")],
    )
    after = connect(before)
    (late,) = [link for link in connections(after) if link.src == "bias"]
    assert late.delay == 1
    assert_same_spikes(before, after, (6,))


def test_connect_reads_a_linear_output_from_a_population_that_holds_it() -> None:
    before = chain(
        ("fc1", linear(RNG, 5, 6)), ("l", lif((5,))), ("fc2", linear(RNG, 3, 5, bias=True)), shape=(6,)
    )
    after = connect(before)
    readout = after["fc2.readout"].op
    assert isinstance(readout, Neuron) and readout.fire is None
    x = spikes(20, 2, (6,))
    expected = simulate(before, {"x": x}).outputs["y"]
    np.testing.assert_allclose(simulate(after, {"x": x}).outputs["y"], expected, atol=1e-12)


def test_connect_makes_a_threshold_a_population() -> None:
    threshold = Threshold((4,), real(0.4), Comparison.AT_LEAST)
    before = chain(("fc", linear(RNG, 4, 6)), ("t", threshold), shape=(6,))
    after = connect(before)
    assert isinstance(after["t"].op, Neuron)
    assert_same_spikes(before, after, (6,))


def test_connect_adds_an_identity_where_two_populations_meet() -> None:
    before = graph(
        {
            "x": Input(Signal((4,), SignalKind.REAL)),
            "a": lif((4,), spikes=None),
            "scale": Scale((4,), real(0.7)),
            "b": lif((4,)),
            "y": Output((4,)),
        },
        [("x", "a"), ("a", "b"), ("x", "scale"), ("scale", "b"), ("b", "y")],
    )
    after = connect(before)
    assert {link.name for link in connections(after)} == {"x.a", "a.b", "scale"}
    assert_same_spikes(before, after, (4,))


def test_lower_pools_makes_a_maximum_of_spikes_a_repeater() -> None:
    pool = Pool((3, 8, 8), Pooling.MAX, (2, 2), (2, 2), ((0, 0), (0, 0)))
    before = chain(
        ("conv1", CONV),
        ("l1", lif((3, 8, 8))),
        ("pool", pool),
        ("conv2", SECOND),
        ("l2", lif((2, 4, 4))),
        shape=(1, 8, 8),
    )
    assert_same_spikes(before, connect(lower_pools(before)), (1, 8, 8))


def test_lower_pools_refuses_a_maximum_of_reals() -> None:
    pool = Pool((1, 4, 4), Pooling.MAX, (2, 2), (2, 2), ((0, 0), (0, 0)))
    before = chain(("pool", pool), ("l", lif((1, 2, 2))), shape=(1, 4, 4))
    with pytest.raises(CompileError, match="NMC160"):
        lower_pools(before)


def test_connect_takes_reshapes_and_transposes_as_wiring() -> None:
    before = chain(
        ("turned", Transpose((2, 3), (1, 0))),
        ("folded", Reshape((3, 2), (6,))),
        ("fc", linear(RNG, 4, 6, mean=0.4)),
        ("lif", lif((4,))),
        ("shaped", Reshape((4,), (2, 2))),
        shape=(2, 3),
    )
    after = connect(before)
    assert not any(isinstance(node.op, Reshape | Transpose) for node in after.nodes)
    assert_same_spikes(before, after, (2, 3))


def membrane_output() -> Elementwise:
    return Elementwise((4,), Program(("",), ("v",), (), (), 0, (0,)), (real(0.0),), SignalKind.REAL)


def test_connect_leaves_out_an_output_that_no_population_holds() -> None:
    layer = linear(RNG, 4, 3, mean=0.4)
    ops: dict[str, Op] = {
        "x": Input(Signal((3,), SignalKind.REAL)),
        "fc": layer,
        "lif": lif((4,)),
        "h": membrane_output(),
    }
    ops |= {"spk": Output((4,)), "mem": Output((4,))}
    edges = [("x", "fc"), ("fc", "lif"), ("fc", "h"), ("lif", "spk"), ("h", "mem")]
    after = connect(graph(ops, [*edges]))
    assert [node.name for node in after.outputs] == ["spk"]
    assert "h" not in after
    (finding,) = [note for note in after.notes if note.code == "NMC164"]
    assert "`mem`" in finding.message
    assert "`spk` remains" in finding.message


def test_connect_refuses_what_no_population_holds_where_it_is_the_only_output() -> None:
    with pytest.raises(CompileError, match="NMC161"):
        connect(chain(("fc", linear(RNG, 4, 3)), ("h", membrane_output()), shape=(3,)))
