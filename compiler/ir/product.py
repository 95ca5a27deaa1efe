"""Product: two streams multiplied. Gates of squeeze-and-excitation blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.sum import joined_shape
from pulsefold.compiler.ir.types import type_for_range

__all__ = ["Product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """y[h, w, c] = (a[h, w, c] - zeros[0]) * (b[h, w, c] - zeros[1]).

    An operand of shape (1, 1, C) counts for every pixel. Follows ONNX Mul-14 on activations.

    Parameters
    ----------
    name
        Unique name.
    inputs
        Two tensor names, which may be the same.
    output
        Tensor name.
    zeros
        The integer that stands for the real 0 in each.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    inputs: tuple[str, str]
    output: str
    zeros: tuple[int, int] = (0, 0)
    sources: tuple[str, ...] = ()

    def output_tensor(self, *x: Tensor) -> Tensor:
        """The common shape, in the narrowest type for the inputs' types."""
        a, b = x
        corners = [
            (p - self.zeros[0]) * (q - self.zeros[1])
            for p in (a.type.minimum, a.type.maximum)
            for q in (b.type.minimum, b.type.maximum)
        ]
        shape = joined_shape(f"{self.name} (Product)", x)
        kind = type_for_range(min(0, *corners), max(0, *corners))
        return replace(a, name=self.output, shape=shape, type=kind)
