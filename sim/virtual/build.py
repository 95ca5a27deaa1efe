"""A core on a board to an executable that behaves as the board does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.support import LINK_OPTIONS
from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.boards.top import BoardTop, has_two_clocks
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.linked import LinkedNetwork
from pulsefold.sim.cosim.compile import Progress, compile_simulator, design_from_rtlil
from pulsefold.sim.cosim.verilog import to_rtlil

__all__ = ["LINKS", "Executable", "build_virtual"]

#: ``bytes``: those of the line go straight to the endpoint. ``uart``, ``spi``: the whole top level with that
#: link, its pins bit by bit.
LINKS = ("bytes", "uart", "spi")

#: Cycles of the link's clock that the SPI master takes for a bit.
_SCK_CYCLES = 12


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
        The clock of the board's link, which is what is simulated cycle by cycle.
    baud
        Bits a second on the line.
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

    Where link and network have clocks of their own on the board, so they do in its whole top level: the
    network's is as many times faster, begins at any point of the link's, and stands still where the board's
    does. Else everything runs on the compute clock.

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
    clock_hz, compute_ratio = clock_mhz * 1_000_000, 0.0
    if link == "bytes":
        hello = identity.hello(clock_hz=round(clock_hz), **LINK_OPTIONS[board.family])
        text = to_rtlil(LinkedNetwork(core(), hello))
    else:
        two_clocks = has_two_clocks(board, clock_mhz)
        # Elsewhere the PLL is a plain clock.
        plain = board if two_clocks else replace(board, clock_mhz=clock_mhz)
        top = BoardTop(plain.with_link(link), clock_mhz, core(), identity)
        compute_ratio = clock_hz / top.link_hz if two_clocks else 0.0
        clock_hz, text = top.link_hz, top.rtlil(generic=True)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pulsefold.sim.virtual", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    main = environment.get_template("harness.cpp.j2").render(
        link=link, reset=board.reset, ratio=compute_ratio
    )
    design = design_from_rtlil(text, store)
    folder = compile_simulator(design, main, store, progress=progress)
    return Executable(
        path=folder / design.top,
        folder=design.folder,
        link=link,
        clock_hz=clock_hz,
        baud=round(clock_hz / _SCK_CYCLES) if link == "spi" else board.baud,
    )
