"""Constant: the same integers for every frame."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.constant import Constant

__all__ = ["constant"]


def constant(node: Constant) -> np.ndarray:
    """values, int64 [1, H, W, C]: what reads it spreads it over the batch."""
    return node.values[np.newaxis]
