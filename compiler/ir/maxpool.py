"""MaxPool over windows of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.windows import windows_of

__all__ = ["MaxPool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool:
    """Greatest element of each window and channel; taps outside the frame never win.

    Follows ONNX MaxPool-12 without the indices output; ceil_mode and auto_pad are resolved into `pads`.

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
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def output_tensor(self, x: Tensor) -> Tensor:
        """(OH, OW, C), same type."""
        where = f"{self.name} (MaxPool)"
        size = windows_of(x.shape, self.kernel, self.stride, self.dilation, self.pads, where=where)
        return replace(x, name=self.output, shape=(*size, x.shape[2]))
