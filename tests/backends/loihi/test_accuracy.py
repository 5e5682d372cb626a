"""What trained networks lose on Loihi: whole test sets, 8-bit weights, nothing trained again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.engines import open_network, simulate
from nmc.sim.arrays import Decode, accuracy, decode, map_inputs

EXAMPLES = Path(__file__).parents[3] / "examples"


def loss(model: Path, data: Path) -> float:
    """Accuracy in reals minus accuracy in Loihi's integers, in percentage points."""
    arrays = dict(np.load(data))
    labels = arrays.pop("y")
    network = open_network(model)
    inputs = map_inputs(network.graph, arrays)
    compiled = driver.compile(model, target="loihi", request=Request(calibration=inputs))
    points: list[float] = []
    for graph in (network.graph, compiled.graph):
        (output,) = simulate(graph, inputs).outputs.values()
        points.append(100 * accuracy(decode(output, Decode.COUNT), labels))
    assert points[0] >= 95, "the network in reals is the trained one"
    return points[0] - points[1]


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("digits/digits.nir", "digits/test.npz"),
        ("digits/digits_conv.nir", "digits/test_conv.npz"),
        ("temporal/temporal.nir", "temporal/test.npz"),
    ],
)
def test_examples_lose_at_most_one_point(model: str, data: str) -> None:
    assert loss(EXAMPLES / model, EXAMPLES / data) <= 1.0


def test_mnist_loses_at_most_one_point(shared: Path) -> None:
    assert loss(shared / "mnist/model.nir", shared / "mnist/test.npz") <= 1.0
