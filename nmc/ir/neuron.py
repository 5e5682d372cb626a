"""What a neuron does in one step, in reals and in integers. Written here and nowhere else.

`Arithmetic` is the data by which targets differ. The step rules are plain functions on numbers; golden and the
machines compile these same functions (`sim/kernels.py`), so there is no second copy.

One step, for one neuron with input x:

    pending   R, only for resets that wait for the next step: did the membrane of the step before exceed?
    i         = decay_i * i + gain_i * x                       (CubaLif, CubaLi)
    drive     = i new or i old, or x without a synapse
    v         = decay * v + gain * drive + bias                (or the leak after the integration)
    s         = v > threshold (or >=), from the new v or from the v of the step before
    reset     none, to a value, by subtraction, or as many subtractions as there are spikes
    clamp     v = max(v, minimum)

A neuron in its refractory period holds v, drops its input and does not spike; the synaptic current goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from nmc.ir.fixed import Overflow, Rounding, fit, shift_right


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
    """snnTorch `reset_delay=False` with `subtract`: the previous step's excess R is subtracted before the spike
    and given back after it: v = base - R*threshold; s = v > threshold; v = v - (s - R)*threshold."""


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
    """Signed bits of a bias mantissa; its exponent above the state's is 0 .. `bias_shift`. 0 bits: no bias."""
    bias_shift: int
    leak_after: bool = False
    """The leak comes after the integration instead of before it."""
    minimum: bool = False
    """The neuron can clamp v from below."""
    refractory: int = 0
    """The longest refractory period in steps."""
    heterogeneous: tuple[str, ...] = ()
    """Parameters that may differ between neurons of a population: `decay`, `synapse_decay`, `threshold`, `bias`."""


# ---- integer step rules -----------------------------------------------------------------------------------


def decay_integer(x: int, mantissa: int, n: int, form: int, rounding: int) -> int:
    """`x` times mantissa / 2**n in one of `DecayForm`. A decay of one (mantissa = 2**n) is exact in all forms."""
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


# ---- real step rules --------------------------------------------------------------------------------------


def current_real(i: float, x: float, decay: float, gain: float) -> float:
    """The synaptic current after one step."""
    return decay * i + gain * x


def membrane_real(v: float, drive: float, decay: float, gain: float, bias: float) -> float:
    """The membrane after leak and integration, before spike and reset."""
    return decay * v + (gain * drive + bias)


# ---- spike and reset, for both ----------------------------------------------------------------------------


def exceeds(v: float, threshold: float, comparison: int) -> bool:
    """Whether `v` is past its threshold."""
    return v > threshold if comparison == 0 else v >= threshold


def reset_by(v: float, threshold: float, value: float, reset: int) -> float:
    """The membrane after one spike's reset."""
    if reset == 1:
        return value
    if reset >= 2:
        return v - threshold
    return v


def count_spikes(v: float, threshold: float) -> int:
    """floor(v / threshold), at least 0: the spikes of a multi-spike neuron."""
    return int(v // threshold) if v >= threshold else 0
