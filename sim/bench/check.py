"""Judges what a unit did: beats, contract, combinational paths, timing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pulsefold.errors import VerificationError
from pulsefold.sim.bench.stimulus import UnitRun

__all__ = ["check_ii", "check_latency", "check_paths", "check_run"]


def check_run(run: UnitRun, expected: Sequence[np.ndarray], *, where: str, error: str) -> None:
    """Hold the beats to those expected, and pass on what the bench itself found.

    A wrong beat is reported before a broken contract: it is mostly the cause, and says more.

    Parameters
    ----------
    run
        What the unit did.
    expected
        For each output, bit patterns, uint64 [m, lanes].
    where
        Unit and stimulus, for the message.
    error
        What the bench found; empty if nothing.

    Raises
    ------
    VerificationError
        With the first beat and lane that differ, and their cycle.
    """
    streams = list(zip(run.all_beats, run.all_produced, expected, strict=True))
    for number, (beats, produced, wanted) in enumerate(streams):
        stream = f" of o{number}" if len(streams) > 1 else ""
        common = min(len(beats), len(wanted))
        different = np.argwhere(beats[:common] != wanted[:common])
        if len(different):
            beat, lane = (int(k) for k in different[0])
            raise VerificationError(
                f"output beat {beat}{stream}, lane {lane}: expected {int(wanted[beat, lane]):#x}, "
                f"got {int(beats[beat, lane]):#x}, in cycle {int(produced[beat])}",
                where=where,
            )
    if error:
        raise VerificationError(error, where=where)
    for number, (beats, produced, wanted) in enumerate(streams):
        if len(beats) > len(wanted):
            stream = f" at o{number}" if len(streams) > 1 else ""
            raise VerificationError(
                f"a surplus beat {beats[len(wanted)].tolist()} came{stream} after the {len(wanted)} expected "
                f"ones, in cycle {int(produced[len(wanted)])}",
                where=where,
            )


def check_paths(paths: Collection[str], *, where: str) -> None:
    """Refuse combinational paths from o.ready.

    Raises
    ------
    VerificationError
        If `paths`, names of ports, is not empty.
    """
    if paths:
        raise VerificationError(
            f"combinational path from o.ready to {', '.join(sorted(paths))}",
            where=where,
            todo="put a stream buffer there",
        )


def check_latency(run: UnitRun, cycles: int, *, where: str) -> None:
    """Hold the first beat out to `cycles` after the first beat in.

    Raises
    ------
    VerificationError
        If it came in another cycle.
    """
    if run.latency != cycles:
        raise VerificationError(f"latency is {run.latency} cycles, not {cycles}", where=where)


def check_ii(run: UnitRun, cycles: int, *, frames: int, where: str) -> None:
    """Hold the last beats of successive frames to `cycles` apart.

    Raises
    ------
    VerificationError
        If any two are not.
    ValueError
        If the run is not two or more equal frames.
    """
    if frames < 2 or len(run.produced) % frames:
        msg = f"{len(run.produced)} output beats must be 2 or more equal frames, not {frames}"
        raise ValueError(msg)
    each = len(run.produced) // frames
    intervals = np.diff(run.produced[each - 1 :: each].astype(np.int64))
    if np.any(intervals != cycles):
        raise VerificationError(
            f"initiation intervals are {sorted(set(intervals.tolist()))} cycles, not {cycles}", where=where
        )
