"""Sum of streams: residual additions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, as_slow, tree_cost
from pulsefold.compiler.plan.units.pixelwise import SpreadJoin

__all__ = ["SumUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SumUnit(SpreadJoin):
    """y[h, w, c] = sum over i of gains[i] * x_i[h, w, c]; a spread x_i has one pixel, which counts for all.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.SpreadJoin`.

    Parameters
    ----------
    gains
        One integer an input.
    """

    gains: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "sum"

    @cached_property
    def products(self) -> list[Affine]:
        """gain * x of each input, all of one latency."""
        return as_slow(
            [
                Affine(multiplier=(gain,), addend=(0,), low=kind.minimum, high=kind.maximum)
                for gain, kind in zip(self.gains, self.types, strict=True)
            ]
        )

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: inputs, products, adder tree."""
        return self.read_latency + self.products[0].latency + (len(self.types) - 1).bit_length()

    def cost(self, family: str) -> Resources:
        """Products, adder tree, what keeps spread inputs, buffer."""
        lane = tree_cost(tuple(p.range for p in self.products))
        for product in self.products:
            lane += product.cost(family)
        total = Resources(
            luts=lane.luts * self.lanes + 12,
            ffs=lane.ffs * self.lanes + self.pipeline,
            dsps=lane.dsps * self.lanes,
        )
        return total + self.kept_cost(family) + self.buffer_cost(family)
