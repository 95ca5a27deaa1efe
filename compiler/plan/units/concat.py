"""Concatenation: streams side by side in channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneOutput, Stream, accept_times
from pulsefold.errors import FoldingError

__all__ = ["ConcatUnit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatUnit(OneOutput):
    """For each pixel the beats of the first input, then those of the second, and so on.

    Parameters
    ----------
    name
        Unique name.
    types, channels
        Element type and channels of each input.
    pixels
        Pixels a frame.
    lanes
        Channels a beat; divides the channels of every input.
    output_type
        Element type out, which holds every input's integers.
    buffer_depth
        Entries of the output buffer.
    """

    name: str
    types: tuple[ElementType, ...]
    channels: tuple[int, ...]
    pixels: int
    lanes: int
    output_type: ElementType
    buffer_depth: int = 2

    def __post_init__(self) -> None:
        for channels in self.channels:
            if channels % self.lanes:
                msg = f"{self.lanes} lanes do not divide {channels} channels"
                raise FoldingError(msg, where=self.name, todo="choose lanes that divide all inputs' channels")

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "concat"

    @property
    def folds(self) -> tuple[int, ...]:
        """Beats a pixel of each input."""
        return tuple(n // self.lanes for n in self.channels)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Parts."""
        return tuple(
            Stream(type=kind, lanes=self.lanes, beats=self.pixels * folds)
            for kind, folds in zip(self.types, self.folds, strict=True)
        )

    @property
    def output(self) -> Stream:
        """The whole."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.pixels * sum(self.folds))

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.output.beats

    @property
    def latency_cycles(self) -> int:
        """The buffer alone."""
        return BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        parts = [a.reshape(-1, folds) for a, folds in zip(arrivals, self.folds, strict=True)]
        taken = accept_times(np.concatenate(parts, axis=1).ravel())
        return self.each(taken), taken + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        # The buffer's output register is a place more.
        return self.each(np.arange(frames * self.output.beats))

    def each(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of a value a beat out, those of each input."""
        parts = np.split(values.reshape(-1, sum(self.folds)), np.cumsum(self.folds)[:-1], axis=1)
        return tuple(part.ravel() for part in parts)

    def cost(self, family: str) -> Resources:
        """The choice of the input, and the buffer."""
        width = self.output.width
        choice = Resources(luts=width * (len(self.types) - 1) * 0.7 + 8 * len(self.types), ffs=12)
        return choice + self.buffer_cost(family)
