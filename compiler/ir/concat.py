"""Concat: channels of several streams side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsefold.compiler.ir.graph import Tensor
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.errors import ModelError

__all__ = ["Concat", "common_type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """y[h, w, :] = x_0[h, w, :], then x_1[h, w, :] and so on, in the narrowest type that holds all.

    Follows ONNX Concat-13 along the channels; along height or width it is a Concat of a Reorder.

    Parameters
    ----------
    name
        Unique name.
    inputs
        Tensor names; the same one may be there twice.
    output
        Tensor name.
    sources
        Names of the ONNX nodes it stands for.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    sources: tuple[str, ...] = ()

    def output_tensor(self, *x: Tensor) -> Tensor:
        """Channels added up; scale and offset a channel where the inputs differ."""
        if len({t.shape[:2] for t in x}) > 1:
            msg = f"frames of {', '.join(str(t.shape) for t in x)} do not go side by side"
            where = f"{self.name} (Concat)"
            raise ModelError(msg, where=where, todo="check the shapes the model declares")
        channels = sum(t.shape[2] for t in x)

        def spread(parts: list[tuple]) -> tuple:
            if all(p == parts[0] and len(p) == 1 for p in parts):
                return parts[0]
            return tuple(p[c % len(p)] for p, t in zip(parts, x, strict=True) for c in range(t.shape[2]))

        return replace(
            x[0],
            name=self.output,
            shape=(*x[0].shape[:2], channels),
            type=common_type([t.type for t in x]),
            scale=spread([t.scale for t in x]),
            offset=spread([t.offset for t in x]),
        )


def common_type(kinds: list[ElementType]) -> ElementType:
    """The one type of all, or the narrowest integers that hold each of them."""
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    return type_for_range(min(k.minimum for k in kinds), max(k.maximum for k in kinds))
