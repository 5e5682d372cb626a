"""Trained networks with their whole test sets, for tests and benchmarks of what integers lose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmc import driver, engines
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.sim.arrays import Decode, accuracy, decode, map_inputs

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CALIBRATION = 256
MEMBRANES = ("norse_digits_lif_step_ts", "norse_lifrec_temporal_step_ts")
RECIPES = {
    "best": {},
    "max": {"calibration": "max", "scales": "layer", "rounding": "nearest"},
    "percentile": {"calibration": "percentile", "scales": "layer", "rounding": "nearest"},
    "mse": {"calibration": "mse", "scales": "channel", "rounding": "nearest"},
}
OUTPUTS = ("spk", "out", "output")


@dataclass(frozen=True)
class Case:
    """A network in steps, its test set (steps, samples, *shape) with labels, and data to calibrate on."""

    name: str
    graph: Graph
    inputs: dict[str, np.ndarray]
    labels: np.ndarray
    how: Decode
    calibration: dict[str, np.ndarray]

    @property
    def float_accuracy(self) -> float:
        """In percent, in reals."""
        return correct(self, self.graph)


def correct(case: Case, graph: Graph) -> float:
    """The accuracy of a graph in percent, on golden."""
    given = engines.simulate(graph, map_inputs(graph, case.inputs)).outputs
    name = next((each for each in OUTPUTS if each in given), next(iter(given)))
    return 100 * accuracy(decode(given[name], case.how), case.labels)


def losses(case: Case, target: str, bits: int, recipe: str = "best") -> float | None:
    """Percentage points that a compile for `target` loses; None where the target does not hold the network."""
    settings = {"weight_bits": str(bits), **RECIPES[recipe]}
    request = Request(calibration=case.calibration, settings=settings)
    try:
        graph = driver.lower(case.graph, target=target, request=request, stop_after="lower_delays")
    except CompileError:
        return None
    return case.float_accuracy - correct(case, graph)


def cases() -> Iterator[Case]:
    """The examples; MNIST and the corpus where they are."""
    yield example("digits", "digits.nir", "test.npz")
    yield example("digits_conv", "digits_conv.nir", "test_conv.npz")
    yield example("temporal", "temporal.nir", "test.npz")
    if not SHARED.is_dir():
        return
    yield mnist()
    for folder in sorted((SHARED / "corpus").iterdir()):
        if (folder / "meta.json").exists():
            found = corpus(folder)
            if found is not None:
                yield found


def example(name: str, model: str, data: str) -> Case:
    """One of `examples/`; digits are calibrated on training images, cues on the first ones, without their labels."""
    folder = ROOT / "examples" / ("temporal" if name == "temporal" else "digits")
    arrays = np.load(folder / data)
    graph = engines.open_network(folder / model).graph
    x = arrays["x"]
    if name == "temporal":
        calibration = x[:, :CALIBRATION]
    else:
        calibration = evenly(training_digits(x.sum(axis=0) / len(x)), len(x)).reshape(
            len(x), -1, *x.shape[2:]
        )
    (name_in,) = (node.name for node in graph.inputs)
    return Case(name, graph, {name_in: x}, arrays["y"], Decode.COUNT, {name_in: calibration})


def mnist() -> Case:
    """The network of real size; calibrated on spikes of images that it was trained on."""
    folder = SHARED / "mnist"
    arrays, images = np.load(folder / "test.npz"), np.load(folder / "images.npz")
    graph = engines.open_network(folder / "model.nir").graph
    x = arrays["x"]
    pixels = images[images.files[0]][:CALIBRATION].reshape(CALIBRATION, *x.shape[2:]) / 255
    spikes = np.random.default_rng(0).random((len(x), *pixels.shape)) < pixels
    (name,) = (node.name for node in graph.inputs)
    return Case("mnist", graph, {name: x}, arrays["y"], Decode.COUNT, {name: spikes.astype(np.uint8)})


def corpus(folder: Path) -> Case | None:
    """A trained case of the corpus that is a spiking network and that the frontend reads."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    arrays = np.load(folder / "input.npz")
    if not meta.get("float_accuracy") or meta.get("form") == "ann" or "y" not in arrays:
        return None
    model = folder / "model.onnx"
    graph = engines.open_network(model if model.exists() else folder / "model.nir").graph
    if len(graph.inputs) != 1:
        return None
    (node,) = graph.inputs
    shape = node.op.signal.shape  # type: ignore[union-attr] # an Input
    x = arrays["x_full"] if "x_full" in arrays else arrays["x"]
    if x.ndim == len(shape) + 1:
        x = np.broadcast_to(x, (meta["T"], *x.shape))
    if np.prod(shape) == 64:
        others = training_digits(x[0]).reshape(-1, *shape) / 16
        calibration = np.broadcast_to(others.astype(np.float32), (len(x), *others.shape))
    else:
        calibration = x[:, :CALIBRATION]
    how = Decode.MEMBRANE if folder.name in MEMBRANES else Decode.COUNT
    inputs, given = {node.name: np.ascontiguousarray(x)}, {node.name: np.ascontiguousarray(calibration)}
    return Case(folder.name, graph, inputs, arrays["y"], how, given)


def training_digits(test: np.ndarray) -> np.ndarray:
    """Images (samples, 64) of scikit-learn's digits, 0 to 16, that are not in a test set of reals (0 to 1)."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data
    seen = {np.rint(each * 16).astype(np.uint8).tobytes() for each in test.reshape(len(test), -1)}
    others = [image for image in pixels if np.rint(image).astype(np.uint8).tobytes() not in seen]
    return np.array(others)[np.random.default_rng(0).permutation(len(others))[:CALIBRATION]]


def evenly(pixels: np.ndarray, steps: int) -> np.ndarray:
    """Spikes (steps, samples, 64): a pixel of value k spikes k times, evenly, as `examples/digits` does."""
    step = np.arange(steps)[:, None, None]
    before, after = ((2 * t * pixels[None] + steps) // (2 * steps) for t in (step, step + 1))
    return (after - before).astype(np.uint8)
