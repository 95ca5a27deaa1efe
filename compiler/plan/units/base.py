"""What every stream unit's parameter object answers: streams, timing, cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.memory import buffer_cost

__all__ = [
    "BUFFER_LATENCY",
    "Moves",
    "OneInput",
    "OneOutput",
    "Stream",
    "Unit",
    "accept_times",
]

#: Of each input, the cycles at which its beats are taken; the cycles at which beats are offered.
Moves = tuple[tuple[np.ndarray, ...], np.ndarray]

#: Cycles from a beat entering a stream buffer to its first offer at the other side.
BUFFER_LATENCY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Lanes of one beat, and beats of one frame.

    Parameters
    ----------
    type
        Element type of a lane.
    lanes
        Elements a beat, consecutive in (H, W, C) order.
    beats
        Beats a frame.
    """

    type: ElementType
    lanes: int
    beats: int

    @property
    def width(self) -> int:
        """Bits of a beat."""
        return self.type.bits * self.lanes


class Unit(Protocol):
    """A stream unit as data: the circuit, its cost and its timing come from this one object.

    Its circuit has a port for every input and every output stream: `i` where there is one input, else `i0`,
    `i1` and so on; `o` and `o0`, `o1` likewise. Each output ends in a stream buffer of its own.
    """

    @property
    def name(self) -> str:
        """Unique name."""
        ...

    @property
    def kind(self) -> str:
        """Stem of the file in ``hdl/units`` that builds it."""
        ...

    @property
    def buffer_depths(self) -> tuple[int, ...]:
        """Entries of the buffer of each output."""
        ...

    def with_depths(self, depths: tuple[int, ...]) -> Unit:
        """The same unit with other output buffers."""
        ...

    @property
    def rings(self) -> tuple[str, ...]:
        """Memory of the ring of each output's buffer where that is deep: ``"block"`` or ``"full"``."""
        ...

    def with_rings(self, rings: tuple[str, ...]) -> Unit:
        """The same unit with other memories for its rings."""
        ...

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Beats in, an entry a port."""
        ...

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """Beats out, an entry a port."""
        ...

    @property
    def cycles(self) -> int:
        """Initiation interval of a frame in clock cycles, with all neighbours always ready."""
        ...

    @property
    def latency_cycles(self) -> int:
        """Cycles from the first beat accepted to the first beat offered, inputs coming every cycle."""
        ...

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """The offers of :meth:`moves`."""
        ...

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycle at which each beat is taken, for each input, and offered, the same at every output.

        Parameters
        ----------
        arrivals
            For each input, [frames * beats] cycles from which each beat waits, not decreasing; the same
            number of frames at each. The unit is idle before and its outputs never stall.
        """
        ...

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """How many output beats have a place once each input beat is taken, so many frames after each other.

        For each input int64 [frames * beats], not decreasing. A beat is taken only when all but as many of
        these have left as the output buffer is deep; they may be too many, which only makes the unit wait.
        """
        ...

    def cost(self, family: str) -> Resources:
        """Estimated resources on a device family (``ecp5``, ``ice40``, ``gowin``, ``nexus``)."""
        ...


class Timed:
    """What follows from :meth:`Unit.moves`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def moves(self, *arrivals: np.ndarray) -> Moves:
            """Cycles of taking and offering."""
            ...

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`Unit`."""
        return self.moves(*arrivals)[1]


class OneInput(Timed):
    """What follows from a unit having one input stream, `input`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def input(self) -> Stream:
            """Beats in."""
            ...

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Beats in."""
        return (self.input,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneOutput(Timed):
    """What follows from a unit having one output stream, `output`, and `buffer_depth`.

    Parameters
    ----------
    ring
        Memory of the ring of the output buffer where that is deep, ``"block"`` or ``"full"``, see
        :func:`~pulsefold.compiler.plan.units.memory.parts_of`.
    """

    ring: str = "block"

    if TYPE_CHECKING:
        buffer_depth: int

        @property
        def output(self) -> Stream:
            """Beats out."""
            ...

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """Beats out."""
        return (self.output,)

    @property
    def buffer_depths(self) -> tuple[int, ...]:
        """Entries of the output buffer."""
        return (self.buffer_depth,)

    def with_depths(self, depths: tuple[int, ...]) -> Self:
        """The same unit with another output buffer."""
        return replace(self, buffer_depth=depths[0])

    @property
    def rings(self) -> tuple[str, ...]:
        """Memory of the ring of the output buffer."""
        return (self.ring,)

    def with_rings(self, rings: tuple[str, ...]) -> Self:
        """The same unit with its ring in another memory."""
        return replace(self, ring=rings[0])

    def buffer_cost(self, family: str) -> Resources:
        """Of the output buffer."""
        return buffer_cost(family, self.buffer_depth, self.output.width, self.ring)


def accept_times(arrivals: np.ndarray) -> np.ndarray:
    """Cycles at which beats are taken by a unit that takes at most one a cycle.

    taken[k] = max(arrivals[k], taken[k-1] + 1).
    """
    k = np.arange(len(arrivals))
    return np.maximum.accumulate(arrivals - k) + k
