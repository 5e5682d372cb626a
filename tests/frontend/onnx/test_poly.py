"""Forms: programs that mean the same have one form, and those that do not have two."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.frontend.onnx.poly import Algebra, Form, TooComplex, substituted
from nmc.ir.program import Scalar


def test_sums_and_products_of_any_order_are_one_form() -> None:
    a = Algebra()
    x, y = a.variable("x"), a.variable("y")
    left = a.multiply(a.add(x, y), a.subtract(x, y))
    right = a.subtract(a.multiply(x, x), a.multiply(y, y))
    assert a.same(left, right)
    assert not a.same(left, a.multiply(x, x))


def test_what_cancels_is_gone() -> None:
    a = Algebra()
    x = a.variable("x")
    smooth = a.function(Scalar.SIGMOID, [x])
    assert a.same(a.add(a.subtract(x, smooth), smooth), x)
    assert a.subtract(a.scaled(x, 0.1), a.scaled(x, np.float64(np.float32(0.1)))) == {}


@pytest.mark.parametrize("strict", [True, False])
def test_comparisons_of_any_spelling_are_one_form(strict: bool) -> None:
    a = Algebra()
    v = a.variable("v")
    spike = a.step(a.subtract(v, a.number(1.0)), strict=strict)
    doubled = a.step(a.subtract(a.scaled(v, 2.0), a.number(2.0)), strict=strict)
    turned = a.subtract(a.number(1.0), a.step(a.subtract(a.number(1.0), v), strict=not strict))
    assert a.same(spike, doubled)
    assert a.same(spike, turned)
    assert not a.same(spike, a.step(a.subtract(v, a.number(1.0)), strict=not strict))


def test_choices_and_products_with_a_spike_are_one_form() -> None:
    a = Algebra()
    v, one = a.variable("v"), a.number(1.0)
    s = a.step(a.subtract(v, one), strict=True)
    chosen = a.apply(Scalar.WHERE, [s, {}, v])
    product = a.multiply(v, a.subtract(one, s))
    assert a.same(chosen, product)


def test_rectifier_clip_and_sign_are_steps() -> None:
    a = Algebra()
    x = a.variable("x")
    positive = a.step(x, strict=True)
    assert a.same(a.apply(Scalar.MAX, [x, {}]), a.multiply(positive, x))
    assert a.same(a.apply(Scalar.SIGN, [a.apply(Scalar.MAX, [x, {}])]), positive)
    half = a.scaled(a.add(a.apply(Scalar.SIGN, [x]), a.number(1.0)), 0.5)
    assert a.same(a.apply(Scalar.FLOOR, [half]), positive)


WHOLE = [Scalar.FLOOR, Scalar.CEIL, Scalar.ROUND, Scalar.TRUNC]
POINTS = np.arange(-12, 13) / 4


def value(algebra: Algebra, form: Form, x: float) -> float:
    (atom,) = (number for number, each in enumerate(algebra.atoms) if getattr(each, "name", "") == "x")
    constant = algebra.constant(substituted(algebra, form, {atom: algebra.number(x)}))
    assert constant is not None
    return float(constant)


@pytest.mark.parametrize("op", WHOLE, ids=lambda op: op.value)
@pytest.mark.parametrize("level", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("strict", [True, False])
def test_comparison_of_a_whole_number_is_one_of_its_argument(op: Scalar, level: float, strict: bool) -> None:
    numbers = {Scalar.FLOOR: np.floor, Scalar.CEIL: np.ceil, Scalar.ROUND: np.rint, Scalar.TRUNC: np.trunc}
    a = Algebra()
    form = a.step(a.subtract(a.function(op, [a.variable("x")]), a.number(level)), strict=strict)
    for x in POINTS:
        whole = numbers[op](x)
        assert value(a, form, x) == float(whole > level if strict else whole >= level), x


@pytest.mark.parametrize("op", WHOLE, ids=lambda op: op.value)
@pytest.mark.parametrize("largest", [1.0, 3.0])
def test_clipped_whole_number_is_a_staircase_in_either_order(op: Scalar, largest: float) -> None:
    numbers = {Scalar.FLOOR: np.floor, Scalar.CEIL: np.ceil, Scalar.ROUND: np.rint, Scalar.TRUNC: np.trunc}
    a = Algebra()
    whole, top = a.function(op, [a.variable("x")]), a.number(largest)
    first = a.apply(Scalar.MIN, [a.apply(Scalar.MAX, [whole, {}]), top])
    second = a.apply(Scalar.MAX, [a.apply(Scalar.MIN, [top, whole]), {}])
    assert a.same(first, second)
    assert all(len(key) == 1 for key in first)
    for x in POINTS:
        assert value(a, first, x) == np.clip(numbers[op](x), 0, largest), x


def test_bound_that_is_far_away_is_still_there() -> None:
    a = Algebra()
    x = a.variable("x")
    assert not a.same(a.apply(Scalar.MIN, [x, a.number(255.0)]), x)


def test_numbers_that_are_not_finite_and_endless_sums_are_too_complex() -> None:
    a = Algebra()
    with pytest.raises(TooComplex):
        a.number(np.nan)
    with pytest.raises(TooComplex):
        for _ in range(10_000):
            a.add(a.variable("x"), a.number(1.0))
