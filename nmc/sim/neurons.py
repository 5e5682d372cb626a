# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Kernels that update neurons: the rules of `nmc.ir.neuron`, compiled once for each kind of neuron.

A kernel closes over the integers of a rule (which reset, which comparison, …), so that machine code has no
branch on them and runs on vectors. The arguments and rings are those of `kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np

from nmc.ir.fixed import shift_right
from nmc.ir.neuron import current_integer, current_real, exceeds, step_integer, step_real
from nmc.sim.compiled import RULES_DIGEST, Kernel, compiled, compiled_with_rules
from nmc.sim.events import compact
from nmc.sim.kernels import Array


class Emits(IntEnum):
    """What a population gives."""

    SPIKES = 0
    COUNTS = 1
    """The number of spikes, of multi-spike neurons."""
    MEMBRANE = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """What is fixed at compile time of a population in integers or reals. Members of enums stand as integers.

    `each`: parameters differ from neuron to neuron; else they are shared by all. `mantissa` is the decay where
    it is part of the code (sums of shifts shared by all), -1 elsewhere.
    """

    emits: int
    synapse: bool
    biased: bool
    refractory: bool
    each: bool
    current_used: int
    comparison: int
    spike_from: int
    reset: int
    when: int
    clamped: bool
    decay_bits: int = 0
    decay_form: int = 0
    mantissa: int = -1
    synapse_mantissa: int = -1
    rounding: int = 0
    v_overflow: int = 0
    i_overflow: int = 0
    leak_after: bool = False
    every: int = 1
    phase: int = 0


INTEGER_PARAMETERS = ("decay", "synapse_decay", "threshold", "value", "minimum", "period")
"""Rows of `p` of an integer kernel, in this order; each row is one number, or one a neuron."""

REAL_PARAMETERS = ("decay", "gain", "synapse_decay", "synapse_gain", "threshold", "value", "minimum")
"""Rows of `p` of a real kernel, in this order."""


@cache
def integer_kernel(rule: Rule) -> Kernel:
    """The update of a population in integers.

    Arguments: the input's rows and delay, its alignment 2**(left - right), states v, i and wait (samples, size),
    bias, parameters `p`, widths, the rings of spikes or values to write, recordings of v and i (steps, samples,
    size) or nothing, and the number of spikes so far.
    """
    DIGEST = RULES_DIGEST
    EMITS, SYNAPSE, BIASED = rule.emits, rule.synapse, rule.biased
    REFRACTORY, EACH, OLD_CURRENT = rule.refractory, rule.each, rule.current_used == 1
    COMPARISON, SPIKE_FROM, RESET, WHEN = rule.comparison, rule.spike_from, rule.reset, rule.when
    CLAMPED, LEAK_AFTER, ROUNDING = rule.clamped, rule.leak_after, rule.rounding
    DECAY_BITS, FORM = rule.decay_bits, rule.decay_form
    MANTISSA, I_MANTISSA = rule.mantissa, rule.synapse_mantissa
    V_OVERFLOW, I_OVERFLOW = rule.v_overflow, rule.i_overflow
    EVERY, PHASE = rule.every, rule.phase

    def update(
        source: Array, delay: int, left: int, right: int, v: Array, i: Array, wait: Array, bias: Array, p: Array,
        v_bits: int, i_bits: int, count: Array, index: Array, values: Array, keep_v: Array, keep_i: Array,
        total: Array, first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = DIGEST
        size, slots = v.shape[1], source.shape[1]
        mark = np.zeros(size, np.uint8)
        decays, i_decays, thresholds, resets, minima, periods = p[0], p[1], p[2], p[3], p[4], p[5]
        # Read here, they are constants of the loop over neurons; of an array the compiler cannot know that.
        decay0, i_decay0, threshold0, reset0, minimum0, period0 = (
            p[0, 0], p[1, 0], p[2, 0], p[3, 0], p[4, 0], p[5, 0]
        )  # fmt: skip
        for b in range(samples):
            vs, cs, ws = v[b], i[b], wait[b]
            for t in range(t0, t1):
                x, out = source[b, (t - delay) % slots], values[b, t % values.shape[1]]
                if EVERY > 1 and t % EVERY != PHASE:
                    mark[:] = 0
                    if EMITS == 1:
                        out[:] = 0
                    elif EMITS == 2:
                        out[:] = vs
                for j in range(size if EVERY == 1 or t % EVERY == PHASE else 0):
                    drive = shift_right(x[j] << left, right, ROUNDING)
                    if SYNAPSE:
                        old = cs[j]
                        decay = I_MANTISSA if I_MANTISSA >= 0 else i_decays[j] if EACH else i_decay0
                        new = current_integer(
                            old, drive, decay, DECAY_BITS, FORM, ROUNDING, i_bits, I_OVERFLOW
                        )
                        cs[j] = new
                        drive = old if OLD_CURRENT else new
                    if BIASED:
                        drive += bias[j]
                    state, rest, spikes = step_integer(
                        vs[j], ws[j] if REFRACTORY else 0, drive,
                        MANTISSA if MANTISSA >= 0 else decays[j] if EACH else decay0,
                        thresholds[j] if EACH else threshold0, resets[j] if EACH else reset0,
                        minima[j] if EACH else minimum0, periods[j] if EACH else period0,
                        DECAY_BITS, FORM, ROUNDING, v_bits, V_OVERFLOW, LEAK_AFTER,
                        COMPARISON, SPIKE_FROM, RESET, WHEN, CLAMPED,
                    )  # fmt: skip
                    vs[j] = state
                    if REFRACTORY:
                        ws[j] = rest
                    if EMITS == 0:
                        mark[j] = spikes
                    elif EMITS == 1:
                        out[j] = spikes
                    else:
                        out[j] = state
                if EMITS == 0:
                    s = t % count.shape[1]
                    count[b, s] = compact(mark, index[b, s])
                    total[0] += count[b, s]
                elif EMITS == 1:
                    total[0] += out.sum()
                if keep_v.shape[0] > 0:
                    keep_v[t, first + b, :] = vs
                if SYNAPSE and keep_i.shape[0] > 0:
                    keep_i[t, first + b, :] = cs

    return compiled(update)


@cache
def real_kernel(rule: Rule) -> Kernel:
    """The update of a population in reals, in the precision of its arrays; arguments as `integer_kernel`."""
    DIGEST = RULES_DIGEST
    EMITS, SYNAPSE, BIASED = rule.emits, rule.synapse, rule.biased
    REFRACTORY, EACH, OLD_CURRENT = rule.refractory, rule.each, rule.current_used == 1
    COMPARISON, SPIKE_FROM, RESET, WHEN = rule.comparison, rule.spike_from, rule.reset, rule.when
    CLAMPED = rule.clamped
    EVERY, PHASE = rule.every, rule.phase

    def update(
        source: Array, delay: int, v: Array, i: Array, wait: Array, bias: Array, p: Array, period: Array,
        count: Array, index: Array, values: Array, keep_v: Array, keep_i: Array, total: Array,
        first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = DIGEST
        number: Any = v.dtype.type
        zero = number(0)
        size, slots = v.shape[1], source.shape[1]
        mark = np.zeros(size, np.uint8)
        decays, gains, i_decays, i_gains = p[0], p[1], p[2], p[3]
        thresholds, resets, minima = p[4], p[5], p[6]
        decay0, gain0, i_decay0, i_gain0 = p[0, 0], p[1, 0], p[2, 0], p[3, 0]
        threshold0, reset0, minimum0, period0 = p[4, 0], p[5, 0], p[6, 0], period[0]
        for b in range(samples):
            vs, cs, ws = v[b], i[b], wait[b]
            for t in range(t0, t1):
                x, out = source[b, (t - delay) % slots], values[b, t % values.shape[1]]
                if EVERY > 1 and t % EVERY != PHASE:
                    mark[:] = 0
                    if EMITS == 1:
                        out[:] = 0
                    elif EMITS == 2:
                        out[:] = vs
                for j in range(size if EVERY == 1 or t % EVERY == PHASE else 0):
                    drive = x[j]
                    if SYNAPSE:
                        old = cs[j]
                        new = current_real(
                            old, drive, i_decays[j] if EACH else i_decay0, i_gains[j] if EACH else i_gain0
                        )
                        cs[j] = new
                        drive = old if OLD_CURRENT else new
                    state, rest, spikes = step_real(
                        vs[j], ws[j] if REFRACTORY else 0, drive,
                        decays[j] if EACH else decay0, gains[j] if EACH else gain0,
                        bias[j] if BIASED else zero,
                        thresholds[j] if EACH else threshold0, resets[j] if EACH else reset0,
                        minima[j] if EACH else minimum0, period[j] if EACH else period0,
                        COMPARISON, SPIKE_FROM, RESET, WHEN, CLAMPED, number,
                    )  # fmt: skip
                    vs[j] = state
                    if REFRACTORY:
                        ws[j] = rest
                    if EMITS == 0:
                        mark[j] = spikes
                    elif EMITS == 1:
                        out[j] = spikes
                    else:
                        out[j] = state
                if EMITS == 0:
                    s = t % count.shape[1]
                    count[b, s] = compact(mark, index[b, s])
                    total[0] += count[b, s]
                elif EMITS == 1:
                    for j in range(size):
                        total[0] += int(out[j])
                if keep_v.shape[0] > 0:
                    keep_v[t, first + b, :] = vs
                if SYNAPSE and keep_i.shape[0] > 0:
                    keep_i[t, first + b, :] = cs

    return compiled(update)


@compiled_with_rules
def threshold(digest: int) -> Kernel:
    """Spikes where rows exceed `limit`, one a neuron."""

    def threshold(
        source: Array, delay: int, limit: Array, comparison: int, count: Array, index: Array, total: Array,
        first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = digest
        size, slots = source.shape[2], source.shape[1]
        mark = np.zeros(size, np.uint8)
        for b in range(samples):
            for t in range(t0, t1):
                x = source[b, (t - delay) % slots]
                for j in range(size):
                    mark[j] = exceeds(x[j], limit[j], comparison)
                s = t % count.shape[1]
                count[b, s] = compact(mark, index[b, s])
                total[0] += count[b, s]

    return threshold
