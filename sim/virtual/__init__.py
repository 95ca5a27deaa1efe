"""A board that is a process: the complete top level in Verilator behind a pseudo-terminal.

`build` (a core to an executable) -> `board` (the process and its terminal); `harness.cpp.j2` is its main
program.
"""

from pulsefold.sim.virtual.board import Figures, VirtualBoard
from pulsefold.sim.virtual.build import LINKS, Executable, build_virtual

__all__ = ["LINKS", "Executable", "Figures", "VirtualBoard", "build_virtual"]
