"""Lrn in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.lrn import Lrn

__all__ = ["lrn"]


def lrn(node: Lrn, x: np.ndarray) -> np.ndarray:
    """The level that the energy of its neighbours leaves each element; int64 [N, H, W, C] both."""
    squares = (x - node.zero) ** 2
    channels = x.shape[3]
    total = np.concatenate([np.zeros((*x.shape[:3], 1), np.int64), np.cumsum(squares, axis=3)], axis=3)
    c = np.arange(channels)
    energy = total[..., np.minimum(c + node.after + 1, channels)] - total[..., np.maximum(c - node.before, 0)]
    row = x - node.least
    n = np.empty_like(x)
    for r in np.unique(row):
        here = row == r
        n[here] = np.searchsorted(node.thresholds[r], energy[here], side="right")
    return node.first + np.where(node.descending[row], node.thresholds.shape[1] - n, n)
