"""Sum or maximum of each channel over a whole frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import (
    BUFFER_LATENCY,
    OneInput,
    OneOutput,
    Stream,
    accept_times,
    bits_for,
)
from pulsefold.compiler.plan.units.memory import buffer_cost, memory_cost
from pulsefold.errors import FoldingError

__all__ = ["GlobalPoolUnit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalPoolUnit(OneInput, OneOutput):
    """y[c] = sum, or maximum, over all pixels of x[pixel, c]: a running one a channel, and no frame buffer.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type in.
    channels, pixels
        Channels, and pixels a frame.
    lanes
        Channels a beat; divides `channels`.
    op
        ``"sum"`` or ``"max"``.
    output_type
        Element type out: one that holds every sum, or the input's.
    buffer_depth
        Entries of the output buffer.
    """

    name: str
    type: ElementType
    channels: int
    pixels: int
    lanes: int
    op: str
    output_type: ElementType
    buffer_depth: int = 6

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            msg = f"{self.lanes} lanes do not divide {self.channels} channels"
            raise FoldingError(msg, where=self.name, todo="choose lanes that divide the channels")

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "globalpool"

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def memory(self) -> str:
        """Style of the memory of running results; a register where a beat holds all channels."""
        return "block" if self.folds > 64 else "ram"

    @property
    def input(self) -> Stream:
        """Elements."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.pixels * self.folds)

    @property
    def output(self) -> Stream:
        """One result a channel."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.folds)

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.input.beats

    @property
    def latency_cycles(self) -> int:
        """All pixels but the last, the first beat of that, its register and the buffer."""
        return (self.pixels - 1) * self.folds + 1 + BUFFER_LATENCY

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = accept_times(arrivals[0]).reshape(-1, self.input.beats)
        return taken[:, -self.folds :].ravel() + 1 + BUFFER_LATENCY

    def cost(self, family: str) -> Resources:
        """Running results, an adder or a comparator a lane, counters, buffer."""
        counters = bits_for(self.folds) + bits_for(self.pixels)
        logic = (1.5 if self.op == "sum" else 2) * self.output.width
        total = Resources(luts=logic + 2.5 * counters + 20, ffs=self.output.width + counters + 10)
        if self.folds > 1:
            total += memory_cost(family, self.folds, self.output.width, self.memory)
            total += Resources(luts=bits_for(self.folds), ffs=self.output.width + bits_for(self.folds))
        return total + buffer_cost(family, self.buffer_depth, self.output.width)
