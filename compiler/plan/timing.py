"""When each beat of a network moves, and the buffers that follow from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pulsefold.compiler.plan.network import Network, Source
from pulsefold.compiler.plan.units import Join, Stream
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY

__all__ = ["latency_of", "offers_of", "with_buffers"]

#: Frames until the schedule repeats itself, and one more.
_FRAMES = 3


def paced(streams: Sequence[Stream], cycles: int, frames: int) -> list[np.ndarray]:
    """Arrivals of frames that start `cycles` apart, the beats of each spread evenly over them."""
    starts = np.arange(frames)[:, None] * cycles
    return [(starts + np.arange(s.beats) * cycles // s.beats).ravel() for s in streams]


def far_apart(streams: Sequence[Stream], cycles: int, frames: int) -> list[np.ndarray]:
    """Arrivals in the same order, one every `cycles`."""
    even = paced(streams, max(s.beats for s in streams), frames)
    order = np.argsort(np.concatenate(even), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) * cycles
    return np.split(ranks, np.cumsum([len(times) for times in even])[:-1])


def offers_of(network: Network, arrivals: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cycle in which each unit offers each beat, if no output ever stalls."""
    offers: list[np.ndarray] = []
    for unit, sources in zip(network.units, network.sources, strict=True):
        offers.append(unit.schedule(*(times_at(source, arrivals, offers) for source in sources)))
    return offers


def times_at(source: Source, arrivals: Sequence[np.ndarray], offers: Sequence[np.ndarray]) -> np.ndarray:
    """Cycles of one stream."""
    return arrivals[source.port] if source.unit is None else offers[source.unit]


def latency_of(network: Network, cycles: int) -> int:
    """Cycles from the first beat of a lone frame to its last result, inputs coming every cycle.

    Exact where units stand in a row. Where they branch, a full buffer may hold back a fork that the schedule
    of the units knows nothing of; then it is the latency at the steady rate, a frame every `cycles`: every
    buffer is deep enough for that schedule, so that beats which come earlier can only make results earlier.
    """
    if network.straight:
        arrivals = [np.arange(s.beats) for s in network.inputs]
    else:
        arrivals = paced(network.inputs, cycles, 1)
    offers = offers_of(network, arrivals)
    return max(int(times_at(source, arrivals, offers)[-1]) for source in network.results) + 1


def with_buffers(network: Network, cycles: int) -> Network:
    """The same network with buffers in front of its joins that keep it alive and at a frame every `cycles`.

    A branch waits for the slowest one that it meets again, and what comes meanwhile must lie somewhere, or
    the fork that feeds both stops. It lies in the buffer right before the join. Its depth is the largest of
    what two schedules put there:

    * Beats from outside come so far apart that every unit does at once all it can do with what it has. What
      lies at a join is then all that could be made of the beats that it still waits for. With such buffers
      units cannot wait for each other in a ring, however the outside stalls: go round such a ring, and each
      event waited for comes earlier in this schedule than the one before it.
    * Frames come `cycles` apart. Buffers that hold this schedule let it happen in the circuit.
    """
    if network.straight:
        return network
    depths: dict[tuple[int, int], int] = {}
    work = sum(unit.cycles + unit.latency_cycles for unit in network.units)
    for arrivals in (
        far_apart(network.inputs, work, _FRAMES),
        paced(network.inputs, cycles, _FRAMES),
    ):
        offers = offers_of(network, arrivals)
        for join, sources in zip(network.units, network.sources, strict=True):
            if not isinstance(join, Join):
                continue
            waits = [times_at(source, arrivals, offers) for source in sources]
            for source, came, went in zip(sources, waits, join.takes(*waits), strict=True):
                # What comes from outside can wait there.
                if source.unit is not None:
                    place = (source.unit, source.port)
                    held = network.units[source.unit].buffer_depths[source.port]
                    depths[place] = max(depths.get(place, 0), held + most_held(came - BUFFER_LATENCY, went))
    return network.with_depths(depths)


def most_held(came: np.ndarray, went: np.ndarray) -> int:
    """Most beats that have come and not gone at one time."""
    return int((np.arange(1, len(came) + 1) - np.searchsorted(went, came)).max())
