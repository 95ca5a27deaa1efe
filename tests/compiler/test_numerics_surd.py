"""Exact arithmetic with square roots."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.numerics.surd import Surd, approximate, sqrt

rationals = st.fractions(min_value=-50, max_value=50, max_denominator=64)
positive = st.fractions(min_value=Fraction(1, 64), max_value=50, max_denominator=64)


def test_squares_are_rational() -> None:
    assert sqrt(Fraction(9, 16)) == Fraction(3, 4)
    assert isinstance(sqrt(Fraction(9, 16)), Fraction)
    assert isinstance(sqrt(Fraction(2)), Surd)


def test_sums_that_vanish_are_zero() -> None:
    root = sqrt(Fraction(2))
    assert root * root == 2
    assert isinstance(root * root, Fraction)
    assert sqrt(Fraction(8)) - root - root == 0
    assert sqrt(Fraction(2)) * sqrt(Fraction(3)) - sqrt(Fraction(6)) == 0
    assert isinstance(root + 1 - root, Fraction)
    assert 1 / root == root / 2


def test_close_numbers_are_told_apart() -> None:
    # sqrt(2) against a convergent that agrees to 60 digits.
    p, q = 1, 1
    for _ in range(80):
        p, q = p + 2 * q, p + q
    root = sqrt(Fraction(2))
    assert (root > Fraction(p, q)) == (2 * q * q > p * p)
    assert root != Fraction(p, q)


@given(rationals, rationals, positive, positive)
def test_arithmetic_matches_floats(a: Fraction, b: Fraction, v: Fraction, w: Fraction) -> None:
    value = (a + b * sqrt(v)) * sqrt(w) - a / sqrt(v)
    want = (float(a) + float(b) * float(v) ** 0.5) * float(w) ** 0.5 - float(a) / float(v) ** 0.5
    assert float(value) == pytest.approx(want, abs=1e-9)
    assert floor(value) <= value <= ceil(value)
    assert ceil(value) - floor(value) == (0 if isinstance(value, Fraction) and value.denominator == 1 else 1)


@given(rationals.filter(bool), positive)
def test_approximation_is_as_good_as_promised(a: Fraction, v: Fraction) -> None:
    value = a * sqrt(v)
    near = approximate(value, 100)
    error = value - near
    assert (error if error > 0 else -error) <= abs(near) / 2**99
