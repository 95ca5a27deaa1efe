"""Conv in integers."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.conv import Conv

__all__ = ["conv"]

#: Bytes of the largest patch matrix held at once.
_PATCH_BYTES = 1 << 26


def conv(node: Conv, x: np.ndarray) -> np.ndarray:
    """Cross-correlation, `pad_value` outside the frame: int64 [N, H, W, C] to int64 [N, OH, OW, O].

    Where max |x| * max over o of sum |weights[o]| stays below 2**24 (2**53), every product and every
    partial sum, in whatever order, is an integer that float32 (float64) holds exactly, so the matrix
    product runs in that type and nothing is rounded. Otherwise it runs in int64.
    """
    batch, _, _, channels = x.shape
    kh, kw = node.kernel
    top, left, bottom, right = node.pads
    (sy, sx), (dy, dx) = node.stride, node.dilation
    outputs, groups = node.weights.shape[0], node.groups
    oh, ow, _ = node.output_shape((x.shape[1], x.shape[2], channels))
    high = max(int(np.abs(x).max(initial=0)), abs(node.pad_value))
    peak = high * int(np.abs(node.weights).reshape(outputs, -1).sum(axis=1).max())
    kind = np.float32 if peak < 1 << 24 else np.float64 if peak < 1 << 53 else np.int64
    inside, rows = channels // groups, outputs // groups
    # [G, taps * C/G, O/G]: a batched matrix product, one a group.
    columns = node.weights.reshape(groups, rows, -1).transpose(0, 2, 1).astype(kind)
    y = np.empty((batch, oh, ow, outputs), np.int64)
    patch = oh * ow * kh * kw * channels * np.dtype(kind).itemsize
    chunk = max(1, _PATCH_BYTES // patch)
    for start in range(0, batch, chunk):
        part = x[start : start + chunk].astype(kind)
        pads = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(part, pads, constant_values=node.pad_value) if node.padded else part
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, ((kh - 1) * dy + 1, (kw - 1) * dx + 1), axis=(1, 2)
        )
        windows = windows[:, ::sy, ::sx, :, ::dy, ::dx]
        if groups == channels and rows == 1:
            # Depthwise: one tap after the other, no matrix.
            product = np.zeros(windows.shape[:4], kind)
            for k in range(kh * kw):
                product += windows[..., k // kw, k % kw] * columns[:, k, 0]
        elif groups == 1:
            taps = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * channels)
            product = (taps @ columns[0]).reshape(-1, oh, ow, outputs)
        else:
            grouped = windows.reshape(*windows.shape[:3], groups, inside, kh, kw)
            taps = grouped.transpose(3, 0, 1, 2, 5, 6, 4).reshape(groups, -1, kh * kw * inside)
            product = (taps @ columns).transpose(1, 0, 2).reshape(-1, oh, ow, outputs)
        y[start : start + chunk] = product
    return y
