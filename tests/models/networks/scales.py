"""Quantization of the streams and weights of a sketch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

__all__ = ["Grid", "bounds", "grid_for", "integers", "make_tensor"]

_BOUNDS = {
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT32: (-(2**31), 2**31 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """real = scale * (q - zero).

    Parameters
    ----------
    scale
        float32 scalar, or one an axis position.
    zero
        int64, the same shape.
    kind
        ONNX element type.
    axis
        Where there is a scale a position.
    """

    scale: np.ndarray
    zero: np.ndarray
    kind: int
    axis: int | None = None


def bounds(kind: int) -> tuple[int, int]:
    """Least and greatest integer of an ONNX element type."""
    return _BOUNDS[kind]


def grid_for(
    rng: np.random.Generator, low: float, high: float, kind: int, *, dyadic: bool, symmetric: bool
) -> Grid:
    """A grid for values of a range, some of which it may clip."""
    least, most = bounds(kind)
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    scale = max(high - low, 1e-3) / (most - least) * float(rng.uniform(0.8, 1.2))
    scale = 2.0 ** np.round(np.log2(scale)) if dyadic else scale
    zero = (least + most + 1) // 2 if symmetric else round(least - low / scale)
    return Grid(
        scale=np.array(scale, np.float32), zero=np.array(min(max(zero, least), most), np.int64), kind=kind
    )


def integers(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Values on a grid, int64; exact scales a tensor or an axis position."""
    least, most = bounds(grid.kind)
    shape = [1] * values.ndim
    if grid.axis is not None:
        shape[grid.axis] = -1
    scale, zero = grid.scale.reshape(shape if grid.axis is not None else ()), grid.zero
    zero = zero.reshape(shape) if grid.axis is not None else zero
    return np.clip(np.rint(values / scale.astype(np.float64)) + zero, least, most).astype(np.int64)


def make_tensor(values: np.ndarray, kind: int) -> onnx.TensorProto:
    """Integers as a tensor of any element type, four-bit ones too."""
    return helper.make_tensor("", kind, values.shape, values.ravel().tolist())
