"""Enclosures hold what they enclose, and are as narrow as asked for."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.numerics.enclose import (
    Interval,
    enclose_erf,
    enclose_exp,
    enclose_log,
    enclose_pi,
    enclose_real,
)
from pulsefold.compiler.numerics.surd import sqrt

CONTEXT = Context(prec=400)
rationals = st.fractions(min_value=-60, max_value=60, max_denominator=10**6)
precisions = st.sampled_from([8, 64, 65, 512])


def decimal(x: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(x.numerator), Decimal(x.denominator))


def holds(interval: Interval, value: Decimal, width: Fraction) -> None:
    """`value` has 400 digits, more than any interval here can tell."""
    slack = Fraction(1, 10**380) * max(1, abs(Fraction(value)))
    assert interval[0] - slack <= Fraction(value) <= interval[1] + slack
    assert interval[0] <= interval[1]
    assert interval[1] - interval[0] <= width


@settings(max_examples=200, deadline=None)
@given(rationals, precisions)
def test_exp(x: Fraction, bits: int) -> None:
    value = CONTEXT.exp(decimal(x))
    holds(enclose_exp(x, bits), value, Fraction(value) / (1 << bits))


@settings(max_examples=100, deadline=None)
@given(rationals.filter(bool), precisions)
def test_log(x: Fraction, bits: int) -> None:
    holds(enclose_log(abs(x), bits), CONTEXT.ln(decimal(abs(x))), Fraction(1, 1 << (bits - 1)))


@settings(max_examples=60, deadline=None)
@given(st.fractions(min_value=-8, max_value=8, max_denominator=1000), precisions)
def test_erf(x: Fraction, bits: int) -> None:
    """Against the alternating series, 2 / sqrt(pi) * sum of (-1)**n x**(2n+1) / (n! (2n+1))."""
    total, n = Fraction(0), 0
    scale = 10**420
    while True:
        term = Fraction(int(x ** (2 * n + 1) / (factorial(n) * (2 * n + 1)) * scale), scale)
        total += (-1) ** n * term
        n += 1
        if term == 0:
            break
    pi = sum(enclose_pi(1500)) / 2
    value = CONTEXT.divide(decimal(2 * total), CONTEXT.sqrt(decimal(pi)))
    holds(enclose_erf(x, bits), value, Fraction(1, 1 << (bits - 1)))


def test_erf_far_out() -> None:
    for x in (Fraction(16), Fraction(161, 10), Fraction(30), Fraction(10**7)):
        low, high = enclose_erf(x, 600)
        assert 0 < 1 - low < Fraction(1, 1 << 300)
        assert low <= high <= 1
    # Both formulas hold where they meet.
    inner, outer = enclose_erf(Fraction(16), 800), enclose_erf(Fraction(16) + Fraction(1, 10**9), 800)
    assert inner[0] <= outer[1]
    assert inner[1] < 1


def test_pi() -> None:
    low, high = enclose_pi(200)
    assert (
        low
        < Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
        < high
    )
    assert high - low < Fraction(1, 1 << 200)


def test_known_points_and_domains() -> None:
    assert enclose_exp(Fraction(0), 8) == (1, 1)
    assert enclose_log(Fraction(1), 8) == (0, 0)
    assert enclose_erf(Fraction(0), 8) == (0, 0)
    assert enclose_exp(Fraction(-(10**9)), 64)[0] == 0
    with pytest.raises(ArithmeticError):
        enclose_exp(Fraction(10**9), 64)
    with pytest.raises(ArithmeticError):
        enclose_log(Fraction(0), 64)
    root = sqrt(Fraction(2))
    low, high = enclose_real(root, 100)
    assert low < root < high
