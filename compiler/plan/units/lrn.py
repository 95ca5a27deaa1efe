"""Local response normalization: energies of neighbouring channels, and a step function an integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import tree_cost
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, accept_times
from pulsefold.compiler.plan.units.integers import bits_for, ceil_div
from pulsefold.compiler.plan.units.pixelwise import Elementwise
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.compiler.plan.units.threshold import Steps, threshold_style

__all__ = ["LrnUnit"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LrnUnit(Elementwise):
    """y = steps[x - least](e), e[c] = sum over j from c - before to c + after of (x[j] - zero)**2.

    Channels outside the pixel count nothing. The squares of a pixel pass through a shift register, from which
    each beat's energies are summed when the neighbours behind it have come; at a pixel's end the register
    moves on `ahead` times without input.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.Elementwise`.

    Parameters
    ----------
    before, after
        Neighbours on either side.
    zero
        The integer that stands for the real 0.
    thresholds
        int64 [integers of the type, T].
    descending
        bool [integers of the type].
    first
        Least output.
    """

    before: int
    after: int
    zero: int
    thresholds: np.ndarray
    descending: np.ndarray
    first: int

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "lrn"

    @property
    def ahead(self) -> int:
        """Beats that must come before a beat's energies can be summed."""
        return min(ceil_div(self.after, self.lanes), self.folds - 1)

    @property
    def behind(self) -> int:
        """Earlier beats that a beat's energies need."""
        return min(ceil_div(self.before, self.lanes), self.folds - 1)

    @property
    def squares(self) -> np.ndarray:
        """int64 [2**bits]: (x - zero)**2 of each bit pattern."""
        return (self.type.decode(np.arange(1 << self.type.bits)) - self.zero) ** 2

    @property
    def square_limit(self) -> int:
        """Greatest square."""
        return int(self.squares.max())

    @property
    def neighbours(self) -> int:
        """Squares of a sum."""
        return self.before + self.after + 1

    @property
    def steps(self) -> Steps:
        """Step functions of the energy, a row a bit pattern of x."""
        patterns = self.type.decode(np.arange(1 << self.type.bits)) - self.type.minimum
        # Patterns that no integer has take any row.
        rows = np.clip(patterns, 0, len(self.thresholds) - 1)
        return Steps(
            thresholds=self.thresholds[rows],
            descending=self.descending[rows],
            first=self.first,
            type=self.output_type,
            limit=self.neighbours * self.square_limit,
        )

    @property
    def pipeline(self) -> int:
        """Cycles from the step that completes a beat to the buffer: square, register, adder tree, search."""
        levels = (self.neighbours - 1).bit_length()
        return self.read_latency + 1 + levels + self.steps.latency(1 << self.type.bits)

    @property
    def read_latency(self) -> int:
        """Cycles of the squares' memory; a block RAM's output is registered once more."""
        return 2 if threshold_style(1 << self.type.bits) == "block" else 1

    @property
    def cycles(self) -> int:
        """One beat a cycle, and the steps without input at each pixel's end."""
        return self.pixels * (self.folds + self.ahead)

    @property
    def latency_cycles(self) -> int:
        """The neighbours behind the first beat, the pipeline and the buffer."""
        return self.ahead + self.pipeline + BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        waits = arrivals[0].reshape(-1, self.folds)
        waits = np.pad(waits, ((0, 0), (0, self.ahead)), mode="edge")
        steps = accept_times(waits.ravel()).reshape(len(waits), -1)
        taken = steps[:, : self.folds].ravel()
        return (taken,), steps[:, self.ahead :].ravel() + self.pipeline + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        fold = np.maximum(np.arange(1, self.folds + 1) - self.ahead, 0)
        pixel = np.arange(frames * self.pixels)[:, None] * self.folds
        return ((pixel + fold).ravel(),)

    def cost(self, family: str) -> Resources:
        """Squares, shift register, sums, search, buffer."""
        bits = self.square_limit.bit_length()
        style = threshold_style(1 << self.type.bits)
        square = rom_cost(family, 1 << self.type.bits, bits, style)
        tree = tree_cost(((0, self.square_limit),) * self.neighbours)
        levels = (self.neighbours - 1).bit_length()
        kept = self.type.bits * (2 + self.read_latency + self.ahead + levels)
        lane = square + Resources(luts=tree.luts, ffs=tree.ffs + bits * (self.behind + self.ahead + 1) + kept)
        counter = bits_for(self.folds + self.ahead)
        total = Resources(luts=3 * counter + 15, ffs=counter + 2 * self.pipeline)
        for _ in range(self.lanes):
            total += lane
        energy = (self.neighbours * self.square_limit).bit_length()
        total += self.steps.cost(family, self.lanes, 1 << self.type.bits, energy)
        return total + self.buffer_cost(family)
