"""Nested NIR graphs as one flat graph: qualified names, no ports of subgraphs, edges between real nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx

from nmc.diagnostics import Diagnostic, Loc, error, nearest, note
from nmc.frontend.nir.tree import RawNode

STATEFUL = frozenset({"I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"})
"""Node types with a state: what a loop needs at least one of."""


@dataclass(frozen=True, slots=True)
class FlatGraph:
    """Nodes by qualified name in the order of the file, edges without duplicates in the order of the file."""

    nodes: Mapping[str, RawNode]
    edges: tuple[tuple[str, str], ...]


def flatten(root: RawNode, file: str, findings: list[Diagnostic]) -> FlatGraph:
    """Dissolve subgraphs: `lin` inside `lif1` becomes `lif1.lin`; what enters `lif1` enters its input's targets.

    A root that is a single node is a graph of it. A graph without `Input` or `Output` gets them where nothing
    enters or leaves. Findings: NMC009 edges to nowhere, NMC014 an empty graph, NMC015 edges against the
    direction of a port, NMC016 names that collide; notes NMC020 and NMC024.
    """
    if root.type != "NIRGraph" and not root.nodes:
        root = RawNode("NIRGraph", {}, {}, {root.type.lower() or "node": root})
    flattener = _Flattener(file, findings)
    flattener.graph(root, "")
    flat = FlatGraph(flattener.nodes, flattener.joined())
    if not flat.nodes:
        findings.append(error("NMC014", "the graph has no nodes", Loc(file)))
        return flat
    return _with_ends(flat, file, findings)


class _Flattener:
    def __init__(self, file: str, findings: list[Diagnostic]) -> None:
        self.file = file
        self.findings = findings
        self.nodes: dict[str, RawNode] = {}
        self.targets: dict[str, list[str]] = {}
        """What follows each node and each port, ports included, in the order of the file."""
        self.ports: set[str] = set()

    def graph(self, graph: RawNode, prefix: str) -> None:
        for name, node in graph.nodes.items():
            full = prefix + name
            if full in self.targets:
                self._add("NMC016", f"two nodes are called `{full}`", full, help="rename one of them")
            self.targets[full] = []
            if node.type == "NIRGraph":
                self.graph(node, full + ".")
            elif prefix and node.type in {"Input", "Output"}:
                self.ports.add(full)
            else:
                self.nodes[full] = node
        for src, dst in self._edges(graph, prefix):
            for each in self._ends(graph, prefix, src, "Output"):
                self.targets[each] += self._ends(graph, prefix, dst, "Input")

    def joined(self) -> tuple[tuple[str, str], ...]:
        """The edges between nodes; paths through ports of subgraphs are one edge."""
        return tuple((src, dst) for src in self.nodes for dst in self._real(self.targets[src], frozenset()))

    def _real(self, names: list[str], passed: frozenset[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            if name not in self.ports:
                found.append(name)
            elif name not in passed:
                found += self._real(self.targets[name], passed | {name})
        return found

    def _edges(self, graph: RawNode, prefix: str) -> list[tuple[str, str]]:
        """The edges whose two ends exist, each once."""
        kept: dict[tuple[str, str], None] = {}
        nowhere: dict[str, list[str]] = {}
        for src, dst in graph.edges:
            missing = [name for name in dict.fromkeys((src, dst)) if name not in graph.nodes]
            for name in missing:
                nowhere.setdefault(name, []).append(f"`{src}` -> `{dst}`")
            if (src, dst) in kept:
                message = f"the edge `{src}` -> `{dst}` stands in the file more than once; it counts once"
                self.findings.append(note("NMC024", message, Loc(self.file, prefix[:-1] or None, "edges")))
            if not missing and self._has_direction(graph, prefix, src, dst):
                kept[src, dst] = None
        for name, edges in nowhere.items():
            place = f" in `{prefix[:-1]}`" if prefix else ""
            message = (
                f"there is no node `{name}`{place}, but the edge{'s' * (len(edges) > 1)} {', '.join(edges)}"
            )
            self._add("NMC009", message, prefix[:-1], "edges", help=nearest(name, graph.nodes))
        return list(kept)

    def _has_direction(self, graph: RawNode, prefix: str, src: str, dst: str) -> bool:
        backward = graph.nodes[src].type == "Output" or graph.nodes[dst].type == "Input"
        if backward:
            message = f"the edge `{src}` -> `{dst}` leaves an output or enters an input"
            self._add("NMC015", message, prefix[:-1], "edges")
        return not backward

    def _ends(self, graph: RawNode, prefix: str, name: str, port: str) -> list[str]:
        """Where an edge of this level arrives or starts: the node itself, or a subgraph's port."""
        node = graph.nodes[name]
        if node.type != "NIRGraph":
            return [prefix + name]
        found = [f"{prefix}{name}.{child}" for child, inner in node.nodes.items() if inner.type == port]
        if not found:
            bare = {end[port == "Input"] for end in node.edges}
            found = [
                each
                for child in node.nodes
                if child not in bare
                for each in self._ends(node, f"{prefix}{name}.", child, port)
            ]
        if len(found) != 1:
            several = ", ".join(f"`{each}`" for each in found) or "none"
            message = f"an edge to or from the subgraph `{name}` needs one {port}; it has {several}"
            self._add("NMC015", message, prefix + name, help="connect its nodes directly")
        return found

    def _add(self, code: str, message: str, node: str, field: str | None = None, *, help: str = "") -> None:  # noqa: A002 - the field's name
        self.findings.append(error(code, message, Loc(self.file, node or None, field), help=help))


def _with_ends(flat: FlatGraph, file: str, findings: list[Diagnostic]) -> FlatGraph:
    """The graph with an `Input` before what nothing enters and an `Output` after what nothing leaves."""
    kinds = {node.type for node in flat.nodes.values()}
    nodes, edges = dict(flat.nodes), list(flat.edges)
    if "Input" not in kinds:
        starts = _open_ends(flat, edges)
        names = _names_of_ends("input", starts, nodes)
        nodes = {name: RawNode("Input", {}) for name in names} | nodes
        edges = [*zip(names, starts, strict=True), *edges]
        _say("no `Input`; signals enter at", starts, file, findings)
    if "Output" not in kinds:
        ends = _open_ends(flat, [(dst, src) for src, dst in flat.edges])
        names = _names_of_ends("output", ends, nodes)
        nodes |= {name: RawNode("Output", {}) for name in names}
        edges = [*edges, *zip(ends, names, strict=True)]
        _say("no `Output`; signals leave from", ends, file, findings)
    return FlatGraph(nodes, tuple(edges))


def _open_ends(flat: FlatGraph, edges: list[tuple[str, str]]) -> list[str]:
    """Nodes that nothing outside their own loop enters; of a loop, its first node with a state."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(flat.nodes)
    digraph.add_edges_from(edges)
    loops = nx.condensation(digraph)
    rank = {name: (node.type not in STATEFUL, index) for index, (name, node) in enumerate(flat.nodes.items())}
    first = [
        min(loops.nodes[each]["members"], key=rank.__getitem__) for each in loops if not loops.in_degree(each)
    ]
    ports = {"Input", "Output"}
    return sorted(
        (name for name in first if flat.nodes[name].type not in ports), key=lambda name: rank[name][1]
    )


def _names_of_ends(word: str, ends: list[str], taken: Mapping[str, RawNode]) -> list[str]:
    if len(ends) == 1 and word not in taken:
        return [word]
    return [f"{end}.{word}" for end in ends]


def _say(what: str, ends: list[str], file: str, findings: list[Diagnostic]) -> None:
    places = ", ".join(f"`{end}`" for end in ends)
    findings.append(note("NMC020", f"the file has {what} {places}", Loc(file)))
