"""MaxPool in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.maxpool import MaxPool

__all__ = ["maxpool"]


def maxpool(node: MaxPool, x: np.ndarray) -> np.ndarray:
    """Greatest element of each window: int64 [N, H, W, C] to int64 [N, OH, OW, C]."""
    top, left, bottom, right = node.pads
    (kh, kw), (sy, sx), (dy, dx) = node.kernel, node.stride, node.dilation
    # Less than every element: padding never wins.
    lowest = np.iinfo(np.int64).min
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=lowest)
    oh = (padded.shape[1] - dy * (kh - 1) - 1) // sy + 1
    ow = (padded.shape[2] - dx * (kw - 1) - 1) // sx + 1
    y = np.full((x.shape[0], oh, ow, x.shape[3]), lowest)
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dy, ky * dy + (oh - 1) * sy + 1, sy)
            columns = slice(kx * dx, kx * dx + (ow - 1) * sx + 1, sx)
            np.maximum(y, padded[:, rows, columns], out=y)
    return y
