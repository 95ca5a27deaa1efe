"""A core on a board to an executable that behaves as the board does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.boards.top import SLOTS, BoardTop
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.linked import LinkedNetwork
from pulsefold.sim.cosim.compile import Progress, compile_simulator, design_from_rtlil
from pulsefold.sim.cosim.verilog import to_rtlil

__all__ = ["LINKS", "Executable", "build_virtual"]

#: ``bytes``: those of the line go straight to the endpoint. ``uart``: the whole top level, its pins bit by
#: bit.
LINKS = ("bytes", "uart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """A compiled virtual board.

    Parameters
    ----------
    path
        The program.
    folder
        Where it must run: memory contents are read by name.
    link
        One of :data:`LINKS`.
    clock_hz
        The board's compute clock.
    baud
        The board's own rate.
    """

    path: Path
    folder: Path
    link: str
    clock_hz: float
    baud: int


def build_virtual(
    core: Callable[[], wiring.Component],
    board: Board,
    clock_mhz: float,
    identity: Identity,
    *,
    link: str = "bytes",
    cache: BuildCache | None = None,
    progress: Progress | None = None,
) -> Executable:
    """Compile a virtual board; by content, so nothing is built twice.

    The PLL is a plain clock: everything runs on the compute clock.

    Parameters
    ----------
    core
        Makes the network.
    board
        Which board.
    clock_mhz
        Compute clock.
    identity
        What the board tells of the network.
    link
        One of :data:`LINKS`.
    cache
        Where it is kept; the user's cache folder by default.
    progress
        Is told of the stages.

    Raises
    ------
    ToolMissingError, ToolFailedError
        If a tool is missing or fails.
    """
    if link not in LINKS:
        msg = f"link must be one of {', '.join(LINKS)}, not {link!r}"
        raise ValueError(msg)
    store = cache or BuildCache(root=user_cache_dir() / "cosim")
    if progress is not None:
        progress("convert", 0, 1)
    plain = replace(board, clock_mhz=clock_mhz)
    if link == "uart":
        text = BoardTop(plain, clock_mhz, core(), identity).rtlil(generic=True)
    else:
        hello = identity.hello(clock_hz=round(clock_mhz * 1_000_000), **SLOTS[board.family])
        text = to_rtlil(LinkedNetwork(core(), hello))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pulsefold.sim.virtual", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    main = environment.get_template("harness.cpp.j2").render(link=link, reset=board.reset)
    design = design_from_rtlil(text, store)
    folder = compile_simulator(design, main, store, progress=progress)
    return Executable(
        path=folder / design.top,
        folder=design.folder,
        link=link,
        clock_hz=clock_mhz * 1_000_000,
        baud=board.baud,
    )
