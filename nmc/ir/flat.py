"""Values as flat tables of paths and texts: what a node or a target is, field by field, to be compared and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

import numpy as np

from nmc.ir.graph import Graph
from nmc.ir.tensor import Tensor

SHORT = 60
"""Characters up to which a text is kept as it is."""


def flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of nested values by its path: fields by name, mappings by key, tensors by number, shape and digest."""
    inner = f"{path}." if path else ""
    match value:
        case Tensor():
            yield path, f"{value.number or value.data.dtype} {list(value.shape)} {_tensor(value)}"
        case Enum():
            yield path, value.name.lower()
        case Mapping():
            content: Mapping[object, object] = value
            for key, each in content.items():
                yield from flat(each, inner + str(key.value if isinstance(key, Enum) else key))
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from flat(getattr(value, each.name), inner + each.name)
        case tuple():
            yield path, short(str([_leaf(each) for each in value]))
        case _:
            yield path, short(str(value))


def _leaf(value: object) -> object:
    if is_dataclass(value):
        return sorted(flat(value))
    return value.name.lower() if isinstance(value, Enum) else value


def _tensor(tensor: Tensor) -> str:
    flattened = np.asarray(tensor.data).ravel()
    return str(flattened[0].item()) if flattened.size == 1 else f"#{tensor.digest()[:12]}"


def short(text: str) -> str:
    """A text, or its digest where it is long."""
    return text if len(text) <= SHORT else f"#{digest_of(text.encode())}"


def digest_of(content: bytes) -> str:
    """Eight hexadecimal digits: enough to see that something is another."""
    return hashlib.sha256(content).hexdigest()[:8]


def nodes_of(graph: Graph) -> dict[str, dict[str, str]]:
    """Every field of every node; the edges as `(edges)` and what else a graph says as `(graph)`, notes left out."""
    found = {node.name: {"": type(node.op).__name__, **dict(flat(node.op))} for node in graph.nodes}
    found["(edges)"] = {
        f"{edge.src} -> {edge.dst}" + (f" at {edge.port}" if edge.port else ""): f"delay {edge.delay}"
        for edge in graph.edges
    }
    found["(graph)"] = {
        "order": short(" ".join(node.name for node in graph.nodes)),
        "step": str(graph.step),
        "latency": str(graph.latency),
        "stretch": str(graph.stretch),
        "placement": short(str([(s.node, s.start, s.stop, s.core) for s in graph.placement])),
    }
    return found
