"""Depthwise convolution: each channel's window with weights of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, as_slow
from pulsefold.compiler.plan.units.base import Stream
from pulsefold.compiler.plan.units.integers import bits_for
from pulsefold.compiler.plan.units.pixelwise import lanes_error
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.compiler.plan.units.taps import TapReader

__all__ = ["DepthwiseUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthwiseUnit(TapReader):
    """y[c * M + j] = sum over taps of weights[c, j, tap] * x[tap, c], one tap a cycle.

    Reads what a Window with outer channels sends: for every pixel and channel fold the taps, one after the
    other. A lane has M multipliers and sums; an output beat has M elements for each lane of the input.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type in.
    pixels
        Output pixels a frame.
    lanes
        Channels a beat; divides C.
    weights
        int64 [C, M, taps].
    output_type
        Element type out, which holds every sum.
    multiplies
        ``"lut"`` or ``"dsp"``: what makes products.
    memory
        Weight memory: ``"block"`` or ``"lut"``.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one tap a cycle.
    """

    name: str
    type: ElementType
    pixels: int
    lanes: int
    weights: np.ndarray
    output_type: ElementType
    multiplies: str = "lut"
    memory: str = "lut"
    buffer_depth: int = 0

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            raise lanes_error(self.name, self.lanes, self.channels)
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.enough_depth)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "depthwise"

    @property
    def channels(self) -> int:
        """Channels in."""
        return self.weights.shape[0]

    @property
    def taps(self) -> int:
        """Kernel positions."""
        return self.weights.shape[2]

    @property
    def folds(self) -> int:
        """Groups of lanes."""
        return self.channels // self.lanes

    @cached_property
    def products(self) -> list[Affine]:
        """weight * x for each element of an output beat, a row a (fold, tap), all of one latency."""
        found = []
        for lane in range(self.lanes):
            for each in range(self.weights.shape[1]):
                rows = tuple(int(w) for w in self.weights[lane :: self.lanes, each].ravel())
                found.append(
                    Affine(
                        multiplier=rows,
                        addend=(0,) * len(rows),
                        low=self.type.minimum,
                        high=self.type.maximum,
                        multiplies=self.multiplies,
                    )
                )
        return as_slow(found)

    @property
    def depth(self) -> int:
        """Words of the weight memory."""
        return self.folds * self.taps

    @property
    def word_width(self) -> int:
        """Bits of a word."""
        return sum(sum(p.fields) for p in self.products)

    @property
    def words(self) -> list[int]:
        """Contents of the weight memory: word (fold, tap), the first output element in the low bits."""
        words, at = [0] * self.depth, 0
        for product in self.products:
            width = sum(product.fields)
            for k, value in enumerate(product.words if width else ()):
                words[k] |= value << at
            at += width
        return words

    @property
    def read_latency(self) -> int:
        """Cycles of the memory; a block RAM's output is registered once more."""
        return 2 if self.word_width and self.memory == "block" else 1

    @property
    def pipeline(self) -> int:
        """Cycles from taking a last tap to the buffer: memory, product, sum."""
        return self.read_latency + self.products[0].latency + 1

    @property
    def input(self) -> Stream:
        """Taps."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.pixels * self.folds * self.taps)

    @property
    def output(self) -> Stream:
        """Sums."""
        lanes = self.lanes * self.weights.shape[1]
        return Stream(type=self.output_type, lanes=lanes, beats=self.pixels * self.folds)

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return self.pixels * int(self.weights.size)

    def cost(self, family: str) -> Resources:
        """Weight memory, multipliers, sums, counters, buffer."""
        total = rom_cost(family, self.depth, self.word_width, self.memory) if self.word_width else Resources()
        counters = bits_for(self.depth) + bits_for(self.taps)
        held = (self.input.width + self.word_width) * self.read_latency
        total += Resources(luts=2.5 * counters + 15, ffs=held + counters + 2 * self.pipeline)
        sums = self.output.width
        total += Resources(luts=1.5 * sums, ffs=sums)
        for product in self.products:
            total += product.cost(family)
        return total + self.buffer_cost(family)
