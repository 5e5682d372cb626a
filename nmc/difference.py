"""What differs between two models or artifacts, in words, from the network down to bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from nmc import artifact as artifacts
from nmc import driver
from nmc.artifact import Artifact
from nmc.engines import graph_of
from nmc.frontend.load import NO_HINTS, Hints
from nmc.ir.flat import nodes_of
from nmc.ir.graph import Graph
from nmc.ir.ops import parameters
from nmc.ir.tensor import Tensor
from nmc.report.describe import layers


class Level(Enum):
    """What a difference is of, from the network down to bytes."""

    NETWORK = "network"
    LAYER = "layer"
    NODE = "node"
    EDGE = "edge"
    TARGET = "target"
    PASSES = "passes"
    RESOURCE = "resource"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: where, and in words what is not the same."""

    level: Level
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things to compare: a network, and the artifact that holds it if it was compiled."""

    name: str
    graph: Graph
    artifact: Artifact | None


def open_side(path: Path, hints: Hints = NO_HINTS) -> Side:
    """A model file or an artifact's folder. Raises CompileError for what is neither, or is damaged."""
    if path.is_dir():
        held = artifacts.read(path)
        return Side(str(path), graph_of(held, str(path)), held)
    return Side(str(path), driver.read(path, hints).graph, None)


def differences(before: Side, after: Side) -> tuple[Difference, ...]:
    """Everything that differs, from the network down to bytes; nothing if the two mean and hold the same."""
    found = [*_network(before.graph, after.graph), *_nodes(before.graph, after.graph)]
    if before.artifact is not None and after.artifact is not None:
        found += [*_manifests(before.artifact, after.artifact), *_files(before.artifact, after.artifact)]
    elif (before.artifact is None) != (after.artifact is None):
        compiled, model = (before, after) if before.artifact is not None else (after, before)
        what = f"`{compiled.name}` is compiled, in integers, and `{model.name}` is a model"
        found.insert(0, Difference(Level.NETWORK, "", what))
    return tuple(found)


# ---- the network ------------------------------------------------------------------------------------------


def _network(before: Graph, after: Graph) -> Iterator[Difference]:
    for name, one, other in (
        ("step", f"{before.step} s", f"{after.step} s"),
        ("latency", f"{before.latency} steps", f"{after.latency} steps"),
        ("stretch", f"{before.stretch} steps a step", f"{after.stretch} steps a step"),
    ):
        if one != other:
            yield Difference(Level.NETWORK, name, f"{one}, and now {other}")
    one_by_name = {layer.name: layer for layer in layers(before)}
    other_by_name = {layer.name: layer for layer in layers(after)}
    for name in dict.fromkeys([*one_by_name, *other_by_name]):
        one, other = one_by_name.get(name), other_by_name.get(name)
        if one is None or other is None:
            there = one or other
            assert there is not None
            kind = f"a layer of {there.neurons:,} {there.kind} neurons"
            yield Difference(Level.LAYER, name, f"{kind} is {'new' if one is None else 'gone'}")
            continue
        for word in ("kind", "shape", "synapses", "bits", "cores"):
            was, now = getattr(one, word), getattr(other, word)
            if was != now:
                yield Difference(Level.LAYER, name, f"{word} {was}, and now {now}")


def _nodes(before: Graph, after: Graph) -> Iterator[Difference]:
    one, other = nodes_of(before), nodes_of(after)
    for name in dict.fromkeys([*one, *other]):
        if name == "(graph)":
            continue
        if name == "(edges)":
            yield from _edges(one[name], other[name])
        elif name not in one or name not in other:
            kind = (one.get(name) or other[name])[""]
            yield Difference(Level.NODE, name, f"this {kind} is {'new' if name not in one else 'gone'}")
        elif one[name] != other[name]:
            yield from _fields(name, before, after, one[name], other[name])


def _edges(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for edge in dict.fromkeys([*before, *after]):
        one, other = before.get(edge), after.get(edge)
        if one is None or other is None:
            yield Difference(Level.EDGE, edge, "new" if one is None else "gone")
        elif one != other:
            yield Difference(Level.EDGE, edge, f"{one}, and now {other}")


def _fields(
    name: str, before: Graph, after: Graph, one: Mapping[str, str], other: Mapping[str, str]
) -> Iterator[Difference]:
    tensors, others = parameters(before[name].op), parameters(after[name].op)
    for path in dict.fromkeys([*one, *other]):
        was, now = one.get(path, "nothing"), other.get(path, "nothing")
        if was == now:
            continue
        what = f"{was}, and now {now}"
        if path in tensors and path in others:
            what = _values(tensors[path], others[path]) or what
        yield Difference(Level.NODE, f"{name}.{path}" if path else name, what)


def _values(before: Tensor, after: Tensor) -> str:
    """How two tensors of one shape differ; nothing to say of single numbers and of other shapes."""
    if before.shape != after.shape or before.size == 1:
        return ""
    if before.number != after.number:
        return f"numbers {before.number}, and now {after.number}"
    one, other = np.asarray(before.data), np.asarray(after.data)
    differ = one != other
    at = tuple(int(i) for i in np.argwhere(differ)[0])
    most = np.abs(one.astype(np.float64) - other.astype(np.float64)).max()
    return (
        f"{int(differ.sum()):,} of {differ.size:,} values differ, by {most:g} at most; first at {list(at)}: "
        f"{one[at].item():g}, and now {other[at].item():g}"
    )


# ---- artifacts --------------------------------------------------------------------------------------------


def _manifests(before: Artifact, after: Artifact) -> Iterator[Difference]:
    one, other = before.manifest, after.manifest
    for word in ("nmc", "target", "model"):
        was, now = getattr(one, word), getattr(other, word)
        if was != now:
            yield Difference(Level.TARGET, word, f"{was}, and now {now}")
    if one.target == other.target and one.target_digest != other.target_digest:
        yield Difference(Level.TARGET, one.target, "its description is another")
    names, others = [name for name, _ in one.pipeline], [name for name, _ in other.pipeline]
    if names != others:
        yield Difference(Level.PASSES, "passes", f"{', '.join(names)}, and now {', '.join(others)}")
    settings, new = dict(one.pipeline), dict(other.pipeline)
    for name in settings.keys() & new.keys():
        for key in sorted({*settings[name], *new[name]}):
            was, now = settings[name].get(key, "nothing"), new[name].get(key, "nothing")
            if was != now:
                yield Difference(Level.PASSES, f"{name}, {key}", f"{was}, and now {now}")
    for name in dict.fromkeys([*one.resources, *other.resources]):
        used, now_used = one.resources.get(name, (0.0, 0.0))[0], other.resources.get(name, (0.0, 0.0))[0]
        if used != now_used:
            yield Difference(Level.RESOURCE, name, f"{used:,.10g}, and now {now_used:,.10g}")


def _files(before: Artifact, after: Artifact) -> Iterator[Difference]:
    for name in sorted({*before.files, *after.files}):
        one, other = before.files.get(name), after.files.get(name)
        if one is None or other is None:
            there = other if one is None else one
            assert there is not None
            yield Difference(Level.FILE, name, f"{'new' if one is None else 'gone'}, {len(there):,} bytes")
        elif one != other:
            yield Difference(Level.FILE, name, _bytes(one, other))


def _bytes(before: bytes, after: bytes) -> str:
    """The first line that differs of texts, the first byte of others."""
    length = min(len(before), len(after))
    same = np.frombuffer(before, np.uint8, length) == np.frombuffer(after, np.uint8, length)
    at = length if same.all() else int(np.argmin(same))
    sizes = "" if len(before) == len(after) else f"; {len(before):,} bytes, and now {len(after):,}"
    if b"\0" in before or b"\0" in after:
        return f"differs from byte {at:,} on{sizes}"
    number = before.count(b"\n", 0, at)
    lines = [
        content.split(b"\n")[number].decode(errors="replace").strip()[:60] for content in (before, after)
    ]
    return f"differs from line {number + 1:,} on: `{lines[0]}`, and now `{lines[1]}`{sizes}"
