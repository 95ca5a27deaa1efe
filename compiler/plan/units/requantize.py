"""Requantize unit: multiply, add, shift and clip, a row of constants a channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, as_slow, word_bits
from pulsefold.compiler.plan.units.base import Moves
from pulsefold.compiler.plan.units.integers import bits_for, ceil_div
from pulsefold.compiler.plan.units.pixelwise import Elementwise
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.compiler.plan.units.threshold import threshold_style
from pulsefold.errors import FoldingError

__all__ = ["RequantizeUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RequantizeUnit(Elementwise):
    """y[c] = min(max((multiplier[c] * x + addend[c]) >> shift, low[c]), high[c]), ties to even where asked.

    Source: Jacob et al. 2017, section 2.2. One beat a cycle, or one every `parts` cycles; the constants of a
    beat's channels are read from a memory beside it, and what all channels of a lane have in common is wired.

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
    turns, run
        Beats of the same channels come in `turns` runs of `run` beats, one after the other. `run` divides the
        beats of a pixel, and `turns` the pixels.
    parts
        Cycles in which the constants of a beat are read, a part of them in each: the memory is then that much
        narrower and deeper. 1 where the constants do not lie in block RAM.
    """

    multiplier: np.ndarray
    addend: np.ndarray
    shift: int
    low: np.ndarray
    high: np.ndarray
    even: bool = False
    multiplies: str = "lut"
    constants: str = ""
    turns: int = 1
    run: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.pixels % self.turns or self.folds % self.run:
            why = f"{self.pixels} pixels of {self.folds} beats are no {self.turns} runs of {self.run} in turn"
            raise FoldingError(why, where=self.name, todo="take 1 turn")
        if self.parts > 1 and (self.memory != "block" or not self.word_width):
            why = "only constants in block RAM are read in parts"
            raise FoldingError(why, where=self.name, todo="take 1 part")
        Elementwise.__post_init__(self)

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

    @cached_property
    def word_width(self) -> int:
        """Bits of a word."""
        varying = sum(len(e) > 1 for bounds in self.bounds for e in bounds)
        return sum(sum(p.fields) for p in self.products) + varying * self.output_type.bits

    @property
    def memory(self) -> str:
        """Style of the memory."""
        return self.constants or threshold_style(self.folds)

    @property
    def part_width(self) -> int:
        """Bits of a part of a word."""
        return ceil_div(self.word_width, self.parts)

    @property
    def depth(self) -> int:
        """Words of the memory, each a part."""
        return self.folds * self.parts

    @property
    def parts_of_words(self) -> list[int]:
        """Contents of the memory: the parts of each word, the lowest first."""
        width = self.part_width
        return [w >> k * width & (1 << width) - 1 for w in self.words for k in range(self.parts)]

    @property
    def cycles(self) -> int:
        """A beat every `parts` cycles."""
        return self.pixels * self.folds * self.parts

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        first = np.arange(len(waits)) * self.parts
        taken = np.maximum.accumulate(waits - first) + first
        return (taken,), taken + self.latency_cycles

    @property
    def read_latency(self) -> int:
        """Cycles until the last part is there; a block RAM's output is registered once more."""
        return 1 + self.parts if self.word_width and self.memory == "block" else 1

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: input or memory, product, ties, comparison, choice."""
        return self.read_latency + self.products[0].latency + self.even + 2

    def cost(self, family: str) -> Resources:
        """Memory, products, comparisons, buffer."""
        total = rom_cost(family, self.depth, self.part_width, self.memory) if self.folds > 1 else Resources()
        held = self.input.width * self.read_latency + self.word_width * (
            self.memory == "lut" or self.parts > 1
        )
        counter = bits_for(self.depth) * (1 + (self.turns > 1)) + (self.parts > 1) * (
            2 * bits_for(self.parts) + 4
        )
        total += Resources(luts=10 + 2 * counter, ffs=held + self.pipeline + counter)
        for product in self.products:
            low, high = (end >> self.shift for end in product.range)
            bits = word_bits(min(0, low), max(0, high))
            if self.even:
                total += Resources(luts=self.shift / 3 + 1, ffs=bits)
            compared = bits * ((low < self.low.min()) + (high > self.high.max()))
            out = self.output_type.bits
            total += product.cost(family) + Resources(luts=0.6 * compared + out, ffs=2 * out + 2)
        return total + self.buffer_cost(family)
