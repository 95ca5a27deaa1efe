"""Floating-point numbers on the right side of an exact boundary."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pulsefold.compiler.numerics.surd import Real, approximate

__all__ = ["nearest_float", "smallest_float"]


def smallest_float(bound: Real, dtype: type[np.floating], *, strict: bool) -> float:
    """The least finite `dtype` number x with x >= bound (x > bound where strict), +inf if there is none.

    Every finite number of a narrower type is exactly representable in a Python float, which holds
    the result.
    """

    def reached(x: np.floating) -> bool:
        if np.isinf(x):
            return bool(x > 0)
        return Fraction(float(x)) > bound if strict else Fraction(float(x)) >= bound

    x = _guess(bound, dtype)
    while reached(x) and np.isfinite(below := np.nextafter(x, dtype(-np.inf))):
        if not reached(below):
            break
        x = below
    with np.errstate(over="ignore"):
        while not reached(x):
            x = np.nextafter(x, dtype(np.inf))
    # A sum with +0 turns the -0 that nextafter may give into +0.
    return float(x + dtype(0))


def nearest_float(value: Fraction, dtype: type[np.floating]) -> float:
    """`value` rounded once to `dtype`, ties to even."""
    x = _guess(value, dtype)
    if np.isinf(x):
        return float(x)
    around = [np.nextafter(x, dtype(-np.inf)), x, np.nextafter(x, dtype(np.inf))]
    finite = [y for y in around if np.isfinite(y)]

    def distance(y: np.floating) -> tuple[Fraction, int]:
        bits = y.view({2: np.uint16, 4: np.uint32, 8: np.uint64}[y.dtype.itemsize])
        return abs(Fraction(float(y)) - value), int(bits) & 1

    return float(min(finite, key=distance))


def _guess(value: Real, dtype: type[np.floating]) -> np.floating:
    """Some number of the type within a step or two of `value`."""
    try:
        wide = float(approximate(value, 64))
    except OverflowError:
        wide = np.inf if value > 0 else -np.inf
    with np.errstate(over="ignore", under="ignore"):
        return dtype(wide)
