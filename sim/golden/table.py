"""Table in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.table import Table

__all__ = ["table"]


def table(node: Table, x: np.ndarray) -> np.ndarray:
    """values[c, x - least]; int64 [N, H, W, C] both."""
    rows = node.values.shape[0]
    return node.values[np.arange(x.shape[3]) % rows, x - node.least]
