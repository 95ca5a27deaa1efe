"""Table: any function of one narrow integer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType
from pulsefold.errors import ModelError

__all__ = ["Table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """y[h, w, c] = values[c, x[h, w, c] - least].

    What Sigmoid, Tanh, HardSwish, GELU and the like become between two quantizers; functions that only rise
    or only fall may be a :class:`Threshold` as well.

    Parameters
    ----------
    name
        Unique name.
    input, output
        Tensor names; the input's type has at most 12 bits and is no bipolar one.
    values
        int64 [1 or C, 2**bits], one for each integer of the input's type, least first.
    least
        Least integer of the input's type.
    type
        Output element type.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    input: str
    output: str
    values: np.ndarray
    least: int
    type: ElementType
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one tensor read."""
        return (self.input,)

    def output_tensor(self, x: Tensor) -> Tensor:
        """Same shape, the quantizer's type."""
        entries = x.type.maximum - x.type.minimum + 1
        if self.values.shape[0] not in (1, x.shape[2]) or (self.values.shape[1], self.least) != (
            entries,
            x.type.minimum,
        ):
            msg = f"a table {list(self.values.shape)} for {x.shape[2]} channels of {x.type}"
            raise ModelError(msg, where=f"{self.name} (Table)", todo="check the shapes the model declares")
        return replace(x, name=self.output, type=self.type)
