"""Constant: a tensor that is the same in every frame. Grids, anchors and embeddings of positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import type_for_range

__all__ = ["Constant"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant:
    """y[h, w, c] = values[h, w, c], an operand of a Sum or a Product whose other one is a stream.

    Stands for what Add-14, Sub-14, Mul-14 and Div-14 have as a constant that differs within a channel.

    Parameters
    ----------
    name
        Unique name.
    output
        Tensor name.
    values
        int64 (H, W, C).
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    output: str
    values: np.ndarray
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    def output_tensor(self) -> Tensor:
        """The frame of `values` in the narrowest type."""
        low, high = int(self.values.min()), int(self.values.max())
        height, width, channels = self.values.shape
        return Tensor(
            name=self.output,
            shape=(height, width, channels),
            type=type_for_range(min(low, 0), max(high, 0)),
        )
