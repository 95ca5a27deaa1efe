"""Sum or maximum of each channel over a whole frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, Stream, accept_times
from pulsefold.compiler.plan.units.integers import bits_for
from pulsefold.compiler.plan.units.memory import buffer_cost, buffer_style
from pulsefold.compiler.plan.units.pixelwise import Pixelwise

__all__ = ["GlobalPoolUnit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalPoolUnit(OneInput, Pixelwise):
    """y[c] = sum, or maximum, over all pixels of x[pixel, c]: a running one a channel, and no frame buffer.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.Pixelwise`.

    Parameters
    ----------
    type
        Element type in.
    op
        ``"sum"`` or ``"max"``.
    style
        ``"small"`` for running results in LUT RAM however many; empty takes block RAM where
        :func:`~pulsefold.compiler.plan.units.memory.buffer_style` does.
    """

    type: ElementType
    op: str
    style: str = ""

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "globalpool"

    @property
    def memory(self) -> str:
        """Style of the buffer in which running results wait; a register where a beat holds all channels."""
        return self.style or buffer_style("", self.folds, self.output.width)

    @property
    def input(self) -> Stream:
        """Elements."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.cycles)

    @property
    def output(self) -> Stream:
        """One result a channel."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.folds)

    @property
    def pipeline(self) -> int:
        """Cycles from taking a last beat to the buffer: its register."""
        return 1

    @property
    def latency_cycles(self) -> int:
        """All pixels but the last, the first beat of that, the pipeline and the buffer."""
        return (self.pixels - 1) * self.folds + self.pipeline + BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = accept_times(arrivals[0])
        last = taken.reshape(-1, self.input.beats)[:, -self.folds :].ravel()
        return (taken,), last + self.pipeline + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        beat = np.arange(1, self.input.beats + 1) - self.input.beats + self.folds
        return ((np.arange(frames)[:, None] * self.folds + np.maximum(beat, 0)).ravel(),)

    def cost(self, family: str) -> Resources:
        """Running results, an adder or a comparator a lane, counters, buffer."""
        counters = bits_for(self.folds) + bits_for(self.pixels)
        logic = (1.5 if self.op == "sum" else 2) * self.output.width
        total = Resources(luts=logic + 2.5 * counters + 20, ffs=self.output.width + counters + 10)
        if self.folds > 1:
            total += buffer_cost(family, self.folds, self.output.width, self.memory)
        return total + self.buffer_cost(family)
