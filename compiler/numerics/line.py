"""A run of exact scalar steps, held as one: an affine map, then a clamp.

Scale, bias, batch norm, ReLU and clip in any order collapse into clamp(gain * x + offset), because
an affine step behind a clamp is the same affine step in front of a mapped clamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pulsefold.compiler.numerics.surd import Real

__all__ = ["Line", "compose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """y = min(max(gain * x + offset, low), high), exactly; None is no bound.

    Parameters
    ----------
    gain, offset
        The affine part.
    low, high
        Bounds of the result.
    """

    gain: Real = Fraction(1)
    offset: Real = Fraction(0)
    low: Real | None = None
    high: Real | None = None

    @property
    def constant(self) -> bool:
        """Whether y does not depend on x."""
        return self.gain == 0 or (self.low is not None and self.low == self.high)

    @property
    def rising(self) -> bool:
        """Whether y never falls as x grows."""
        return self.constant or self.gain > 0

    @property
    def clamped(self) -> bool:
        """Whether there is a bound."""
        return self.low is not None or self.high is not None

    def then_affine(self, gain: Real, offset: Real) -> Line:
        """This line followed by gain * y + offset."""
        if gain == 0:
            return Line(gain=Fraction(0), offset=offset)
        low = None if self.low is None else gain * self.low + offset
        high = None if self.high is None else gain * self.high + offset
        if gain < 0:
            low, high = high, low
        return Line(gain=gain * self.gain, offset=gain * self.offset + offset, low=low, high=high)

    def then_clamp(self, low: Real | None, high: Real | None) -> Line:
        """This line followed by min(max(y, low), high)."""

        def bound(y: Real | None, otherwise: Real | None) -> Real | None:
            if y is None:
                return otherwise
            if low is not None and y < low:
                y = low
            return high if high is not None and y > high else y

        return Line(gain=self.gain, offset=self.offset, low=bound(self.low, low), high=bound(self.high, high))

    def at(self, x: Fraction) -> Real:
        """The exact value at `x`."""
        y = self.gain * x + self.offset
        if self.low is not None and y < self.low:
            y = self.low
        return self.high if self.high is not None and y > self.high else y


def compose(first: tuple[Line, ...], then: tuple[Line, ...]) -> tuple[Line, ...]:
    """`first` followed by `then`, channel by channel; one line stands for all channels."""
    count = max(len(first), len(then))
    lines = []
    for c in range(count):
        a, b = first[c % len(first)], then[c % len(then)]
        lines.append(a.then_affine(b.gain, b.offset).then_clamp(b.low, b.high))
    return tuple(lines)
