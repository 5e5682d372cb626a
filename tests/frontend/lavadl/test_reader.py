from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.frontend.load import load
from nmc.ir.graph import Edge, Graph
from nmc.ir.neuron import Comparison, Reset
from nmc.ir.ops import Conv, Delay, Family, Flatten, Linear, Neuron, Sparse, output_shape
from nmc.ir.verify import verify
from nmc.sim.golden import simulate
from tests.frontend.lavadl import files
from tests.frontend.lavadl.files import conv, dense, even, flatten, input_, neuron
from tests.frontend.lavadl.loihi import on_loihi


def shr0(x: np.ndarray, n: int) -> np.ndarray:
    return np.sign(x) * (np.abs(x) >> n)


def netx_population(
    current: np.ndarray, du: int, dv: int, vth: int, bias: np.ndarray | int = 0
) -> np.ndarray:
    """Spikes of Lava's LIF in fixed point (proc/lif/models.py) for dendrite sums (steps, ...), no input wraps."""
    u = v = np.zeros(current.shape[1:], np.int64)
    spikes = []
    for a in current.astype(np.int64):
        u = shr0(u * (4096 - (du + 1)), 12) + (a << 6)
        v = np.clip(
            shr0(v * (4096 - dv), 12) + u + (np.asarray(bias, np.int64) << 6), -(2**23) + 1, 2**23 - 1
        )
        spikes.append(v > (vth << 6))
        v = np.where(spikes[-1], 0, v)
    return np.array(spikes)


def neuron_of(graph: Graph, name: str) -> Neuron:
    op = graph[name].op
    assert isinstance(op, Neuron)
    return op


def test_read_makes_reals_of_the_files_integers(tmp_path: Path) -> None:
    graph = files.read(tmp_path, input_(3), dense(np.array([[2, 4, 6], [-8, 0, 2]]), bias=np.array([4, -6])))
    op = neuron_of(graph, "layer1")
    weights = graph["layer1.weight"].op
    assert isinstance(weights, Linear)
    assert weights.weight.data.tolist() == [[2, 4, 6], [-8, 0, 2]]
    assert op.family is Family.CUBALIF
    assert op.synapse is not None
    assert op.fire is not None
    assert op.membrane.decay is not None
    assert op.membrane.bias is not None
    assert float(op.synapse.decay.data) == 3072 / 4096
    assert float(op.membrane.decay.data) == 3968 / 4096
    assert float(op.fire.threshold.data) == 80
    assert op.membrane.bias.data.tolist() == [4, -6]
    assert (op.fire.comparison, op.fire.reset) == (Comparison.ABOVE, Reset.TO_VALUE)
    assert verify(graph) == []


def test_read_leaves_out_a_synapse_that_forgets_at_once(tmp_path: Path) -> None:
    graph = files.read(tmp_path, input_(3), dense(np.ones((2, 3))) | neuron(i_decay=4096))
    assert neuron_of(graph, "layer1").family is Family.LIF


def test_read_is_what_load_does_for_the_suffix_net(tmp_path: Path) -> None:
    path = files.write(tmp_path / "network.net", [input_(3), dense(np.ones((2, 3)))])
    assert [node.name for node in load(path).nodes] == ["input", "layer1.weight", "layer1", "output"]


def test_read_starts_with_the_weights_where_there_is_no_input_layer(tmp_path: Path) -> None:
    graph = files.read(tmp_path, dense(np.ones((2, 3))))
    assert output_shape(graph["input"].op) == (3,)


def test_read_takes_a_matrix_that_is_stored_flat(tmp_path: Path) -> None:
    layer = dense(np.ones((1, 5))) | {"weight": np.arange(5.0)}
    op = files.read(tmp_path, input_(5), layer)["layer1.weight"].op
    assert isinstance(op, Linear)
    assert op.weight.data.tolist() == [[0, 1, 2, 3, 4]]


def test_read_puts_one_step_into_the_loop_of_a_recurrent_layer(tmp_path: Path) -> None:
    layer = dense(np.ones((2, 3))) | {"type": "dense_rec", "weight_rec": np.array([[0, 2], [4, 0]])}
    graph = files.read(tmp_path, input_(3), layer)
    assert Edge("layer1", "layer1.recurrent", 1) in graph.edges
    assert Edge("layer1.recurrent", "layer1") in graph.edges
    assert verify(graph) == []


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (np.array(3.0), [[3, 3, 3], [3, 3, 3]]),
        (np.array([1.0, 2.9]), [[1, 1, 1], [2, 2, 2]]),
        (np.array([1.0, 2.0, 5.0]), [[1, 2, 5], [1, 2, 5]]),
        (np.array([[0, 1, 2], [3, 4, 5]]), [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_read_gives_each_synapse_its_delay(
    tmp_path: Path, delay: np.ndarray, expected: list[list[int]]
) -> None:
    op = files.read(tmp_path, input_(3), dense(np.full((2, 3), 4), delay=delay))["layer1.weight"].op
    assert isinstance(op, Sparse)
    steps = np.zeros((2, 3), int)
    steps[op.post.data, op.pre.data] = op.delay.data
    assert steps.tolist() == expected


def test_read_delays_the_output_of_a_convolution(tmp_path: Path) -> None:
    layer = conv(np.ones((2, 1, 3, 3)), (2, 4, 4), delay=np.array([1.5, 4.0]))
    op = files.read(tmp_path, input_(1, 6, 6), layer)["layer1.delay"].op
    assert isinstance(op, Delay)
    assert op.steps.data.ravel().tolist() == [1, 4]


def test_read_takes_the_axis_of_time_off_a_kernel(tmp_path: Path) -> None:
    weight = np.arange(18.0).reshape(2, 1, 3, 3)
    op = files.read(tmp_path, input_(1, 6, 6), conv(weight[..., None], (2, 4, 4)))["layer1.weight"].op
    assert isinstance(op, Conv)
    assert np.array_equal(op.weight.data, weight)


def test_read_flattens_in_the_order_of_channel_y_x(tmp_path: Path) -> None:
    layers = [input_(1, 4, 4), conv(np.ones((2, 1, 3, 3)), (2, 2, 2)), flatten(8), dense(np.ones((3, 8)))]
    graph = files.read(tmp_path, *layers)
    assert graph["layer2.flatten"].op == Flatten((2, 2, 2), 0, 2)


def test_read_pools_each_channel_with_the_shared_kernel(tmp_path: Path) -> None:
    layer = conv(np.full((1, 1, 2, 2), 12.0), (3, 2, 2)) | {"type": "pool", "kernelSize": np.array([2, 2])}
    op = files.read(tmp_path, input_(3, 4, 4), layer | {"stride": np.array([2, 2])})["layer1.weight"].op
    assert isinstance(op, Conv)
    assert (op.groups, op.weight.shape, output_shape(op)) == (3, (3, 1, 2, 2), (3, 2, 2))


def test_read_averages_groups_of_neurons(tmp_path: Path) -> None:
    layers = [input_(3), dense(np.ones((4, 3))), {"type": "average", "shape": np.array([2])}]
    op = files.read(tmp_path, *layers)["layer2.average"].op
    assert isinstance(op, Linear)
    assert op.weight.data.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


def test_read_injects_a_scaled_input_into_the_neurons_of_an_input_layer(tmp_path: Path) -> None:
    layer = input_(2, 3, 3) | neuron() | {"weight": np.array([40.0]), "bias": np.array([36.0])}
    graph = files.read(tmp_path, layer)
    op = graph["layer0.injection"].op
    assert isinstance(op, Conv)
    assert op.bias is not None
    assert op.groups == 2
    assert float(op.weight.data.ravel()[0]) == 40
    assert op.bias.data.tolist() == [36, 36]


def test_read_integrates_without_a_neuron_as_netx_does(tmp_path: Path) -> None:
    layer = {key: value for key, value in dense(np.ones((2, 3))).items() if "neuron" not in key}
    op = neuron_of(files.read(tmp_path, input_(3), layer), "layer1")
    assert op.synapse is not None
    assert op.fire is not None
    assert op.membrane.decay is not None
    assert (float(op.synapse.decay.data), float(op.membrane.decay.data)) == (1, 0)
    assert float(op.fire.threshold.data) == 131072


def test_read_spikes_on_loihi_as_netx_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    w1, back, w2 = even(rng, 12, 10), even(rng, 12, 12), even(rng, 4, 12)
    bias = rng.integers(-8, 8, 12)
    first = dense(w1, bias=bias) | {"type": "dense_rec", "weight_rec": back} | neuron(1700, 300, 100)
    graph = files.read(tmp_path, input_(10), first, dense(w2) | neuron(4096, 500, 60))
    x = (rng.random((40, 1, 10)) < 0.4).astype(np.int64)
    got = simulate(on_loihi(graph), {"input": x}, record=["layer1.spikes"])
    hidden = np.zeros((40, 12), np.int64)
    for t in range(40):  # the recurrence needs the spikes of the step before
        before = np.vstack([np.zeros((1, 12), np.int64), hidden[:t]])
        current = x[: t + 1, 0] @ w1.T + before @ back.T
        hidden[t] = netx_population(current, 1699, 300, 100, bias)[-1]
    assert 20 < hidden.sum() < 400
    assert np.array_equal(got.trace["layer1.spikes"][:, 0], hidden)
    expected = netx_population(hidden @ w2.T, 4095, 500, 60)
    assert expected.any()
    assert np.array_equal(got.outputs["output"][:, 0], expected)


def test_compiled_for_loihi_a_net_file_keeps_its_integers(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    w1, back, w2 = even(rng, 12, 10), even(rng, 12, 12), even(rng, 4, 12)
    first = dense(w1, bias=rng.integers(-8, 8, 12)) | {"type": "dense_rec", "weight_rec": back}
    files.write(
        tmp_path / "rec.net", [input_(10), first | neuron(1700, 300, 100), dense(w2) | neuron(4096, 500, 60)]
    )
    compiled = driver.compile(tmp_path / "rec.net", target="loihi")
    x = (rng.random((60, 3, 10)) < 0.4).astype(np.int64)
    late = compiled.graph.latency
    padded = np.concatenate([x, np.zeros((late, 3, 10), np.int64)])
    expected = simulate(on_loihi(load(tmp_path / "rec.net")), {"input": x}).outputs["output"]
    assert expected.any()
    assert np.array_equal(simulate(compiled.graph, {"input": padded}).outputs["output"][late:], expected)


def test_read_gives_the_recorded_membrane_of_lavas_fixed_point_neuron(shared: Path, tmp_path: Path) -> None:
    inputs, v, recorded = np.load(shared / "golden/chips/lif.npz")["lava_cpu_fixed"].T
    graph = files.read(tmp_path, input_(1), dense(np.array([[10]])) | neuron(4096, 163, 25))
    x = inputs.astype(np.int64).reshape(-1, 1, 1)
    result = simulate(on_loihi(graph), {"input": x}, record=["layer1.v", "layer1.spikes"])
    # Lava's connection takes a step, which `lower_delays` adds.
    assert np.array_equal(result.trace["layer1.v"][:-1, 0, 0], v[1:])
    assert np.array_equal(result.trace["layer1.spikes"][:-1, 0, 0], recorded[1:])


# ---- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        ({"type": "convT"}, "NMC041", "layers of the type `convt`"),
        ({"shape": np.array([2])}, "NMC041", "no `type`"),
        (dense(np.ones((2, 3))) | neuron(kind="SDNN"), "NMC041", "neurons of the type `SDNN`"),
        (dense(np.ones((2, 3))) | {"neuron/gradedSpike": True}, "NMC041", "graded spikes"),
        (dense(np.ones((2, 4))), "NMC043", "weights of 2x4 do not fit 3 inputs"),
        (dense(np.ones((2, 3)), shape=np.array([5])), "NMC043", "and 5 neurons"),
        (dense(np.ones((2, 3)), bias=np.ones(7)), "NMC043", "7 values do not fit a population of (2,)"),
        (dense(np.ones((2, 3)), delay=np.ones(5)), "NMC043", "5 delays"),
        (dense(np.ones((2, 3)), delay=np.array([-1.0, 0.0])), "NMC008", "must not be negative"),
        (dense(np.ones((2, 3))) | neuron(v_decay=5000), "NMC008", "is 5000; at most 4096"),
        (dense(np.full((2, 3), np.nan)), "NMC007", "`weight[0, 0]` is nan"),
        ({"type": "dense", "shape": np.array([2])}, "NMC005", "`weight` is missing"),
        (conv(np.ones((2, 3, 3, 3)), (2, 4, 4)), "NMC043", "do not fit an input of (3,)"),
    ],
)
def test_read_refuses_a_layer_that_cannot_be(
    tmp_path: Path, layer: files.Layer, code: str, words: str
) -> None:
    found = dict(files.findings(tmp_path, input_(3), layer))
    assert words in found[code]
    assert "node `layer 1`" in found[code]


def test_read_refuses_complex_weights(tmp_path: Path) -> None:
    layer = {
        "type": "dense",
        "shape": np.array([2]),
        "weight/real": np.ones((2, 3)),
        "weight/imag": np.ones((2, 3)),
    }
    assert "resonators" in dict(files.findings(tmp_path, input_(3), layer))["NMC041"]


def test_read_refuses_a_window_that_makes_another_shape(tmp_path: Path) -> None:
    found = dict(files.findings(tmp_path, input_(1, 6, 6), conv(np.ones((2, 1, 3, 3)), (2, 5, 5))))
    assert "its window makes (2, 4, 4) of (1, 6, 6)" in found["NMC043"]


def test_read_refuses_a_file_without_layers(tmp_path: Path) -> None:
    assert [code for code, _ in files.findings(tmp_path)] == ["NMC040"]


def test_read_warns_of_weights_and_delays_that_lava_would_change(tmp_path: Path) -> None:
    odd = files.read(tmp_path, input_(3), dense(np.array([[1, -2, 4], [2, 2, 2]])))
    assert "not all even" in odd.notes[0].message
    large = files.read(tmp_path, input_(3), dense(np.full((2, 3), 300)))
    assert "leave -256 to 254" in large.notes[0].message
    late = files.read(tmp_path, input_(3), dense(np.ones((2, 3)), delay=np.array([70.0])))
    assert "up to 70 steps" in late.notes[0].message
    assert {each.notes[0].code for each in (odd, large, late)} == {"NMC044"}
