"""Fork: one stream to several readers, each with a buffer of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, Stream, accept_times
from pulsefold.compiler.plan.units.memory import buffer_cost

__all__ = ["Fork"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(OneInput):
    """Every beat to every output.

    A beat is taken when all output buffers have a place for it: readers may run apart by as many beats
    as the buffers are deep: a branch that skips a long one has the depth that the long one needs.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type.
    lanes
        Elements a beat.
    beats
        Beats a frame.
    buffer_depths
        Entries of the buffer of each output; as many outputs.
    rings
        Memory of the ring of each output's buffer where that is deep; empty: block RAM.
    """

    name: str
    type: ElementType
    lanes: int
    beats: int
    buffer_depths: tuple[int, ...]
    rings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.rings:
            object.__setattr__(self, "rings", ("block",) * len(self.buffer_depths))

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "fork"

    @property
    def input(self) -> Stream:
        """Beats in."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.beats)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """The same, once a reader."""
        return (self.input,) * len(self.buffer_depths)

    def with_depths(self, depths: tuple[int, ...]) -> Fork:
        """The same fork with other buffers."""
        return replace(self, buffer_depths=depths)

    def with_rings(self, rings: tuple[str, ...]) -> Fork:
        """The same fork with other memories for its rings."""
        return replace(self, rings=rings)

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.beats

    @property
    def latency_cycles(self) -> int:
        """The buffer alone."""
        return BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = accept_times(arrivals[0])
        return (taken,), taken + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        # The buffer's output register is a place more.
        return (np.arange(frames * self.beats),)

    def cost(self, family: str) -> Resources:
        """The buffers."""
        buffers = (
            buffer_cost(family, depth, self.input.width, ring)
            for depth, ring in zip(self.buffer_depths, self.rings, strict=True)
        )
        return sum(buffers, Resources(luts=len(self.buffer_depths)))
