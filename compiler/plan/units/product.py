"""Product of two streams: the gates of squeeze-and-excitation blocks."""

from __future__ import annotations

from dataclasses import dataclass

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import tree_cost, word_bits
from pulsefold.compiler.plan.units.pixelwise import SpreadJoin

__all__ = ["ProductUnit"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductUnit(SpreadJoin):
    """y[h, w, c] = (a[h, w, c] - zeros[0]) * (b[h, w, c] - zeros[1]); a spread operand has one pixel.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.SpreadJoin`.

    Parameters
    ----------
    zeros
        The integer that stands for the real 0 in each.
    multiplies
        ``"lut"`` or ``"dsp"``.
    """

    zeros: tuple[int, int]
    multiplies: str = "lut"

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "product"

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Least and greatest operand with its zero taken away."""
        return tuple((t.minimum - z, t.maximum - z) for t, z in zip(self.types, self.zeros, strict=True))

    @property
    def narrow(self) -> int:
        """Which operand is taken apart into bits."""
        return int(word_bits(*self.ranges[1]) <= word_bits(*self.ranges[0]))

    @property
    def terms(self) -> list[tuple[int, int]]:
        """Ranges of the wide operand times each bit of the narrow one, the sign bit negative."""
        low, high = self.ranges[1 - self.narrow]
        bits, signed = word_bits(*self.ranges[self.narrow]), self.ranges[self.narrow][0] < 0
        found = [(min(0, low) << k, max(0, high) << k) for k in range(bits)]
        if signed:
            found[-1] = -found[-1][1], -found[-1][0]
        return found

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: inputs, zeros, multiplier or adder tree."""
        product = 1 if self.multiplies == "dsp" else (len(self.terms) - 1).bit_length()
        return self.read_latency + any(self.zeros) + product

    def cost(self, family: str) -> Resources:
        """Multipliers, what keeps a spread operand, buffer."""
        a, b = (word_bits(*r) for r in self.ranges)
        lane = Resources(luts=(a + b) * any(self.zeros), ffs=(a + b) * any(self.zeros))
        if self.multiplies == "dsp":
            lane += Resources(ffs=a + b, dsps=1)
        else:
            lane += tree_cost(tuple(self.terms)) + Resources(luts=a * b)
        total = Resources(
            luts=lane.luts * self.lanes + 25,
            ffs=lane.ffs * self.lanes + self.pipeline + 10,
            dsps=lane.dsps * self.lanes,
        )
        return total + self.kept_cost(family) + self.buffer_cost(family)
