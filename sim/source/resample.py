"""Resize and Upsample in float64, one axis after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["resize"]


def resize(inputs: Sequence[np.ndarray | None], a: Mapping[str, Any]) -> np.ndarray:
    """Resize-19 for the modes nearest and linear; Resize-10 and Upsample have no mode of coordinates.

    Of integers, linear drops the fraction, as ONNX Runtime does; ONNX does not say.

    Raises
    ------
    ValueError
        Another mode.
    """
    x = np.asarray(inputs[0])
    old = len(inputs) < 3
    # Upsample-7 has its scales as an attribute.
    scales = np.asarray(a["scales"]) if "scales" in a else inputs[1 if old else 2]
    sizes = inputs[3] if len(inputs) > 3 else None
    axes = [int(i) % x.ndim for i in a.get("axes", range(x.ndim))]
    mode = _text(a, "mode", "nearest")
    coordinates = _text(a, "coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = _text(a, "nearest_mode", "floor" if old else "round_prefer_floor")
    if (
        mode not in ("nearest", "linear")
        or a.get("antialias", 0)
        or _text(a, "keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        msg = f"no source evaluation of the mode {mode!r}"
        raise ValueError(msg)
    for i, axis in enumerate(axes):
        n = x.shape[axis]
        if scales is not None and np.size(scales):
            scale = float(np.asarray(scales)[i])
            count = int(np.floor(n * scale))
        else:
            count = int(np.asarray(sizes)[i])
            scale = count / n
        if scale == 1 and count == n:
            continue
        at = _places(coordinates, count, n, scale)
        if mode == "nearest":
            x = np.take(x, np.clip(_nearest(rounding, at), 0, n - 1), axis=axis)
            continue
        at = np.clip(at, 0, n - 1)
        low = np.floor(at).astype(np.int64)
        part = (at - low).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        below, above = np.take(x, low, axis=axis), np.take(x, np.minimum(low + 1, n - 1), axis=axis)
        x = below * (1 - part) + above * part
    kind = np.asarray(inputs[0]).dtype
    return np.trunc(x).astype(kind) if kind.kind in "iu" else x


def _text(a: Mapping[str, Any], name: str, default: str) -> str:
    value = a.get(name, default)
    return value.decode() if isinstance(value, bytes) else value


def _places(mode: str, count: int, n: int, scale: float) -> np.ndarray:
    """Where each output element lies in the input."""
    k = np.arange(count, dtype=np.float64)
    match mode:
        case "half_pixel":
            return (k + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (k + 0.5) / scale - 0.5 if count > 1 else np.zeros(1)
        case "half_pixel_symmetric":
            adjustment = count / (n * scale)
            return n / 2 * (1 - adjustment) + (k + 0.5) / scale - 0.5
        case "asymmetric":
            return k / scale
        case "align_corners":
            return k * (n - 1) / (count - 1) if count > 1 else np.zeros(1)
        case "tf_half_pixel_for_nn":
            return (k + 0.5) / scale
    msg = f"no source evaluation of the coordinates {mode!r}"
    raise ValueError(msg)


def _nearest(mode: str, at: np.ndarray) -> np.ndarray:
    match mode:
        case "round_prefer_floor":
            found = np.ceil(at - 0.5)
        case "round_prefer_ceil":
            found = np.floor(at + 0.5)
        case "floor":
            found = np.floor(at)
        case _:
            found = np.ceil(at)
    return found.astype(np.int64)
