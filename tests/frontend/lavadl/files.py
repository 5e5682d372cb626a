"""`.net` files written field by field."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nmc.diagnostics import CompileError
from nmc.frontend import lavadl
from nmc.ir.graph import Graph

Layer = dict[str, Any]


def write(path: Path, layers: Sequence[Layer]) -> Path:
    """A file with these layers; the type is stored as slayer does, in an array of one text of 10 bytes."""
    with h5py.File(path, "w") as file:
        file["simulation/Ts"] = 1
        for number, layer in enumerate(layers):
            for key, value in layer.items():
                data = np.array([value.encode()], "S10") if key == "type" else value
                file[f"layer/{number}/{key}"] = data
    return path


def read(tmp_path: Path, *layers: Layer) -> Graph:
    return lavadl.read(write(tmp_path / "network.net", layers))


def findings(tmp_path: Path, *layers: Layer) -> list[tuple[str, str]]:
    try:
        read(tmp_path, *layers)
    except CompileError as refused:
        return [(found.code, str(found)) for found in refused.findings]
    return []


def neuron(i_decay: Any = 1024, v_decay: Any = 128, threshold: Any = 80, kind: str = "CUBA") -> Layer:
    return {
        "neuron/type": kind,
        "neuron/iDecay": i_decay,
        "neuron/vDecay": v_decay,
        "neuron/vThMant": threshold,
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
    }


def input_(*shape: int) -> Layer:
    return {"type": "input", "shape": np.array(shape)}


def flatten(size: int) -> Layer:
    return {"type": "flatten", "shape": np.array([size, 1, 1])}


def dense(weight: np.ndarray, **more: Any) -> Layer:
    size = len(weight)
    return (
        {"type": "dense", "shape": np.array([size, 1, 1]), "weight": weight.astype(np.float32)}
        | neuron()
        | more
    )


def conv(weight: np.ndarray, shape: tuple[int, ...], **more: Any) -> Layer:
    fields = {
        "stride": np.array([1, 1]),
        "padding": np.array([0, 0]),
        "dilation": np.array([1, 1]),
        "groups": 1,
    }
    own = {"type": "conv", "shape": np.array(shape), "weight": weight.astype(np.float32)}
    return own | fields | neuron() | more


def even(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Weights as slayer trains them: even, of both signs."""
    return 2 * rng.integers(-60, 60, shape)
