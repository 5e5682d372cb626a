"""The plainest graph that computes the same: what writers of files add and nobody means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import numpy.typing as npt

from nmc.diagnostics import note
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.linear import compose, make_sparse, scale_rows, without_bias
from nmc.ir.ops import (
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Op,
    Output,
    Pool,
    Scale,
    Shape,
    Sparse,
    output_shape,
)
from nmc.ir.tensor import Tensor

Reals = npt.NDArray[np.float64]


def canonicalize(graph: Graph) -> Graph:
    """The same spikes from fewer nodes; sums of reals may be rounded in another order. Needs a graph in steps.

    Nodes that no output depends on are dropped, with a note (NMC170); so are operations that change nothing and
    constants of zero. A `Delay` by one number becomes the delay of edges. A `Scale` goes into the weights beside
    it if every product is exact. Weight layers from one source into one node become one, with a delay for each
    synapse where theirs differ; what all synapses of a `Sparse` wait goes onto its edge.
    """
    for step in (
        without_unused,
        _without_zero_constants,
        _without_identities,
        _without_scales,
        _with_one_layer_each,
        _with_shared_delays_on_edges,
    ):
        graph = step(graph)
    return graph


# ---- what nobody needs ------------------------------------------------------------------------------------


def without_unused(graph: Graph) -> Graph:
    """The graph without the nodes that no output depends on, with a note that names them."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(node.name for node in graph.nodes)
    digraph.add_edges_from((edge.dst, edge.src) for edge in graph.edges)
    used = {node.name for node in graph.nodes if isinstance(node.op, Input | Output)}
    for output in graph.outputs:
        used |= nx.descendants(digraph, output.name)
    dropped = [node for node in graph.nodes if node.name not in used]
    if not dropped:
        return graph
    names = ", ".join(f"`{node.name}`" for node in dropped[:4]) + " …" * (len(dropped) > 4)
    message = f"no output depends on {names}: {len(dropped)} of {len(graph.nodes)} nodes are dropped"
    nodes = tuple(node for node in graph.nodes if node.name in used)
    edges = tuple(edge for edge in graph.edges if edge.src in used and edge.dst in used)
    notes = (*graph.notes, note("NMC170", message, dropped[0].loc))
    return replace_graph(graph, nodes=nodes, edges=edges, notes=notes)


def _without_zero_constants(graph: Graph) -> Graph:
    new: dict[str, Op] = {
        node.name: without_bias(node.op)
        for node in graph.nodes
        if isinstance(node.op, Linear | Conv) and node.op.bias is not None and not node.op.bias.data.any()
    }
    return graph.replace_nodes(new)


def _without_identities(graph: Graph) -> Graph:
    """Operations that change nothing, and those that only wait, become the edges around them."""
    waits = {node.name: wait for node in graph.nodes if (wait := _only_waits(node.op)) is not None}
    return _bypass(graph, waits) if waits else graph


def _only_waits(op: Op) -> int | None:
    """The steps that the operation waits, if it does nothing else."""
    match op:
        case Scale(_, factor):
            return 0 if np.all(factor.values == 1) else None
        case Flatten(_, start, end):
            return 0 if start == end else None
        case Pool(_, _, kernel, stride, padding):
            ones = (*kernel, *stride) == (1,) * (2 * len(kernel))
            return 0 if ones and not any(map(any, padding)) else None
        case Delay(_, steps):
            return int(steps.data.flat[0]) if np.all(steps.data == steps.data.flat[0]) else None
        case _:
            return None


def _bypass(graph: Graph, waits: Mapping[str, int]) -> Graph:
    """The graph without the nodes in `waits`: each way through them is an edge with all their delays."""
    outgoing = graph.outgoing()

    def ways(edge: Edge) -> Iterator[Edge]:
        if edge.dst not in waits:
            yield edge
            return
        for after in outgoing[edge.dst]:
            yield from ways(replace(after, src=edge.src, delay=edge.delay + waits[edge.dst] + after.delay))

    edges = tuple(way for edge in graph.edges if edge.src not in waits for way in ways(edge))
    return replace_graph(graph, nodes=tuple(n for n in graph.nodes if n.name not in waits), edges=edges)


# ---- scales -----------------------------------------------------------------------------------------------


def _without_scales(graph: Graph) -> Graph:
    """Scales merged into the weights before or after them, one at a time."""
    while (merged := _merge_a_scale(graph)) is not None:
        graph = merged
    return graph


def _merge_a_scale(graph: Graph) -> Graph | None:
    incoming, outgoing = graph.incoming(), graph.outgoing()
    for node in graph.nodes:
        if not isinstance(node.op, Scale):
            continue
        before, after = incoming[node.name], outgoing[node.name]
        if len(before) == 1 and len(outgoing[before[0].src]) == 1:
            weights = graph[before[0].src]
            merged = _scaled_output(weights.op, node.op)
            if merged is not None:
                return _bypass(graph.replace_nodes({weights.name: merged}), {node.name: 0})
        if len(after) == 1 and len(incoming[after[0].dst]) == 1:
            weights = graph[after[0].dst]
            merged = _scaled_input(node.op, weights.op)
            if merged is not None:
                return _bypass(graph.replace_nodes({weights.name: merged}), {node.name: 0})
    return None


def _scaled_output(op: Op, scale: Scale) -> Op | None:
    """The weights times the scale over their outputs, if that is exact and stays the same kind of operation."""
    if not isinstance(op, Linear | Sparse | Conv):
        return None
    factor = np.broadcast_to(scale.factor.values, scale.shape)
    scaled = scale_rows(op, factor)
    if type(scaled) is not type(op):
        return None
    products = [(op.weight.values, scaled.weight.values)]
    if isinstance(scaled, Linear | Conv) and isinstance(op, Linear | Conv) and op.bias is not None:
        by_row = factor.reshape(len(op.bias.data), -1)[:, 0]
        scaled = replace(scaled, bias=Tensor(op.bias.values * by_row))
        products.append((op.bias.values, op.bias.values * by_row))
    return scaled if all(_is_exact(a, scale.factor.values, product) for a, product in products) else None


def _scaled_input(scale: Scale, op: Op) -> Op | None:
    """The weights times the scale over their inputs, if that is exact and stays the same kind of operation."""
    if not isinstance(op, Linear | Conv):
        return None
    scaled = compose(scale, op)
    if not isinstance(scaled, Linear | Conv) or type(scaled) is not type(op):
        return None
    if not _is_exact(op.weight.values, scale.factor.values, scaled.weight.values):
        return None
    return replace(scaled, bias=op.bias)


def _is_exact(weights: Reals, factors: Reals, products: Reals) -> bool:
    """Whether products of any of `weights` with any of `factors` need no rounding, and none left the range.

    An odd number of a bits times one of b bits has at most a + b bits; a float64 holds 53.
    """
    bits = int(_significant_bits(weights).max(initial=0)) + int(_significant_bits(factors).max(initial=0))
    nonzero = np.abs(products[products != 0])
    in_range = bool(np.all(np.isfinite(nonzero)) and np.all(nonzero > 1e-290))
    return bits <= 53 and in_range


def _significant_bits(values: Reals) -> npt.NDArray[np.int64]:
    """The bits between the first and the last one of each float64."""
    mantissas, _ = np.frexp(values.ravel())
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    lowest = whole & -whole
    trailing = np.where(whole == 0, 53, np.log2(np.maximum(lowest, 1)).astype(np.int64))
    return 53 - trailing


# ---- weight layers side by side ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Branch:
    """A way from a source through a delay for each channel, if any, and a weight layer without constant."""

    src: str
    dst: str
    port: str
    layer: Node
    weight: Reals
    delay: int
    """On the edges."""
    steps: npt.NDArray[np.int64] | None
    """Of each channel of the source."""
    through: str | None
    """The `Delay` node."""


def _with_one_layer_each(graph: Graph) -> Graph:
    groups: dict[tuple[str, str, str], list[_Branch]] = {}
    for branch in _branches(graph):
        groups.setdefault((branch.src, branch.dst, branch.port), []).append(branch)
    new: dict[str, Op] = {}
    ends: dict[str, tuple[Edge, Edge]] = {}
    gone: set[str] = set()
    outgoing = graph.outgoing()
    for branches in groups.values():
        if len(branches) == 1 and branches[0].steps is None:
            continue
        name = branches[0].layer.name
        new[name], delay = _joined(branches, graph)
        gone |= {branch.layer.name for branch in branches[1:]}
        first = branches[0]
        ends[name] = (Edge(first.src, name, delay), Edge(name, first.dst, 0, first.port))
    if not new:
        return graph
    delays = {n.name for n in graph.nodes if isinstance(n.op, Delay)}
    layers = gone | set(new)
    gone |= {name for name in delays if outgoing[name] and all(e.dst in layers for e in outgoing[name])}
    edges: list[Edge] = []
    for edge in graph.edges:
        if edge.src in new:
            edges += ends[edge.src]
        elif edge.dst not in new and edge.src not in gone and edge.dst not in gone:
            edges.append(edge)
    nodes = tuple(n for n in graph.replace_nodes(new).nodes if n.name not in gone)
    return replace_graph(graph, nodes=nodes, edges=tuple(edges))


def _branches(graph: Graph) -> Iterator[_Branch]:
    incoming, outgoing = graph.incoming(), graph.outgoing()
    for node in graph.nodes:
        if not isinstance(node.op, Linear) or node.op.bias is not None:
            continue
        if len(incoming[node.name]) != 1 or len(outgoing[node.name]) != 1:
            continue
        (before,), (after,) = incoming[node.name], outgoing[node.name]
        weight, delay = node.op.weight.values, before.delay + after.delay
        source = graph[before.src]
        if isinstance(source.op, Delay) and len(incoming[source.name]) == 1:
            (first,) = incoming[source.name]
            steps = np.broadcast_to(source.op.steps.data, source.op.shape)
            yield _Branch(
                first.src, after.dst, after.port, node, weight, delay + first.delay, steps, source.name
            )
        else:
            yield _Branch(before.src, after.dst, after.port, node, weight, delay, None, None)


def _joined(branches: list[_Branch], graph: Graph) -> tuple[Op, int]:
    """One operation for all branches, and the delay of the edge into it."""
    shared = {branch.delay for branch in branches}
    if len(shared) == 1 and all(branch.steps is None for branch in branches):
        return Linear(Tensor(sum((branch.weight for branch in branches), np.zeros(())))), shared.pop()
    parts: list[tuple[npt.NDArray[np.int64], ...]] = []
    weights: list[Reals] = []
    for branch in branches:
        post, pre = np.nonzero(branch.weight)
        steps = np.zeros(branch.weight.shape[1], np.int64) if branch.steps is None else branch.steps
        parts.append((pre, post, steps[pre] + branch.delay))
        weights.append(branch.weight[post, pre])
    pre, post, delay = (np.concatenate(column) for column in zip(*parts, strict=True))
    out_shape: Shape = (branches[0].weight.shape[0],)
    in_shape = output_shape(graph[branches[0].src].op)
    sparse = make_sparse(in_shape, out_shape, pre=pre, post=post, weight=np.concatenate(weights), delay=delay)
    return _less_delay(sparse)


def _with_shared_delays_on_edges(graph: Graph) -> Graph:
    reduced = {node.name: _less_delay(node.op) for node in graph.nodes if isinstance(node.op, Sparse)}
    edges = tuple(
        replace(edge, delay=edge.delay + reduced[edge.dst][1]) if edge.dst in reduced else edge
        for edge in graph.edges
    )
    new: dict[str, Op] = {name: op for name, (op, _) in reduced.items()}
    return replace_graph(graph.replace_nodes(new), edges=edges)


def _less_delay(op: Sparse) -> tuple[Sparse, int]:
    """The synapses less the delay that all have at least, and that delay."""
    shared = int(op.delay.data.min()) if op.delay.size else 0
    return (replace(op, delay=Tensor(op.delay.data - shared)) if shared else op), shared
