"""Every primitive at every small width, against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from nmc.ir.fixed import (
    Overflow,
    Rounding,
    align,
    fit,
    saturate,
    shift_floor,
    shift_nearest_even,
    shift_right,
    shift_to_zero,
    wrap,
    wrap_once,
)

NUMBERS = range(-300, 301)
SHIFTS = range(7)
EXACT = {Rounding.FLOOR: math.floor, Rounding.TO_ZERO: math.trunc, Rounding.NEAREST_EVEN: round}


@pytest.mark.parametrize("rounding", list(Rounding))
def test_shift_right_rounds_the_exact_quotient(rounding: Rounding) -> None:
    for x in NUMBERS:
        for n in SHIFTS:
            assert shift_right(x, n, rounding) == EXACT[rounding](Fraction(x, 2**n)), (x, n)


def test_shifts_differ_where_they_should() -> None:
    assert [shift_floor(x, 1) for x in (-3, -1, 1, 3)] == [-2, -1, 0, 1]
    assert [shift_to_zero(x, 1) for x in (-3, -1, 1, 3)] == [-1, 0, 0, 1]
    assert [shift_nearest_even(x, 1) for x in (-3, -1, 1, 3)] == [-2, 0, 0, 2]


@pytest.mark.parametrize("rounding", list(Rounding))
def test_align_multiplies_exactly_or_rounds(rounding: Rounding) -> None:
    for x in NUMBERS:
        for shift in range(-6, 7):
            exact = EXACT[rounding](x * Fraction(2) ** shift)
            assert align(x, shift, rounding) == exact, (x, shift)


@pytest.mark.parametrize("bits", range(1, 7))
def test_wrap_is_the_only_congruent_number_in_range(bits: int) -> None:
    for x in NUMBERS:
        wrapped = wrap(x, bits)
        assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1)
        assert (wrapped - x) % 2**bits == 0


@pytest.mark.parametrize("bits", range(1, 7))
def test_wrap_once_folds_once_and_keeps_the_upper_end(bits: int) -> None:
    half = 2 ** (bits - 1)
    for x in NUMBERS:
        folded = wrap_once(x, bits)
        if -half < x <= half:
            assert folded == x
        else:
            assert folded == x - math.copysign(2 * half, x)


def test_wrap_once_is_what_lava_does_at_24_bits() -> None:
    # lava-nc 0.10.0, proc/lif/models.py: "(2 ** 23) + k becomes k and -(2**23 + k) becomes -k", k = 2**23 aside
    assert wrap_once(2**23, 24) == 2**23
    assert wrap_once(2**23 + 1, 24) == -(2**23) + 1
    assert wrap_once(-(2**23), 24) == 2**23
    assert wrap_once(2**25, 24) == 2**25 - 2**24


@pytest.mark.parametrize("bits", range(2, 7))
def test_fit_saturates_to_both_ends(bits: int) -> None:
    half = 2 ** (bits - 1)
    for x in NUMBERS:
        assert fit(x, bits, Overflow.SATURATE) == min(max(x, -half), half - 1)
        assert fit(x, bits, Overflow.SATURATE_SYMMETRIC) == min(max(x, 1 - half), half - 1)
        assert fit(x, bits, Overflow.WRAP) == wrap(x, bits)
        assert fit(x, bits, Overflow.WRAP_ONCE) == wrap_once(x, bits)
        assert fit(x, bits, Overflow.PROVED_ABSENT) == x


@pytest.mark.parametrize("overflow", list(Overflow))
def test_fit_leaves_alone_what_fits_strictly_inside(overflow: Overflow) -> None:
    for x in range(-7, 8):
        assert fit(x, 4, overflow) == x


def test_saturate_moves_to_the_nearer_end() -> None:
    assert [saturate(x, -2, 3) for x in (-9, -2, 0, 3, 9)] == [-2, -2, 0, 3, 3]
