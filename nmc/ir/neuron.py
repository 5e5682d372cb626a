"""What a neuron does in one step, in reals and in integers. Written here and nowhere else.

`Arithmetic` is the data by which targets differ. The step rules are plain functions on numbers; golden and
the machines compile these same functions (`sim/kernels.py`), so there is no second copy.

One step, for one neuron with input x (`step_integer`, `step_real`):

    late      R, only for resets that wait for the next step: the spikes of the v of the step before
    i         = decay_i * i + gain_i * x                       (CubaLif, CubaLi)
    drive     = i new or i old, or x without a synapse
    v         = decay * v + gain * drive + bias                (or the leak after the integration)
    s         = v > threshold (or >=), from the new v or from the v of the step before
    reset     none, to a value, by subtraction, or as many subtractions as there are spikes
    clamp     v = max(v, minimum)

A neuron in its refractory period holds v, drops its input and does not spike; the synaptic current goes on.
"""

# ruff: noqa: PLR0917 - a step rule takes its numbers in the order of its formula; kernels pass them by place

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from math import floor
from typing import TypeVar

from nmc.ir.fixed import Overflow, Rounding, fit, shift_right

N = TypeVar("N", int, float)
"""The numbers of a state: integers or reals."""


class Comparison(IntEnum):
    """When a membrane exceeds its threshold."""

    ABOVE = 0
    """v > threshold: snnTorch, Norse, NIR, Lava."""
    AT_LEAST = 1
    """v >= threshold: SpikingJelly, Sinabs, Rockpool."""


class Reset(IntEnum):
    """What a spike does to the membrane."""

    NONE = 0
    TO_VALUE = 1
    SUBTRACT = 2
    MULTI_SPIKE = 3
    """floor(v / threshold) spikes at once, each subtracting one threshold; none below zero."""


class ResetWhen(IntEnum):
    """When a spike's reset reaches the membrane."""

    SAME_STEP = 0
    NEXT_BEFORE_LEAK = 1
    """Next step, on the old membrane: v = decay * reset(v) + x. snnTorch 0.9 and later, `zero`."""
    NEXT_AFTER_LEAK = 2
    """Next step, after the leak and before the input: v = reset(decay * v) + x. snnTorch `subtract`; Spyx."""
    NEXT_AFTER_INPUT = 3
    """Next step, after the input: v = reset(decay * v + x). snnTorch 0.7 `zero` erases that step's input."""
    SAME_STEP_ONCE = 4
    """snnTorch `reset_delay=False` with `subtract`: the previous step's excess R is subtracted before the
    spike and given back after it: v = base - R*threshold; s = v > threshold; v = v - (s - R)*threshold."""


class SpikeFrom(IntEnum):
    """Which membrane decides about the spike."""

    NEW = 0
    OLD = 1
    """The membrane of the step before: Spyx; its output is one step late."""


class CurrentUsed(IntEnum):
    """Which synaptic current drives the membrane."""

    NEW = 0
    OLD = 1


class DecayForm(IntEnum):
    """How a fixed-point decay is applied."""

    NONE = 0
    MULTIPLY = 1
    """round(v * mantissa / 2**n)."""
    SHIFTS = 2
    """v minus the sum of round(v / 2**k) over the set bits of 2**n - mantissa."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How one family of neurons computes in integers on a target. Widths in bits, signs included."""

    v_bits: int
    i_bits: int
    decay_form: DecayForm
    decay_bits: int
    """Fractional bits n of a decay: mantissas are 0 .. 2**n."""
    rounding: Rounding
    """Of decays, and of inputs finer than the state."""
    v_overflow: Overflow
    i_overflow: Overflow
    comparisons: tuple[Comparison, ...]
    resets: tuple[tuple[Reset, ResetWhen], ...]
    threshold_bits: int
    """Unsigned bits of a threshold's mantissa."""
    threshold_shift: int
    """A threshold's exponent above the state's: state = mantissa << shift."""
    input_shift: int
    """The accumulator's exponent above the state's."""
    bias_bits: int
    """Signed bits of a bias mantissa; its exponent above the state's is 0 .. `bias_shift`. 0: no bias."""
    bias_shift: int
    leak_after: bool = False
    """The leak comes after the integration instead of before it."""
    minimum: bool = False
    """The neuron can clamp v from below."""
    refractory: int = 0
    """The longest refractory period in steps."""
    heterogeneous: tuple[str, ...] = ()
    """Parameters that may differ within a population: `decay`, `synapse_decay`, `threshold`, `bias`."""
    v_decays: tuple[int, int] | None = None
    """The lowest and highest mantissa of a membrane's decay; None: 0 to 2**n."""
    i_decays: tuple[int, int] | None = None
    """The lowest and highest mantissa of a synaptic current's decay; None: 0 to 2**n."""
    clocked: bool = False
    """The neuron can let steps pass (`ops.Clock`)."""


# ---- integer step rules -----------------------------------------------------------------------------------


def decay_integer(x: int, mantissa: int, n: int, form: int, rounding: int) -> int:
    """`x` times mantissa / 2**n in one of `DecayForm`. A decay of one, mantissa 2**n, is exact in all."""
    if form == 0:
        return x
    if form == 1:
        return shift_right(x * mantissa, n, rounding)
    rest = (1 << n) - mantissa
    total = x
    k = n
    while rest > 0:
        if rest & 1 == 1:
            total -= shift_right(x, k, rounding)
        rest >>= 1
        k -= 1
    return total


def current_integer(
    i: int, x: int, mantissa: int, n: int, form: int, rounding: int, bits: int, overflow: int
) -> int:
    """The synaptic current after one step with input `x`, which is aligned to the state already."""
    return fit(decay_integer(i, mantissa, n, form, rounding) + x, bits, overflow)


def membrane_integer(
    v: int,
    drive: int,
    mantissa: int,
    n: int,
    form: int,
    rounding: int,
    bits: int,
    overflow: int,
    leak_after: bool,
) -> int:
    """The membrane after leak and integration of `drive` (input and bias), before spike and reset."""
    if leak_after:
        return decay_integer(fit(v + drive, bits, overflow), mantissa, n, form, rounding)
    return fit(decay_integer(v, mantissa, n, form, rounding) + drive, bits, overflow)


def spikes_integer(v: int, threshold: int, comparison: int, reset: int) -> int:
    """The spikes of a membrane: 0 or 1; of a multi-spike neuron past its threshold, floor(v / threshold)."""
    if not exceeds(v, threshold, comparison):
        return 0
    return v // threshold if reset == 3 else 1


def step_integer(
    v: int,
    wait: int,
    drive: int,
    mantissa: int,
    threshold: int,
    value: int,
    minimum: int,
    period: int,
    n: int,
    form: int,
    rounding: int,
    bits: int,
    overflow: int,
    leak_after: bool,
    comparison: int,
    spike_from: int,
    reset: int,
    when: int,
    clamped: bool,
) -> tuple[int, int, int]:
    """One step of a membrane in integers: v, `wait` and the number of spikes after it.

    `drive` is input plus bias; `wait` counts the refractory steps that are left, of `period`. The register
    of v keeps to its `bits` after the integration and after each reset. With the leak after the integration,
    a late reset after the leak is one before the integration: the leak ended the step before.
    """
    late = 0 if when == 0 else spikes_integer(v, threshold, comparison, reset)
    new = v
    if when == 1 or (when == 2 and leak_after):
        new = fit(after_spikes(new, late, threshold, value, reset), bits, overflow)
    if when == 2 and not leak_after:
        decayed = decay_integer(new, mantissa, n, form, rounding)
        new = fit(after_spikes(decayed, late, threshold, value, reset) + drive, bits, overflow)
    elif when >= 3 and leak_after:
        integrated = fit(new + drive, bits, overflow)
        new = fit(after_spikes(integrated, late, threshold, value, reset), bits, overflow)
        new = decay_integer(new, mantissa, n, form, rounding)
    else:
        new = membrane_integer(new, drive, mantissa, n, form, rounding, bits, overflow, leak_after)
        if when >= 3:
            new = fit(after_spikes(new, late, threshold, value, reset), bits, overflow)
    spikes = spikes_integer(v if spike_from == 1 else new, threshold, comparison, reset)
    if when == 0:
        new = fit(after_spikes(new, spikes, threshold, value, reset), bits, overflow)
    if when == 4:
        new = fit(new - (spikes - late) * threshold, bits, overflow)
    if clamped:
        new = max(new, minimum)
    if wait > 0:
        return v, wait - 1, 0
    return new, period if spikes > 0 else 0, spikes


# ---- real step rules --------------------------------------------------------------------------------------


def current_real(i: float, x: float, decay: float, gain: float) -> float:
    """The synaptic current after one step."""
    return decay * i + gain * x


def membrane_real(v: float, drive: float, decay: float, gain: float, bias: float) -> float:
    """The membrane after leak and integration, before spike and reset."""
    return decay * v + (gain * drive + bias)


def spikes_real(v: float, threshold: float, comparison: int, reset: int) -> int:
    """The spikes of a membrane: 0 or 1; of a multi-spike neuron past its threshold, floor(v / threshold)."""
    if not exceeds(v, threshold, comparison):
        return 0
    return floor(v / threshold) if reset == 3 else 1


def step_real(
    v: float,
    wait: int,
    drive: float,
    decay: float,
    gain: float,
    bias: float,
    threshold: float,
    value: float,
    minimum: float,
    period: int,
    comparison: int,
    spike_from: int,
    reset: int,
    when: int,
    clamped: bool,
    number: Callable[[int], float],
) -> tuple[float, int, int]:
    """One step of a membrane in reals: v, `wait` and the number of spikes after it.

    `number` makes a number of the state's precision of a count, so that float32 stays float32: as in the
    frameworks, the product of a count and a threshold is rounded before it is subtracted.
    """
    late = number(0 if when == 0 else spikes_real(v, threshold, comparison, reset))
    if when == 2:
        new = after_spikes(decay * v, late, threshold, value, reset) + (gain * drive + bias)
    else:
        old = after_spikes(v, late, threshold, value, reset) if when == 1 else v
        new = membrane_real(old, drive, decay, gain, bias)
        if when >= 3:
            new = after_spikes(new, late, threshold, value, reset)
    spikes = spikes_real(v if spike_from == 1 else new, threshold, comparison, reset)
    if when == 0:
        new = after_spikes(new, number(spikes), threshold, value, reset)
    if when == 4:
        new = new - (number(spikes) - late) * threshold
    if clamped:
        new = max(new, minimum)
    if wait > 0:
        return v, wait - 1, 0
    return new, period if spikes > 0 else 0, spikes


# ---- spike and reset, for both ----------------------------------------------------------------------------


def exceeds(v: float, threshold: float, comparison: int) -> bool:
    """Whether `v` is past its threshold."""
    return v > threshold if comparison == 0 else v >= threshold


def after_spikes(v: N, spikes: N, threshold: N, value: N, reset: int) -> N:
    """The membrane after the reset of so many spikes; `spikes` is a number of the state's type."""
    if spikes == 0 or reset == 0:
        return v
    if reset == 1:
        return value
    return v - spikes * threshold if reset == 3 else v - threshold
