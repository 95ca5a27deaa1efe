"""Width converter: the same elements, another number of lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import (
    BUFFER_LATENCY,
    Moves,
    OneInput,
    OneOutput,
    Stream,
    accept_times,
)
from pulsefold.errors import FoldingError

__all__ = ["Convert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert(OneInput, OneOutput):
    """Changes the lanes of a stream by a whole factor, up or down.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type.
    elements
        Elements a frame, a multiple of both lane counts.
    input_lanes, output_lanes
        One a multiple of the other.
    groups
        Widening only: each narrow beat holds this many slices, for as many pixels, and the wide beat holds
        the first slices of all beats, then the second ones: lanes [beat][group][n] become [group][beat][n].
    buffer_depth
        Entries of the output buffer.
    """

    name: str
    type: ElementType
    elements: int
    input_lanes: int
    output_lanes: int
    groups: int = 1
    buffer_depth: int = 2

    def __post_init__(self) -> None:
        a, b = self.input_lanes, self.output_lanes
        if max(a, b) % min(a, b) or self.elements % max(a, b):
            msg = f"cannot turn {a} lanes into {b} lanes for a frame of {self.elements} elements"
            raise FoldingError(msg, where=self.name, todo="choose PE and SIMD of which one divides the other")

        if self.groups > 1 and (not self.up or a % self.groups):
            msg = f"cannot reorder {self.groups} groups from {a} lanes to {b}"
            raise FoldingError(msg, where=self.name, todo="choose pixels that divide the narrow lanes")

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "convert"

    @property
    def ratio(self) -> int:
        """Narrow beats a wide beat."""
        return max(self.input_lanes, self.output_lanes) // min(self.input_lanes, self.output_lanes)

    @property
    def up(self) -> bool:
        """Whether beats get wider."""
        return self.output_lanes >= self.input_lanes

    @property
    def input(self) -> Stream:
        """Beats in."""
        return Stream(type=self.type, lanes=self.input_lanes, beats=self.elements // self.input_lanes)

    @property
    def output(self) -> Stream:
        """Beats out."""
        return Stream(type=self.type, lanes=self.output_lanes, beats=self.elements // self.output_lanes)

    @property
    def cycles(self) -> int:
        """One narrow beat a cycle."""
        return max(self.input.beats, self.output.beats)

    @property
    def latency_cycles(self) -> int:
        """`ratio` - 1 beats to collect when widening, one register when narrowing, and the buffer."""
        return (self.ratio - 1 if self.up else 1) + BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        if self.up:
            taken = accept_times(waits)
            return (taken,), taken[self.ratio - 1 :: self.ratio] + BUFFER_LATENCY
        # A word is taken in the cycle that sends the last slice of the one before.
        step = np.arange(len(waits)) * self.ratio
        taken = np.maximum.accumulate(waits - step) + step
        return (taken,), (taken[:, None] + 1 + np.arange(self.ratio)).ravel() + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        beat = np.arange(frames * self.input.beats)
        # The buffer's output register is a place more.
        return (((beat + 1) // self.ratio if self.up else beat * self.ratio) - 1,)

    def cost(self, family: str) -> Resources:
        """A register of the wide beat, a multiplexer when narrowing, and the buffer."""
        wide = max(self.input.width, self.output.width)
        return Resources(luts=wide * (0.15 if self.up else 0.6) + 6, ffs=wide + 6) + self.buffer_cost(family)
