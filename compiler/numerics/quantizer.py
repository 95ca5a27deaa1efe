"""Quantizers as non-decreasing step functions of a real number.

Quant, BipolarQuant and MultiThreshold all count exact real boundaries; they differ in where the
boundaries lie and what the levels mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.compiler.numerics.rounding import boundary

__all__ = ["WIDEST", "Boundary", "Quantizer", "bipolar", "multi_threshold", "uniform", "uniform_range"]

#: Widest activation, in bits; a threshold table doubles with every further bit.
WIDEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The half-line of reals at or above (where strict: above) `value`."""

    value: Fraction
    strict: bool = False

    def reached(self, y: object) -> bool:
        """Whether the exact real `y` lies on it."""
        return bool(y > self.value if self.strict else y >= self.value)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """q = first + step * (boundaries reached); real = scale * q + offset.

    Parameters
    ----------
    boundaries
        One row, or one a channel, each ascending; all of one length.
    first
        Integer below every boundary.
    type
        Element type of q.
    scale, offset
        What q means, 1 or C of each; scales are positive.
    """

    boundaries: tuple[tuple[Boundary, ...], ...]
    first: int
    type: ElementType
    scale: tuple[Fraction, ...]
    offset: tuple[Fraction, ...] = (Fraction(0),)

    @property
    def step(self) -> int:
        """Distance of two neighbouring levels."""
        return 2 if self.type.is_bipolar else 1

    @property
    def count(self) -> int:
        """Boundaries a row."""
        return len(self.boundaries[0])

    @property
    def last(self) -> int:
        """Integer above every boundary."""
        return self.first + self.step * self.count

    def mirrored(self) -> Quantizer:
        """The quantizer of -y whose levels are those of y from the other end: first + last - q."""
        return replace(
            self,
            boundaries=tuple(
                tuple(Boundary(value=-b.value, strict=not b.strict) for b in reversed(row))
                for row in self.boundaries
            ),
            offset=tuple(
                -self.offset[c % len(self.offset)]
                - self.scale[c % len(self.scale)] * (self.first + self.last)
                for c in range(max(len(self.offset), len(self.scale)))
            ),
        )

    def level(self, y: object, channel: int = 0) -> int:
        """The integer for the exact real `y`, straight from the definition."""
        row = self.boundaries[channel % len(self.boundaries)]
        return self.first + self.step * sum(b.reached(y) for b in row)


def uniform_range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Levels of a Quant: from -(2**(b-1)) + narrow to 2**(b-1) - 1, or from 0 to 2**b - 1 - narrow."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def uniform(
    *, scale: Sequence[Fraction], zero: Fraction, bits: int, signed: bool, narrow: bool, mode: str
) -> Quantizer:
    """Quant: q = round(clamp(y / scale + zero, lowest, highest)), real = scale * (q - zero).

    The bounds are integers, which every mode keeps, so clamping before rounding is clamping after.
    One signed bit is +1 where y / scale + zero >= 0 and -1 elsewhere.
    """
    scale = tuple(scale)
    if bits == 1 and signed:
        rows = tuple((Boundary(value=-zero * s),) for s in scale)
        return _two_valued(rows, tuple(s * (-1 - zero) for s in scale), tuple(s * (1 - zero) for s in scale))
    low, high = uniform_range(bits, signed=signed, narrow=narrow)
    marks = [boundary(mode, k) for k in range(low + 1, high + 1)]
    rows = tuple(tuple(Boundary(value=s * (b - zero), strict=strict) for b, strict in marks) for s in scale)
    if len(marks) == 1:
        return _two_valued(
            rows, tuple(s * (low - zero) for s in scale), tuple(s * (high - zero) for s in scale)
        )
    return _levels(rows, scale, Fraction(low) - zero)


def bipolar(scale: Sequence[Fraction]) -> Quantizer:
    """BipolarQuant: +scale where y >= 0, -scale elsewhere."""
    rows = ((Boundary(value=Fraction(0)),),)
    return _two_valued(rows, tuple(-s for s in scale), tuple(scale))


def multi_threshold(rows: Sequence[Sequence[Fraction]], *, scale: Fraction, bias: Fraction) -> Quantizer:
    """MultiThreshold: real = scale * count(y >= threshold) + bias. It counts, so rows need no order."""
    marks = tuple(tuple(Boundary(value=v) for v in sorted(row)) for row in rows)
    if len(marks[0]) == 1:
        return _two_valued(marks, (bias,), (bias + scale,))
    return _levels(marks, (scale,), bias / scale)


def _two_valued(
    rows: tuple[tuple[Boundary, ...], ...], low: tuple[Fraction, ...], high: tuple[Fraction, ...]
) -> Quantizer:
    """Two levels: -1 and +1 where they are opposite, else 0 and 1 (never -1 and 0)."""
    if all(a == -b for a, b in zip(low, high, strict=True)):
        return Quantizer(boundaries=rows, first=-1, type=ElementType.bipolar(), scale=high)
    scale = tuple(b - a for a, b in zip(low, high, strict=True))
    kind = ElementType.integer(1, signed=False)
    return Quantizer(boundaries=rows, first=0, type=kind, scale=scale, offset=low)


def _levels(
    rows: tuple[tuple[Boundary, ...], ...], scale: tuple[Fraction, ...], start: Fraction
) -> Quantizer:
    """Levels scale * (start + 0, 1, 2, ...), counted from the integer that makes the offset 0.

    Where `start` is no integer, or that count would pass the widest element type, levels count from
    0 and the offset stays (a matrix product without padding folds it into what follows).
    """
    count = len(rows[0])
    if start.denominator == 1 and abs(start) <= 1 << WIDEST:
        low = int(start)
        kind = type_for_range(min(low, 0), max(low + count, 0))
        if kind.bits <= WIDEST:
            kind = type_for_range(low, low + count)
            return Quantizer(boundaries=rows, first=low, type=kind, scale=scale)
    offset = tuple(s * start for s in scale)
    return Quantizer(boundaries=rows, first=0, type=type_for_range(0, count), scale=scale, offset=offset)
