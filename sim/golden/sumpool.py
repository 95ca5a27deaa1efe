"""SumPool in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.sumpool import SumPool

__all__ = ["sumpool"]


def sumpool(node: SumPool, x: np.ndarray) -> np.ndarray:
    """Weighted sum of each window: int64 [N, H, W, C] to int64 [N, OH, OW, C]."""
    top, left, bottom, right = node.pads
    below, beside = node.extra
    (kh, kw), (sy, sx), (dy, dx) = node.kernel, node.stride, node.dilation
    factors = node.factors(x.shape[1:])
    oh, ow = factors.shape
    inner = ((0, 0), (top, bottom - below), (left, right - beside), (0, 0))
    padded = np.pad(x, inner, constant_values=node.pad_value if node.include_pad else 0)
    padded = np.pad(padded, ((0, 0), (0, below), (0, beside), (0, 0)))
    y = np.zeros((x.shape[0], oh, ow, x.shape[3]), np.int64)
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dy, ky * dy + (oh - 1) * sy + 1, sy)
            columns = slice(kx * dx, kx * dx + (ow - 1) * sx + 1, sx)
            y += padded[:, rows, columns]
    return y * factors[:, :, np.newaxis]
