"""The rules of a neuron by hand: each vector names where its formula comes from."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import (
    Comparison,
    DecayForm,
    Reset,
    ResetWhen,
    SpikeFrom,
    after_spikes,
    current_integer,
    current_real,
    decay_integer,
    exceeds,
    membrane_integer,
    spikes_integer,
    spikes_real,
    step_integer,
    step_real,
)

ROUND = {Rounding.FLOOR: math.floor, Rounding.TO_ZERO: math.trunc, Rounding.NEAREST_EVEN: round}


# ---- decays, exhaustively at small widths -----------------------------------------------------------------


@pytest.mark.parametrize("rounding", list(Rounding))
def test_decay_multiplies_and_rounds_once(rounding: Rounding) -> None:
    for n in (1, 3, 4):
        for mantissa in range(2**n + 1):
            for x in range(-40, 41):
                exact = ROUND[rounding](Fraction(x * mantissa, 2**n))
                assert decay_integer(x, mantissa, n, DecayForm.MULTIPLY, rounding) == exact


@pytest.mark.parametrize("rounding", list(Rounding))
def test_decay_by_shifts_rounds_each_shift(rounding: Rounding) -> None:
    for n in (1, 3, 4):
        for mantissa in range(2**n + 1):
            parts = [k for k in range(n + 1) if ((2**n - mantissa) >> (n - k)) & 1]
            for x in range(-40, 41):
                exact = x - sum(ROUND[rounding](Fraction(x, 2**k)) for k in parts)
                assert decay_integer(x, mantissa, n, DecayForm.SHIFTS, rounding) == exact


@pytest.mark.parametrize("form", list(DecayForm))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_decay_of_one_is_exact_in_every_form(form: DecayForm, rounding: Rounding) -> None:
    for x in range(-40, 41):
        assert decay_integer(x, 16, 4, form, rounding) == x


def test_decay_by_one_shift_is_the_shift_leak_of_hardware() -> None:
    # v -= v >> k, the leak of Spiker+ and of most FPGA cores, as a mantissa of 2**k - 1
    for v in range(-500, 501):
        assert decay_integer(v, 15, 4, DecayForm.SHIFTS, Rounding.FLOOR) == v - (v >> 4)


def test_decay_toward_zero_reaches_zero_and_floor_stays_at_minus_one() -> None:
    assert decay_integer(-1, 4000, 12, DecayForm.MULTIPLY, Rounding.TO_ZERO) == 0
    assert decay_integer(-1, 4000, 12, DecayForm.MULTIPLY, Rounding.FLOOR) == -1


# ---- Loihi ------------------------------------------------------------------------------------------------


def test_membrane_is_the_single_lif_of_the_nir_paper_on_lava() -> None:
    # v = shr0(v * (4096 - 163), 12) + (10 << 6), spike v > 25 << 6: the recording `lava_cpu_fixed` of the paper
    v, spikes = 0, []
    for _ in range(4):
        v = membrane_integer(v, 10 << 6, 4096 - 163, 12, 1, Rounding.TO_ZERO, 24, 4, False)
        spikes.append(exceeds(v, 25 << 6, Comparison.ABOVE))
        v = 0 if spikes[-1] else v
    # 640; 614 + 640 = 1254; 1204 + 640 = 1844 > 1600
    assert spikes == [False, False, True, False]


def test_current_wraps_and_membrane_saturates_as_lava_has_it() -> None:
    # lava-nc 0.10.0, proc/lif/models.py: u folds by 2**24, v is clipped to +-(2**23 - 1)
    assert current_integer(2**23 - 10, 20, 4096, 12, 1, 1, 24, Overflow.WRAP_ONCE) == 2**23 + 10 - 2**24
    assert (
        membrane_integer(2**23 - 10, 20, 4096, 12, 1, 1, 24, Overflow.SATURATE_SYMMETRIC, False) == 2**23 - 1
    )
    assert (
        membrane_integer(10 - 2**23, -20, 4096, 12, 1, 1, 24, Overflow.SATURATE_SYMMETRIC, False) == 1 - 2**23
    )


def test_decay_of_2_to_the_20_is_what_lif_gives_and_not_what_atrlif_gives() -> None:
    # lava-nc 0.10.0: `lif` decays 2**20 by 1/4096 to 1048320; `atrlif`, copied from it, overflows to -256
    assert decay_integer(2**20, 4095, 12, DecayForm.MULTIPLY, Rounding.TO_ZERO) == 1048320


# ---- steps in reals ---------------------------------------------------------------------------------------


def run_real(x: list[float], v: float = 0.0, **given: Any) -> tuple[list[float], list[int]]:
    """v and spikes of one neuron, threshold 1 unless given."""
    p: dict[str, Any] = {
        "decay": 0.5,
        "gain": 1.0,
        "bias": 0.0,
        "threshold": 1.0,
        "value": 0.0,
        "minimum": 0.0,
        "period": 0,
        "comparison": Comparison.ABOVE,
        "spike_from": SpikeFrom.NEW,
        "reset": Reset.SUBTRACT,
        "when": ResetWhen.SAME_STEP,
        "clamped": False,
    } | given
    vs: list[float] = []
    spikes: list[int] = []
    wait = 0
    for drive in x:
        v, wait, fired = step_real(
            v, wait, drive, *(p[key] for key in list(p)[:7]), *(p[key] for key in list(p)[7:]), float
        )
        vs.append(v)
        spikes.append(fired)
    return vs, spikes


X = [0.75, 0.75, 0.75, 0.75]


def test_step_resets_in_the_same_step() -> None:
    # SpikingJelly: h = v * decay + x, s = h >= 1, v = h - s (soft) or (1 - s) * h (hard)
    assert run_real(X) == ([0.75, 0.125, 0.8125, 0.15625], [0, 1, 0, 1])
    assert run_real(X, reset=Reset.TO_VALUE) == ([0.75, 0.0, 0.75, 0.0], [0, 1, 0, 1])


def test_step_resets_one_step_later_after_the_leak_as_snntorch_does() -> None:
    # snnTorch 0.9 Leaky, subtract: mem = beta * mem + x - reset * threshold, reset = mem_before > threshold
    assert run_real(X, when=ResetWhen.NEXT_AFTER_LEAK) == ([0.75, 1.125, 0.3125, 0.90625], [0, 1, 0, 0])


def test_step_resets_one_step_later_before_the_leak_as_snntorch_does_to_zero() -> None:
    # snnTorch 0.9 Leaky, zero: mem = beta * ((1 - reset) * mem) + x
    late = run_real(X, reset=Reset.TO_VALUE, when=ResetWhen.NEXT_BEFORE_LEAK)
    assert late == ([0.75, 1.125, 0.75, 1.125], [0, 1, 0, 1])


def test_step_erases_the_input_of_the_reset_as_snntorch_0_7_does() -> None:
    # snnTorch 0.7, zero: F = beta * mem + x; mem = F - reset * F
    late = run_real(X, reset=Reset.TO_VALUE, when=ResetWhen.NEXT_AFTER_INPUT)
    assert late == ([0.75, 1.125, 0.0, 0.75], [0, 1, 0, 0])


def test_step_gives_back_the_excess_once_as_snntorch_does_without_reset_delay() -> None:
    # base = beta * v + x; v = base - R; s = v > 1; v = v - (s - R), R = v_before > 1
    once = run_real([2.75, 0.0, 0.0], when=ResetWhen.SAME_STEP_ONCE)
    # 2.75 fires: 1.75. base 0.875, R = 1: -0.125 does not fire, 0.875 after. base 0.4375, R = 0.
    assert once == ([1.75, 0.875, 0.4375], [1, 0, 0])


def test_step_spikes_one_step_late_from_the_old_membrane_as_spyx_does() -> None:
    # Spyx LIF: spikes = V > 1; V = beta * V + x - spikes
    late = run_real(X, spike_from=SpikeFrom.OLD, when=ResetWhen.NEXT_AFTER_LEAK)
    assert late == ([0.75, 1.125, 0.3125, 0.90625], [0, 0, 1, 0])


def test_step_gives_several_spikes_and_subtracts_each() -> None:
    # Sinabs MultiSpike, Rockpool: floor(v / theta) spikes, v - n * theta
    several = run_real([3.25, -4.0, 0.0], reset=Reset.MULTI_SPIKE, comparison=Comparison.AT_LEAST)
    assert several == ([0.25, -3.875, -1.9375], [3, 0, 0])


def test_spikes_of_reals_are_the_rounded_quotient() -> None:
    # torch.div(v, theta, rounding_mode="floor") of 1.0 and 0.1 is 10; Python's 1.0 // 0.1 is 9
    assert spikes_real(1.0, 0.1, Comparison.AT_LEAST, Reset.MULTI_SPIKE) == 10


def test_step_tells_the_comparisons_apart_at_the_threshold() -> None:
    assert run_real([1.0], comparison=Comparison.ABOVE)[1] == [0]
    assert run_real([1.0], comparison=Comparison.AT_LEAST)[1] == [1]


def test_step_clamps_last() -> None:
    # Sinabs: min_v_mem after spike and reset
    clamped = run_real([-3.0, 0.25], minimum=-1.0, clamped=True)
    assert clamped == ([-1.0, -0.25], [0, 0])


def test_step_holds_the_membrane_in_its_refractory_period() -> None:
    rested = run_real([2.0, 2.0, 2.0, 2.0], period=2, decay=1.0, reset=Reset.SUBTRACT)
    assert rested == ([1.0, 1.0, 1.0, 2.0], [1, 0, 0, 1])


def test_step_adds_gain_and_bias() -> None:
    assert run_real([0.5], v=0.5, gain=0.25, bias=0.125)[0] == [0.25 + 0.125 + 0.125]
    assert current_real(1.0, 2.0, 0.5, 0.25) == 1.0


def test_step_rounds_a_product_in_float32_before_it_subtracts() -> None:
    v, _, spikes = step_real(
        np.float32(0.7), 0, np.float32(0), *(np.float32(x) for x in (1, 1, 0, 0.1, 0, 0)), 0,
        Comparison.AT_LEAST, SpikeFrom.NEW, Reset.MULTI_SPIKE, ResetWhen.SAME_STEP, False, np.float32,
    )  # fmt: skip
    assert spikes == int(np.floor(np.float32(0.7) / np.float32(0.1)))
    assert v == np.float32(0.7) - np.float32(spikes) * np.float32(0.1)


# ---- steps in integers ------------------------------------------------------------------------------------


def run_integer(x: list[int], v: int = 0, **given: Any) -> tuple[list[int], list[int]]:
    """v and spikes of one neuron of 8 bits that halves, threshold 20 unless given."""
    p: dict[str, Any] = {
        "mantissa": 8,
        "threshold": 20,
        "value": 0,
        "minimum": 0,
        "period": 0,
        "n": 4,
        "form": DecayForm.MULTIPLY,
        "rounding": Rounding.FLOOR,
        "bits": 8,
        "overflow": Overflow.SATURATE,
        "leak_after": False,
        "comparison": Comparison.AT_LEAST,
        "spike_from": SpikeFrom.NEW,
        "reset": Reset.SUBTRACT,
        "when": ResetWhen.SAME_STEP,
        "clamped": False,
    } | given
    vs: list[int] = []
    spikes: list[int] = []
    wait = 0
    for drive in x:
        v, wait, fired = step_integer(v, wait, drive, *p.values())
        vs.append(v)
        spikes.append(fired)
    return vs, spikes


def test_integer_step_leaks_then_integrates_then_resets() -> None:
    assert run_integer([15, 15, 15]) == ([15, 2, 16], [0, 1, 0])  # 7 + 15 = 22; 1 + 15


def test_integer_step_integrates_then_leaks_where_the_hardware_does() -> None:
    assert run_integer([15, 15, 45], leak_after=True) == ([7, 11, 8], [0, 0, 1])  # (11 + 45) / 2 = 28


@pytest.mark.parametrize("leak_after", [False, True])
@pytest.mark.parametrize("when", list(ResetWhen))
def test_integer_step_without_a_leak_resets_alike_before_and_after_it(
    leak_after: bool, when: ResetWhen
) -> None:
    x = [15, 30, -3, 25, 0, 40]
    expected = run_integer(x, mantissa=16, when=when, leak_after=False)
    assert run_integer(x, mantissa=16, when=when, leak_after=leak_after) == expected


def test_integer_step_keeps_the_register_after_a_late_reset() -> None:
    # -128 in 8 bits is the lowest; a late subtraction below it saturates again
    late = run_integer([0, -128], v=20, mantissa=0, when=ResetWhen.NEXT_AFTER_INPUT)
    assert late == ([-20, -128], [0, 0])
    late = run_integer([-120], v=20, mantissa=0, when=ResetWhen.NEXT_AFTER_INPUT)
    assert late == ([-128], [0])


def test_integer_step_subtracts_as_often_as_it_spikes() -> None:
    assert run_integer([75], reset=Reset.MULTI_SPIKE) == ([15], [3])
    assert spikes_integer(19, 20, Comparison.AT_LEAST, Reset.MULTI_SPIKE) == 0
    assert after_spikes(75, 3, 20, 0, Reset.MULTI_SPIKE) == 15


@pytest.mark.parametrize("when", list(ResetWhen))
@pytest.mark.parametrize("spike_from", list(SpikeFrom))
@pytest.mark.parametrize("reset", [Reset.NONE, Reset.TO_VALUE, Reset.SUBTRACT])
def test_integer_step_equals_the_real_step_where_both_are_exact(
    when: ResetWhen, spike_from: SpikeFrom, reset: Reset
) -> None:
    rng = np.random.default_rng(3)
    x = [int(a) * 64 for a in rng.integers(-30, 40, 6)]
    rule = {"when": when, "spike_from": spike_from, "reset": reset, "comparison": Comparison.AT_LEAST}
    wide = {"bits": 40, "threshold": 20 * 64, "value": 64, "minimum": -64 * 20, "clamped": True, "period": 1}
    v, spikes = run_integer(x, **rule, **wide)
    shared = {"threshold": 20.0 * 64, "value": 64.0, "minimum": -64.0 * 20, "clamped": True, "period": 1}
    assert run_real([float(a) for a in x], **rule, **shared) == ([float(a) for a in v], spikes)
