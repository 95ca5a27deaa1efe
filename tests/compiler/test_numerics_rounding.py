"""Rounding modes: boundaries against the definitions, by brute force."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.numerics.constants import common_scale, quantize_constant
from pulsefold.compiler.numerics.floats import nearest_float, smallest_float
from pulsefold.compiler.numerics.rounding import MODES, boundary, round_exact

ALL = sorted(set(MODES.values()))


def definition(mode: str, u: Fraction) -> int:
    """What the mode's name says, by looking at the integers around u."""
    low, high = floor(u), ceil(u)
    if low == high:
        return low
    inward, outward = (low, high) if u > 0 else (high, low)
    near = {True: low, False: high}.get(u - low < high - u) if u - low != high - u else None
    return {
        "CEIL": high,
        "FLOOR": low,
        "UP": outward,
        "DOWN": inward,
        "HALF_EVEN": near if near is not None else (low if low % 2 == 0 else high),
        "HALF_UP": near if near is not None else outward,
        "HALF_DOWN": near if near is not None else inward,
    }[mode]


@pytest.mark.parametrize("mode", ALL)
def test_every_eighth(mode: str) -> None:
    for n in range(-8 * 5, 8 * 5 + 1):
        u = Fraction(n, 8)
        want = definition(mode, u)
        assert round_exact(mode, u) == want
        for k in range(-6, 7):
            value, strict = boundary(mode, k)
            assert (u > value if strict else u >= value) == (want >= k), (mode, u, k)


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.1, 0.3367424607, 1 / 3])
def test_constants_are_quantized_exactly(mode: str, scale: float) -> None:
    scale32 = np.float32(scale)
    rng = np.random.default_rng(1)
    halves = np.arange(-40, 41) / 2 * np.float64(scale32)
    x = np.concatenate([halves, rng.normal(size=100) * scale * 4]).astype(np.float32)
    zero = np.float32(3)
    q = quantize_constant(x, np.full(1, scale32), np.full(1, zero), mode=mode, low=-8, high=7)
    for value, got in zip(x, q, strict=True):
        exact = Fraction(float(value)) / Fraction(float(scale32)) + 3
        assert got == round_exact(mode, min(max(exact, Fraction(-8)), Fraction(7)))


def test_common_scale_finds_integers() -> None:
    found = common_scale(np.array([[0.25, -0.5], [0.0, 0.75]], np.float32), 128)
    assert found is not None
    q, scale = found
    assert q.tolist() == [[1, -2], [0, 3]]
    assert scale == Fraction(1, 4)
    assert common_scale(np.array([0.1, 0.2, 0.3], np.float32), 128) is None
    kept = common_scale(np.array([2.0, -4.0], np.float32), 128)
    assert kept is not None
    assert (kept[0].tolist(), kept[1]) == ([2, -4], 1)


@given(st.fractions(min_value=-1000, max_value=1000), st.booleans())
def test_smallest_float_is_the_first_on_its_side(bound: Fraction, strict: bool) -> None:
    x = smallest_float(bound, np.float32, strict=strict)
    below = float(np.nextafter(np.float32(x), np.float32(-np.inf)))
    assert Fraction(x) > bound if strict else Fraction(x) >= bound
    assert not (Fraction(below) > bound if strict else Fraction(below) >= bound)


@pytest.mark.parametrize("strict", [False, True])
def test_smallest_float_at_the_ends(strict: bool) -> None:
    top = Fraction(float(np.finfo(np.float32).max))
    assert smallest_float(top + 1, np.float32, strict=strict) == np.inf
    assert smallest_float(top, np.float32, strict=strict) == (np.inf if strict else float(top))
    assert smallest_float(-top * 10, np.float32, strict=strict) == -float(top)
    assert smallest_float(Fraction(10) ** 400, np.float32, strict=strict) == np.inf
    assert np.signbit(smallest_float(Fraction(0), np.float32, strict=False)) == 0


@given(st.fractions(min_value=-10, max_value=10))
def test_nearest_float_is_nearest(value: Fraction) -> None:
    x = np.float32(nearest_float(value, np.float32))
    for other in (np.nextafter(x, np.float32(-np.inf)), np.nextafter(x, np.float32(np.inf))):
        assert abs(Fraction(float(x)) - value) <= abs(Fraction(float(other)) - value)
