"""The trained models under examples/ do what their recordings say, by this file's own small simulator."""

import importlib.util
import json
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import nir
import numpy as np
import pytest
from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[2] / "examples"
NEURONS = (nir.LIF, nir.CubaLIF)
Real = NDArray[np.float64]


class Model(NamedTuple):
    """One NIR file with its test data and what PyTorch gave for them."""

    folder: str
    name: str
    test: str
    expected: str
    output: str  # the neuron node behind the output
    input_shape: tuple[int, ...]
    steps: int
    samples: int

    @property
    def path(self) -> Path:
        return EXAMPLES / self.folder / self.name

    def array(self, file: str, key: str) -> NDArray[Any]:  # Any: spikes, counts and labels differ in type
        with np.load(EXAMPLES / self.folder / file) as arrays:
            return arrays[key]

    def meta(self) -> dict[str, Any]:  # Any: JSON
        return json.loads((EXAMPLES / self.folder / "meta.json").read_text(encoding="utf-8"))[self.name]


MODELS = (
    Model("digits", "digits.nir", "test.npz", "expected.npz", "lif2", (64,), 16, 360),
    Model("digits", "digits_conv.nir", "test_conv.npz", "expected_conv.npz", "lif3", (1, 8, 8), 16, 360),
    Model("temporal", "temporal.nir", "test.npz", "expected.npz", "readout", (12,), 40, 500),
)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def linear(node: nir.NIRNode, x: Real) -> Real:
    """A node without state on one step of input (samples, *shape)."""
    match node:
        case nir.Affine():
            return np.einsum("oi,ni->no", node.weight, x) + node.bias
        case nir.Linear():
            return np.einsum("oi,ni->no", node.weight, x)
        case nir.Conv2d():
            assert tuple(node.stride) == (1, 1)
            assert tuple(node.dilation) == (1, 1)
            assert node.groups == 1
            rows, columns = node.padding
            x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
            height, width = (x.shape[2 + k] - node.weight.shape[2 + k] + 1 for k in (0, 1))
            y = np.zeros((len(x), len(node.weight), height, width)) + node.bias[:, None, None]
            for (row, column), _ in np.ndenumerate(node.weight[0, 0]):
                window = x[:, :, row : row + height, column : column + width]
                y += np.einsum("oi,nihw->nohw", node.weight[:, :, row, column], window)
            return y
        case nir.SumPool2d():
            assert tuple(node.kernel_size) == tuple(node.stride) == (2, 2)
            assert tuple(node.padding) == (0, 0)
            height, width = x.shape[2] // 2, x.shape[3] // 2
            x = x[:, :, : 2 * height, : 2 * width]
            return x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        case nir.Flatten():
            return x.reshape(len(x), -1)
        case nir.Output():
            return x
        case _:
            raise TypeError(type(node).__name__)


def run(graph: nir.NIRGraph, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Spikes (steps, samples, *shape) of every neuron node for spikes `x` into the graph.

    Euler, new current, `>`, reset in the same step. An edge that leaves a neuron and closes a loop takes
    one step, the others none.
    """
    dt = graph.metadata["dt"]
    after: dict[str, set[str]] = {name: {b for a, b in graph.edges if a == name} for name in graph.nodes}

    def reachable(name: str, seen: set[str]) -> set[str]:
        for successor in after[name] - seen:
            seen.add(successor)
            reachable(successor, seen)
        return seen

    late = {(a, b) for a, b in graph.edges if isinstance(graph.nodes[a], NEURONS) and a in reachable(b, {b})}
    before = {name: {a for a, b in graph.edges if b == name} for name in graph.nodes}
    order = TopologicalSorter({n: {a for a in before[n] if (a, n) not in late} for n in graph.nodes})
    names = [name for name in order.static_order() if not isinstance(graph.nodes[name], nir.Input)]

    state: dict[str, tuple[Real, Real]] = {}
    previous: dict[str, Real] = {}
    spikes: dict[str, list[Real]] = {name: [] for name in names if isinstance(graph.nodes[name], NEURONS)}
    for neuron in spikes:
        previous[neuron] = np.zeros((x.shape[1], *graph.nodes[neuron].v_threshold.shape))
        state[neuron] = previous[neuron], previous[neuron]
    for x_t in x:
        value: dict[str, Real] = {"input": x_t.astype(np.float64)}
        for name in names:
            node = graph.nodes[name]
            arriving = [previous[a] if (a, name) in late else value[a] for a in sorted(before[name])]
            total = np.sum(arriving, axis=0)
            if not isinstance(node, NEURONS):
                value[name] = linear(node, total)
                continue
            i, v = state[name]
            if isinstance(node, nir.CubaLIF):
                i = i * (1 - dt / node.tau_syn) + total * node.w_in * dt / node.tau_syn
                tau = node.tau_mem
            else:
                i, tau = total, node.tau
            v = v * (1 - dt / tau) + (node.r * i + node.v_leak) * dt / tau
            spike = v > node.v_threshold
            state[name] = i, np.where(spike, node.v_reset, v)
            value[name] = spike.astype(np.float64)
            spikes[name].append(value[name])
        previous = {name: value[name] for name in spikes}
    return {name: np.stack(steps).astype(np.uint8) for name, steps in spikes.items()}


def accuracy(counts: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    return float(np.mean(counts.argmax(1) == labels))


def on_grid(weight: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    grid = 2.0 ** np.ceil(np.log2(np.abs(weight).max() / (2 ** (bits - 1) - 1)))
    return (np.round(weight / grid) * grid).astype(np.float32)


@each_model
def test_file_holds_float32_weights_and_reset_to_zero(model: Model) -> None:
    graph = nir.read(model.path)
    for node in graph.nodes.values():
        if hasattr(node, "weight"):
            assert node.weight.dtype == np.float32
            assert np.abs(node.weight).max() <= 7 / 16
        if isinstance(node, NEURONS):
            assert not node.v_reset.any()
            assert not node.v_leak.any()
            assert (node.v_threshold == 1).all()
        assert not isinstance(node, nir.Delay)
    assert tuple(graph.nodes["input"].input_type["input"]) == model.input_shape
    assert graph.metadata["dt"] == model.meta()["dt"] == 1e-4


@each_model
def test_input_is_spikes_with_one_label_per_sample(model: Model) -> None:
    x, y = model.array(model.test, "x"), model.array(model.test, "y")
    assert x.shape == (model.steps, model.samples, *model.input_shape)
    assert x.dtype == np.uint8
    assert set(np.unique(x)) == {0, 1}
    assert y.shape == (model.samples,)


def test_dense_and_convolutional_test_sets_are_the_same_samples() -> None:
    dense, convolutional, _ = MODELS
    x = convolutional.array("test_conv.npz", "x")
    np.testing.assert_array_equal(x.reshape(16, 360, 64), dense.array("test.npz", "x"))
    np.testing.assert_array_equal(convolutional.array("test_conv.npz", "y"), dense.array("test.npz", "y"))


@each_model
def test_model_gives_the_recorded_spikes_and_accuracy(model: Model) -> None:
    labels, counts = model.array(model.test, "y"), model.array(model.expected, "counts")
    spikes = run(nir.read(model.path), model.array(model.test, "x"))
    np.testing.assert_array_equal(spikes[model.output].sum(0), counts)
    for name, recorded in spikes.items():
        key = "spikes" if name == model.output else f"spikes_{name}"
        np.testing.assert_array_equal(recorded[:, :16], model.array(model.expected, key), err_msg=name)
    assert accuracy(counts, labels) == pytest.approx(model.meta()["float_accuracy"])
    assert accuracy(counts, labels) >= 0.95


@each_model
@pytest.mark.parametrize("bits", [8, 4])
def test_model_keeps_its_accuracy_when_weights_are_rounded(model: Model, bits: int) -> None:
    graph = nir.read(model.path)
    for node in graph.nodes.values():
        if hasattr(node, "weight"):
            node.weight = on_grid(node.weight, bits)
    counts = run(graph, model.array(model.test, "x"))[model.output].sum(0)
    now = accuracy(counts, model.array(model.test, "y"))
    assert now == pytest.approx(model.meta()["accuracy_with_rounded_weights"][str(bits)])
    assert now >= 0.95


def test_temporal_task_fails_when_recurrent_weights_are_zeroed() -> None:
    model = MODELS[2]
    graph = nir.read(model.path)
    graph.nodes["w_rec"].weight = np.zeros_like(graph.nodes["w_rec"].weight)
    counts = run(graph, model.array(model.test, "x"))["readout"].sum(0)
    now = accuracy(counts, model.array(model.test, "y"))
    assert now == pytest.approx(model.meta()["accuracy_with_recurrent_weights_zeroed"])
    assert now < 0.5


def share_of_equal_rows(a: NDArray[np.integer], b: NDArray[np.integer]) -> float:
    """Of samples with the same counts: float32 (PyTorch) may differ from float64 close to a threshold."""
    return float(np.mean((a == b).all(1)))


def load_script(folder: str) -> ModuleType:
    """`train.py` of one example, or a skip that says which package is missing."""
    pytest.importorskip("torch", reason="examples are trained with PyTorch, which is not installed")
    if folder == "digits":
        pytest.importorskip("sklearn", reason="the digits are scikit-learn's, which is not installed")
    spec = importlib.util.spec_from_file_location(f"train_{folder}", EXAMPLES / folder / "train.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.torch
@pytest.mark.parametrize("suffix", ["", "_conv"], ids=["dense", "conv"])
def test_digits_training_writes_a_model_that_simulates_as_it_trained(suffix: str, tmp_path: Path) -> None:
    script = load_script("digits")
    meta = script.build(suffix, tmp_path, epochs=1, train_samples=128, test_samples=200)
    with (
        np.load(tmp_path / f"expected{suffix}.npz") as expected,
        np.load(tmp_path / f"test{suffix}.npz") as test,
    ):
        graph = nir.read(tmp_path / f"digits{suffix}.nir")
        *_, output = run(graph, test["x"]).values()
        assert share_of_equal_rows(output.sum(0), expected["counts"]) >= 0.99
        assert meta["float_accuracy"] == accuracy(expected["counts"], test["y"])


@pytest.mark.torch
def test_digits_script_makes_the_test_sets_that_are_here(tmp_path: Path) -> None:
    load_script("digits").build("", tmp_path, epochs=0, train_samples=1)
    with np.load(tmp_path / "test.npz") as made, np.load(EXAMPLES / "digits" / "test.npz") as here:
        np.testing.assert_array_equal(made["x"], here["x"])
        np.testing.assert_array_equal(made["y"], here["y"])


@pytest.mark.torch
def test_temporal_training_writes_a_model_that_simulates_as_it_trained(tmp_path: Path) -> None:
    script = load_script("temporal")
    meta = script.build(tmp_path, epochs=1, train_samples=100, test_samples=200)
    with np.load(tmp_path / "expected.npz") as expected, np.load(tmp_path / "test.npz") as test:
        counts = run(nir.read(tmp_path / "temporal.nir"), test["x"])["readout"].sum(0)
        assert share_of_equal_rows(counts, expected["counts"]) >= 0.99
        assert meta["float_accuracy"] == accuracy(expected["counts"], test["y"])


@pytest.mark.torch
def test_temporal_script_makes_the_test_set_that_is_here() -> None:
    x, y = load_script("temporal").make_samples(500, seed=1)
    with np.load(EXAMPLES / "temporal" / "test.npz") as here:
        np.testing.assert_array_equal(x, here["x"])
        np.testing.assert_array_equal(y, here["y"])


@pytest.mark.parametrize("folder", ["digits", "temporal"])
def test_folder_is_small(folder: str) -> None:
    assert sum(file.stat().st_size for file in (EXAMPLES / folder).glob("*.*")) < 1_500_000
