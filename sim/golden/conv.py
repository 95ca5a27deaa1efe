"""Conv in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.conv import Conv

__all__ = ["conv"]

#: Bytes of the largest patch matrix held at once.
_PATCH_BYTES = 1 << 26


def conv(node: Conv, x: np.ndarray) -> np.ndarray:
    """Cross-correlation with zeros outside the frame: int64 [N, H, W, C] to int64 [N, OH, OW, O].

    Where max |x| * max over o of sum |weights[o]| stays below 2**24 (2**53), every product and every
    partial sum, in whatever order, is an integer that float32 (float64) holds exactly, so the matrix
    product runs in that type and nothing is rounded. Otherwise it runs in int64.
    """
    batch, _, _, channels = x.shape
    kh, kw = node.kernel
    top, left, bottom, right = node.pads
    (sy, sx), (dy, dx) = node.stride, node.dilation
    outputs = node.weights.shape[0]
    oh, ow, _ = node.output_shape((x.shape[1], x.shape[2], channels))
    weights = node.weights.reshape(outputs, -1)
    peak = int(np.abs(x).max(initial=0)) * int(np.abs(weights).sum(axis=1).max())
    kind = np.float32 if peak < 1 << 24 else np.float64 if peak < 1 << 53 else np.int64
    columns = np.ascontiguousarray(weights.T.astype(kind))
    y = np.empty((batch, oh, ow, outputs), np.int64)
    patch = oh * ow * kh * kw * channels * np.dtype(kind).itemsize
    chunk = max(1, _PATCH_BYTES // patch)
    for start in range(0, batch, chunk):
        part = x[start : start + chunk].astype(kind)
        padded = np.pad(part, ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, ((kh - 1) * dy + 1, (kw - 1) * dx + 1), axis=(1, 2)
        )
        windows = windows[:, ::sy, ::sx, :, ::dy, ::dx].transpose(0, 1, 2, 4, 5, 3)
        product = windows.reshape(-1, kh * kw * channels) @ columns
        y[start : start + chunk] = product.reshape(-1, oh, ow, outputs)
    return y
