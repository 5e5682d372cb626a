"""Slow motion: every step of the model becomes several, so that loops that are too fast for a target have time.

All delays grow by the factor, and populations take a step only where a step of the model is. Nothing else changes:
after `factor * t` steps every population is where the model's is after t.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.connections import connections
from nmc.ir.graph import Graph, replace_graph
from nmc.ir.neuron import Comparison, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Clock, Elementwise, Neuron, Op, SignalKind, Sparse, Threshold
from nmc.ir.tensor import Tensor


def stretch(graph: Graph, *, factor: int) -> Graph:
    """The canonical graph with `factor` steps for each step of the model; a factor of 1 changes nothing.

    A population that nothing moves between its inputs (no leak, no bias, a reset that leaves it below its threshold)
    needs no clock, if all it receives are spikes. Raises CompileError (NMC255) for a population that is none of the
    known families: it has no clock.
    """
    if factor == 1:
        return graph
    findings: list[Diagnostic] = []
    new: dict[str, Op] = {}
    graded = _receives_values(graph)
    for node in graph.nodes:
        match op := node.op:
            case Neuron() if node.name in graded or not rests(op):
                new[node.name] = replace(op, clock=Clock(factor, 0))
            case Sparse():
                new[node.name] = replace(op, delay=Tensor(op.delay.data * factor))
            case Elementwise() | Threshold():
                message = f"`{node.name}` is outside the known families and takes every step"
                findings.append(error("NMC255", message, node.loc, help="compile without `--stretch`"))
            case _:
                pass
    if findings:
        raise CompileError(*findings)
    clocked = sum(isinstance(op, Neuron) for op in new.values())
    message = f"a step of the model is {factor} steps here; {clocked} populations wait in between"
    edges = tuple(replace(edge, delay=edge.delay * factor) for edge in graph.edges)
    notes = (*graph.notes, note("NMC256", message, graph.nodes[0].loc))
    return replace_graph(graph.replace_nodes(new), edges=edges, notes=notes, stretch=graph.stretch * factor)


def rests(op: Neuron) -> bool:
    """Whether a step without input leaves the neuron as it is, without a spike, from its initial state on."""
    membrane, fire = op.membrane, op.fire
    still = (
        op.synapse is None
        and (membrane.decay is None or bool((membrane.decay.data == 1).all()))
        and (membrane.bias is None or not membrane.bias.data.any())
        and (membrane.minimum is None or bool(np.all(membrane.minimum.values <= membrane.initial.values)))
    )
    if fire is None or not still:
        return still
    threshold = fire.threshold.values

    def below(v: np.ndarray) -> bool:
        return bool(np.all(v < threshold if fire.comparison is Comparison.AT_LEAST else v <= threshold))

    return (
        fire.spike_from is SpikeFrom.NEW
        and fire.reset is Reset.TO_VALUE
        and fire.when is ResetWhen.SAME_STEP
        and not fire.refractory.data.any()
        and below(fire.value.values)
        and below(membrane.initial.values)
    )


def _receives_values(graph: Graph) -> set[str]:
    """The populations that something reaches which is no spike, and which therefore may arrive at any step."""
    signals = graph.signals()
    return {link.dst for link in connections(graph) if signals[link.src].kind is not SignalKind.SPIKE}
