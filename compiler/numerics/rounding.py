"""Rounding modes of the QONNX quantizers, as functions and as boundaries.

Every mode is a non-decreasing map from the reals to the integers, so round(u) >= k is a half-line
u >= b or u > b. Following `resolve_rounding_mode` of qonnx.custom_op.general.quant.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from pulsefold.compiler.numerics.surd import Real

__all__ = ["MODES", "boundary", "round_exact"]

_HALF = Fraction(1, 2)

#: Names a model may use, and the mode each stands for.
MODES = {
    "ROUND": "HALF_EVEN",
    "HALF_EVEN": "HALF_EVEN",
    "CEIL": "CEIL",
    "FLOOR": "FLOOR",
    "UP": "UP",
    "DOWN": "DOWN",
    "HALF_UP": "HALF_UP",
    "HALF_DOWN": "HALF_DOWN",
}


def boundary(mode: str, k: int) -> tuple[Fraction, bool]:
    """The half-line on which round(u) >= k: (b, strict), u > b where strict and u >= b otherwise.

    HALF_EVEN: k - 1/2, which itself rounds to the even one of k - 1 and k. CEIL: u > k - 1.
    FLOOR: u >= k. UP, away from zero, is CEIL above zero and FLOOR below; DOWN, toward zero, the
    other way round. HALF_UP and HALF_DOWN take a tie away from and toward zero.
    """
    positive = k > 0
    match mode:
        case "HALF_EVEN":
            return k - _HALF, k % 2 != 0
        case "CEIL":
            return Fraction(k - 1), True
        case "FLOOR":
            return Fraction(k), False
        case "UP":
            return (Fraction(k - 1), True) if positive else (Fraction(k), False)
        case "DOWN":
            return (Fraction(k), False) if positive else (Fraction(k - 1), True)
        case "HALF_UP":
            return k - _HALF, not positive
        case "HALF_DOWN":
            return k - _HALF, positive
    msg = f"unknown rounding mode {mode!r}"
    raise ValueError(msg)


def round_exact(mode: str, u: Real) -> int:
    """`u` rounded, straight from the definition of the mode."""
    sign = -1 if u < 0 else 1
    size = u * sign
    match mode:
        case "HALF_EVEN":
            k = floor(u)
            rest = u - k
            return k + int(rest > _HALF or (rest == _HALF and k % 2 != 0))
        case "CEIL":
            return ceil(u)
        case "FLOOR":
            return floor(u)
        case "UP":
            return sign * ceil(size)
        case "DOWN":
            return sign * floor(size)
        case "HALF_UP":
            return sign * floor(size + _HALF)
        case "HALF_DOWN":
            return sign * ceil(size - _HALF)
    msg = f"unknown rounding mode {mode!r}"
    raise ValueError(msg)
