"""SumPool over windows of a frame: what average pools are in integers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.compiler.ir.windows import windows_of

__all__ = ["SumPool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPool:
    """Sum of each window and channel, weighted so that dividing by one number gives the average.

    y[oy, ox, c] = factor[oy, ox] * sum over taps (ky, kx) inside the frame of x[iy, ix, c]
                 (+ pad_value for each tap outside, where `include_pad`),
    factor[oy, ox] = divisor / count[oy, ox], count = taps inside the frame, or all taps where `include_pad`;
    divisor = least common multiple of all counts. The average is y / divisor.

    Follows ONNX AveragePool-22 and GlobalAveragePool-22; ceil_mode and auto_pad are resolved into `pads`,
    and with ceil_mode the taps beyond the declared padding count as outside in `extra`.

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names.
    kernel, stride, dilation
        (y, x).
    pads
        (top, left, bottom, right).
    include_pad
        Whether taps outside the frame count.
    pad_value
        The integer of a tap outside the frame, where they count.
    extra
        (bottom, right) pads that ceil_mode added: never counted.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    include_pad: bool = False
    pad_value: int = 0
    extra: tuple[int, int] = (0, 0)
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def counts(self, shape: tuple[int, ...]) -> np.ndarray:
        """int64 [OH, OW]: taps that count at each place, for a frame (H, W, ...)."""
        along = []
        size = windows_of(
            shape, self.kernel, self.stride, self.dilation, self.pads, where=f"{self.name} (SumPool)"
        )
        for axis in range(2):
            before, after = self.pads[axis], self.pads[axis + 2] - self.extra[axis]
            first, last = (-before, shape[axis] + after) if self.include_pad else (0, shape[axis])
            start = np.arange(size[axis]) * self.stride[axis] - self.pads[axis]
            places = start[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]
            along.append(((places >= first) & (places < last)).sum(axis=1))
        return np.multiply.outer(along[0], along[1])

    def divisor(self, shape: tuple[int, ...]) -> int:
        """What y is divided by to give the average."""
        return lcm(*(max(1, int(n)) for n in np.unique(self.counts(shape))))

    def factors(self, shape: tuple[int, ...]) -> np.ndarray:
        """int64 [OH, OW]: divisor / count."""
        return self.divisor(shape) // np.maximum(1, self.counts(shape))

    def output_tensor(self, x: Tensor) -> Tensor:
        """(OH, OW, C), wide enough for every sum; the scale is divided."""
        factors, counts = self.factors(x.shape), np.maximum(1, self.counts(x.shape))
        ends = [x.type.minimum, x.type.maximum]
        if self.include_pad and any(self.pads):
            ends.append(self.pad_value)
        most = int((factors * counts).max())
        kind = type_for_range(min(0, min(ends) * most), max(0, max(ends) * most))
        scale = tuple(s / self.divisor(x.shape) for s in x.scale)
        return replace(x, name=self.output, shape=(*factors.shape, x.shape[2]), type=kind, scale=scale)
