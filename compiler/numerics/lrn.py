"""Local response normalization between two quantizers, as exact bounds on the energy of the neighbours.

With X = scale * (x - zero) and the integer energy e = sum of (x_j - zero)**2,

    y = X / D**beta,  D = bias + alpha / size * scale**2 * e,

falls in size as e grows, so that each boundary b of the quantizer is crossed once: where D**beta = X / b.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pulsefold.compiler.numerics.enclose import enclose_log
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer

__all__ = ["Normalization", "compare_power", "lrn_thresholds"]

#: Error allowed to a float64 bound on the energy, relative.
_RELATIVE = 2.0**-36
#: Greatest denominator of an exponent that is compared by powers of integers.
_POWERS = 64
_MOST_BITS = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """The real meaning of an ONNX LRN-13 and of the integers it reads.

    Parameters
    ----------
    scale, zero
        real = scale * (x - zero); the scale is positive.
    size, alpha, beta, bias
        As in ONNX; bias is positive, alpha and beta are not negative.
    """

    scale: Fraction
    zero: int
    size: int
    alpha: Fraction
    beta: Fraction
    bias: Fraction

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.bias <= 0 or self.alpha < 0 or self.beta < 0 or self.size < 1:
            msg = f"the size of the output must fall as the energy grows: {self!r}"
            raise ValueError(msg)

    @property
    def slope(self) -> Fraction:
        """What D grows by with each unit of energy."""
        return self.alpha / self.size * self.scale**2


def lrn_thresholds(
    norm: Normalization, quantizer: Quantizer, least: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds of the energy for every integer least <= x <= most.

    Parameters
    ----------
    norm
        What is computed.
    quantizer
        What reads it; all channels alike.
    least, most
        Ends of the input's type.

    Returns
    -------
    thresholds, descending
        As for :class:`pulsefold.compiler.ir.Lrn`: int64 [most - least + 1, T] from 0 (always reached) to the
        greatest energy + 1 (never), and bool [most - least + 1].
    """
    (marks,) = quantizer.boundaries
    never = norm.size * max(abs(least - norm.zero), abs(most - norm.zero)) ** 2 + 1
    thresholds = np.empty((most - least + 1, quantizer.count), np.int64)
    x = np.arange(least, most + 1) - norm.zero
    for row, distance in enumerate(x.tolist()):
        thresholds[row] = _row(norm, marks, distance, never)
    return thresholds, x > 0


def compare_power(ratio: Fraction, base: Fraction, exponent: Fraction) -> int:
    """The sign of base**exponent - ratio, for positive numbers, exactly.

    Exponents p / q of small q compare base**p with ratio**q; others by logarithms, which can only be equal
    where both numbers are 1: no other rational of fewer than q bits is a q-th power.
    """
    if exponent.denominator <= _POWERS:
        a, b = base**exponent.numerator, ratio**exponent.denominator
        return (a > b) - (a < b)
    if base == 1 or ratio == 1:
        return ((base > 1) - (base < 1)) if ratio == 1 else (ratio < 1) - (ratio > 1)
    bits = 64
    while bits <= _MOST_BITS:
        p, q = enclose_log(base, bits), enclose_log(ratio, bits)
        if exponent * p[0] > q[1] or exponent * p[1] < q[0]:
            return 1 if exponent * p[0] > q[1] else -1
        bits *= 2
    msg = f"{float(base)}**{float(exponent)} is {float(ratio)} as far as {_MOST_BITS} bits can tell"
    raise ArithmeticError(msg)


def _row(norm: Normalization, marks: tuple[Boundary, ...], x: int, never: int) -> np.ndarray:
    """int64 [T], ascending: where boundaries are lost for x > 0, where they are reached for others."""
    if x == 0:
        return np.array([0 if mark.reached(Fraction(0)) else never for mark in marks], np.int64)
    # Boundaries on the other side of 0, and 0 itself, are never met.
    side = [mark for mark in marks if mark.value * x > 0]
    found = _crossings(norm, side, x, never)
    rest = np.full(len(marks) - len(side), never)
    return np.concatenate([found[::-1] if x > 0 else found, rest])


def _crossings(norm: Normalization, marks: list[Boundary], x: int, never: int) -> np.ndarray:
    """int64: the least energy at which each boundary is lost (x > 0) or reached (x < 0)."""
    ratios = [abs(x) * norm.scale / abs(mark.value) for mark in marks]
    with np.errstate(all="ignore"):
        bound = np.array([_float(r) for r in ratios]) ** (1 / np.float64(norm.beta))
        bias, slope = _float(norm.bias), _float(norm.slope)
        error = _RELATIVE * (bound + bias) / slope
        energy = (bound - bias) / slope
        low, high = (np.clip(v, -0.5, never + 0.5) for v in (energy - error, energy + error))
    whole = np.floor(low)
    # Without an integer between both ends, the next one is the first behind the crossing.
    unsure = ~((whole == np.floor(high)) & (whole < low))
    found = np.where(unsure, 0, whole).astype(np.int64) + 1
    for i in np.flatnonzero(unsure).tolist():
        found[i] = _bisected(norm, ratios[i], never, at_once=marks[i].strict == (x > 0))
    return np.clip(found, 0, never)


def _bisected(norm: Normalization, ratio: Fraction, never: int, *, at_once: bool) -> int:
    """The least energy at which D**beta is beyond X / b, or where `at_once` equal to it."""
    low, high = 0, never
    while low < high:
        middle = (low + high) // 2
        sign = compare_power(ratio, norm.bias + norm.slope * middle, norm.beta)
        if sign > 0 or (sign == 0 and at_once):
            high = middle
        else:
            low = middle + 1
    return low


def _float(value: Fraction) -> float:
    """The nearest float64, NaN beyond all."""
    try:
        return float(value)
    except OverflowError:
        return np.nan
