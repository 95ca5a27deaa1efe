"""Quantizing constants: the integers that Quant and BipolarQuant make of a weight tensor, exactly."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.numerics.rounding import round_exact

__all__ = ["common_scale", "quantize_constant"]

#: A float64 quotient of two float32 numbers plus a zero point is this close to the exact one.
_CLOSE = 2.0**-40


def quantize_constant(
    x: np.ndarray, scale: np.ndarray, zero: np.ndarray, *, mode: str, low: int, high: int
) -> np.ndarray:
    """round(clamp(x / scale + zero, low, high)) of exact reals, int64 in the shape of `x`.

    Evaluated in float64; elements that lie so close to where the mode jumps that float64 cannot
    tell are decided as rationals.

    Parameters
    ----------
    x
        Floating-point constants.
    scale, zero
        Floating-point, broadcastable to `x`.
    mode
        A rounding mode of :mod:`pulsefold.compiler.numerics.rounding`.
    low, high
        Integer bounds.
    """
    wide = x.astype(np.float64)
    scales = np.broadcast_to(scale.astype(np.float64), x.shape)
    zeros = np.broadcast_to(zero.astype(np.float64), x.shape)
    u = np.clip(wide / scales + zeros, low, high)
    q = _rounded(mode, u).astype(np.int64)
    # Distance to the nearest jump: halves for the nearest-integer modes, integers for the others.
    shift = 0.5 if mode.startswith("HALF") else 0.0
    off = np.abs(u + shift - np.rint(u + shift))
    bounded = (u > low - 0.5) & (u < high + 0.5)
    unsure = np.flatnonzero(bounded & (off <= _CLOSE * (1 + np.abs(u))))
    known: dict[tuple[float, float, float], int] = {}
    for i in unsure.tolist():
        key = (float(wide.flat[i]), float(scales.flat[i]), float(zeros.flat[i]))
        if key not in known:
            exact = Fraction(key[0]) / Fraction(key[1]) + Fraction(key[2])
            known[key] = round_exact(mode, min(max(exact, Fraction(low)), Fraction(high)))
        q.flat[i] = known[key]
    return q


def common_scale(x: np.ndarray, limit: int) -> tuple[np.ndarray, Fraction] | None:
    """Integers q of magnitude at most `limit` and a rational s with x == s * q exactly, if there are any.

    The scale is 1 where `x` already holds such integers, else the greatest that works.
    """
    if not np.all(np.isfinite(x)):
        return None
    values = np.unique(x)
    if len(values) > 2 * limit + 1:
        return None
    if np.all(values == np.rint(values)) and np.all(np.abs(values) <= limit):
        return np.rint(x).astype(np.int64), Fraction(1)
    exact = [Fraction(float(v)) for v in values]
    below = lcm(*(v.denominator for v in exact))
    scale = Fraction(gcd(*(int(v * below) for v in exact)), below)
    whole = [int(v / scale) for v in exact]
    if max(abs(v) for v in whole) > limit:
        return None
    return np.array(whole, np.int64)[np.searchsorted(values, x)], scale


def _rounded(mode: str, u: np.ndarray) -> np.ndarray:
    match mode:
        case "HALF_EVEN":
            return np.rint(u)
        case "CEIL":
            return np.ceil(u)
        case "FLOOR":
            return np.floor(u)
        case "UP":
            return np.copysign(np.ceil(np.abs(u)), u)
        case "DOWN":
            return np.trunc(u)
        case "HALF_UP":
            return np.copysign(np.floor(np.abs(u) + 0.5), u)
        case "HALF_DOWN":
            return np.copysign(np.ceil(np.abs(u) - 0.5), u)
    msg = f"unknown rounding mode {mode!r}"
    raise ValueError(msg)
