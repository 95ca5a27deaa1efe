"""Build: place and route a compiled design into a bitstream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulsefold.boards.build import build as build_bitstream
from pulsefold.boards.implementation import Implementation
from pulsefold.design import Design
from pulsefold.errors import PulsefoldError, TimingError
from pulsefold.identity import identity_of
from pulsefold.progress import Silent

__all__ = ["build_design"]


def build_design(
    design: Design, *, seeds: int = 1, progress: Callable[[str], None] | None = None
) -> tuple[Implementation, dict[str, Any]]:
    """Build the bitstream and enter it into the report.

    Parameters
    ----------
    design
        A compiled design.
    seeds
        Place-and-route seeds to try, 1 and on, until one meets the clock; the last failure is raised.
    progress
        Called with a line a step.

    Returns
    -------
    tuple
        The implementation, and the whole report.
    """
    say = progress or Silent()
    if not 1 <= seeds <= 64:
        raise PulsefoldError(f"seeds must be between 1 and 64, not {seeds}", where="--seeds")
    plan, folder = design.plan, design.folder
    made: Implementation | None = None
    for seed in range(1, seeds + 1):
        try:
            made = build_bitstream(
                lambda: design.debug.core(plan),
                design.board,
                plan.target.clock_mhz,
                folder,
                seed=seed,
                identity=identity_of(design),
                progress=say,
            )
            break
        except TimingError:
            if seed == seeds:
                raise
    if made is None:
        raise PulsefoldError("no seed was tried", where="--seeds")
    cycles, latency = measured(design)
    section = made.as_dict()
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
