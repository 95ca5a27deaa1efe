"""Weighted sum over the taps of a window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType, SumPool, Tensor
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, word_bits
from pulsefold.compiler.plan.units.base import Stream
from pulsefold.compiler.plan.units.integers import bits_for
from pulsefold.compiler.plan.units.taps import TapReader

__all__ = ["SumPoolUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPoolUnit(TapReader):
    """Lane by lane sum of every `taps` consecutive beats, as a Window with outer channels sends them.

    y[oy, ox, c] = factors[oy, ox] * (sum over taps of x + addends[oy, ox]).

    Parameters
    ----------
    name
        Unique name.
    type
        Element type in.
    lanes
        Elements a beat.
    folds
        Beats a pixel.
    taps
        Beats a sum is taken over.
    factors, addends
        int64 [OH, OW].
    output_type
        Element type out, which holds every sum.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one tap a cycle.
    """

    name: str
    type: ElementType
    lanes: int
    folds: int
    taps: int
    factors: np.ndarray
    addends: np.ndarray
    output_type: ElementType
    buffer_depth: int = 0

    def __post_init__(self) -> None:
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.enough_depth)

    @classmethod
    def of_node(cls, node: SumPool, x: Tensor, lanes: int) -> SumPoolUnit:
        """The unit behind a Window that pads with `pad_value`, or with 0 where pads do not count."""
        pad = node.pad_value if node.include_pad else 0
        widened = x.type.is_bipolar and pad == 0 and any(node.pads)
        taps = node.kernel[0] * node.kernel[1]
        factors = node.factors(x.shape)
        # Taps that the window filled in but that do not count are taken away again.
        surplus = taps - node.counts(x.shape)
        return cls(
            name=node.name,
            type=ElementType.ternary() if widened else x.type,
            lanes=lanes,
            folds=x.shape[2] // lanes,
            taps=taps,
            factors=factors,
            addends=-pad * surplus,
            output_type=node.output_tensor(x).type,
        )

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "sumpool"

    @cached_property
    def classes(self) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        """Classes of output rows, classes of output columns, and (factor, addend) of each pair of classes.

        Places differ only near the edges, so that there are few classes.
        """
        both = np.stack([self.factors, self.factors * self.addends])
        rows, row_of = np.unique(both, axis=1, return_inverse=True)
        cells, column_of = np.unique(rows, axis=2, return_inverse=True)
        pairs = [(int(f), int(a)) for f, a in zip(cells[0].ravel(), cells[1].ravel(), strict=True)]
        return [int(k) for k in row_of.ravel()], [int(k) for k in column_of.ravel()], pairs

    @cached_property
    def product(self) -> Affine:
        """factor * sum + factor * addend, a row a pair of classes."""
        pairs = self.classes[2]
        return Affine(
            multiplier=tuple(f for f, _ in pairs),
            addend=tuple(a for _, a in pairs),
            low=self.taps * min(0, self.type.minimum),
            high=self.taps * max(0, self.type.maximum),
        )

    @property
    def varies(self) -> bool:
        """Whether places have different factors or addends."""
        return len(self.classes[2]) > 1

    @property
    def pipeline(self) -> int:
        """Cycles from taking a last tap to the buffer: the sum, its place's constants, the product."""
        return 1 + self.varies + self.product.latency

    @property
    def input(self) -> Stream:
        """Taps."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.taps * self.output.beats)

    @property
    def output(self) -> Stream:
        """Sums."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.factors.size * self.folds)

    def cost(self, family: str) -> Resources:
        """An adder and the product a lane, the place, and the buffer."""
        bits = word_bits(self.product.low, self.product.high)
        total = Resources(luts=20, ffs=10)
        for _ in range(self.lanes):
            total += Resources(luts=1.5 * bits, ffs=bits * (1 + self.varies)) + self.product.cost(family)
        if self.varies:
            place = sum(bits_for(n) for n in (self.folds, *self.factors.shape))
            word = sum(self.product.fields)
            total += Resources(luts=2.5 * place + word, ffs=place + word)
        return total + self.buffer_cost(family)
