"""From a core to a bitstream: one synthesis, place and route with as many seeds as asked for, packing."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.cachedtools import CachedTools, Progress, Step
from pulsefold.boards.flow import flow_for
from pulsefold.boards.implementation import Implementation
from pulsefold.boards.pll import highest_clock
from pulsefold.boards.publish import publish
from pulsefold.boards.seeds import Routed, cores, route_seeds
from pulsefold.boards.steps import Steps
from pulsefold.boards.top import BoardTop
from pulsefold.errors import OutputError, TimingError
from pulsefold.hdl.link.identity import Identity

__all__ = ["Progress", "build"]

_LOG = logging.getLogger(__name__)

#: Times that a clock is lowered to what the design with that very clock reaches.
_FITTINGS = 4


def build(
    design: str | Callable[[], wiring.Component],
    board: Board,
    clock_mhz: float,
    out_dir: Path,
    *,
    seeds: Sequence[int] = (1,),
    jobs: int | None = None,
    fit_clock: bool = False,
    identity: Identity | None = None,
    cache: BuildCache | None = None,
    progress: Progress | None = None,
    synthesis_commands: Sequence[str] = (),
    route_options: Sequence[str] = (),
) -> Implementation:
    """Build a bitstream into ``out_dir/bitstream``, with the tools' logs in ``out_dir/logs``.

    The result of an earlier build in `out_dir` is removed first; after a failure only logs are there. Of
    several seeds the one with the highest Fmax is taken; each is cached for itself, so that an interrupted
    build goes on with those that are missing.

    Parameters
    ----------
    design
        Makes the core, a component with stream ports `i` and `o`; or RTLIL text of a whole top level
        named ``top`` with the ports of :meth:`Board.ports` and a net ``compute_clk``.
    board
        Where it runs.
    clock_mhz
        Compute clock; the PLL's nearest frequency is what counts. RTLIL text brings its own PLL, and
        this is then its exact output.
    out_dir
        Build folder, made if needed.
    seeds
        Of place and route, tried side by side.
    jobs
        How many at once; by default as many as there are processors.
    fit_clock
        Whether the PLL is then set to the fastest clock that the best seed allows, below or above
        `clock_mhz`; not for RTLIL text. The clock is part of the circuit, so that seed is routed once more.
    identity
        What the board tells its host of the core: see :class:`~pulsefold.boards.top.BoardTop`.
    cache
        Where finished steps are kept; by default the user's cache folder.
    progress
        Called with one line a step.
    synthesis_commands
        Yosys commands between synthesis and writing the netlist.
    route_options
        Further options of the place-and-route tool, after and thus above our own; where large designs are
        placed in a run before, of that which routes.

    Raises
    ------
    TimingError
        If the compute clock or, where it has one of its own, that of the link is not reached.
    DoesNotFitError
        If the board is too small.
    ToolMissingError, ToolFailedError
        If a tool is absent or gives up.
    OutputError
        If `out_dir` or the cache cannot be written.
    """
    steps = Steps(
        board=board,
        flow=flow_for(board.family),
        tools=CachedTools(cache=cache or BuildCache(), logs=out_dir / "logs", progress=progress or _LOG.info),
    )

    def synthesised(clock_mhz: float) -> tuple[Step, float]:
        if isinstance(design, str):
            text, clock = design, clock_mhz
        else:
            top = BoardTop(board, clock_mhz, design(), identity)
            text, clock = top.rtlil(), top.clock_mhz
        return steps.synthesise(text, synthesis_commands), clock

    try:
        shutil.rmtree(out_dir / "bitstream", ignore_errors=True)
        steps.tools.logs.mkdir(parents=True, exist_ok=True)
        netlist, clock = synthesised(clock_mhz)
        aim = clock
        routed = route_seeds(steps, netlist, clock, seeds, jobs or cores(), route_options)
        for _ in range(_FITTINGS if fit_clock else 0):
            wanted = highest_clock(board, routed.report.fmax_mhz)
            if wanted is None or abs(float(wanted) - clock) < 1e-6:
                break
            # Routed for the same frequency as before: then only the clock differs, and mostly no place does.
            netlist, clock = synthesised(float(wanted))
            step, report = steps.route(netlist, aim, routed.seed, route_options)
            routed = replace(routed, step=step, report=report)
            if report.fmax_mhz >= clock:
                break
        _check_timing(routed, clock, board, steps.tools.logs / "route.log")
        packed = steps.pack(routed.step)
        return publish(
            steps,
            out_dir / "bitstream",
            netlist=netlist,
            routed=routed,
            packed=packed,
            clock_mhz=clock,
        )
    except OSError as error:
        raise OutputError(f"cannot write the build: {error.strerror}", where=str(out_dir)) from error


def _check_timing(routed: Routed, clock_mhz: float, board: Board, log: Path) -> None:
    report = routed.report
    if report.missed:
        raise TimingError(
            f"the link's clock is not reached on {board.title}",
            where=str(log),
            why="\n".join(report.missed),
            todo="try other seeds (--seeds); if none reaches it, the oscillator is too fast for the device",
        )
    if report.fmax_mhz >= clock_mhz:
        return
    slowest = "\n".join(report.critical_path)
    several = f", with the best of {len(routed.seeds)} seeds" if len(routed.seeds) > 1 else ""
    error = TimingError(
        f"the design reaches {report.fmax_mhz:.1f} MHz on {board.title}, not {clock_mhz:.6g} MHz{several}",
        where=str(log),
        why=f"its longest path:\n{slowest}" if slowest else "",
        todo=f"let the build choose with --clock-mhz auto, lower --clock-mhz to {int(report.fmax_mhz)}, "
        "or try other seeds (--seeds)",
    )
    error.fmax_mhz = report.fmax_mhz
    raise error
