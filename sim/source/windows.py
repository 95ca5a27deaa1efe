"""Convolutions and pools of any rank on (N, C, ...), in whatever type their operands have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["average_pool", "conv", "conv_transpose", "max_pool"]

Attributes = Mapping[str, Any]


def _geometry(size: Sequence[int], kernel: Sequence[int], a: Attributes) -> tuple[list, list, list, list]:
    """Strides, dilations and pads (before, behind) of each axis."""
    rank = len(size)
    strides = list(a.get("strides") or [1] * rank)
    dilations = list(a.get("dilations") or [1] * rank)
    pads = list(a.get("pads") or [0] * (2 * rank))
    before, behind = pads[:rank], pads[rank:]
    auto = a.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto == "VALID":
        before, behind = [0] * rank, [0] * rank
    elif auto.startswith("SAME"):
        for i, n in enumerate(size):
            reach = dilations[i] * (kernel[i] - 1) + 1
            total = max((-(-n // strides[i]) - 1) * strides[i] + reach - n, 0)
            less = total // 2
            before[i], behind[i] = (less, total - less) if auto == "SAME_UPPER" else (total - less, less)
    return strides, dilations, before, behind


def _windows(
    x: np.ndarray,
    kernel: Sequence[int],
    strides: list,
    dilations: list,
    before: list,
    behind: list,
    fill: Any,
) -> np.ndarray:
    """[N, C, *places, *kernel]."""
    rank = len(kernel)
    x = np.pad(x, [(0, 0), (0, 0), *zip(before, behind, strict=True)], constant_values=fill)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    places = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilations)
    return views[(slice(None), slice(None), *places, *taps)]


def conv(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, a: Attributes) -> np.ndarray:
    """Conv-22: cross-correlation in groups."""
    kernel, groups = w.shape[2:], a.get("group", 1)
    rank = len(kernel)
    windows = _windows(x, kernel, *_geometry(x.shape[2:], kernel, a), 0)
    inside, rows = x.shape[1] // groups, w.shape[0] // groups
    parts = []
    for g in range(groups):
        taken = windows[:, g * inside : (g + 1) * inside]
        axes = ([1, *range(2 + rank, 2 + 2 * rank)], [1, *range(2, 2 + rank)])
        y = np.tensordot(taken, w[g * rows : (g + 1) * rows], axes)
        parts.append(np.moveaxis(y, -1, 1))
    y = np.concatenate(parts, axis=1)
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def conv_transpose(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, a: Attributes) -> np.ndarray:
    """ConvTranspose-22: every input element adds its weights to where it reaches."""
    kernel, groups = w.shape[2:], a.get("group", 1)
    rank, size = len(kernel), x.shape[2:]
    strides, dilations, before, behind = _geometry(size, kernel, {**a, "auto_pad": b"NOTSET"})
    extra = list(a.get("output_padding") or [0] * rank)
    full = [
        s * (n - 1) + d * (k - 1) + 1 + e
        for s, n, d, k, e in zip(strides, size, dilations, kernel, extra, strict=True)
    ]
    auto = a.get("auto_pad", b"NOTSET").decode()
    wanted = list(a.get("output_shape") or [])[-rank:]
    if auto.startswith("SAME") and not wanted:
        wanted = [n * s for n, s in zip(size, strides, strict=True)]
    for i, n in enumerate(wanted):
        total = full[i] - n
        less = total // 2
        # For wanted shapes the standard puts the odd one in front unless it says SAME_UPPER.
        before[i], behind[i] = (less, total - less) if auto == "SAME_UPPER" else (total - less, less)
    room = [max(f, f - p - q) for f, p, q in zip(full, before, behind, strict=True)]
    rows = w.shape[1]
    y = np.zeros((x.shape[0], groups * rows, *room), np.result_type(x, w))
    inside = x.shape[1] // groups
    for g in range(groups):
        taken = x[:, g * inside : (g + 1) * inside]
        for tap in np.ndindex(*kernel):
            part = w[(slice(g * inside, (g + 1) * inside), slice(None), *tap)]
            places = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(tap, dilations, size, strides, strict=True)
            )
            spread = np.moveaxis(np.tensordot(taken, part, ([1], [0])), -1, 1)
            y[(slice(None), slice(g * rows, (g + 1) * rows), *places)] += spread
    cut = tuple(slice(p, f - q) for p, f, q in zip(before, full, behind, strict=True))
    y = y[(slice(None), slice(None), *cut)]
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def _ceiled(size: Sequence[int], kernel: Sequence[int], a: Attributes) -> tuple[list, list, list, list, list]:
    """Geometry of a pool, and what ceil_mode adds behind each axis."""
    strides, dilations, before, behind = _geometry(size, kernel, a)
    extra = []
    for n, k, s, d, p, q in zip(size, kernel, strides, dilations, before, behind, strict=True):
        room = n + p + q - d * (k - 1) - 1
        count = (-(-room // s) if a.get("ceil_mode", 0) else room // s) + 1
        # A window that would begin beyond the frame and its padding in front is dropped.
        count -= a.get("ceil_mode", 0) and (count - 1) * s >= n + p
        extra.append(max(0, (count - 1) * s - room))
    return strides, dilations, before, behind, extra


def max_pool(x: np.ndarray, a: Attributes) -> np.ndarray:
    """MaxPool-22 without indices."""
    kernel = a["kernel_shape"]
    strides, dilations, before, behind, extra = _ceiled(x.shape[2:], kernel, a)
    fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    behind = [q + e for q, e in zip(behind, extra, strict=True)]
    windows = _windows(x, kernel, strides, dilations, before, behind, fill)
    return windows.max(axis=tuple(range(-len(kernel), 0)))


def average_pool(x: np.ndarray, a: Attributes, *, whole: bool = False) -> np.ndarray:
    """AveragePool-22: padding counts where count_include_pad says so, what ceil_mode adds never does.

    `whole`: it does along with the padding, as in ONNX Runtime's QLinearAveragePool.
    """
    kernel = a["kernel_shape"]
    strides, dilations, before, behind, extra = _ceiled(x.shape[2:], kernel, a)
    counted = np.ones((1, 1, *x.shape[2:]))
    if a.get("count_include_pad", 0) and whole:
        behind, extra = [q + e for q, e in zip(behind, extra, strict=True)], [0] * len(extra)
    if a.get("count_include_pad", 0):
        counted = np.pad(counted, [(0, 0), (0, 0), *zip(before, behind, strict=True)], constant_values=1)
        more = ([0] * len(extra), extra)
    else:
        more = (before, [q + e for q, e in zip(behind, extra, strict=True)])
    last = tuple(range(-len(kernel), 0))
    counts = _windows(counted, kernel, strides, dilations, *more, 0).sum(axis=last)
    behind = [q + e for q, e in zip(behind, extra, strict=True)]
    total = _windows(x, kernel, strides, dilations, before, behind, 0).sum(axis=last)
    return total / np.maximum(counts, 1)
