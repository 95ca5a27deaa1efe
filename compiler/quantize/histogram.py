"""Distributions of values, counted as they come and kept in a few kilobytes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["BINS", "Histogram"]

#: Bins on both sides of zero together.
BINS = 8192

#: Values counted of one batch, spread evenly over it; extremes are taken of all.
_SAMPLE = 1 << 20


@dataclass(slots=True, kw_only=True, eq=False)
class Histogram:
    """Counts of values in equal bins over [-2**exponent, 2**exponent), and their extremes.

    The range doubles when a value falls outside, and pairs of bins become one: so one pass is enough,
    and histograms of different tensors add up exactly.
    """

    exponent: int = -126
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: np.ndarray) -> None:
        """Count finite values."""
        flat = values.ravel()
        if not flat.size:
            return
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        top = max(abs(self.low), abs(self.high))
        if top > 0:
            self.widen(int(np.frexp(top)[1]))
        flat = flat[:: -(-flat.size // _SAMPLE)]
        scaled = flat.astype(np.float64) * 2.0 ** (-self.exponent) + 1
        bins = np.minimum((scaled * (BINS // 2)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)

    def widen(self, exponent: int) -> None:
        """Make the range at least [-2**exponent, 2**exponent)."""
        while self.exponent < exponent and self.counts.any():
            quarter = BINS // 4
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([np.zeros(quarter, np.int64), merged, np.zeros(quarter, np.int64)])
            self.exponent += 1
        self.exponent = max(self.exponent, exponent)

    def merged(self, other: Histogram) -> Histogram:
        """Both together."""
        a = Histogram(exponent=self.exponent, counts=self.counts, low=self.low, high=self.high)
        b = Histogram(exponent=other.exponent, counts=other.counts)
        exponent = max(a.exponent, b.exponent)
        a.widen(exponent)
        b.widen(exponent)
        return Histogram(
            exponent=exponent,
            counts=a.counts + b.counts,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
        )

    @property
    def centers(self) -> np.ndarray:
        """Middle of each bin."""
        return ((np.arange(BINS) + 0.5) / (BINS // 2) - 1) * 2.0**self.exponent
