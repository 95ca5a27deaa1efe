"""Conv: the linear operation. Convolutions, matrix products and fully connected layers alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.compiler.ir.windows import windows_of
from pulsefold.errors import ModelError

__all__ = ["Conv"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """Cross-correlation of a frame with integer weights.

    y[oy, ox, o] = sum over ky, kx, c of
    weights[o, ky, kx, c] * x[iy, ix, g*(C/groups) + c], with iy = oy*stride_y - pad_top + ky*dilation_y,
    ix = ox*stride_x - pad_left + kx*dilation_x and g = o // (O/groups);
    taps outside the frame are `pad_value`, for every element type: 0 in a bipolar frame is neither -1 nor +1,
    and a frame whose integer for zero is its zero point pads with that.
    A fully connected layer is a Conv whose kernel is the whole frame; a depthwise one has C groups.

    Follows ONNX Conv-22, MatMul-13 and Gemm-13 with constant weights.

    Parameters
    ----------
    name
        Unique name, from the ONNX node.
    input, output
        Tensor names.
    weights
        int64 [O, KH, KW, C/groups].
    weight_type
        Element type that holds every weight.
    stride, dilation
        (y, x).
    pads
        (top, left, bottom, right).
    groups
        Divides C and O.
    pad_value
        The integer of a tap outside the frame.
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
    groups: int = 1
    pad_value: int = 0
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

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
        where = f"{self.name} (Conv)"
        size = windows_of(shape, self.kernel, self.stride, self.dilation, self.pads, where=where)
        outputs, _, _, channels = self.weights.shape
        if shape[2] != channels * self.groups or outputs % self.groups:
            msg = f"weights {list(self.weights.shape)} in {self.groups} groups don't fit a frame of {shape}"
            raise ModelError(msg, where=where, todo="check the shapes the model declares")
        return *size, outputs

    def accumulator_range(self, x: ElementType) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest reachable accumulator of each output channel, int64 [O] each.

        Exact for inputs that range over `x` independently; a padded tap may also be `pad_value`.
        """
        channels = self.weights.shape[3] * self.groups
        return self.reach(np.full(channels, x.minimum), np.full(channels, x.maximum))

    def reach(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for inputs from low[c] to high[c], int64 [C] each."""
        if self.padded:
            low, high = np.minimum(low, self.pad_value), np.maximum(high, self.pad_value)
        up, down = self._sums
        outputs, channels = up.shape
        group = np.arange(outputs) // (outputs // self.groups)
        low, high = (v.reshape(self.groups, channels)[group] for v in (low, high))
        return (up * low + down * high).sum(axis=1), (up * high + down * low).sum(axis=1)

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the positive and of the negative weights over the kernel, int64 [O, C/groups] each."""
        outputs = self.weights.shape[0]
        up = np.empty((outputs, self.weights.shape[3]), np.int64)
        # Some rows at a time: a fully connected layer may have a hundred million weights.
        rows = max(1, (1 << 22) * outputs // max(1, self.weights.size))
        for start in range(0, outputs, rows):
            up[start : start + rows] = np.maximum(self.weights[start : start + rows], 0).sum(axis=(1, 2))
        return up, self.weights.sum(axis=(1, 2)) - up

    def macs(self, x: Tensor) -> int:
        """Multiply-accumulates of one frame."""
        oh, ow, _ = self.output_shape(x.shape)
        return oh * ow * int(self.weights.size)

    def output_tensor(self, x: Tensor) -> Tensor:
        """Accumulators, in the narrowest type for the actual weights."""
        low, high = self.accumulator_range(x.type)
        kind = type_for_range(min(int(low.min()), 0), max(int(high.max()), 0))
        return replace(x, name=self.output, shape=self.output_shape(x.shape), type=kind)
