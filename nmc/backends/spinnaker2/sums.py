"""How wide sums are, proved from the weights: every neuron's least and largest input in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, error
from nmc.ir.connections import connections
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of, synapses
from nmc.ir.ops import Accumulator, Conv, Linear, LinearOp, Neuron, Op, SignalKind, Sparse
from nmc.ir.tensor import Array, FixedPoint
from nmc.ir.types import SPIKE_NUMBER

RING_BITS = 32
"""The widest sums of a ring."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest sum of each neuron of a population, over all that can come in within one step."""

    low: Array
    high: Array

    def span(self, neurons: Array) -> tuple[int, int]:
        """Of some neurons together."""
        return int(self.low[neurons].min(initial=0)), int(self.high[neurons].max(initial=0))


def bounds_of(graph: Graph) -> dict[str, Bounds]:
    """The bounds of every population; a partial sum, in whatever order, stays within them too."""
    signals = graph.signals()
    found = {
        node.name: Bounds(
            np.zeros(size_of(node.op.shape), np.int64), np.zeros(size_of(node.op.shape), np.int64)
        )
        for node in graph.nodes
        if isinstance(node.op, Neuron)
    }
    for link in connections(graph):
        if link.dst not in found:
            continue
        op = graph[link.name].op
        assert isinstance(op, LinearOp)
        positive, negative = totals(op)
        number = signals[link.src].number
        if number is None or signals[link.src].kind is SignalKind.SPIKE:
            number = SPIKE_NUMBER
        low = positive * number.lowest + negative * number.highest
        high = positive * number.highest + negative * number.lowest
        before = found[link.dst]
        found[link.dst] = Bounds(before.low + low, before.high + high)
    return found


def mantissas(op: LinearOp) -> Array:
    """Weights as whole numbers; those of a network in reals are whole already, in units of the weights."""
    data = op.weight.data
    return data.astype(np.int64) if op.weight.number is not None else np.rint(data).astype(np.int64)


def totals(op: LinearOp) -> tuple[Array, Array]:
    """The sum of positive and the sum of negative weights into each neuron."""
    if isinstance(op, Linear):
        weight = mantissas(op)
        return np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
    single, weight = as_synapses(op)
    size = size_of(single.out_shape)
    positive = np.bincount(single.post.data, np.maximum(weight, 0), size)
    negative = np.bincount(single.post.data, np.minimum(weight, 0), size)
    return positive.astype(np.int64), negative.astype(np.int64)


def as_synapses(op: LinearOp) -> tuple[Sparse, Array]:
    """The synapses one by one, and their weights as whole numbers."""
    if isinstance(op, Sparse):
        return op, mantissas(op)
    single = synapses(op)
    exponent = 0 if op.weight.number is None else op.weight.number.exponent
    return single, np.rint(np.ldexp(single.weight.values, -exponent)).astype(np.int64)


def prove_sums(graph: Graph) -> Graph:
    """The integer graph with sums of 32 bits that the actual weights cannot make overflow.

    Raises CompileError (NMC435) for each population for which that is not so.
    """
    found = bounds_of(graph)
    findings: list[Diagnostic] = []
    for name, bounds in found.items():
        low, high = int(bounds.low.min(initial=0)), int(bounds.high.max(initial=0))
        if max(high, -low - 1).bit_length() >= RING_BITS:
            message = f"inputs of `{name}` sum to {low} to {high}; a ring holds {RING_BITS} bits"
            advice = "use fewer weight or message bits, or scale graded inputs down"
            findings.append(error("NMC435", message, graph[name].loc, help=advice))
    if findings:
        raise CompileError(*findings)
    new: dict[str, Op] = {}
    for link in connections(graph):
        op = graph[link.name].op
        assert isinstance(op, LinearOp)
        if op.accumulator is not None:
            bits = _declared_bits(op, graph.signals()[link.src].number or SPIKE_NUMBER)
            number = FixedPoint(max(RING_BITS, bits), True, op.accumulator.number.exponent)
            accumulator = Accumulator(number, Rounding.FLOOR, Overflow.PROVED_ABSENT)
            new[link.name] = replace(op, accumulator=accumulator)
    return graph.replace_nodes(new)


def _declared_bits(op: LinearOp, number: FixedPoint) -> int:
    """What the laws ask of an accumulator: of a convolution they see a channel without borders, of lists all delays."""
    if not isinstance(op, Conv):
        return RING_BITS
    weight = mantissas(op).reshape(op.weight.shape[0], -1)
    reach = int(np.abs(weight).sum(axis=1).max(initial=0)) * max(number.highest, -number.lowest)
    return reach.bit_length() + 1
