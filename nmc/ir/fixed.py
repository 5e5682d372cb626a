"""The integer primitives, each once. Plain Python on ints; `sim/kernels.py` compiles these same functions.

All are total on 64-bit integers as long as no intermediate leaves 64 bits, which callers prove by widths.
"""

from __future__ import annotations

from enum import IntEnum


class Rounding(IntEnum):
    """What happens to the bits that a right shift drops."""

    FLOOR = 0
    TO_ZERO = 1
    NEAREST_EVEN = 2


class Overflow(IntEnum):
    """What happens to a value that does not fit its `bits`."""

    PROVED_ABSENT = 0
    WRAP = 1
    """Two's complement."""
    WRAP_ONCE = 2
    """One fold of 2**bits toward (-2**(bits-1), 2**(bits-1)]: Lava's `u` (0.10.0, proc/lif/models.py)."""
    SATURATE = 3
    """Into [-2**(bits-1), 2**(bits-1) - 1]."""
    SATURATE_SYMMETRIC = 4
    """Into [-(2**(bits-1) - 1), 2**(bits-1) - 1]: Lava's `v`."""


def shift_floor(x: int, n: int) -> int:
    """`x / 2**n` rounded down; -1 stays -1."""
    return x >> n


def shift_to_zero(x: int, n: int) -> int:
    """`x / 2**n` rounded toward zero: sign(x) * (|x| >> n)."""
    return x >> n if x >= 0 else -((-x) >> n)


def shift_nearest_even(x: int, n: int) -> int:
    """`x / 2**n` rounded to nearest, halves to even."""
    if n == 0:
        return x
    low = x >> n
    twice = 2 * (x - (low << n))
    unit = 1 << n
    if twice > unit or (twice == unit and low & 1 == 1):
        return low + 1
    return low


def shift_right(x: int, n: int, rounding: int) -> int:
    """`x / 2**n` with one of `Rounding`."""
    if rounding == 0:
        return shift_floor(x, n)
    if rounding == 1:
        return shift_to_zero(x, n)
    return shift_nearest_even(x, n)


def align(x: int, shift: int, rounding: int) -> int:
    """`x * 2**shift`: exact for shift >= 0, else rounded."""
    return x << shift if shift >= 0 else shift_right(x, -shift, rounding)


def wrap(x: int, bits: int) -> int:
    """`x` modulo 2**bits, two's complement."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def wrap_once(x: int, bits: int) -> int:
    """`x` folded by 2**bits once if it is outside (-2**(bits-1), 2**(bits-1)]; not a modulo further out."""
    half = 1 << (bits - 1)
    if x > half:
        return x - 2 * half
    if x <= -half:
        return x + 2 * half
    return x


def saturate(x: int, low: int, high: int) -> int:
    """`x` moved to the nearer end of [low, high] if it is outside."""
    return low if x < low else min(x, high)


def fit(x: int, bits: int, overflow: int) -> int:
    """`x` brought into a `bits`-wide register as one of `Overflow` says."""
    if overflow == 0:
        return x
    if overflow == 1:
        return wrap(x, bits)
    if overflow == 2:
        return wrap_once(x, bits)
    high = (1 << (bits - 1)) - 1
    low = -high - 1 if overflow == 3 else -high
    return saturate(x, low, high)
