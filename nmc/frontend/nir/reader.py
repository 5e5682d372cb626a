"""A NIR file as a `Graph` in seconds: neurons are `Ode`, delays are `DelayLine`; `discretize` makes steps of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nmc.diagnostics import Diagnostic, Loc, error, nearest, note, raise_errors
from nmc.frontend.fields import Fields
from nmc.frontend.nir.drafts import KINDS, Draft, draft
from nmc.frontend.nir.flatten import STATEFUL, FlatGraph, flatten
from nmc.frontend.nir.infer import Inference
from nmc.frontend.nir.loops import Link, delayed_edges, order_within_step
from nmc.frontend.nir.tree import RawNode, read_tree
from nmc.ir.graph import Edge, Graph, Node


def read(path: Path) -> Graph:
    """The network of a NIR file, as it stands there; `step` is the file's `dt` if its metadata has one.

    Nodes are in the order in which they run within a step; ties keep the file's. Raises CompileError (NMC001 to
    NMC016) with all findings of a stage; what was read with a grain of salt is in the graph's notes.
    """
    file = str(path)
    root, version = read_tree(path)
    findings: list[Diagnostic] = []
    flat = flatten(root, file, findings)
    drafts = _drafts(flat, file, findings)
    raise_errors(findings)
    findings += _assumptions(drafts, version, file)
    delayed = _loops(flat, file, findings)
    raise_errors(findings)
    order = order_within_step(flat.nodes, flat.edges, delayed)
    inference = Inference(drafts, order, flat.edges, findings)
    inference.run()
    raise_errors(findings)
    return _assemble(inference, order, delayed, step=_dt(root))


def _drafts(flat: FlatGraph, file: str, findings: list[Diagnostic]) -> dict[str, Draft]:
    drafts: dict[str, Draft] = {}
    for name, node in flat.nodes.items():
        loc = Loc(file, name)
        if node.type not in KINDS:
            what = f"`{node.type}` is not a node type of NIR 1.0.8" if node.type else "the node has no `type`"
            findings.append(error("NMC004", what, Loc(file, name, "type"), help=nearest(node.type, KINDS)))
            continue
        made = draft(node.type, Fields(loc, node.fields, findings))
        if made is not None:
            drafts[name] = made
    return drafts


def _assumptions(drafts: Mapping[str, Draft], version: str, file: str) -> list[Diagnostic]:
    """One note for each optional field that is absent, with the nodes that lack it."""
    lacking: dict[str, list[str]] = {}
    for name, each in drafts.items():
        for absent in each.fields.assumed:
            lacking.setdefault(absent, []).append(name)
    writer = f" (nir {version})" if version else ""
    return [
        note(
            "NMC025",
            f"the file{writer} has no `{absent}` for {_listed(names)}; it is {ASSUMED[absent]}",
            Loc(file),
        )
        for absent, names in sorted(lacking.items())
        if absent in ASSUMED
    ]


ASSUMED: Mapping[str, str] = {"v_reset": "0", "w_in": "1"}


def _loops(flat: FlatGraph, file: str, findings: list[Diagnostic]) -> dict[Link, list[str]]:
    inputs = [name for name, node in flat.nodes.items() if node.type == "Input"]
    stateful = frozenset(name for name, node in flat.nodes.items() if node.type in STATEFUL)
    delayed, hopeless = delayed_edges(flat.nodes, flat.edges, inputs=inputs, stateful=stateful)
    for loop in hopeless:
        message = f"the loop {_around(loop)} has no neuron: nothing holds a value from step to step"
        findings.append(error("NMC013", message, Loc(file, loop[0])))
    for (src, dst), loop in delayed.items():
        message = f"the loop {_around(loop)} is closed by `{src}` -> `{dst}`, which takes one step"
        findings.append(note("NMC023", message, Loc(file, src)))
    return delayed


def _assemble(
    inference: Inference, order: list[str], delayed: Mapping[Link, list[str]], *, step: float | None
) -> Graph:
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    rank = {name: index for index, name in enumerate(order)}
    arriving: dict[str, list[Link]] = {name: [] for name in order}
    for link in inference.edges:
        arriving[link[1]].append(link)
    for name in order:
        loc = inference.drafts[name].fields.loc
        for link in sorted(arriving[name], key=lambda link: rank[link[0]]):
            source, delay = link[0], int(link in delayed)
            if link in inference.flattened:
                flat = _fresh(f"{source}.flatten", inference.drafts.keys() | nodes.keys())
                nodes[flat] = Node(flat, inference.flattened[link], loc)
                edges.append(Edge(source, flat, delay))
                source, delay = flat, 0
            edges.append(Edge(source, name, delay))
        nodes[name] = Node(name, inference.ops[name], loc)
    return Graph(tuple(nodes.values()), tuple(edges), step=step, notes=tuple(inference.findings))


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _dt(root: RawNode) -> float | None:
    """The step that the file's metadata names, if it is a positive number."""
    value = root.metadata.get("dt")
    if value is None or isinstance(value, str) or value.size != 1 or value.dtype.kind not in "iuf":
        return None
    step = float(value.ravel()[0])
    return step if 0 < step < float("inf") else None


def _around(loop: list[str]) -> str:
    return " -> ".join(f"`{name}`" for name in [*loop, loop[0]])


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
