"""Lrn: local response normalization between two quantizers, exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType
from pulsefold.errors import ModelError

__all__ = ["Lrn"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lrn:
    """The level of each element, given the energy of its neighbours in channel.

    e[h, w, c] = sum over j from max(0, c - before) to min(C - 1, c + after) of (x[h, w, j] - zero)**2;
    with row = x[h, w, c] - least and n = count over t of (e >= thresholds[row, t]):
    y = first + n, or first + T - n where descending[row].

    |y| falls as the energy grows, so that every level of every integer x ends at one energy.
    Follows ONNX LRN-13 (before = (size - 1) // 2, after = size // 2).

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names; the input's type has at most 8 bits.
    before, after
        Neighbours in channel on either side.
    zero
        The integer that stands for the real 0.
    least
        Least integer of the input's type.
    thresholds
        int64 [2**bits, T], not decreasing along T.
    descending
        bool [2**bits].
    first
        Least output.
    type
        Output element type.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    before: int
    after: int
    zero: int
    least: int
    thresholds: np.ndarray
    descending: np.ndarray
    first: int
    type: ElementType
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def output_tensor(self, x: Tensor) -> Tensor:
        """Same shape, the quantizer's type."""
        entries = x.type.maximum - x.type.minimum + 1
        fits = self.thresholds.shape[0] == entries and self.least == x.type.minimum
        if not fits or self.descending.shape != (entries,):
            msg = f"a table {list(self.thresholds.shape)} for {x.type}"
            raise ModelError(msg, where=f"{self.name} (Lrn)", todo="check the shapes the model declares")
        return replace(x, name=self.output, type=self.type)
