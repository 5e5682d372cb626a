"""A small network and data for it as files, for tests of what a user touches."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

INPUTS, HIDDEN, CLASSES = 4, 6, 3


def write_model(path: Path, *, seed: int = 0, recurrent: bool = False) -> Path:
    """Two layers of leaky integrate-and-fire neurons, the first of them perhaps recurrent, as a NIR file."""
    random = np.random.default_rng(seed)

    def lif(size: int) -> nir.LIF:
        ones = np.ones(size)
        return nir.LIF(tau=8e-4 * ones, r=8 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)

    nodes = {
        "input": nir.Input({"input": np.array([INPUTS])}),
        "fc1": nir.Linear(random.normal(0.3, 0.3, (HIDDEN, INPUTS))),
        "lif1": lif(HIDDEN),
        "fc2": nir.Linear(random.normal(0.3, 0.3, (CLASSES, HIDDEN))),
        "lif2": lif(CLASSES),
        "output": nir.Output({"output": np.array([CLASSES])}),
    }
    edges = list(pairwise(nodes))
    if recurrent:
        nodes["rec"] = nir.Linear(random.normal(0, 0.1, (HIDDEN, HIDDEN)))
        edges += [("lif1", "rec"), ("rec", "lif1")]
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges, metadata={"dt": 1e-4}))
    return path


def write_data(path: Path, *, steps: int = 12, samples: int = 5) -> Path:
    """Spikes `x` (steps, samples, inputs) and labels `y`."""
    random = np.random.default_rng(1)
    x = (random.random((steps, samples, INPUTS)) < 0.5).astype(np.uint8)
    np.savez(path, x=x, y=random.integers(0, CLASSES, samples))
    return path
