"""Simulated annealing of a placement, with an eye on its late paths."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import numpy as np

from pulsefold.boards.cache import BuildCache
from pulsefold.boards.refine.annealer import LATE_STEPS, Annealer
from pulsefold.boards.refine.legality import check_moved
from pulsefold.boards.refine.packed import BEL, Flag, PackedDesign, slot_name
from pulsefold.boards.refine.share import share_loads
from pulsefold.boards.refine.timing import PlacedTiming

__all__ = ["refine"]

#: Looks at the timing, and between two of them moves of each cell, or of the cluster it is in.
_ROUNDS, _MOVES = 60, 48

#: Copies of a driver share its loads anew this often: at the end of each stage, and before the first.
_STAGES = 2

#: More than there are seeds, so that no two stages have the same.
_SEEDS = 1 << 32

#: Temperature in tiles of wire, and reach in tiles: at first, and at last. A higher one finds shorter wires,
#: but puts what has many wires side by side, where the router gets stuck.
_TEMPERATURES, _REACHES = (0.7, 0.02), (12, 3)

#: A nanosecond more of the longest path costs this many tiles of wire; of one that is a tenth shorter, less
#: by the power of its length. So where two wires in turn are long, the place in the middle is the best.
_LATE, _POWER = 300.0, 8

#: A nanosecond more of longer paths than this, over the shortest longest one so far, costs no more.
_LATEST = 1.2

#: Longest path, over that of the placer's placement, up to which shorter wires make up for it.
_WORST = 1.05


def refine(
    module: dict[str, Any],
    *,
    seed: int,
    cache: BuildCache,
    stop: threading.Event | None = None,
    progress: Callable[[str], None] | None = None,
) -> bool:
    """Move the cells of a placed design, and share the loads of copied drivers out by place; in place.

    What is minimised is the sum over all nets of half their bounding box's perimeter in tiles; over all
    wires of 300 / 9 * ns * (ns / the longest of all)**8 of the longest path through them; over all
    2 x 2 tiles with more than 64 inputs of 0.05 * (inputs - 64)**2; and over all tiles with more than 40
    wires along an axis of 6 * (wires / 40 - 1) for each. The moves depend on the seed alone.

    Parameters
    ----------
    module
        Entry of ``modules`` of the JSON that nextpnr wrote after placement; ``NEXTPNR_BEL`` changes, and what
        drives the loads of cells of which there are copies.
    seed
        Of the moves.
    cache
        Where the compiled annealer is kept.
    stop
        Ends it.
    progress
        Is given a line at the end.

    Returns
    -------
    bool
        Whether the module is now the better one; if not, forget it.

    Raises
    ------
    CancelledError
        If `stop` was set.
    ToolFailedError
        If the annealer does not compile.
    """
    tell = progress or (lambda _: None)
    design = PackedDesign(module)
    if design.unknown:
        tell(f"the placement stays as it is: {design.unknown[0]}")
        return False
    first = PlacedTiming(design).look().longest_ns
    length = wire_length(design)
    if share_loads(design):
        design = PackedDesign(module)
    for stage in range(_STAGES):
        rounds = range(stage * _ROUNDS // _STAGES, (stage + 1) * _ROUNDS // _STAGES)
        _anneal(design, rounds, seed + stage * _SEEDS, cache, stop)
        # By where the loads are now; flip-flops that have come to lie together may have copies of one reset.
        share_loads(PackedDesign(module))
        moved = PackedDesign(module)
        check_moved(design, moved)
        design = moved
    last = PlacedTiming(design).look().longest_ns
    better = last <= _WORST * first
    tell(
        f"{wire_length(design) / max(length, 1):.0%} of the wire, and by estimate "
        f"{last / first:.0%} of the time on the longest path" + ("" if better else ": it stays as it was")
    )
    return better


def _anneal(
    design: PackedDesign, rounds: range, seed: int, cache: BuildCache, stop: threading.Event | None
) -> None:
    """Some of the rounds. The new places are in the module too."""
    timing = PlacedTiming(design)
    aim, rest = np.inf, np.zeros(len(design.net_pin))
    with Annealer(design, seed, cache) as annealer:
        for number in rounds:
            if stop is not None and stop.is_set():
                raise CancelledError
            look = timing.look()
            # Against the best so far: where one path is late for a while, the others count on.
            aim = min(aim, look.longest_ns)
            annealer.late[:] = _lateness(np.arange(len(annealer.late)) / LATE_STEPS, aim)
            # Half of what it was: else two wires that have become shorter both take what one of them may.
            now = look.through_ns - look.wire_ns
            rest = now if number == rounds[0] else (rest + now) / 2
            annealer.rest[:] = np.where(design.drives | design.dedicated, -1.0, rest)
            annealer.weigh()
            left = 1 - number / _ROUNDS
            temperature = (_TEMPERATURES[0] - _TEMPERATURES[1]) * left**2 + _TEMPERATURES[1]
            reach = max(_REACHES[1], int(_REACHES[0] * left))
            annealer.run(_MOVES, temperature, reach)
        _write(design, annealer.site)


def _lateness(path_ns: np.ndarray, aim: float) -> np.ndarray:
    """What a path costs in tiles of wire: each ns more than the one before, up to the longest that count."""
    worst = _LATEST * aim
    bent = np.minimum(path_ns, worst)
    return _LATE * (
        bent * (bent / aim) ** _POWER / (_POWER + 1) + np.maximum(path_ns - worst, 0) * _LATEST**_POWER
    )


def wire_length(design: PackedDesign) -> int:
    """Half the perimeters of all nets, in tiles."""
    if not len(design.net_pin):
        return 0
    total = 0
    for place in (design.x[design.net_pin], design.y[design.net_pin]):
        first = design.net_start[:-1]
        total += int((np.maximum.reduceat(place, first) - np.minimum.reduceat(place, first)).sum())
    return total


def _write(design: PackedDesign, site: np.ndarray) -> None:
    """The places of the arrays to the module."""
    moved = np.any(np.stack([design.x, design.y, design.slot]) != design.origin, axis=0)
    for k in np.flatnonzero(moved | (site != np.arange(len(site)))):
        flags = int(design.flags[k])
        design.cells[design.names[k]]["attributes"][BEL] = (
            design.sites[site[k]]
            if flags & Flag.BLOCK
            else slot_name(flags, int(design.x[k]), int(design.y[k]), int(design.slot[k]))
        )
