"""Product of two streams: the gates of squeeze-and-excitation blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import tree_cost, word_bits
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, OneOutput, Stream
from pulsefold.compiler.plan.units.memory import buffer_cost, memory_cost
from pulsefold.compiler.plan.units.sum import pixel_takes
from pulsefold.errors import FoldingError

__all__ = ["ProductUnit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductUnit(OneOutput):
    """y[h, w, c] = (a[h, w, c] - zeros[0]) * (b[h, w, c] - zeros[1]); a spread operand has one pixel.

    A beat is taken from both inputs at once; of a spread one only for the first pixel of a frame, and kept.

    Parameters
    ----------
    name
        Unique name.
    types
        Element types of a and b.
    zeros
        The integer that stands for the real 0 in each.
    spread
        Whether an operand has one pixel a frame; not both, unless `pixels` is 1.
    channels, pixels
        Channels, and pixels a frame.
    lanes
        Channels a beat; divides `channels`.
    output_type
        Element type out, which holds every product.
    multiplies
        ``"lut"`` or ``"dsp"``.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one beat a cycle.
    """

    name: str
    types: tuple[ElementType, ElementType]
    zeros: tuple[int, int]
    spread: tuple[bool, bool]
    channels: int
    pixels: int
    lanes: int
    output_type: ElementType
    multiplies: str = "lut"
    buffer_depth: int = 0

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            msg = f"{self.lanes} lanes do not divide {self.channels} channels"
            raise FoldingError(msg, where=self.name, todo="choose lanes that divide the channels")
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.latency_cycles + 2)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "product"

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Operands."""
        return tuple(
            Stream(type=kind, lanes=self.lanes, beats=self.folds * (1 if spread else self.pixels))
            for kind, spread in zip(self.types, self.spread, strict=True)
        )

    @property
    def output(self) -> Stream:
        """Products."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.pixels * self.folds)

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
        """Cycles from taking a beat to the buffer: input register, zeros, multiplier or adder tree."""
        product = 1 if self.multiplies == "dsp" else (len(self.terms) - 1).bit_length()
        return 1 + any(self.zeros) + product

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.output.beats

    @property
    def latency_cycles(self) -> int:
        """The pipeline and the buffer."""
        return self.pipeline + BUFFER_LATENCY

    def takes(self, *arrivals: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cycles in which beats are taken, see :class:`~pulsefold.compiler.plan.units.base.Join`."""
        return pixel_takes(self.output.beats, self.folds, self.spread, arrivals)

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return max(self.takes(*arrivals), key=len) + self.latency_cycles

    def cost(self, family: str) -> Resources:
        """Multipliers, what keeps a spread operand, buffer."""
        a, b = (word_bits(*r) for r in self.ranges)
        lane = Resources(luts=(a + b) * any(self.zeros), ffs=(a + b) * any(self.zeros))
        if self.multiplies == "dsp":
            lane += Resources(ffs=a + b, dsps=1)
        else:
            lane += tree_cost(self.terms) + Resources(luts=a * b)
        total = Resources(
            luts=lane.luts * self.lanes + 25,
            ffs=lane.ffs * self.lanes + sum(s.width for s in self.inputs) + self.pipeline + 10,
            dsps=lane.dsps * self.lanes,
        )
        for stream, spread in zip(self.inputs, self.spread, strict=True):
            if spread and self.pixels > 1:
                total += memory_cost(family, self.folds, stream.width, "ram") + Resources(luts=stream.width)
        return total + buffer_cost(family, self.buffer_depth, self.output.width)
