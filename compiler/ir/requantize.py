"""Requantize: multiply, add, shift, clip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType
from pulsefold.errors import ModelError

__all__ = ["Requantize"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requantize:
    """An affine step function computed instead of looked up.

    y[h, w, c] = min(max(round((multiplier[c] * x[h, w, c] + addend[c]) >> shift), low[c]), high[c]),
    >> rounding down. Where `even`, round(n) is n - 1 for an odd n all of whose shifted-out bits are 0: with
    half of 2**shift in the addend, ties go to the even neighbour. Else round(n) is n.

    It stands for a :class:`Threshold` that it was shown to equal over the whole reachable range of every
    channel.

    Source: Jacob et al. 2017, section 2.2, with the rounding of the quantizer moved into the addend.

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names.
    multiplier, addend
        int64 [1 or C].
    shift
        Bits, 0 or more.
    low, high
        int64 [1 or C], bounds of y.
    even
        Whether ties go to even; the shift is then 1 or more.
    type
        Output element type, an ``int``.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    multiplier: np.ndarray
    addend: np.ndarray
    shift: int
    low: np.ndarray
    high: np.ndarray
    type: ElementType
    even: bool = False
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def output_tensor(self, x: Tensor) -> Tensor:
        """Same shape, the quantizer's type."""
        for row in (self.multiplier, self.addend, self.low, self.high):
            if row.shape not in ((1,), (x.shape[2],)):
                msg = f"{row.shape[0]} factors for {x.shape[2]} channels"
                where = f"{self.name} (Requantize)"
                raise ModelError(msg, where=where, todo="check the shapes the model declares")
        return replace(x, name=self.output, type=self.type)
