"""Requantize in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.requantize import Requantize

__all__ = ["requantize"]


def requantize(node: Requantize, x: np.ndarray) -> np.ndarray:
    """clip((multiplier * x + addend) >> shift, low, high); int64 [N, H, W, C] both."""
    return np.clip((x * node.multiplier + node.addend) >> node.shift, node.low, node.high)
