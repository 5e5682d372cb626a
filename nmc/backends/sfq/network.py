"""What a netlist has to do: neurons with weights over sources, and outputs, each neuron one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.backends.sfq.counters import Rule
from nmc.ir.connections import connections
from nmc.ir.graph import Graph, Node
from nmc.ir.linear import make_sparse, size_of, synapses
from nmc.ir.neuron import Comparison
from nmc.ir.ops import Input, LinearOp, Neuron, output_shape
from nmc.ir.tensor import Array, Tensor


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Element `element` of an input or a population, `delay` steps ago."""

    node: str
    element: int
    delay: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A population: of each neuron its rule, its sources and its weights over them, in state units."""

    name: str
    rules: tuple[Rule, ...]
    sources: tuple[tuple[Source, ...], ...]
    weights: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Inputs by name and size; populations such that sources without delay come first; outputs as sources."""

    inputs: tuple[tuple[str, int], ...]
    clusters: tuple[Cluster, ...]
    outputs: tuple[tuple[str, tuple[Source, ...]], ...]


def network_of(graph: Graph) -> Network:
    """The network of a quantized graph whose delays are lowered."""
    order = graph.order()
    incoming = graph.incoming()
    outputs: list[tuple[str, tuple[Source, ...]]] = []
    for node in graph.outputs:
        (edge,) = incoming[node.name]
        size = size_of(output_shape(node.op))
        outputs.append((node.name, tuple(Source(edge.src, k, edge.delay) for k in range(size))))
    neurons = [graph[name] for name in order if isinstance(graph[name].op, Neuron)]
    return Network(
        tuple(
            (node.name, size_of(output_shape(node.op))) for node in graph.nodes if isinstance(node.op, Input)
        ),
        tuple(_cluster(graph, node) for node in neurons),
        tuple(outputs),
    )


def _cluster(graph: Graph, node: Node) -> Cluster:
    op = node.op
    assert isinstance(op, Neuron) and op.fire is not None
    size = size_of(op.shape)
    shift: list[int] = []
    parts: list[tuple[str, int, Array, Array, Array]] = []
    for link in connections(graph):
        connection = graph[link.name].op
        if link.dst != node.name or not isinstance(connection, LinearOp):
            continue
        assert connection.weight.number is not None
        shift.append(connection.weight.number.exponent - op.exponent)
        single = synapses(connection)
        mantissa = np.rint(np.ldexp(single.weight.values, -op.exponent)).astype(np.int64)
        for delay in np.unique(single.delay.data).tolist():
            at = single.delay.data == delay
            parts.append(
                (link.src, link.delay + delay, single.pre.data[at], single.post.data[at], mantissa[at])
            )
    sources: list[list[Source]] = [[] for _ in range(size)]
    weights: list[list[int]] = [[] for _ in range(size)]
    merged: dict[tuple[str, int], list[tuple[Array, Array, Array]]] = {}
    for src, delay, pre, post, weight in parts:
        merged.setdefault((src, delay), []).append((pre, post, weight))
    for (src, delay), several in sorted(merged.items()):
        shape = (size_of(output_shape(graph[src].op)),)
        pre, post, weight = (np.concatenate([each[k] for each in several]) for k in range(3))
        sparse = make_sparse(shape, (size,), pre=pre, post=post, weight=weight, delay=np.zeros_like(pre))
        made: dict[int, Source] = {}
        for j, i, w in zip(
            sparse.pre.data.tolist(), sparse.post.data.tolist(), sparse.weight.data.tolist(), strict=True
        ):
            if j not in made:
                made[j] = Source(src, j, delay)
            sources[i].append(made[j])
            weights[i].append(int(w))
    return Cluster(
        node.name,
        _rules(op, size),
        tuple(tuple(each) for each in sources),
        tuple(np.array(each, np.int64) for each in weights),
    )


def _rules(op: Neuron, size: int) -> tuple[Rule, ...]:
    fire = op.fire
    assert fire is not None
    above = int(fire.comparison is Comparison.ABOVE)
    thresholds = _each(fire.threshold, op, size) + above
    biases = np.zeros(size, np.int64) if op.membrane.bias is None else _each(op.membrane.bias, op, size)
    initial = _each(op.membrane.initial, op, size)
    return tuple(
        Rule(t, t - above, b, v, fire.reset, op.membrane.decay is None)
        for t, b, v in zip(thresholds.tolist(), biases.tolist(), initial.tolist(), strict=True)
    )


def _each(tensor: Tensor, op: Neuron, size: int) -> Array:
    """Mantissas in units of the state, one a neuron."""
    assert tensor.number is not None
    units = tensor.data.astype(np.int64) << (tensor.number.exponent - op.exponent)
    return np.broadcast_to(units, op.shape).reshape(size)
