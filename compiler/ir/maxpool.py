"""MaxPool over windows of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.errors import ModelError

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

    def output_tensor(self, x: Tensor) -> Tensor:
        """(OH, OW, C), same type."""
        top, left, bottom, right = self.pads
        size = []
        for n, pad, k, s, d in zip(
            x.shape[:2], (top + bottom, left + right), self.kernel, self.stride, self.dilation, strict=True
        ):
            size.append((n + pad - d * (k - 1) - 1) // s + 1)
        if min(size) < 1:
            msg = f"a window of {self.kernel} does not fit a frame of {x.shape}"
            raise ModelError(msg, where=f"{self.name} (MaxPool)", todo="check the shapes the model declares")
        return replace(x, name=self.output, shape=(size[0], size[1], x.shape[2]))
