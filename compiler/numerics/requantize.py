"""Thresholds -> the smallest multiplier, addend and shift with the same level at every reachable integer.

A channel's thresholds t_k are where its output becomes L_k = first + k. For f(x) = (m * x + b) >> s, m > 0,
f equals the steps at every x exactly if f(t_k) >= L_k and f(t_k - 1) < L_k for every k whose threshold lies
inside the reachable range; the others are what the clamps are for. That is

    max over k of (L_k * 2**s - m * t_k)  <=  b  <=  min over k of (L_k * 2**s - m * t_k) + m - 1,

a window for b. Its size is a concave function of m, so that where it is empty the two k that make it so say
on which side of m every other m that can work lies, and how far at least.

Where ties go to even, an odd L_k needs one more: L_k * 2**s + 1 in place of L_k * 2**s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["AffineSteps", "affine_steps"]

#: Bits that m * x + b may take: it is computed in int64.
_WIDEST = 62
#: Bits of the shift that ties to even must save to be worth telling ties apart.
_MANY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineSteps:
    """Numbers of a :class:`pulsefold.compiler.ir.Requantize`."""

    multiplier: np.ndarray
    addend: np.ndarray
    shift: int
    low: np.ndarray
    high: np.ndarray
    even: bool = False


def affine_steps(
    thresholds: np.ndarray, descending: np.ndarray, first: int, low: np.ndarray, high: np.ndarray
) -> AffineSteps | None:
    """The step function of a Threshold with steps of 1, as multiply, add, shift and clip.

    Equal at every integer low[c] <= x <= high[c]; the shift is the least that all channels can share, and
    with it the multipliers are as narrow as they can be.

    Parameters
    ----------
    thresholds, descending, first
        As in :class:`pulsefold.compiler.ir.Threshold`.
    low, high
        Reachable range, int64 [C].

    Returns
    -------
    AffineSteps or None
        None where some channel's steps are no such function within 62 bits: a table of unequal steps, say.
    """
    if len(thresholds) == 1:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    falls = descending
    # y >= L_k on a falling channel is x <= t - 1, which is -x >= 1 - t.
    t = np.where(falls[:, np.newaxis], 1 - thresholds[:, ::-1], thresholds)
    low, high = np.where(falls, -high, low), np.where(falls, -low, high)
    rows = _Rows.make(t, first, low, high)
    solution = rows.solved()
    if solution is None or rows.is_easier_with_ties(solution[2]):
        rows = replace(rows, even=True)
        solution = rows.solved() or solution
    if solution is None:
        return None
    multiplier, addend, shift = solution
    # What the clamps must be, where m * x + b does not already stay inside by itself.
    least, most = (
        first + (t <= low[:, np.newaxis]).sum(axis=1),
        first + (t <= high[:, np.newaxis]).sum(axis=1),
    )
    inside = rows.at(low, *solution) >= least
    least = np.where(inside, least.min(), least)
    inside = rows.at(high, *solution) <= most
    most = np.where(inside, most.max(), most)
    return AffineSteps(
        multiplier=_merged(np.where(falls, -multiplier, multiplier)),
        addend=_merged(addend),
        shift=shift,
        low=_merged(least),
        high=_merged(most),
        even=rows.even,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rising channels: thresholds [R, T], which of them matter, and the levels [T] they lead to."""

    t: np.ndarray
    active: np.ndarray
    levels: np.ndarray
    #: Level of the channels without any threshold that matters.
    constant: np.ndarray
    #: Estimated slopes, levels an integer, float64 [R].
    slope: np.ndarray
    most_shift: int
    #: Whether ties go to even.
    even: bool = False

    @classmethod
    def make(cls, t: np.ndarray, first: int, low: np.ndarray, high: np.ndarray) -> _Rows:
        active = (t > low[:, np.newaxis]) & (t <= high[:, np.newaxis])
        t = np.clip(t, low[:, np.newaxis], high[:, np.newaxis] + 1)
        levels = first + 1 + np.arange(t.shape[1])
        count = active.sum(axis=1)
        start = (t <= low[:, np.newaxis]).sum(axis=1)
        last = np.minimum(start + np.maximum(count, 1), t.shape[1]) - 1
        r = np.arange(len(t))
        span = t[r, last] - t[r, np.minimum(start, t.shape[1] - 1)]
        # One threshold alone is met with any slope, the least of all for one.
        slope = np.maximum(count - 1, 0) / np.maximum(span, 1)
        size = float(np.max(np.maximum(np.abs(low), np.abs(high)) * slope) + np.abs(levels).max() + 1)
        return cls(
            t=t,
            active=active,
            levels=levels,
            constant=first + start,
            slope=slope,
            most_shift=max(0, _WIDEST - 4 - int(np.ceil(np.log2(size)))),
        )

    def solved(self) -> tuple[np.ndarray, np.ndarray, int] | None:
        """Multiplier and addend of every channel, and the least shift that all can share."""
        multiplier = np.zeros(len(self.t), np.int64)
        rows = np.flatnonzero(self.active.any(axis=1))
        if not len(rows):
            return multiplier, self.constant << int(self.even), int(self.even)
        shift = self._least_shift(rows)
        found, works = self._feasible(rows, shift)
        if not works.all():
            return None
        # One more is no tie.
        addend = (self.constant << shift) + self.even
        # One multiplier for all is less to store, and channels of one scale can have it.
        busiest = found[np.argmax(self.active[rows].sum(axis=1))]
        shared = np.full(len(rows), busiest)
        if np.all(self._window(rows, shared, shift)[0] >= 0):
            found = shared
        multiplier[rows] = found
        addend[rows] = self._window(rows, found, shift)[1]
        return multiplier, addend, shift

    def is_easier_with_ties(self, shift: int) -> bool:
        """Whether ties to even save many bits of a shift that works without: gains are powers of two then."""
        less = replace(self, even=True)
        rows = np.flatnonzero(self.active.any(axis=1))
        return bool(shift > _MANY and less._feasible(rows, shift - _MANY)[1].all())

    def at(self, x: np.ndarray, multiplier: np.ndarray, addend: np.ndarray, shift: int) -> np.ndarray:
        """The unclipped level of one integer a channel."""
        product = multiplier * x + addend
        y = product >> shift
        return y - (y & 1) * (product == y << shift) if self.even else y

    def _marks(self, shift: int) -> np.ndarray:
        """int64 [T]: the least product that reaches each level."""
        return (self.levels << shift) + (self.levels & 1) * self.even

    def _least_shift(self, rows: np.ndarray) -> int:
        """The widest if none does. What works with one works with the next, with m and b doubled."""
        least, most = int(self.even), self.most_shift
        while least < most:
            shift = (least + most) // 2
            works = self._feasible(rows, shift)[1]
            if works.all():
                most = shift
            else:
                # The others work with any greater shift too.
                least, rows = shift + 1, rows[~works]
        return least

    def _feasible(self, rows: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """For each of `rows` a multiplier, and whether it works (none does where it does not)."""
        m = np.maximum(1, np.rint(self.slope[rows] * 2.0**shift)).astype(np.int64)
        least, most = np.ones(len(rows), np.int64), np.full(len(rows), np.int64(1) << _WIDEST)
        works = np.zeros(len(rows), np.bool_)
        open_ = np.arange(len(rows))
        while len(open_):
            gap, _, i, j = self._window(rows[open_], m[open_], shift)
            works[open_] = gap >= 0
            part = gap < 0
            open_, i, j = open_[part], i[part], j[part]
            # b is bounded from below by threshold i and from above by threshold j, too tightly by this m.
            r = rows[open_]
            run = self.t[r, j] - 1 - self.t[r, i]
            marks = self._marks(shift)
            rise = marks[j] - marks[i] - 1
            bound = np.where(
                run > 0, rise // np.where(run > 0, run, 1), -(rise // np.where(run < 0, -run, 1))
            )
            most[open_] = np.where(run > 0, np.minimum(most[open_], bound), most[open_])
            least[open_] = np.where(run < 0, np.maximum(least[open_], bound), least[open_])
            m[open_] = bound
            reach = np.abs(self.t[r]).max(axis=1).astype(np.float64) * bound
            open_ = open_[(run != 0) & (least[open_] <= most[open_]) & (reach < 2.0**_WIDEST)]
        return m, works

    def _window(
        self, rows: np.ndarray, m: np.ndarray, shift: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Greatest addend less the least, the least, and the thresholds that bound it on either side."""
        g = self._marks(shift) - m[:, np.newaxis] * self.t[rows]
        limits = np.iinfo(np.int64)
        active = self.active[rows]
        below, above = np.where(active, g, limits.min), np.where(active, g, limits.max)
        i, j = below.argmax(axis=1), above.argmin(axis=1)
        r = np.arange(len(rows))
        return g[r, j] + m - 1 - g[r, i], g[r, i], i, j


def _merged(row: np.ndarray) -> np.ndarray:
    return row[:1] if np.all(row == row[0]) else row
