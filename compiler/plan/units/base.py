"""What every stream unit's parameter object answers: streams, timing, cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BUFFER_LATENCY", "Stream", "Unit", "accept_times", "bits_for", "ceil_div"]

#: Cycles from a beat entering a stream buffer to its first offer at the other side.
BUFFER_LATENCY = 2


def ceil_div(a: int, b: int) -> int:
    """Smallest integer >= a / b."""
    return -(-a // b)


def bits_for(n: int) -> int:
    """Bits of a counter that holds 0..n-1, at least one."""
    return max(1, (n - 1).bit_length())


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
    """A stream unit as data: the circuit, its cost and its timing come from this one object."""

    @property
    def name(self) -> str:
        """Unique name."""
        ...

    @property
    def kind(self) -> str:
        """Stem of the file in ``hdl/units`` that builds it."""
        ...

    @property
    def buffer_depth(self) -> int:
        """Entries of the output buffer."""
        ...

    @property
    def input(self) -> Stream:
        """Beats in."""
        ...

    @property
    def output(self) -> Stream:
        """Beats out."""
        ...

    @property
    def cycles(self) -> int:
        """Initiation interval of a frame in clock cycles, with both neighbours always ready."""
        ...

    @property
    def latency_cycles(self) -> int:
        """Cycles from the first beat accepted to the first beat offered, inputs coming every cycle."""
        ...

    def schedule(self, arrivals: np.ndarray) -> np.ndarray:
        """Cycle at which each output beat of a first frame is offered.

        Parameters
        ----------
        arrivals
            [input.beats] cycles from which each input beat waits, not decreasing. The unit is idle
            before and its output never stalls.
        """
        ...

    def cost(self, family: str) -> Resources:
        """Estimated resources on a device family (``ecp5``, ``ice40``, ``gowin``)."""
        ...


def accept_times(arrivals: np.ndarray) -> np.ndarray:
    """Cycles at which beats are taken by a unit that takes at most one a cycle.

    taken[k] = max(arrivals[k], taken[k-1] + 1).
    """
    k = np.arange(len(arrivals))
    return np.maximum.accumulate(arrivals - k) + k
