"""Threshold in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.threshold import Threshold

__all__ = ["count_reached", "threshold"]


def threshold(node: Threshold, x: np.ndarray) -> np.ndarray:
    """first + step * n, or first + step * (T - n) on descending channels; int64 [N, H, W, C] both."""
    return levels(x, node.thresholds, node.descending, first=node.first, step=node.step)


def levels(
    x: np.ndarray, thresholds: np.ndarray, descending: np.ndarray, *, first: int, step: int
) -> np.ndarray:
    """The same for any sorted thresholds [1 or C, T], floating-point ones too."""
    n = count_reached(x, thresholds)
    n = np.where(descending, thresholds.shape[1] - n, n)
    return first + step * n


def count_reached(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """count over t of (x[..., c] >= thresholds[c, t]), int64; rows ascend."""
    rows, count = thresholds.shape
    if count <= 4:
        n = np.zeros(x.shape, np.int64)
        for t in range(count):
            n += x >= thresholds[:, t]
        return n
    if rows == 1:
        return np.searchsorted(thresholds[0], x, side="right")
    n = np.empty(x.shape, np.int64)
    for c in range(rows):
        n[..., c] = np.searchsorted(thresholds[c], x[..., c], side="right")
    return n
