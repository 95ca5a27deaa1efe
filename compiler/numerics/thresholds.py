"""Chain of exact steps and quantizer -> the exact thresholds on what goes in.

Each boundary of the quantizer is a half-line of reals. Its preimage under a monotone line is a
half-line again, and the least integer (or float) on its upper side is the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from typing import TypeVar

import numpy as np

from pulsefold.compiler.numerics.floats import smallest_float
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer
from pulsefold.compiler.numerics.surd import Real, Surd

__all__ = ["float_thresholds", "integer_thresholds"]

#: Stands for "every x is on the upper side" (negative) and "no x is" among the integer thresholds.
_FAR = 1 << 200

Number = TypeVar("Number", int, float)

#: Bits of the enclosures that decide nearly every threshold of an irrational line.
_BITS = 192


def integer_thresholds(
    lines: Sequence[Line], quantizer: Quantizer, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Integer thresholds of quantizer(line(x)) for integers low[c] <= x <= high[c].

    Parameters
    ----------
    lines
        One, or one a channel.
    quantizer
        What reads the lines.
    low, high
        Reachable range of x, int64 [C].

    Returns
    -------
    thresholds, descending
        As for :class:`pulsefold.compiler.ir.Threshold`: int64 [1 or C, T], clipped to low[c] and
        high[c] + 1, and bool [1 or C]. One row where all channels agree.
    """
    channels = len(low)
    period = max(len(lines), len(quantizer.boundaries))
    unclipped = [
        _integer_row(lines[c % len(lines)], quantizer.boundaries[c % len(quantizer.boundaries)])
        for c in range(period)
    ]
    rows = [
        [min(max(v, int(low[c])), int(high[c]) + 1) for v in unclipped[c % period]] for c in range(channels)
    ]
    falling = [not lines[c % len(lines)].rising for c in range(channels)]
    return _merge(np.array(rows, np.int64), np.array(falling))


def float_thresholds(
    lines: Sequence[Line], quantizer: Quantizer, dtype: type[np.floating]
) -> tuple[np.ndarray, np.ndarray]:
    """The same in floating point: thresholds `dtype` [1 or C, T] and bool [1 or C].

    -inf is a threshold that all inputs reach, +inf one that none does.
    """
    count = max(len(lines), len(quantizer.boundaries))
    rows = []
    descending = np.zeros(count, np.bool_)
    for c in range(count):
        line = lines[c % len(lines)]
        descending[c] = not line.rising

        def find(mark: Boundary, line: Line = line) -> float:
            bound = (mark.value - line.offset) / line.gain
            # Falling: the threshold is the first x outside the half-line x <= bound or x < bound.
            return smallest_float(bound, dtype, strict=mark.strict != (line.gain < 0))

        rows.append(_row(line, quantizer.boundaries[c % len(quantizer.boundaries)], find, np.inf))
    return _merge(np.array(rows, dtype), descending)


def _row(
    line: Line, marks: Sequence[Boundary], find: Callable[[Boundary], Number], far: Number
) -> list[Number]:
    """One ascending row; `find` gives the threshold of a boundary that the affine part decides."""
    row = []
    for mark in marks:
        always = line.low is not None and mark.reached(line.low)
        never = line.high is not None and not mark.reached(line.high)
        if line.gain == 0 and not (always or never):
            always = mark.reached(line.offset)
            never = not always
        if always or never:
            row.append(far if never == line.rising else -far)
        else:
            row.append(find(mark))
    return row if line.rising else row[::-1]


def _integer_row(line: Line, marks: Sequence[Boundary]) -> list[int]:
    """Thresholds of one channel over all integers."""
    if line.gain == 0:
        return _row(line, marks, lambda _: 0, _FAR)
    split = _splitter(1 / line.gain, -line.offset / line.gain)
    falling = line.gain < 0

    def find(mark: Boundary) -> int:
        whole, exact = split(mark.value)
        # x >= t starts at ceil(t), x > t at floor(t) + 1. Falling, x <= t ends before floor(t) + 1.
        return whole if exact and mark.strict == falling else whole + 1

    return _row(line, marks, find, _FAR)


def _splitter(gain: Real, offset: Real) -> Callable[[Fraction], tuple[int, bool]]:
    """A function from y to floor(t) and whether t is an integer, for t = gain * y + offset."""
    if isinstance(gain, Fraction) and isinstance(offset, Fraction):
        scale = gain.denominator * offset.denominator
        slope, start = gain.numerator * offset.denominator, offset.numerator * gain.denominator

        def rational(y: Fraction) -> tuple[int, bool]:
            whole, rest = divmod(slope * y.numerator + start * y.denominator, scale * y.denominator)
            return whole, rest == 0

        return rational
    slope = _enclose(gain)
    start = _enclose(offset)

    def irrational(y: Fraction) -> tuple[int, bool]:
        n, d = y.numerator, y.denominator
        a, b = (slope[0], slope[1]) if n >= 0 else (slope[1], slope[0])
        low, rest = divmod(n * a + d * start[0], d << _BITS)
        high = (n * b + d * start[1]) // (d << _BITS)
        if low == high and rest:
            return low, False
        t = gain * y + offset
        whole = floor(t)
        return whole, t == whole

    return irrational


def _enclose(value: Real) -> tuple[int, int]:
    if isinstance(value, Surd):
        return value.enclosure(_BITS)
    return (value.numerator << _BITS) // value.denominator, -(
        (-value.numerator << _BITS) // value.denominator
    )


def _merge(rows: np.ndarray, descending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row where all channels agree."""
    if np.all(rows == rows[0]) and np.all(descending == descending[0]):
        return rows[:1], descending[:1]
    return rows, descending
