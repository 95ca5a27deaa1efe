"""Requantize in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.requantize import Requantize

__all__ = ["requantize"]


def requantize(node: Requantize, x: np.ndarray) -> np.ndarray:
    """clip((multiplier * x + addend) >> shift, low, high), `even` as told; int64 [N, H, W, C] both."""
    peak = int(np.abs(x).max(initial=0)) * _peak(node.multiplier) + _peak(node.addend)
    # Products beyond 64 bits are computed with Python's integers rather than wrapped.
    wide = x if peak < 1 << 63 else x.astype(object)
    product = wide * node.multiplier + node.addend
    y = product >> node.shift
    if node.even:
        y = y - (y & 1) * (product == y << node.shift)
    return np.clip(y, node.low, node.high).astype(np.int64)


def _peak(row: np.ndarray) -> int:
    return max(abs(int(v)) for v in row)
