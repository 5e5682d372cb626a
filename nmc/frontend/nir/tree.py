"""What stands in a NIR file: its tree of nodes and edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, raise_errors
from nmc.frontend.hdf5 import Group, Value, read_groups


@dataclass(frozen=True, slots=True)
class RawNode:
    """A node as it stands in the file: its type and fields; for a `NIRGraph` also nodes and edges.

    Nodes are in the order of their names, which is the order that HDF5 keeps.
    """

    type: str
    fields: Mapping[str, Value]
    metadata: Mapping[str, Value] = field(default_factory=dict[str, Value])
    nodes: Mapping[str, RawNode] = field(default_factory=dict[str, "RawNode"])
    edges: tuple[tuple[str, str], ...] = ()


def read_tree(path: Path) -> tuple[RawNode, str]:
    """The root node and the version of nir that wrote the file.

    Raises CompileError: NMC001 and NMC002 for files that HDF5 cannot read, NMC003 where the file holds something
    else than NIR, NMC006 where edges are not pairs of names.
    """
    file = str(path)
    whole = read_groups(path, lambda inside: _place(file, inside))
    if "node" not in whole.groups:
        names = ", ".join(f"`{name}`" for name in (*whole.groups, *whole.values)) or "nothing"
        message = f"a NIR file has a group `node`; this one has {names}"
        raise CompileError(error("NMC003", message, Loc(file)))
    findings: list[Diagnostic] = []
    root = _node(whole.groups["node"], file, (), findings)
    raise_errors(findings)
    version = whole.values.get("version")
    return root, version if isinstance(version, str) else ""


def _place(file: str, inside: tuple[str, ...]) -> Loc:
    """`node/nodes/lif1/nodes/lin/weight` is the field `weight` of the node `lif1.lin`."""
    names: list[str] = []
    rest = inside[1:]
    while len(rest) > 1 and rest[0] == "nodes":
        names.append(rest[1])
        rest = rest[2:]
    return Loc(file, ".".join(names) or None, "/".join(rest) or None)


def _node(group: Group, file: str, names: tuple[str, ...], findings: list[Diagnostic]) -> RawNode:
    fields = dict(group.values)
    kind, edges = fields.pop("type", ""), fields.pop("edges", None)
    empty = Group({}, {})
    nodes = group.groups.get("nodes", empty).groups
    return RawNode(
        kind if isinstance(kind, str) else "",
        fields,
        group.groups.get("metadata", empty).values,
        {name: _node(each, file, (*names, name), findings) for name, each in nodes.items()},
        () if edges is None else _pairs(edges, Loc(file, ".".join(names) or None, "edges"), findings),
    )


def _pairs(value: Value, loc: Loc, findings: list[Diagnostic]) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, str) and value.size == 0:
        return ()
    if isinstance(value, str) or value.dtype != object or value.ndim != 2 or value.shape[1] != 2:
        findings.append(error("NMC006", "`edges` are not pairs of node names", loc))
        return ()
    return tuple((str(src), str(dst)) for src, dst in value.tolist())
