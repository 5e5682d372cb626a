"""A population of neurons as a stage: the kernel of its rule, and its parameters in the form that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmc.ir.fixed import Overflow
from nmc.ir.neuron import Arithmetic, DecayForm, Reset
from nmc.ir.ops import Fire, Neuron
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.sim import layout, neurons
from nmc.sim.compiled import Kernel
from nmc.sim.streams import Array, Kept, State, Stream, Total, Unused, View

WHOLE = np.dtype(np.int64)
"""What integer parameters are computed with."""


def update(
    name: str, op: Neuron, source: View, out: Stream, dtype: np.dtype[Any]
) -> tuple[Kernel | object, ...]:
    """The kernel that updates a population, and its arguments; in integers, or in reals of `dtype`."""
    if op.arithmetic is None:
        return _real(name, op, source, out, dtype)
    return _integer(name, op, op.arithmetic, source, out)


def alignment(number: FixedPoint, exponent: int) -> tuple[int, int]:
    """Shifts to the left and to the right that take mantissas of `number` to 2**exponent; one of them is 0."""
    shift = number.exponent - exponent
    assert number.bits + max(shift, 0) <= 63, "`verify` refuses graphs whose sums need more"
    return max(shift, 0), max(-shift, 0)


def _real(
    name: str, op: Neuron, source: View, out: Stream, dtype: np.dtype[Any]
) -> tuple[Kernel | object, ...]:
    synapse, membrane, fire = op.synapse, op.membrane, op.fire

    def values(tensor: Tensor | None, default: float) -> Array:
        given = np.float64(default) if tensor is None else tensor.values
        return layout.inner(np.broadcast_to(given, op.shape), dtype)

    table = [
        values(membrane.decay, 1),
        values(membrane.gain, 1),
        values(synapse.decay if synapse else None, 1),
        values(synapse.gain if synapse else None, 1),
        values(fire.threshold if fire else None, 0),
        values(fire.value if fire else None, 0),
        values(membrane.minimum, 0),
    ]
    period = _period(op, fire)
    each = not all(_uniform(row) for row in (*table, period))
    states = _states(op, values(membrane.initial, 0), values(synapse.initial if synapse else None, 0))
    return (
        neurons.real_kernel(_rule(op, each=each)),
        source,
        *states,
        values(membrane.bias, 0) if membrane.bias is not None else np.zeros(0, dtype),
        _shared(table, each=each),
        period if each else period[:1],
        *_written(out, dtype),
        *_recorded(name, states),
    )


def _integer(
    name: str, op: Neuron, arithmetic: Arithmetic, source: View, out: Stream
) -> tuple[Kernel | object, ...]:
    synapse, membrane, fire = op.synapse, op.membrane, op.fire
    assert source.stream.number is not None

    def aligned(tensor: Tensor | None) -> Array:
        return layout.inner(np.broadcast_to(_mantissas(tensor, op.exponent), op.shape), WHOLE)

    def decay(tensor: Tensor | None) -> Array:
        given = np.int64(1) << np.int64(arithmetic.decay_bits) if tensor is None else tensor.data
        return layout.inner(np.broadcast_to(given, op.shape), WHOLE)

    table = [
        decay(membrane.decay),
        decay(synapse.decay if synapse else None),
        aligned(fire.threshold if fire else None),
        aligned(fire.value if fire else None),
        aligned(membrane.minimum),
        _period(op, fire),
    ]
    each = not all(_uniform(row) for row in table)
    # Sums of shifts run on vectors only if the code knows which shifts; a product does not care.
    known = not each and arithmetic.decay_form is DecayForm.SHIFTS
    mantissas = (int(table[0][0]), int(table[1][0])) if known else (-1, -1)
    v = aligned(membrane.initial).astype(_register(arithmetic.v_bits, arithmetic.v_overflow))
    i = aligned(synapse.initial if synapse else None).astype(
        _register(arithmetic.i_bits, arithmetic.i_overflow)
    )
    states = _states(op, v, i)
    return (
        neurons.integer_kernel(_rule(op, each=each, mantissas=mantissas)),
        source,
        *alignment(source.stream.number, op.exponent),
        *states,
        _narrow(aligned(membrane.bias)) if membrane.bias is not None else np.zeros(0, np.int32),
        _shared(table, each=each),
        arithmetic.v_bits,
        arithmetic.i_bits,
        *_written(out, WHOLE),
        *_recorded(name, states),
    )


def _rule(op: Neuron, *, each: bool, mantissas: tuple[int, int] = (-1, -1)) -> neurons.Rule:
    fire, arithmetic = op.fire, op.arithmetic
    emits = neurons.Emits.MEMBRANE
    if fire is not None:
        multi = fire.reset is Reset.MULTI_SPIKE
        emits = neurons.Emits.COUNTS if multi else neurons.Emits.SPIKES
    return neurons.Rule(
        emits=int(emits),
        synapse=op.synapse is not None,
        biased=op.membrane.bias is not None,
        refractory=_rests(fire),
        each=each,
        current_used=int(op.synapse.used) if op.synapse else 0,
        comparison=int(fire.comparison) if fire else 0,
        spike_from=int(fire.spike_from) if fire else 0,
        reset=int(fire.reset) if fire else 0,
        when=int(fire.when) if fire else 0,
        clamped=op.membrane.minimum is not None,
        decay_bits=arithmetic.decay_bits if arithmetic else 0,
        decay_form=int(arithmetic.decay_form) if arithmetic else 0,
        mantissa=mantissas[0],
        synapse_mantissa=mantissas[1],
        rounding=int(arithmetic.rounding) if arithmetic else 0,
        v_overflow=int(arithmetic.v_overflow) if arithmetic else 0,
        i_overflow=int(arithmetic.i_overflow) if arithmetic else 0,
        leak_after=arithmetic.leak_after if arithmetic else False,
        every=op.clock.every if op.clock else 1,
        phase=op.clock.phase if op.clock else 0,
    )


def _rests(fire: Fire | None) -> bool:
    """Whether any neuron has a refractory period."""
    return fire is not None and bool(fire.refractory.data.any())


def _period(op: Neuron, fire: Fire | None) -> Array:
    """The refractory period of each neuron."""
    return layout.inner(np.broadcast_to(fire.refractory.data if fire else 0, op.shape), WHOLE)


def _states(op: Neuron, v: Array, i: Array) -> tuple[State, State, State]:
    """v, i and the refractory steps that are left; empty where the neuron has none."""
    wait = np.zeros(v.shape[0] if _rests(op.fire) else 0, np.int32)
    return State(v), State(i if op.synapse is not None else i[:0]), State(wait)


def _written(out: Stream, dtype: np.dtype[Any]) -> tuple[object, object]:
    """The rings of events and of values, of which the population writes one."""
    return (out, Unused(dtype)) if out.dtype is None else (Unused(None), out)


def _recorded(name: str, states: tuple[State, State, State]) -> tuple[object, ...]:
    """Where v and i are recorded, and spikes counted."""
    v, i, _ = (state.initial for state in states)
    return Kept(f"{name}.v", v.shape[0], v.dtype), Kept(f"{name}.i", i.shape[0], i.dtype), Total(name)


def _uniform(row: Array) -> bool:
    return bool((row == row[:1]).all())


def _shared(table: list[Array], *, each: bool) -> Array:
    """Parameters as rows; one column if all neurons share them."""
    return np.array(table if each else [row[:1] for row in table])


def _mantissas(tensor: Tensor | None, exponent: int) -> Array:
    """A parameter in units of 2**exponent, 0 if there is none; its own exponent is not below."""
    if tensor is None:
        return np.zeros((), np.int64)
    assert tensor.number is not None, "a parameter of an integer neuron has a number"
    return tensor.data.astype(np.int64) << (tensor.number.exponent - exponent)


def _narrow(values: Array) -> Array:
    """int32 if that holds all values, to read half as much."""
    fits = int(values.min(initial=0)) >= -(1 << 31) and int(values.max(initial=0)) < 1 << 31
    return values.astype(np.int32) if fits else values


def _register(bits: int, overflow: Overflow) -> np.dtype[Any]:
    """int32 where the register cannot hold more; one fold does not bound what it folds."""
    return np.dtype(np.int32 if bits <= 32 and overflow is not Overflow.WRAP_ONCE else np.int64)
