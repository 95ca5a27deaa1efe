"""Conv in integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pulsefold.compiler.ir.conv import Conv

__all__ = ["conv"]

#: Bytes of the largest matrix of patches, and of the largest block of weights, held at once.
_BLOCK_BYTES = 1 << 26


def conv(node: Conv, x: np.ndarray) -> np.ndarray:
    """Cross-correlation, `pad_value` outside the frame: int64 [N, H, W, C] to int64 [N, OH, OW, O].

    Where max |x| * max over o of sum |weights[o]| stays below 2**24 (2**53), every product and every
    partial sum, in whatever order, is an integer that float32 (float64) holds exactly, so the matrix
    product runs in that type and nothing is rounded. Otherwise it runs in int64.
    """
    batch, channels = x.shape[0], x.shape[3]
    top, left, bottom, right = node.pads
    outputs, groups = node.weights.shape[0], node.groups
    oh, ow, _ = node.output_shape((x.shape[1], x.shape[2], channels))
    high = max(int(np.abs(x).max(initial=0)), abs(node.pad_value))
    peak = high * max(int(np.abs(rows).sum(axis=(1, 2, 3)).max()) for rows in _row_blocks(node.weights))
    kind = np.dtype(np.float32 if peak < 1 << 24 else np.float64 if peak < 1 << 53 else np.int64)
    padded = x.astype(kind)
    if node.padded:
        pads = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(padded, pads, constant_values=node.pad_value)
    y = np.empty((batch, oh, ow, outputs), np.int64)
    if groups == channels == outputs:
        _depthwise(node, padded, y)
        return y
    start = 0
    for weights in _row_blocks(node.weights) if groups == 1 else (node.weights,):
        rows = len(weights) // groups
        # [G, taps * C/G, O/G]: a batched matrix product, one a group.
        columns = weights.reshape(groups, rows, -1).astype(kind).transpose(0, 2, 1)
        for frames, lines, patches in _patches(node, padded, (oh, ow)):
            count = len(patches)
            taps = patches.reshape(count, -1, groups, channels // groups).transpose(2, 0, 1, 3)
            product = (taps.reshape(groups, count, -1) @ columns).transpose(1, 0, 2)
            part = y[frames, lines, :, start : start + len(weights)]
            part[...] = product.reshape(part.shape)
        start += len(weights)
    return y


def _row_blocks(weights: np.ndarray) -> Iterator[np.ndarray]:
    """Weights [O, ...] in blocks of rows: a copy of the largest layers would be a gigabyte."""
    size = max(1, _BLOCK_BYTES // (8 * weights[0].size))
    for start in range(0, len(weights), size):
        yield weights[start : start + size]


def _patches(
    node: Conv, padded: np.ndarray, size: tuple[int, int]
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Frames, output rows, and what lies under the windows there: [places, KH, KW, C]."""
    (kh, kw), (sy, sx), (dy, dx) = node.kernel, node.stride, node.dilation
    oh, ow = size
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, ((kh - 1) * dy + 1, (kw - 1) * dx + 1), axis=(1, 2)
    )[:, ::sy, ::sx, :, ::dy, ::dx].transpose(0, 1, 2, 4, 5, 3)
    line = ow * kh * kw * padded.shape[3] * padded.itemsize
    count, height = max(1, _BLOCK_BYTES // (oh * line)), min(oh, max(1, _BLOCK_BYTES // line))
    for n in range(0, len(padded), count):
        for y in range(0, oh, height):
            frames, lines = slice(n, n + count), slice(y, y + height)
            yield frames, lines, windows[frames, lines].reshape(-1, *windows.shape[3:])


def _depthwise(node: Conv, padded: np.ndarray, y: np.ndarray) -> None:
    """One tap after the other, no matrix."""
    (kh, kw), (sy, sx), (dy, dx) = node.kernel, node.stride, node.dilation
    taps = node.weights.reshape(len(node.weights), kh * kw).T.astype(padded.dtype)
    for n in range(len(padded)):
        total = np.zeros(y.shape[1:], padded.dtype)
        for k in range(kh * kw):
            rows = slice(k // kw * dy, k // kw * dy + (y.shape[1] - 1) * sy + 1, sy)
            columns = slice(k % kw * dx, k % kw * dx + (y.shape[2] - 1) * sx + 1, sx)
            total += padded[n, rows, columns] * taps[k]
        y[n] = total
