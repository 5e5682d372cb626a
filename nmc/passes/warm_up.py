"""Populations that run late start earlier, so that they are in their initial state when their first input comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, error
from nmc.ir.fixed import align, fit
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Arithmetic, decay_integer, exceeds
from nmc.ir.ops import Neuron, Op
from nmc.ir.tensor import FixedPoint, Tensor

Integers = npt.NDArray[np.int64]

SEARCH = 8
"""Mantissas on either side of the real-valued guess that are tried; decays are monotone, so rounding moves
the preimage by a few."""


def warm_up(graph: Graph, late: Mapping[str, int]) -> Graph:
    """Initial states from which `late` steps without input lead to the model's, bias included, without a
    spike.

    Only integer populations with a bias or an initial state need it; a population without a leak or with one
    has exactly such a state, which is found backwards step by step and checked forwards. Raises CompileError
    (NMC253) where there is none in range, or where the neuron would spike on the way.
    """
    new: dict[str, Op] = {}
    findings: list[Diagnostic] = []
    for node in graph.nodes:
        steps = late.get(node.name, 0)
        if steps and isinstance(node.op, Neuron) and _moves(node.op):
            found = _earlier(node, node.op, steps)
            if isinstance(found, Neuron):
                new[node.name] = found
            else:
                findings.append(found)
    if findings:
        raise CompileError(*findings)
    return graph.replace_nodes(new)


def _moves(op: Neuron) -> bool:
    current = op.synapse is not None and op.synapse.initial.data.any()
    return bool(op.membrane.bias is not None or op.membrane.initial.data.any() or current)


def _earlier(node: Node, op: Neuron, steps: int) -> Neuron | Diagnostic:
    a = op.arithmetic
    if a is None:
        return _impossible(node, steps, "in reals a state cannot be found exactly")
    v = _broadcast(op.membrane.initial, op)
    bias = np.zeros_like(v) if op.membrane.bias is None else _broadcast(op.membrane.bias, op)
    decay = None if op.membrane.decay is None else _broadcast(op.membrane.decay, op, aligned=False)
    currents = _currents_before(op, a, steps)
    if currents is None:
        return _impossible(node, steps, "its synaptic current has no earlier value")
    target, at_start = v.copy(), v.copy()
    for step in range(steps):
        drive = bias + currents[step]
        before = _preimages(target - drive, decay, a)
        if before is None:
            return _impossible(node, steps, "its bias has decayed out of range")
        at_start = target = before
    forward, first_i = at_start.copy(), currents[-1]
    for step in reversed(range(steps)):
        forward = _step(forward, bias + currents[step], decay, a)
        if op.membrane.minimum is not None and np.any(forward < _broadcast(op.membrane.minimum, op)):
            return _impossible(node, steps, "its lower bound keeps it from going back that far")
        if op.fire is not None and _spikes(forward, op):
            return _impossible(node, steps, "it would spike before its first input")
    if not np.array_equal(forward, v) or np.abs(at_start).max() >= 1 << (a.v_bits - 1):
        return _impossible(node, steps, "its bias has decayed out of range")
    synapse = op.synapse
    if synapse is not None and synapse.initial.data.any():
        start = _preimages(first_i, _broadcast(synapse.decay, op, aligned=False), a)
        assert start is not None  # `_currents_before` found it
        synapse = replace(synapse, initial=_state(start, a.i_bits, op))
    membrane = replace(op.membrane, initial=_state(at_start, a.v_bits, op))
    return replace(op, synapse=synapse, membrane=membrane)


def _currents_before(op: Neuron, a: Arithmetic, steps: int) -> list[Integers] | None:
    """The synaptic current that each step backwards adds: the initial one first."""
    if op.synapse is None:
        return [np.zeros(_size(op), np.int64)] * steps
    current = _broadcast(op.synapse.initial, op)
    decay = _broadcast(op.synapse.decay, op, aligned=False)
    if not current.any():
        return [current] * steps
    found: list[Integers] = []
    for _ in range(steps):
        found.append(current)
        before = _preimages(current, decay, a)
        if before is None:
            return None
        current = before
    return found


def _preimages(wanted: Integers, decay: Integers | None, a: Arithmetic) -> Integers | None:
    """For each neuron a mantissa that decays to `wanted`, the one nearest to zero; None if one has none."""
    if decay is None or a.leak_after:
        return wanted if decay is None else None
    before = np.zeros_like(wanted)
    for k, (value, mantissa) in enumerate(zip(wanted.tolist(), decay.tolist(), strict=True)):
        found = _preimage(value, mantissa, a)
        if found is None:
            return None
        before[k] = found
    return before


def _preimage(value: int, mantissa: int, a: Arithmetic) -> int | None:
    if mantissa == 0:
        return 0 if value == 0 else None
    guess = (value << a.decay_bits) // mantissa
    width = SEARCH + (1 << a.decay_bits) // mantissa
    for distance in range(width):
        for candidate in (guess - distance, guess + distance):
            if decay_integer(candidate, mantissa, a.decay_bits, a.decay_form, a.rounding) == value:
                return candidate
    return None


def _step(v: Integers, drive: Integers, decay: Integers | None, a: Arithmetic) -> Integers:
    mantissas = [1 << a.decay_bits] * len(v) if decay is None else decay.tolist()
    stepped = [
        fit(decay_integer(x, m, a.decay_bits, a.decay_form, a.rounding) + d, a.v_bits, a.v_overflow)
        for x, d, m in zip(v.tolist(), drive.tolist(), mantissas, strict=True)
    ]
    return np.array(stepped, np.int64)


def _spikes(v: Integers, op: Neuron) -> bool:
    assert op.fire is not None
    threshold = _broadcast(op.fire.threshold, op)
    pairs = zip(v.tolist(), threshold.tolist(), strict=True)
    return any(exceeds(x, limit, op.fire.comparison) for x, limit in pairs)


def _broadcast(tensor: Tensor, op: Neuron, *, aligned: bool = True) -> Integers:
    """One mantissa a neuron, in state units unless it is a decay."""
    number = tensor.number
    assert number is not None
    flat = np.broadcast_to(tensor.data, op.shape).ravel().astype(np.int64)
    if not aligned:
        return flat
    return np.array([align(x, number.exponent - op.exponent, 0) for x in flat.tolist()], np.int64)


def _state(values: Integers, bits: int, op: Neuron) -> Tensor:
    return Tensor(values.reshape(op.shape), FixedPoint(bits, True, op.exponent))


def _size(op: Neuron) -> int:
    return int(np.prod(op.shape, dtype=np.int64))


def _impossible(node: Node, steps: int, why: str) -> Diagnostic:
    return error(
        "NMC253",
        f"`{node.name}` starts {steps} steps before its first input, and {why}",
        node.loc,
        help="`--set bias=source` sends biases as spikes of a constant neuron",
    )
