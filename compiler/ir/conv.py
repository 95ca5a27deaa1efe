"""Conv: the linear operation. Convolutions, matrix products and fully connected layers alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.errors import ModelError

__all__ = ["Conv"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conv:
    """Cross-correlation of a frame with integer weights.

    y[oy, ox, o] = sum over ky, kx, c of
    weights[o, ky, kx, c] * x[iy, ix, c], with iy = oy*stride_y - pad_top + ky*dilation_y and
    ix = ox*stride_x - pad_left + kx*dilation_x,
    taps outside the frame counting 0 (for every element type, bipolar included).
    A fully connected layer is a Conv whose kernel is the whole frame.

    Follows ONNX Conv-11 (group 1), MatMul-13 and Gemm-13 with constant weights.

    Parameters
    ----------
    name
        Unique name, from the ONNX node.
    input, output
        Tensor names.
    weights
        int64 [O, KH, KW, C].
    weight_type
        Element type that holds every weight.
    stride, dilation
        (y, x).
    pads
        (top, left, bottom, right).
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    weights: np.ndarray
    weight_type: ElementType
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    sources: tuple[str, ...] = ()

    @property
    def kernel(self) -> tuple[int, int]:
        """(KH, KW)."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def padded(self) -> bool:
        """Whether any tap can fall outside the frame."""
        return any(self.pads)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(OH, OW, O) for an input (H, W, C)."""
        top, left, bottom, right = self.pads
        size = []
        for n, pad, k, s, d in zip(
            shape[:2], (top + bottom, left + right), self.kernel, self.stride, self.dilation, strict=True
        ):
            size.append((n + pad - d * (k - 1) - 1) // s + 1)
        if min(size) < 1 or shape[2] != self.weights.shape[3]:
            msg = f"a kernel of {self.weights.shape[1:]} does not fit a frame of {shape}"
            raise ModelError(msg, where=f"{self.name} (Conv)", todo="check the shapes the model declares")
        return size[0], size[1], self.weights.shape[0]

    def accumulator_range(self, x: ElementType) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest reachable accumulator of each output channel, int64 [O] each.

        Exact for inputs that range over `x` independently; a padded tap may also contribute 0.
        """
        w = self.weights.reshape(self.weights.shape[0], -1)
        a, b = w * x.minimum, w * x.maximum
        low, high = np.minimum(a, b), np.maximum(a, b)
        if self.padded:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        return low.sum(axis=1), high.sum(axis=1)

    def macs(self, x: Tensor) -> int:
        """Multiply-accumulates of one frame."""
        oh, ow, _ = self.output_shape(x.shape)
        return oh * ow * int(self.weights.size)

    def output_tensor(self, x: Tensor) -> Tensor:
        """Accumulators, in the narrowest type for the actual weights."""
        low, high = self.accumulator_range(x.type)
        kind = type_for_range(min(int(low.min()), 0), max(int(high.max()), 0))
        return replace(x, name=self.output, shape=self.output_shape(x.shape), type=kind)
