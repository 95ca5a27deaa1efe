"""Chain of exact steps and quantizer -> the exact thresholds on what goes in.

Each boundary of the quantizer is a half-line of reals. Its preimage under a monotone line is a
half-line again, and the least integer (or float) on its upper side is the threshold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor

import numpy as np

from pulsefold.compiler.numerics.floats import smallest_float
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer
from pulsefold.compiler.numerics.surd import Real, Surd

__all__ = ["float_thresholds", "integer_thresholds"]

#: Error allowed to a float64 preimage, relative to what it is computed from.
_RELATIVE = 2.0**-46
#: Gains of which it holds.
_LEAST = 1e-290

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
    period = max(len(lines), len(quantizer.boundaries))
    falling = np.array([not lines[c % len(lines)].rising for c in range(period)])
    # Two more than any x can tell: what lies beyond is clipped channel by channel.
    rows = _integer_rows(lines, quantizer.boundaries, int(low.min()), int(high.max()))
    rows = np.where(falling[:, np.newaxis], rows[:, ::-1], rows)
    channel = np.arange(len(low)) % period
    rows = np.clip(rows[channel], low[:, np.newaxis], high[:, np.newaxis] + 1)
    return _merge(rows, falling[channel])


def float_thresholds(
    lines: Sequence[Line], quantizer: Quantizer, dtype: type[np.floating]
) -> tuple[np.ndarray, np.ndarray]:
    """The same in floating point: thresholds `dtype` [1 or C, T] and bool [1 or C].

    -inf is a threshold that all inputs reach, +inf one that none does.
    """
    rows = []
    for c in range(max(len(lines), len(quantizer.boundaries))):
        line, marks = lines[c % len(lines)], quantizer.boundaries[c % len(quantizer.boundaries)]
        always, some = _decided(line, marks)
        far = np.inf if line.rising else -np.inf
        # Falling: the threshold is the first x outside the half-line x <= bound or x < bound.
        found = [
            smallest_float(
                (mark.value - line.offset) / line.gain, dtype, strict=mark.strict != (line.gain < 0)
            )
            for mark in marks[always:some]
        ]
        row = [-far] * always + found + [far] * (len(marks) - some)
        rows.append(row if line.rising else row[::-1])
    falling = np.array([not lines[c % len(lines)].rising for c in range(len(rows))])
    return _merge(np.array(rows, dtype), falling)


def _integer_rows(
    lines: Sequence[Line], marks: Sequence[Sequence[Boundary]], low: int, high: int
) -> np.ndarray:
    """int64 [period, T] in the order of the boundaries: thresholds, as far as integers from low to high tell.

    Preimages are computed in float64; where an integer lies within their error, they are computed exactly.
    """
    period = max(len(lines), len(marks))
    values = np.array([[_float(mark.value) for mark in row] for row in marks])
    gain = np.array([_float(line.gain) for line in lines])[:, np.newaxis]
    offset = np.array([_float(line.offset) for line in lines])[:, np.newaxis]
    # Subnormal numbers are less precise than that.
    gain[np.abs(gain) < _LEAST] = np.nan
    with np.errstate(all="ignore"):
        x = (values - offset) / gain
        error = _RELATIVE * (np.abs(values) + np.abs(offset)) / np.abs(gain)
        least, most = (np.clip(v, low - 1.5, high + 1.5) for v in (x - error, x + error))
        whole = np.floor(least)
        # Without an integer between both ends, the next one is the threshold, reached at once or not.
        unsure = ~((whole == np.floor(most)) & (whole < least))
    rows = np.where(unsure, 0, whole).astype(np.int64) + 1
    for c in range(period):
        line, row = lines[c % len(lines)], marks[c % len(marks)]
        if line.clamped or line.gain == 0:
            # Boundaries that the line reaches everywhere, and those that it reaches nowhere.
            always, some = _decided(line, row)
            rows[c, :always] = low if line.rising else high + 1
            rows[c, some:] = high + 1 if line.rising else low
            unsure[c, :always] = unsure[c, some:] = False
        open_ = np.flatnonzero(unsure[c])
        if len(open_):
            split = _splitter(1 / line.gain, -line.offset / line.gain)
            for t in open_.tolist():
                whole_, exact = split(row[t].value)
                # x >= t starts at ceil(t), x > t at floor(t) + 1. Falling, x <= t ends before floor(t) + 1.
                threshold = whole_ if exact and row[t].strict == (line.gain < 0) else whole_ + 1
                rows[c, t] = min(max(threshold, low), high + 1)
    return rows


def _decided(line: Line, marks: Sequence[Boundary]) -> tuple[int, int]:
    """How many of the ascending boundaries the line reaches at every x, and how many at any."""

    def count(y: Real) -> int:
        return bisect_left(marks, True, key=lambda mark: not mark.reached(y))

    if line.gain == 0:
        reached = count(line.at(Fraction(0)))
        return reached, reached
    return 0 if line.low is None else count(line.low), len(marks) if line.high is None else count(line.high)


def _float(value: Real) -> float:
    """The nearest float64, NaN beyond all."""
    try:
        return float(value)
    except OverflowError:
        return np.nan


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
