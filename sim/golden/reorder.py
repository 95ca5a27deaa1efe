"""Reorder in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.reorder import Reorder

__all__ = ["reorder"]


def reorder(node: Reorder, x: np.ndarray) -> np.ndarray:
    """x.flat[index], or the fill where the index is -1: int64 [N, H, W, C] to int64 [N, OH, OW, O]."""
    # One element more at the end: -1 finds it.
    flat = np.concatenate([x.reshape(len(x), -1), np.full((len(x), 1), node.fill, x.dtype)], axis=1)
    return flat[:, node.index.ravel()].reshape(len(x), *node.index.shape)
