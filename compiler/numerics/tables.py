"""Curve and quantizer -> integers: a table of every level, or thresholds where it only rises or falls."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pulsefold.compiler.numerics.curve import Curve, FloatInterval
from pulsefold.compiler.numerics.quantizer import Quantizer

__all__ = ["curve_thresholds", "table_values"]


def table_values(curve: Curve, quantizer: Quantizer, low: int, high: int) -> np.ndarray:
    """Exact level of quantizer(curve(q)) for every integer low <= q <= high.

    float64 intervals decide nearly all of them; what they leave open is decided exactly.

    Returns
    -------
    np.ndarray
        int64 [1 or C, high - low + 1], as for :class:`pulsefold.compiler.ir.Table`. One row where all
        channels agree.

    Raises
    ------
    ArithmeticError
        As for :meth:`pulsefold.compiler.numerics.curve.Curve.level`.
    """
    rows = max(curve.channels, len(quantizer.boundaries))
    q = np.arange(low, high + 1)[np.newaxis]
    with np.errstate(all="ignore"):
        ends = [np.broadcast_to(e, (rows, q.shape[1])) for e in curve.estimate(q)]
    below, above = _float_boundaries(quantizer)
    counts = np.empty((2, rows, q.shape[1]), np.int64)
    for c in range(rows):
        row = c % len(below)
        # At least the boundaries that the lower end reaches for certain; at most those the upper one may.
        counts[0, c] = np.searchsorted(above[row], ends[0][c], side="right")
        counts[1, c] = np.searchsorted(below[row], ends[1][c], side="right")
    values = quantizer.first + quantizer.step * counts[0]
    unsure = (counts[0] != counts[1]) | np.isnan(ends[0])
    for c, i in np.argwhere(unsure).tolist():
        values[c, i] = curve.level(quantizer, low + i, c)
    return values[:1] if np.all(values == values[0]) else values


def curve_thresholds(
    curve: Curve, quantizer: Quantizer, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Integer thresholds of quantizer(curve(x)) for integers low[c] <= x <= high[c], by bisection.

    Parameters
    ----------
    curve
        One whose direction is known in every channel.
    quantizer
        What reads the curve.
    low, high
        Reachable range of x, int64 [C].

    Returns
    -------
    thresholds, descending
        As :func:`pulsefold.compiler.numerics.thresholds.integer_thresholds` gives them.

    Raises
    ------
    ValueError
        The curve neither only rises nor only falls.
    ArithmeticError
        As for :meth:`pulsefold.compiler.numerics.curve.Curve.level`.
    """
    channels, count = len(low), quantizer.count
    directions = [curve.direction(c) for c in range(channels)]
    if any(d is None for d in directions):
        raise ValueError("the curve rises and falls, and thresholds need one direction")
    falling = np.array([d == -1 for d in directions])
    below, above = (np.broadcast_to(b, (channels, count)) for b in _float_boundaries(quantizer))
    # The least x from which on the boundary is reached (rising) or no longer reached (falling).
    least = np.broadcast_to(low[:, np.newaxis], (channels, count)).astype(np.int64)
    most = np.broadcast_to(high[:, np.newaxis] + 1, (channels, count)).astype(np.int64)
    while np.any(least < most):
        x = least + (most - least) // 2
        with np.errstate(all="ignore"):
            ends = curve.estimate(x)
        reached = _reached(curve, quantizer, x, ends, below, above, least < most) != falling[:, np.newaxis]
        open_ = least < most
        most = np.where(open_ & reached, x, most)
        least = np.where(open_ & ~reached, x + 1, least)
    thresholds = np.where(falling[:, np.newaxis], most[:, ::-1], most)
    if np.all(thresholds == thresholds[0]) and np.all(falling == falling[0]):
        return thresholds[:1], falling[:1]
    return thresholds, falling


def _reached(
    curve: Curve,
    quantizer: Quantizer,
    x: np.ndarray,
    ends: FloatInterval,
    below: np.ndarray,
    above: np.ndarray,
    wanted: np.ndarray,
) -> np.ndarray:
    """bool [C, T]: whether the value at x[c, t] reaches boundary t; anything where it is not wanted."""
    yes, no = ends[0] > above, ends[1] < below
    for c, t in np.argwhere(wanted & ~yes & ~no).tolist():
        mark = quantizer.boundaries[c % len(quantizer.boundaries)][t]
        yes[c, t] = curve.reached(mark, int(x[c, t]), c)
    return yes


def _float_boundaries(quantizer: Quantizer) -> tuple[np.ndarray, np.ndarray]:
    """float64 [1 or C, T] just below and just above every boundary."""
    nearest = np.array([[_float(b.value) for b in row] for row in quantizer.boundaries])
    return np.nextafter(nearest, -np.inf), np.nextafter(nearest, np.inf)


def _float(value: Fraction) -> float:
    """The nearest float64, an infinity beyond all."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
