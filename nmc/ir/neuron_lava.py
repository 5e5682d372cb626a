# ruff: noqa: PLR0917 - a step rule takes its numbers in the order of its formula
"""Further neurons, as Lava computes them in fixed point.

Ternary, resetting, adaptive, sigma-delta and resonate-and-fire: scalar rules as in `neuron`, from lava-nc 0.10.0,
`Loihi2SimCfg(select_tag="fixed_pt")`; each names its file under `lava/proc`. The operations of the IR do not use
them yet. States come first, then the input, then parameters; the new states are returned in the same order, with
what is sent last.
"""

from __future__ import annotations

from nmc.ir.fixed import saturate, shift_floor, shift_to_zero, wrap_once

STATE_BITS = 24
"""Registers of states; lif/models.py and atrlif/models.py, uv_bitwidth and iv_bitwidth."""

HIGHEST = (1 << (STATE_BITS - 1)) - 1
"""Where v saturates, on both sides (`Overflow.SATURATE_SYMMETRIC`)."""

DECAY_BITS = 12
"""Decays are multiples of 1/4096; lif/models.py, decay_shift."""


def resets_now(step: int, interval: int, offset: int) -> bool:
    """Whether LIFReset clears u and v before the integration of `step`, which counts from 1 (lif/models.py)."""
    return step % interval == offset % interval


def ternary_fire(v: int, low: int, high: int) -> tuple[int, int]:
    """v after the reset, and the spike of TernaryLIF: 1 above `high`, -1 below `low` (lif/models.py)."""
    spike = 1 if v > high else -1 if v < low else 0
    return (v if spike == 0 else 0), spike


def adaptive_step(
    i: int,
    v: int,
    theta: int,
    r: int,
    x: int,
    keep_i: float,
    keep_v: int,
    keep_theta: int,
    keep_r: int,
    bias: int,
    theta_0: int,
    theta_step: int,
) -> tuple[int, int, int, int, int]:
    """ATRLIF, adaptive threshold and refractoriness (atrlif/models.py): i, v, theta, r and the spike.

    What is kept of a state is in 1/4096. That of i is a real in Lava (4095 - 4096 * delta_i), and the product is
    cut to an integer; the others are cut before they multiply. Neither theta nor r is limited.
    """
    i = wrap_once(shift_to_zero(int(i * keep_i), DECAY_BITS) + x, STATE_BITS)
    v = saturate(shift_to_zero(v * keep_v, DECAY_BITS) + i + bias, -HIGHEST, HIGHEST)
    theta = shift_to_zero((theta - theta_0) * keep_theta, DECAY_BITS) + theta_0
    r = shift_to_zero(r * keep_r, DECAY_BITS)
    if v - r >= theta:
        return i, v, theta + theta_step, r + 2 * theta, 1
    return i, v, theta, r, 0


def delta_step(
    act: int, residue: int, error: int, x: int, threshold: int, cumulative: bool
) -> tuple[int, int, int, int]:
    """Delta (sdn/models.py): act, residue, error and what is sent, the change of `x` once it is large enough.

    With `cumulative` the sum of changes since the last message decides, else the last change and its residue.
    """
    change = x - act + residue
    error = error + change if cumulative else error
    large = abs(error if cumulative else change) >= threshold
    sent = change if large else 0
    if cumulative and sent != 0:
        error = 0
    return x, change - sent, error, sent


def delta_message(sent: int, state_exponent: int) -> int:
    """What Delta and SigmaDelta put on the wire: without the fractional bits of the state, rounded down."""
    return shift_floor(sent, state_exponent)


def sigma_delta_step(
    sigma: int,
    act: int,
    residue: int,
    error: int,
    x: int,
    bias: int,
    threshold: int,
    rectified: bool,
    cumulative: bool,
) -> tuple[int, int, int, int, int]:
    """SigmaDelta (sdn/models.py): sigma, act, residue, error and what is sent: sums, activates, sends changes."""
    sigma = sigma + x
    activation = sigma + bias
    if rectified:
        activation = max(activation, 0)
    act, residue, error, sent = delta_step(act, residue, error, activation, threshold, cumulative)
    return sigma, act, residue, error, sent


def rotate(
    real: int, imag: int, x_real: int, x_imag: int, cosine: int, sine: int, decay_bits: int
) -> tuple[int, int]:
    """The complex state of a resonator after a turn, a decay and its inputs (rf/models.py)."""
    new_real = shift_to_zero(cosine * real, decay_bits) - shift_to_zero(sine * imag, decay_bits) + x_real
    new_imag = shift_to_zero(sine * real, decay_bits) + shift_to_zero(cosine * imag, decay_bits) + x_imag
    return saturate(new_real, -HIGHEST, HIGHEST), saturate(new_imag, -HIGHEST, HIGHEST)


def resonate_and_fire_step(
    real: int, imag: int, x_real: int, x_imag: int, cosine: int, sine: int, decay_bits: int, threshold: int
) -> tuple[int, int, int]:
    """RF (rf/models.py): a spike where imag rises through zero while real is at the threshold; no reset."""
    new_real, new_imag = rotate(real, imag, x_real, x_imag, cosine, sine, decay_bits)
    spike = 1 if new_real >= threshold and new_imag >= 0 and imag < 0 else 0
    return new_real, new_imag, spike


def izhikevich_resonator_step(
    real: int, imag: int, x_real: int, x_imag: int, cosine: int, sine: int, decay_bits: int, threshold: int
) -> tuple[int, int, int]:
    """RF_IZ (rf_iz/models.py): a spike where imag reaches the threshold; then real = 0, imag = threshold - 1."""
    new_real, new_imag = rotate(real, imag, x_real, x_imag, cosine, sine, decay_bits)
    if new_imag >= threshold:
        return 0, threshold - 1, 1
    return new_real, new_imag, 0


def graded_message(x: int, threshold: int, rectified: bool) -> int:
    """GradedVec, or GradedReluVec if `rectified` (graded/models.py): the input if it is large enough, else 0."""
    return x if (x if rectified else abs(x)) > threshold else 0
