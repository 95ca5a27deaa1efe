"""Reorder: elements of a frame moved, dropped, repeated, or filled in. No arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.errors import ModelError

__all__ = ["Reorder"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reorder:
    """y.flat[k] = x.flat[index.flat[k]], or `fill` where index.flat[k] is -1; both in (H, W, C) order.

    Follows ONNX Slice-13, Split-18, Pad-24 (constant, edge, reflect), Transpose-24, Reshape-24, Gather-13
    along an axis, DepthToSpace-13, SpaceToDepth-13, Upsample-9 and Resize-19 (nearest), and the zeros that
    ConvTranspose-22 puts between pixels.

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names.
    index
        int32 [OH, OW, O].
    fill
        Integer where nothing is moved to.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    index: np.ndarray
    fill: int = 0
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def output_type(self, kind: ElementType) -> ElementType:
        """The input's type, widened where the fill needs it (0 among bipolar elements: ternary)."""
        if np.all(self.index >= 0) or kind.contains(np.array([self.fill])):
            return kind
        return type_for_range(min(kind.minimum, self.fill), max(kind.maximum, self.fill))

    def output_tensor(self, x: Tensor) -> Tensor:
        """The index's shape. Scales a channel are kept only where channels stay where they are."""
        if self.index.ndim != 3 or self.index.min() < -1 or self.index.max() >= x.elements:
            msg = f"an index of {list(self.index.shape)} does not fit a frame of {x.shape}"
            raise ModelError(msg, where=f"{self.name} (Reorder)", todo="check the shapes the model declares")
        shape = (self.index.shape[0], self.index.shape[1], self.index.shape[2])
        return replace(x, name=self.output, shape=shape, type=self.output_type(x.type))
