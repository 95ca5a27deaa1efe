"""Sum: streams weighted with integers and added. Residual connections."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.errors import ModelError

__all__ = ["Sum", "joined_shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """y[h, w, c] = sum over i of gains[i] * x_i[h, w, c]; an x_i of shape (1, 1, C) counts for every pixel.

    The gains are the inputs' real scales over the output's: exact where the step function behind needs it.

    Follows ONNX Add-14, Sub-14 and Sum-13 on activations.

    Parameters
    ----------
    name
        Unique name.
    inputs
        Tensor names, at least two; the same one may be there twice.
    output
        Tensor name.
    gains
        One integer an input, not 0.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    gains: tuple[int, ...]
    sources: tuple[str, ...] = ()

    def output_tensor(self, *x: Tensor) -> Tensor:
        """The common shape, in the narrowest type for the inputs' types."""
        shape = joined_shape(f"{self.name} (Sum)", x)
        ends = [sorted((g * t.type.minimum, g * t.type.maximum)) for g, t in zip(self.gains, x, strict=True)]
        low, high = sum(e[0] for e in ends), sum(e[1] for e in ends)
        if max(-low, high) >= 1 << 62:
            todo = "quantize its inputs with scales of similar size"
            raise ModelError("it needs sums of more than 62 bits", where=f"{self.name} (Sum)", todo=todo)
        return replace(x[0], name=self.output, shape=shape, type=type_for_range(min(low, 0), max(high, 0)))


def joined_shape(where: str, x: tuple[Tensor, ...]) -> tuple[int, int, int]:
    """The frame that all of `x` have, those of shape (1, 1, C) being spread over it."""
    shape = max((t.shape for t in x), key=lambda s: s[0] * s[1])
    for t in x:
        if t.shape not in (shape, (1, 1, shape[2])):
            msg = f"frames of {t.shape} and {shape} do not go together"
            raise ModelError(msg, where=where, todo="check the shapes the model declares")
    return shape
