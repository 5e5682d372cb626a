"""Networks whose neurons stay in single precision: weights become whole numbers, all else is scaled along with them.

So does py-spinnaker2 program the chip: int8 weights, and states, thresholds and biases as floats in units of a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nmc.backends.spinnaker2.sums import bounds_of
from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.ops import (
    Conv,
    Fire,
    Input,
    Linear,
    LinearOp,
    Membrane,
    Neuron,
    Op,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
)
from nmc.ir.tensor import Array, Tensor

EXACT = 1 << 24
"""Whole numbers up to here are exact in single precision (IEEE 754), sums of them in any order too."""

WHOLE = 1e-6
"""How far from a whole number a weight may be that was one before it was divided by a scale."""


def to_floats(graph: Graph, *, weight_bits: int, calibration: Mapping[str, Array]) -> Graph:
    """The canonical graph with every population in units of its weights, which are rounded half to even.

    One scale serves all weights of a population: the largest becomes 2**(weight_bits - 1) - 1. Weights that are on
    that grid already, as the preset `py-spinnaker2` leaves them, keep their values. Parameters are single precision.
    Raises CompileError (NMC439) for what needs integers: graded signals, sums beyond 24 bits.
    """
    new: dict[str, Op] = {}
    notes: list[Diagnostic] = []
    findings: list[Diagnostic] = []
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        data = calibration.get(node.name)
        if node.op.signal.kind is SignalKind.GRADED or (data is not None and not np.isin(data, (0, 1)).all()):
            message = f"input `{node.name}` is not spikes, and neurons in single precision take only spikes"
            findings.append(error("NMC439", message, node.loc, help="use `--set arithmetic=integer`"))
        elif node.op.signal.kind is SignalKind.REAL:
            notes.append(note("NMC202", f"input `{node.name}` is taken to be spikes (0 or 1)", node.loc))
        new[node.name] = Input(Signal(node.op.signal.shape, SignalKind.SPIKE))
    links = connections(graph)
    for node in graph.nodes:
        if isinstance(node.op, Neuron):
            into = [link for link in links if link.dst == node.name]
            findings += _values(graph, into)
            scale = _scale(graph, into, weight_bits)
            new[node.name] = _neuron(node.op, scale)
            for link in into:
                op = graph[link.name].op
                assert isinstance(op, LinearOp)
                whole = np.rint(op.weight.values * scale)
                off = float(np.abs(whole / scale - op.weight.values).max(initial=0))
                new[link.name] = replace(op, weight=Tensor(whole))
                message = f"weights of `{link.name}` are whole multiples of {1 / scale:.6g}, off by {off:.3g} at most"
                notes.append(note("NMC440", message, graph[link.name].loc))
    if findings:
        raise CompileError(*findings)
    made = graph.replace_nodes(new)
    for name, bounds in bounds_of(made).items():
        reach = max(int(bounds.high.max(initial=0)), -int(bounds.low.min(initial=0)))
        if reach > EXACT:
            message = f"inputs of `{name}` sum to {reach}, which single precision does not hold exactly"
            findings.append(error("NMC439", message, graph[name].loc, help="use `--set arithmetic=integer`"))
    if findings:
        raise CompileError(*findings)
    return made.with_notes(notes)


def _values(graph: Graph, into: list[Connection]) -> list[Diagnostic]:
    """Populations without a threshold that lead on: their values have no whole numbers."""
    found: list[Diagnostic] = []
    for link in into:
        op = graph[link.src].op
        if isinstance(op, Neuron) and op.fire is None:
            message = f"`{link.src}` gives values to `{link.dst}`, and in single precision only spikes travel"
            found.append(error("NMC439", message, graph[link.src].loc, help="use `--set arithmetic=integer`"))
    return found


def _scale(graph: Graph, into: list[Connection], weight_bits: int) -> float:
    """Units of a weight in one. If all weights are whole multiples of something, that; else what makes the largest one
    the largest whole number."""
    ops = [op for link in into if isinstance(op := graph[link.name].op, Linear | Sparse | Conv)]
    weights = np.concatenate([np.abs(op.weight.values).ravel() for op in ops]) if ops else np.zeros(0)
    largest = float(weights.max(initial=0))
    top = (1 << (weight_bits - 1)) - 1
    if largest == 0:
        return 1.0
    for steps in range(top, 0, -1):
        scaled = weights * (steps / largest)
        if np.abs(np.rint(scaled) - scaled).max() < WHOLE:
            return steps / largest
    return top / largest


def _neuron(op: Neuron, scale: float) -> Neuron:
    def scaled(tensor: Tensor) -> Tensor:
        return Tensor((tensor.values * scale).astype(np.float32))

    def single(tensor: Tensor) -> Tensor:
        return Tensor(tensor.values.astype(np.float32))

    membrane, synapse, fire = op.membrane, op.synapse, op.fire
    assert membrane.gain is None and (synapse is None or synapse.gain is None), "`normalize` leaves no gains"
    return replace(
        op,
        membrane=Membrane(
            None if membrane.decay is None else single(membrane.decay),
            None,
            None if membrane.bias is None else scaled(membrane.bias),
            None if membrane.minimum is None else scaled(membrane.minimum),
            scaled(membrane.initial),
        ),
        synapse=None
        if synapse is None
        else Synapse(single(synapse.decay), None, synapse.used, scaled(synapse.initial)),
        fire=None if fire is None else _fire(fire, scale),
    )


def _fire(fire: Fire, scale: float) -> Fire:
    threshold = Tensor((fire.threshold.values * scale).astype(np.float32))
    return replace(fire, threshold=threshold, value=Tensor((fire.value.values * scale).astype(np.float32)))
