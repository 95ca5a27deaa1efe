"""Sums of narrow integers with wide gains: small gains that lead to the same levels for every combination.

A residual connection adds integers of different scales. Exactly, q1 * g1 + q2 * g2 with gains as wide as the
scales' mantissas; but the levels behind it only ask on which side of each step a combination of q1 and q2
lies, and there are few combinations: 65536 of two bytes. Gains that are searched, and shown to be right for
every one of them, are much smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

__all__ = ["MOST_COMBINATIONS", "SmallSteps", "SmallThresholds", "small_steps", "small_thresholds"]

#: Combinations of input integers that are looked at one by one.
MOST_COMBINATIONS = 1 << 18
#: How far from the rounded real gains the integer ones are looked for, up to three inputs.
_AROUND = 2
#: Widest gains worth having.
_WIDEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSteps:
    """level = min(max((sum of gains[i] * x_i + addend) >> shift, least), most)."""

    gains: tuple[int, ...]
    addend: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallThresholds:
    """count = how many of `thresholds`, int64 [T], sum of gains[i] * x_i reaches."""

    gains: tuple[int, ...]
    thresholds: np.ndarray


def small_steps(
    ranges: Sequence[tuple[int, int]], slopes: Sequence[float], levels: np.ndarray
) -> SmallSteps | None:
    """The smallest gains with which a shift gives the level of every combination of integers.

    Parameters
    ----------
    ranges
        Least and greatest integer of each input.
    slopes
        About how many levels one unit of each input is; not 0.
    levels
        int64, one axis an input: the exact level of each combination, least integers first.

    Returns
    -------
    SmallSteps or None
        None where no gains of up to 30 bits do.
    """
    if levels.min() == levels.max():
        return None
    search = _Search.make(ranges, levels.ravel())
    for shift in range(_WIDEST):
        for gains in _near([s * 2.0**shift for s in slopes]):
            addend = search.addend(gains, shift)
            if addend is not None:
                return SmallSteps(
                    gains=gains,
                    addend=addend,
                    shift=shift,
                    low=int(levels.min()),
                    high=int(levels.max()),
                )
    return None


def small_thresholds(
    ranges: Sequence[tuple[int, int]], gains: Sequence[int], counts: np.ndarray, count: int
) -> SmallThresholds | None:
    """The smallest gains whose sums put the combinations of integers in order of their counts.

    Parameters
    ----------
    ranges
        As for :func:`small_steps`.
    gains
        The exact ones.
    counts
        int64, one axis an input: thresholds that each combination reaches, out of `count`.
    count
        Thresholds.

    Returns
    -------
    SmallThresholds or None
        None where no smaller gains do.
    """
    search = _Search.make(ranges, counts.ravel())
    widest = max(abs(g) for g in gains)
    for step in range(2 * widest.bit_length() - 1):
        scale = 2.0 ** (step / 2) / widest
        for near in _near([g * scale for g in gains]):
            thresholds = search.thresholds(near, count)
            if thresholds is not None:
                return SmallThresholds(gains=near, thresholds=thresholds)
    return None


def _near(slopes: Sequence[float]) -> Iterator[tuple[int, ...]]:
    """Integers around real gains, of their signs, the nearest first."""
    reach = _AROUND if len(slopes) <= 3 else 1
    choices = []
    for slope in slopes:
        middle = round(slope)
        choices.append([middle + k for k in range(-reach, reach + 1) if (middle + k) * slope > 0])
    found = product(*choices)
    yield from sorted(found, key=lambda g: sum(abs(a - s) for a, s in zip(g, slopes, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """All combinations of integers, int64 [inputs, N], sorted by what they lead to.

    Nearly all gains are ruled out by a few `hard` combinations that ruled out others before.
    """

    x: np.ndarray
    levels: np.ndarray
    hard: list[int] = field(default_factory=list)

    @classmethod
    def make(cls, ranges: Sequence[tuple[int, int]], levels: np.ndarray) -> _Search:
        grids = np.meshgrid(*(np.arange(low, high + 1) for low, high in ranges), indexing="ij")
        order = np.argsort(levels, kind="stable")
        return cls(x=np.stack([g.ravel() for g in grids])[:, order], levels=levels[order])

    def addend(self, gains: Sequence[int], shift: int) -> int | None:
        """An addend with which (sum + addend) >> shift, clipped, is the level of every combination."""
        least, most = self.levels[0], self.levels[-1]
        for places in (np.array(self.hard, np.int64), np.arange(len(self.levels))):
            if not len(places):
                continue
            level = self.levels[places]
            total = np.array(gains) @ self.x[:, places]
            limits = np.iinfo(np.int64)
            below = np.where(level > least, (level << shift) - total, limits.min)
            above = np.where(level < most, ((level + 1) << shift) - 1 - total, limits.max)
            i, j = int(below.argmax()), int(above.argmin())
            if below[i] > above[j]:
                if len(places) == len(self.levels):
                    self.hard.extend((i, j))
                return None
        return int(below[i])

    def thresholds(self, gains: Sequence[int], count: int) -> np.ndarray | None:
        """The least sum that each count needs, where no lower count has as much."""
        for places in (np.unique(np.array(self.hard, np.int64)), np.arange(len(self.levels))):
            if not len(places):
                continue
            level = self.levels[places]
            total = np.array(gains) @ self.x[:, places]
            starts = np.flatnonzero(np.diff(level, prepend=-1))
            least, most = np.minimum.reduceat(total, starts), np.maximum.reduceat(total, starts)
            wrong = np.flatnonzero(most[:-1] >= least[1:])
            if len(wrong):
                if len(places) == len(self.levels):
                    ends = [*starts, len(places)]
                    for k in wrong[:2].tolist():
                        self.hard.append(int(ends[k] + total[ends[k] : ends[k + 1]].argmax()))
                        self.hard.append(int(ends[k + 1] + total[ends[k + 1] : ends[k + 2]].argmin()))
                return None
        # The count of threshold k is the first one above k that occurs.
        place = np.searchsorted(level[starts], np.arange(1, count + 1))
        return np.append(least, most[-1] + 1)[place]
