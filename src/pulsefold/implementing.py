"""Build: place and route a compiled design into a bitstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pulsefold.boards.build import build as build_bitstream
from pulsefold.boards.implementation import Implementation
from pulsefold.design import Design
from pulsefold.errors import PulsefoldError
from pulsefold.identity import identity_of
from pulsefold.progress import Silent

__all__ = ["build_design", "seeds_of"]


#: Most seeds of one build.
_MOST_SEEDS = 64


def build_design(
    design: Design,
    *,
    seeds: int | Sequence[int] = 1,
    jobs: int | None = None,
    clock_mhz: float | str | None = None,
    link: str = "uart",
    progress: Callable[[str], None] | None = None,
) -> tuple[Implementation, dict[str, Any]]:
    """Build the bitstream and enter it into the report.

    Parameters
    ----------
    design
        A compiled design.
    seeds
        Place-and-route seeds: so many, from 1 on, or those listed. The one with the highest Fmax is taken.
    jobs
        Seeds at once; None: as many as there are processors.
    clock_mhz
        Compute clock; None: the one it was compiled for; ``"auto"``: the fastest that the PLL makes and
        timing allows.
    link
        To the host: one that the board has pins for.
    progress
        Called with a line a step.

    Returns
    -------
    tuple
        The implementation, and the whole report.
    """
    say = progress or Silent()
    plan, folder, board = design.plan, design.folder, design.board.with_link(link)
    if isinstance(clock_mhz, str) and clock_mhz != "auto":
        raise PulsefoldError(f"no clock: {clock_mhz!r}", where="--clock-mhz", todo="give MHz, or auto")
    if jobs is not None and not 1 <= jobs <= 1024:
        raise PulsefoldError(f"jobs must be between 1 and 1024, not {jobs}", where="--jobs")
    wanted = plan.target.clock_mhz if clock_mhz is None or isinstance(clock_mhz, str) else clock_mhz
    if not 1 <= wanted <= 1000:
        raise PulsefoldError(f"the clock must lie between 1 and 1000 MHz, not {wanted}", where="--clock-mhz")
    made = build_bitstream(
        lambda: design.debug.core(plan),
        board,
        wanted,
        folder,
        seeds=seeds_of(seeds),
        jobs=jobs,
        fit_clock=clock_mhz == "auto",
        identity=identity_of(design),
        progress=say,
    )
    cycles, latency = measured(design)
    section = made.as_dict() | {"link": link}
    section["bitstream"] = relative(made.bitstream, folder)
    section["netlist"] = relative(made.netlist, folder)
    section["throughput_fps_at_fmax"] = made.fmax_mhz * 1e6 / cycles
    report = design.update_report(
        {
            "implementation": section,
            "throughput_fps": made.clock_mhz * 1e6 / cycles,
            "latency_us": latency / made.clock_mhz,
        }
    )
    return made, report


def seeds_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds meant, each once.

    Raises
    ------
    PulsefoldError
        If there are none, or too many, or one the router does not take.
    """
    listed = tuple(dict.fromkeys(range(1, min(seeds, 1000) + 1) if isinstance(seeds, int) else seeds))
    if not 1 <= len(listed) <= _MOST_SEEDS:
        raise PulsefoldError(f"there must be 1 to {_MOST_SEEDS} seeds, not {len(listed)}", where="--seeds")
    if not all(1 <= seed < 1 << 31 for seed in listed):
        raise PulsefoldError("a seed lies between 1 and 2147483647", where="--seeds")
    return listed


def measured(design: Design) -> tuple[float, int]:
    """Cycles an image and of the first one: measured where a simulation ran freely, else promised."""
    simulation = design.read_report().get("simulation", {})
    # A simulation with random pauses measures the pauses.
    free = simulation if not simulation.get("stalls") else {}
    cycles = free.get("cycles_per_image") or design.plan.cycles
    return float(cycles), int(free.get("latency_cycles") or design.plan.latency_cycles)


def relative(path: Path, folder: Path) -> str:
    """A path for the report: inside the folder, wherever that is moved."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
