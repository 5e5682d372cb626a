"""Neurons in their simplest equivalent form: no gains, reset to zero, spike and current of the new state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmc.diagnostics import Diagnostic, note
from nmc.ir.graph import Graph, Node, replace_graph
from nmc.ir.linear import Reals, scale_rows
from nmc.ir.neuron import CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Conv, Fire, Linear, Neuron, Op, Sparse
from nmc.ir.tensor import Tensor


def normalize(graph: Graph) -> Graph:
    """Rewrite every population so that its spikes stay the same and hardware finds what it has.

    Needs connections that serve one population each (`connect`). The rewritings, each exact in reals:
    - gains go into the incoming weights; the synaptic current is then in units of the membrane;
    - a reset to a value r becomes a reset to zero of v - r; threshold, bias, clamp, initial state move along;
    - a reset that waits for the next step and acts before the leak happens in the same step;
    - a membrane driven by the current of the step before becomes inputs one step later;
    - a spike from the membrane of the step before becomes an output one step later.
    Membranes are therefore not those of the model where the second to fourth rule applies: a note says where.
    """
    factors: dict[str, Reals] = {}
    later_in: set[str] = set()
    later_out: set[str] = set()
    notes: list[Diagnostic] = []
    new: dict[str, Op] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Neuron):
            continue
        op, factor = _without_gain(node.op)
        if factor is not None:
            factors[node.name] = factor
        changed = _to_zero(op)
        changed = _same_step(changed)
        if _uses_old_current(changed):
            later_in.add(node.name)
            changed = _with_new_current(changed)
        if changed.fire is not None and _late_output(changed):
            later_out.add(node.name)
            changed = replace(changed, fire=replace(changed.fire, spike_from=SpikeFrom.NEW))
        if changed is not op:
            message = f"`{node.name}` keeps the model's spikes, its states are in other coordinates"
            notes.append(note("NMC163", message, node.loc))
        new[node.name] = changed
    for edge in graph.edges:
        source = graph[edge.src].op
        if edge.dst in factors and isinstance(source, Linear | Sparse | Conv):
            new[edge.src] = scale_rows(source, factors[edge.dst])
    edges = tuple(
        replace(edge, delay=edge.delay + (edge.dst in later_in) + (edge.src in later_out))
        for edge in graph.edges
    )
    nodes = tuple(Node(node.name, new.get(node.name, node.op), node.loc) for node in graph.nodes)
    return replace_graph(graph, nodes=nodes, edges=edges, notes=graph.notes + tuple(notes))


def _without_gain(op: Neuron) -> tuple[Neuron, Reals | None]:
    """The neuron without gains, and the factor that its incoming weights get, or None."""
    outer = None if op.membrane.gain is None else op.membrane.gain.values
    inner = None if op.synapse is None or op.synapse.gain is None else op.synapse.gain.values
    if outer is None and inner is None:
        return op, None
    factor = np.asarray((1.0 if outer is None else outer) * (1.0 if inner is None else inner))
    synapse = op.synapse
    if synapse is not None:
        initial = synapse.initial.values * (1.0 if outer is None else outer)
        synapse = replace(synapse, gain=None, initial=Tensor(initial))
    return replace(op, synapse=synapse, membrane=replace(op.membrane, gain=None)), factor


def _to_zero(op: Neuron) -> Neuron:
    """v - r for v, so that a reset to r is one to zero."""
    fire, membrane = op.fire, op.membrane
    if fire is None or fire.reset is not Reset.TO_VALUE or not fire.value.data.any():
        return op
    r = fire.value.values
    decay = 1.0 if membrane.decay is None else membrane.decay.values
    own = 0.0 if membrane.bias is None else membrane.bias.values
    moved = np.asarray(own + (decay - 1.0) * r)
    minimum = None if membrane.minimum is None else Tensor(membrane.minimum.values - r)
    membrane = replace(
        membrane,
        bias=Tensor(moved) if moved.any() else None,
        minimum=minimum,
        initial=Tensor(membrane.initial.values - r),
    )
    return replace(
        op,
        membrane=membrane,
        fire=replace(fire, threshold=Tensor(fire.threshold.values - r), value=Tensor(np.zeros_like(r))),
    )


def _same_step(op: Neuron) -> Neuron:
    """A reset before the next leak is a reset after this spike."""
    fire = op.fire
    waits = (
        fire is not None
        and fire.when is ResetWhen.NEXT_BEFORE_LEAK
        and fire.spike_from is SpikeFrom.NEW
        and fire.reset in {Reset.TO_VALUE, Reset.SUBTRACT}
        and _starts_below(op, fire)
    )
    return replace(op, fire=replace(fire, when=ResetWhen.SAME_STEP)) if fire is not None and waits else op


def _starts_below(op: Neuron, fire: Fire) -> bool:
    """Whether the initial membrane is under the threshold, so that nothing resets in step 0."""
    return bool(np.all(op.membrane.initial.values < fire.threshold.values))


def _uses_old_current(op: Neuron) -> bool:
    synapse = op.synapse
    return synapse is not None and synapse.used is CurrentUsed.OLD and not synapse.initial.data.any()


def _with_new_current(op: Neuron) -> Neuron:
    assert op.synapse is not None
    return replace(op, synapse=replace(op.synapse, used=CurrentUsed.NEW))


def _late_output(op: Neuron) -> bool:
    """Whether the spike is from the old membrane, and its reset is pending in the same step."""
    fire = op.fire
    return (
        fire is not None
        and fire.spike_from is SpikeFrom.OLD
        and fire.when is not ResetWhen.SAME_STEP
        and fire.when is not ResetWhen.SAME_STEP_ONCE
        and _starts_below(op, fire)
    )
