"""Requantize in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.requantize import Requantize

__all__ = ["requantize"]


def requantize(node: Requantize, x: np.ndarray) -> np.ndarray:
    """clip((multiplier * x + addend) >> shift, low, high); int64 [N, H, W, C] both."""
    peak = int(np.abs(x).max(initial=0)) * _peak(node.multiplier) + _peak(node.addend)
    # Products beyond 64 bits are computed with Python's integers rather than wrapped.
    wide = x if peak < 1 << 63 else x.astype(object)
    return np.clip((wide * node.multiplier + node.addend) >> node.shift, node.low, node.high).astype(np.int64)


def _peak(row: np.ndarray) -> int:
    return max(abs(int(v)) for v in row)
