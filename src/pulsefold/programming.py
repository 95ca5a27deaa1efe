"""Program: a built bitstream into a board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.design import Design
from pulsefold.errors import DeviceError, PulsefoldError
from pulsefold.progress import Silent

__all__ = ["program"]


def program(design: Design, *, flash: bool = False, progress: Callable[[str], None] | None = None) -> Path:
    """Load the bitstream that ``pulsefold build`` made, with openFPGALoader.

    Parameters
    ----------
    design
        A compiled and built design.
    flash
        Write it where it survives power-off, rather than into the device alone.
    progress
        Called with a line now and then.

    Returns
    -------
    Path
        The bitstream.

    Raises
    ------
    PulsefoldError
        If the design was not built.
    DeviceError
        If nothing is known to program the board with.
    ToolMissingError, ToolFailedError
        If openFPGALoader is missing, or finds no board.
    """
    say = progress or Silent()
    entry = design.read_report().get("implementation", {}).get("bitstream")
    folder = (design.folder / "bitstream").resolve()
    bitstream = (design.folder / str(entry)).resolve() if entry else None
    # The report is a file that anyone may have edited.
    if bitstream is None or not bitstream.is_relative_to(folder) or not bitstream.is_file():
        raise PulsefoldError(
            "there is no bitstream",
            where=str(design.folder),
            todo=f"make it: pulsefold build {design.folder}",
        )
    if not design.board.programmer:
        raise DeviceError(
            f"no programmer is known for {design.board.title}", todo="load the bitstream by hand"
        )
    tool = find_tool("openFPGALoader")
    logs = design.folder / "logs"
    logs.mkdir(exist_ok=True)
    arguments = ["-b", design.board.programmer, *(["-f"] if flash else []), str(bitstream)]
    say(f"programming {design.board.title}")
    run_tool(tool, arguments, cwd=design.folder, log=logs / "program.log")
    return bitstream
