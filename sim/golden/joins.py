"""Sum, Product and Concat in integers: what joins streams."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.concat import Concat
from pulsefold.compiler.ir.product import Product
from pulsefold.compiler.ir.sum import Sum

__all__ = ["concat", "product", "sum_"]


def sum_(node: Sum, *x: np.ndarray) -> np.ndarray:
    """sum of gains[i] * x_i, int64 [N, H, W, C]; (N, 1, 1, C) counts for every pixel."""
    total = node.gains[0] * x[0]
    for gain, part in zip(node.gains[1:], x[1:], strict=True):
        total = total + gain * part
    return total


def product(node: Product, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a - zeros[0]) * (b - zeros[1]), int64 [N, H, W, C]."""
    return (a - node.zeros[0]) * (b - node.zeros[1])


def concat(_: Concat, *x: np.ndarray) -> np.ndarray:
    """Channels side by side, int64 [N, H, W, C]."""
    return np.concatenate(x, axis=3)
