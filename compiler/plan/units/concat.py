"""Concatenation: streams side by side in channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, OneOutput, Stream, accept_times
from pulsefold.compiler.plan.units.memory import buffer_cost
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

    def taken(self, arrivals: tuple[np.ndarray, ...]) -> np.ndarray:
        """Cycles of taking, [pixels, beats a pixel]."""
        parts = [a.reshape(-1, folds) for a, folds in zip(arrivals, self.folds, strict=True)]
        waits = np.concatenate(parts, axis=1)
        return accept_times(waits.ravel()).reshape(waits.shape)

    def takes(self, *arrivals: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cycles in which beats are taken, see :class:`~pulsefold.compiler.plan.units.base.Join`."""
        parts = np.split(self.taken(arrivals), np.cumsum(self.folds)[:-1], axis=1)
        return tuple(part.ravel() for part in parts)

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return self.taken(arrivals).ravel() + BUFFER_LATENCY

    def cost(self, family: str) -> Resources:
        """The choice of the input, and the buffer."""
        width = self.output.width
        choice = Resources(luts=width * (len(self.types) - 1) * 0.7 + 8 * len(self.types), ffs=12)
        return choice + buffer_cost(family, self.buffer_depth, width)
