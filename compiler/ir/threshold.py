"""Threshold: the integer step function that stands for scale, bias, batch norm, activation and quantizer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType
from pulsefold.errors import ModelError

__all__ = ["Threshold"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Threshold:
    """Counts the thresholds an element has reached.

    n = count over t of (x[h, w, c] >= thresholds[c, t]);
    y = first + step * n on ascending channels, first + step * (T - n) on descending ones,
    with step 2 where the output is bipolar and 1 otherwise.

    Follows MultiThreshold (qonnx.custom_op.general) with integer thresholds.

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names.
    thresholds
        int64 [1 or C, T], not decreasing along T. A threshold that no reachable input meets is
        (greatest reachable + 1); one that all meet is the least reachable.
    descending
        bool [1 or C]: channels whose output falls as the input grows.
    first
        Output at n = 0 of an ascending channel.
    type
        Output element type.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    thresholds: np.ndarray
    descending: np.ndarray
    first: int
    type: ElementType
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    @property
    def step(self) -> int:
        """Distance of two neighbouring outputs."""
        return 2 if self.type.is_bipolar else 1

    @property
    def count(self) -> int:
        """Thresholds a channel, T."""
        return self.thresholds.shape[1]

    def output_tensor(self, x: Tensor) -> Tensor:
        """Same shape, the quantizer's type."""
        if self.thresholds.shape[0] not in (1, x.shape[2]):
            msg = f"{self.thresholds.shape[0]} threshold rows for {x.shape[2]} channels"
            raise ModelError(
                msg, where=f"{self.name} (Threshold)", todo="check the shapes the model declares"
            )
        return replace(x, name=self.output, type=self.type)
