"""When each beat of a network moves, and the buffers that follow from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pulsefold.compiler.plan.network import Network, Source
from pulsefold.compiler.plan.units import Stream
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY
from pulsefold.compiler.plan.units.memory import buffer_lag

__all__ = ["latency_of", "moves_of", "offers_of", "times_at", "with_buffers"]

#: Frames until the schedule repeats itself, and one more.
_FRAMES = 3

#: Rounds in which units learn how long their readers make them wait.
_ROUNDS = 6


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

    Exact where units stand in a row without deep buffers. Where they branch, a full buffer may hold back a
    fork that the schedule of the units knows nothing of; then it is the latency at the steady rate, a frame
    every `cycles`: every buffer is deep enough for that schedule, so that beats which come earlier can only
    make results earlier. Each deep buffer on the way may make them later by its lag, for which it has room.
    """
    if network.straight:
        arrivals = [np.arange(s.beats) for s in network.inputs]
        offers = offers_of(network, arrivals)
    else:
        arrivals = paced(network.inputs, cycles, 1)
        offers, _ = moves_of(network, arrivals, endless=(), rounds=_ROUNDS)
    lags = lags_of(network)
    return max(int(times_at(s, arrivals, offers)[-1]) + lags.get(s, 0) for s in network.results) + 1


def lags_of(network: Network) -> dict[Source, int]:
    """Cycles by which each unit's outputs may come later than scheduled, for the deep buffers on the way."""
    lags: dict[Source, int] = {}
    for k, (unit, sources) in enumerate(zip(network.units, network.sources, strict=True)):
        before = max(lags.get(source, 0) for source in sources)
        for port, (stream, depth) in enumerate(zip(unit.outputs, unit.buffer_depths, strict=True)):
            lags[Source(unit=k, port=port)] = before + buffer_lag(depth, stream.width)
    return lags


def with_buffers(network: Network, cycles: int) -> Network:
    """The same network with buffers in front of its joins that keep it alive and at a frame every `cycles`.

    A branch waits for the slowest one that it meets again, and what comes meanwhile must lie somewhere, or
    the fork that feeds both stops. It lies in the buffer right before the join. Its depth is the largest of
    what two schedules put there:

    * Beats from outside come so far apart that every unit does at once all it can do with what it has. What
      lies at a join is then all that could be made of the beats that it still waits for. With such buffers
      units cannot wait for each other in a ring, however the outside stalls: go round such a ring, and each
      event waited for comes earlier in this schedule than the one before it.
    * Frames come `cycles` apart, and a unit whose reader is slow waits for it. Buffers that hold this
      schedule let it happen in the circuit.
    """
    if network.straight:
        return network
    work = sum(unit.cycles + unit.latency_cycles for unit in network.units)
    even = paced(network.inputs, cycles, _FRAMES)
    ports = joined(network)
    depths: dict[Source, int] = {}
    for arrivals in (far_apart(network.inputs, work, _FRAMES), even):
        held = held_at(network, ports, *moves_of(network, arrivals, endless=ports, rounds=0))
        depths = {port: max(depths.get(port, 0), n) for port, n in held.items()}
    # The branch that comes last to a join needs no more, if those before it have room for what it leaves.
    late = {
        min((s for s in sources if s in ports), key=lambda s: depths[s] - depth_of(network, s))
        for sources in network.sources
        if len(sources) > 1 and all(s in ports for s in sources)
    }
    for endless in (ports - late, ports):
        tried = with_depths(network, {port: depths[port] for port in ports - endless})
        offers, takes = moves_of(tried, even, endless=endless, rounds=_ROUNDS)
        results = (times_at(source, even, offers) for source in network.results)
        if all(times[-1] - times[-1 - len(times) // _FRAMES] <= cycles for times in results):
            break
    held = held_at(tried, endless, offers, takes)
    return with_depths(network, {port: max(depths[port], held.get(port, 0)) for port in ports})


def with_depths(network: Network, depths: Mapping[Source, int]) -> Network:
    """The same with output buffers of at least some depths."""
    return network.with_depths({(s.unit, s.port): n for s, n in depths.items() if s.unit is not None})


def joined(network: Network) -> set[Source]:
    """What joins read of other units; what comes from outside can wait there."""
    return {s for sources in network.sources if len(sources) > 1 for s in sources if s.unit is not None}


def depth_of(network: Network, source: Source) -> int:
    """Entries of the buffer of an output."""
    assert source.unit is not None
    return network.units[source.unit].buffer_depths[source.port]


def held_at(
    network: Network,
    ports: Collection[Source],
    offers: Sequence[np.ndarray],
    takes: Sequence[tuple[np.ndarray, ...]],
) -> dict[Source, int]:
    """Entries that the buffers of outputs need for a schedule."""
    return {
        source: depth_of(network, source) + most_held(offers[source.unit] - BUFFER_LATENCY, went)
        for sources, times in zip(network.sources, takes, strict=True)
        for source, went in zip(sources, times, strict=True)
        if source.unit is not None and source in ports
    }


def moves_of(
    network: Network, arrivals: Sequence[np.ndarray], *, endless: Collection[Source], rounds: int
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]:
    """Cycles in which each unit offers each beat and takes each beat.

    In the first round no output stalls, as in :func:`offers_of`; in each of up to `rounds` more, units wait
    where a buffer was full in the one before, but for the `endless` ones. A round that finds none too full is
    one that the circuit can do, and the last.
    """
    waits: dict[tuple[int, int], np.ndarray] = {}
    while True:
        offers: list[np.ndarray] = []
        takes: list[tuple[np.ndarray, ...]] = []
        for k, (unit, sources) in enumerate(zip(network.units, network.sources, strict=True)):
            came = [times_at(source, arrivals, offers) for source in sources]
            taken, offered = unit.moves(*(np.maximum(c, waits.get((k, p), c)) for p, c in enumerate(came)))
            takes.append(taken)
            offers.append(offered)
        if rounds == 0 or not hold_back(network, takes, waits, endless):
            return offers, takes
        rounds -= 1


def hold_back(
    network: Network,
    takes: list[tuple[np.ndarray, ...]],
    waits: dict[tuple[int, int], np.ndarray],
    endless: Collection[Source],
) -> bool:
    """From the last unit to the first, let `takes` wait for a place in the output's buffer.

    `waits` has then the cycles before which beats are not taken, by unit and input. Whether any is later.
    """
    found = False
    readers = {
        source: (k, port) for k, sources in enumerate(network.sources) for port, source in enumerate(sources)
    }
    for k, unit in reversed(tuple(enumerate(network.units))):
        left = [
            (depth, takes[reader][port])
            for source, depth in ((Source(unit=k, port=p), d) for p, d in enumerate(unit.buffer_depths))
            if source in readers and source not in endless
            for reader, port in [readers[source]]
        ]
        if not left:
            continue
        frames = len(takes[k][0]) // unit.inputs[0].beats
        late = []
        for taken, claimed in zip(takes[k], unit.claims(frames), strict=True):
            until = taken
            for depth, times in left:
                # The beat whose leaving makes the place, if there was none.
                leaving = claimed - depth - 1
                freed = np.where(leaving < 0, 0, times[np.maximum(leaving, 0)] + 1)
                until = np.maximum(until, freed)
            late.append(until)
        if any(np.any(a > b) for a, b in zip(late, takes[k], strict=True)):
            found = True
            waits |= {(k, port): taken for port, taken in enumerate(late)}
            takes[k] = unit.moves(*late)[0]
    return found


def most_held(came: np.ndarray, went: np.ndarray) -> int:
    """Most beats that have come and not gone at one time."""
    return int((np.arange(1, len(came) + 1) - np.searchsorted(went, came)).max())
