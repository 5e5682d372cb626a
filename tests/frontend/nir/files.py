"""NIR files written field by field, as no version of `nir` would."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nmc.diagnostics import CompileError
from nmc.frontend import nir as frontend
from nmc.ir.graph import Graph

Fields = Mapping[str, Any]
Edges = Sequence[tuple[str, str]]


def graph_of(nodes: Mapping[str, Fields], edges: Edges, **more: Any) -> dict[str, Any]:
    """The fields of a `NIRGraph`."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": list(edges), **more}


def write(
    path: Path, nodes: Mapping[str, Fields], edges: Edges, *, version: str = "1.0.8", **more: Any
) -> Path:
    """A file with these nodes; `more` are fields of the root, such as metadata."""
    with h5py.File(path, "w") as file:
        file["version"] = version
        _write(file.create_group("node"), graph_of(nodes, edges, **more))
    return path


def _write(group: h5py.Group, fields: Fields) -> None:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _write(group.create_group(key), value)
        else:
            group[key] = value


def read(path: Path, nodes: Mapping[str, Fields], edges: Edges, **more: Any) -> Graph:
    """The graph of a file with these nodes."""
    return frontend.read(write(path / "model.nir", nodes, edges, **more))


def findings(path: Path, nodes: Mapping[str, Fields], edges: Edges, **more: Any) -> list[tuple[str, str]]:
    """Code and text of everything that is wrong with such a file."""
    try:
        read(path, nodes, edges, **more)
    except CompileError as refused:
        return [(found.code, str(found)) for found in refused.findings]
    return []


def notes(graph: Graph) -> dict[str, str]:
    """The last note of each code."""
    return {found.code: found.message for found in graph.notes}


def input_(*shape: int) -> Fields:
    return {"type": "Input", "shape": np.array(shape)}


def output(*shape: int) -> Fields:
    return {"type": "Output", "shape": np.array(shape)}


def affine(rows: int, columns: int, **more: Any) -> Fields:
    weight = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns)
    return {"type": "Affine", "weight": weight, "bias": np.zeros(rows)} | more


def linear(rows: int, columns: int) -> Fields:
    return {"type": "Linear", "weight": np.ones((rows, columns))}


def lif(*shape: int, **more: Any) -> Fields:
    parameters = {name: np.ones(shape) for name in ("r", "v_threshold")}
    rest = {"tau": np.full(shape, 0.01), "v_leak": np.zeros(shape), "v_reset": np.zeros(shape)}
    return {"type": "LIF"} | parameters | rest | more


def conv2d(out: int, into: int, kernel: int, **more: Any) -> Fields:
    return {
        "type": "Conv2d",
        "weight": np.ones((out, into, kernel, kernel)),
        "bias": np.zeros(out),
        "stride": np.array([1, 1]),
        "padding": np.array([0, 0]),
        "dilation": np.array([1, 1]),
        "groups": 1,
    } | more


CHAIN = (("input", "fc"), ("fc", "lif"), ("lif", "output"))


def chain(**more: Fields) -> dict[str, Fields]:
    """input 3, fc 2x3, lif 2, output 2, some of them replaced."""
    return {"input": input_(3), "fc": affine(2, 3), "lif": lif(2), "output": output(2)} | more
