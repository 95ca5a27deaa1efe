"""Two products in one multiplier: taken apart exactly, for every operand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.plan.units.pair import OPERAND, Pair


def taken_apart(p: Pair, a: np.ndarray, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(a * x, b * x) by the formulas of the parameter object, from one product and one of low bits."""
    k, n = p.shift, p.overlap
    operand = (a << k) + b
    assert (abs(operand + 0.5) < 1 << OPERAND - 1).all()
    whole = operand * x
    upper, lower = whole >> k, whole & ((1 << k) - 1)
    if n:
        small = ((a & ((1 << n) - 1)) * (x & ((1 << n) - 1))) & ((1 << n) - 1)
        carry = (upper - small) & ((1 << n) - 1)
        carry -= (carry >> n - 1) << n
    else:
        carry = -(lower >> k - 1)
    return upper - carry, (carry << k) + lower


@pytest.mark.parametrize(
    ("low", "high", "x_low", "x_high", "shift", "overlap"),
    [
        (-127, 127, -128, 127, 10, 5),
        (-128, 127, -128, 127, 9, 7),
        (-127, 127, 0, 255, 10, 6),
        (-7, 7, -128, 127, 11, 0),
        (-8, 7, -8, 7, 8, 0),
    ],
)
def test_every_product_comes_out(low, high, x_low, x_high, shift, overlap) -> None:
    p = Pair(low=low, high=high, x_low=x_low, x_high=x_high)
    assert (p.fits, p.shift, p.overlap) == (True, shift, overlap)
    x = np.arange(x_low, x_high + 1)
    ends = [low, low + 1, -1, 0, 1, high - 1, high, *np.random.default_rng(1).integers(low, high + 1, 20)]
    for a, b in product(ends, range(low, high + 1)):
        above, below = taken_apart(p, np.full(len(x), a), np.full(len(x), b), x)
        np.testing.assert_array_equal(above, a * x)
        np.testing.assert_array_equal(below, b * x)


@given(st.integers(-300, 0), st.integers(0, 300), st.integers(-300, 0), st.integers(0, 300), st.data())
def test_any_range(low: int, high: int, x_low: int, x_high: int, data) -> None:
    p = Pair(low=low, high=high, x_low=x_low, x_high=x_high)
    if not p.fits:
        return
    a, b = (np.array([data.draw(st.integers(low, high))]) for _ in "ab")
    x = np.array([data.draw(st.integers(x_low, x_high))])
    assert taken_apart(p, a, b, x) == (a * x, b * x)
