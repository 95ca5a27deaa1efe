"""Requantize unit: multiply, add, shift and clip, a row of constants a channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, as_slow, word_bits
from pulsefold.compiler.plan.units.memory import buffer_cost, memory_cost
from pulsefold.compiler.plan.units.pixelwise import Elementwise
from pulsefold.compiler.plan.units.threshold import threshold_style

__all__ = ["RequantizeUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RequantizeUnit(Elementwise):
    """y[c] = min(max((multiplier[c] * x + addend[c]) >> shift, low[c]), high[c]), ties to even where asked.

    Source: Jacob et al. 2017, section 2.2. One beat a cycle; the constants of a beat's channels are read
    from a memory beside it, and what all channels of a lane have in common is wired.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.Elementwise`.

    Parameters
    ----------
    multiplier, addend, low, high
        int64 [1 or C].
    shift
        Bits, 0 or more.
    even
        As in :class:`pulsefold.compiler.ir.Requantize`.
    multiplies
        ``"lut"`` or ``"dsp"``: what makes products.
    constants
        Memory of the constants: ``"block"`` or ``"lut"``; empty takes LUTs while it is shallow.
    """

    multiplier: np.ndarray
    addend: np.ndarray
    shift: int
    low: np.ndarray
    high: np.ndarray
    even: bool = False
    multiplies: str = "lut"
    constants: str = ""

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "requantize"

    def of_lane(self, row: np.ndarray, lane: int) -> tuple[int, ...]:
        """Entries of [1 or C] that a lane meets, a fold each."""
        return tuple(int(v) for v in np.broadcast_to(row, (self.channels,))[lane :: self.lanes])

    @cached_property
    def products(self) -> list[Affine]:
        """multiplier * x + addend of each lane, a row a fold, all of one latency."""
        return as_slow(
            [
                Affine(
                    multiplier=self.of_lane(self.multiplier, lane),
                    addend=self.of_lane(self.addend, lane),
                    low=self.type.minimum,
                    high=self.type.maximum,
                    multiplies=self.multiplies,
                )
                for lane in range(self.lanes)
            ]
        )

    @cached_property
    def bounds(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """(low, high) of each lane, an entry a fold; a single one where all folds have it."""
        found = []
        for lane in range(self.lanes):
            ends = self.of_lane(self.low, lane), self.of_lane(self.high, lane)
            found.append(tuple(e if len(set(e)) > 1 else e[:1] for e in ends))
        return found

    @cached_property
    def words(self) -> list[int]:
        """Contents of the memory, a word a fold: for each lane the product's, then the bounds that vary."""
        words = [0] * self.folds
        at = 0
        for product, bounds in zip(self.products, self.bounds, strict=True):
            columns = [(sum(product.fields), product.words)]
            columns += [(self.output_type.bits, list(e)) for e in bounds if len(e) > 1]
            for bits, column in columns:
                for fold, value in enumerate(column if bits else ()):
                    words[fold] |= (value & ((1 << bits) - 1)) << at
                at += bits
        return words

    @property
    def word_width(self) -> int:
        """Bits of a word."""
        varying = sum(len(e) > 1 for bounds in self.bounds for e in bounds)
        return sum(sum(p.fields) for p in self.products) + varying * self.output_type.bits

    @property
    def memory(self) -> str:
        """Style of the memory."""
        return self.constants or threshold_style(self.folds)

    @property
    def read_latency(self) -> int:
        """Cycles of the memory; a block RAM's output is registered once more."""
        return 2 if self.word_width and self.memory == "block" else 1

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: input or memory, product, ties, comparison, choice."""
        return self.read_latency + self.products[0].latency + self.even + 2

    def cost(self, family: str) -> Resources:
        """Memory, products, comparisons, buffer."""
        total = (
            memory_cost(family, self.folds, self.word_width, self.memory) if self.folds > 1 else Resources()
        )
        held = self.input.width * self.read_latency + self.word_width * (self.memory == "lut")
        total += Resources(luts=20, ffs=held + self.pipeline)
        for product in self.products:
            low, high = (end >> self.shift for end in product.range)
            bits = word_bits(min(0, low), max(0, high))
            if self.even:
                total += Resources(luts=self.shift / 3 + 1, ffs=bits)
            compared = bits * ((low < self.low.min()) + (high > self.high.max()))
            out = self.output_type.bits
            total += product.cost(family) + Resources(luts=0.6 * compared + out, ffs=2 * out + 2)
        return total + buffer_cost(family, self.buffer_depth, self.output.width)
