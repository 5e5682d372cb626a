"""The integer primitives against exact rational arithmetic, exhaustively at small widths."""

from fractions import Fraction
from math import ceil, floor

import pytest

from nmc.ir import fixed
from nmc.ir.fixed import Overflow, Rounding

RANGE = range(-70, 71)


@pytest.mark.parametrize("n", range(6))
def test_shift_floor_rounds_down(n: int) -> None:
    assert all(fixed.shift_floor(x, n) == floor(Fraction(x, 2**n)) for x in RANGE)


@pytest.mark.parametrize("n", range(6))
def test_shift_to_zero_drops_the_fraction(n: int) -> None:
    for x in RANGE:
        exact = Fraction(x, 2**n)
        assert fixed.shift_to_zero(x, n) == (floor(exact) if x >= 0 else ceil(exact))


@pytest.mark.parametrize("n", range(6))
def test_shift_nearest_even_rounds_halves_to_even(n: int) -> None:
    assert all(fixed.shift_nearest_even(x, n) == round(Fraction(x, 2**n)) for x in RANGE)


def test_shifts_of_minus_one_differ_as_their_names_say() -> None:
    assert fixed.shift_floor(-1, 3) == -1
    assert fixed.shift_to_zero(-1, 3) == 0
    assert fixed.shift_nearest_even(-4, 3) == 0
    assert fixed.shift_nearest_even(-12, 3) == -2


@pytest.mark.parametrize("rounding", Rounding)
def test_align_is_exact_to_the_left_and_rounds_to_the_right(rounding: Rounding) -> None:
    single = {
        Rounding.FLOOR: fixed.shift_floor,
        Rounding.TO_ZERO: fixed.shift_to_zero,
        Rounding.NEAREST_EVEN: fixed.shift_nearest_even,
    }[rounding]
    for x in RANGE:
        assert fixed.align(x, 4, rounding) == 16 * x
        assert fixed.align(x, -3, rounding) == fixed.shift_right(x, 3, rounding) == single(x, 3)


@pytest.mark.parametrize("bits", range(1, 6))
def test_wrap_is_the_congruent_value_in_twos_complement(bits: int) -> None:
    for x in RANGE:
        wrapped = fixed.wrap(x, bits)
        assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1)
        assert (wrapped - x) % 2**bits == 0


def test_wrap_once_keeps_the_upper_end_and_folds_a_single_time() -> None:
    # Lava's u, lava-nc 0.10.0, proc/lif/models.py: x - 2**24 above 2**23, x + 2**24 at or below -2**23.
    half = 2**23
    assert fixed.wrap_once(half, 24) == half
    assert fixed.wrap_once(half + 1, 24) == -half + 1
    assert fixed.wrap_once(-half, 24) == half
    assert fixed.wrap_once(-half + 1, 24) == -half + 1
    assert fixed.wrap_once(5 * half, 24) == 3 * half


@pytest.mark.parametrize("bits", range(2, 6))
def test_fit_brings_a_value_into_its_register(bits: int) -> None:
    half = 2 ** (bits - 1)
    for x in RANGE:
        assert fixed.fit(x, bits, Overflow.PROVED_ABSENT) == x
        assert fixed.fit(x, bits, Overflow.WRAP) == fixed.wrap(x, bits)
        assert fixed.fit(x, bits, Overflow.WRAP_ONCE) == fixed.wrap_once(x, bits)
        assert fixed.fit(x, bits, Overflow.SATURATE) == sorted((-half, x, half - 1))[1]
        assert fixed.fit(x, bits, Overflow.SATURATE_SYMMETRIC) == sorted((1 - half, x, half - 1))[1]
