"""What follows from constant weights: their type, and the lines behind a product."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.surd import Real

__all__ = ["behind_product", "weight_type"]


def weight_type(weights: np.ndarray) -> ElementType:
    """The narrowest element type of a weight tensor."""
    return type_for_range(int(weights.min()), int(weights.max()), zero=bool(np.any(weights == 0)))


def behind_product(
    before: tuple[Line, ...],
    weights: np.ndarray,
    groups: int,
    scale: Sequence[Fraction],
    bias: Sequence[Real],
) -> tuple[Line, ...]:
    """The lines of a Conv's accumulators, one where all are the same, see :meth:`Builder.linear`."""
    outputs, _, _, inside = weights.shape
    offset_any = any(line.offset != 0 for line in before)
    if not offset_any and max(len(scale), len(bias), len(before)) == 1:
        return (Line(gain=before[0].gain * scale[0], offset=bias[0]),)
    sums = weights.sum(axis=(1, 2))
    lines = []
    for o in range(outputs):
        s, offset = scale[o % len(scale)], bias[o % len(bias)]
        first = o // (outputs // groups) * inside
        if len(before) == 1:
            offset = offset + s * int(sums[o].sum()) * before[0].offset
        elif offset_any:
            for c in range(inside):
                offset = offset + s * int(sums[o, c]) * before[first + c].offset
        lines.append(Line(gain=before[first % len(before)].gain * s, offset=offset))
    return tuple(lines[:1]) if all(line == lines[0] for line in lines) else tuple(lines)
