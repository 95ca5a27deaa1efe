"""Component to Verilog, by way of RTLIL and Yosys, with memory contents in files beside it."""

from __future__ import annotations

import re
from pathlib import Path

from amaranth.lib import wiring

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.hdl import rtlil

__all__ = ["TOP", "to_rtlil", "top_inputs", "write_verilog"]

#: Name of the top module.
TOP = "top"

#: `proc -nomux -norom` keeps the processes as always blocks, which Verilator schedules best; `-extmem`
#: writes contents to files, as a megabit of initial statements takes Verilator minutes.
_SCRIPT = f"""\
read_rtlil {TOP}.il
proc -nomux -norom
memory_collect
write_verilog -norename -noattr -extmem {TOP}.v
"""


def to_rtlil(component: wiring.Component) -> str:
    """RTLIL text of a component, top module :data:`TOP`; the same text for the same circuit."""
    return rtlil.convert(component, TOP)


def top_inputs(text: str) -> set[str]:
    """Names of the input ports of the top module.

    Raises
    ------
    ValueError
        If the text has no top module: Amaranth leaves out modules without any cell.
    """
    start = text.find(f"module \\{TOP}\n")
    if start < 0:
        msg = "the component has no logic: there is nothing to simulate"
        raise ValueError(msg)
    body = text[start : text.index("\nend\n", start)]
    return set(re.findall(r"^\s*wire (?:width \d+ )?(?:signed )?input \d+\s+\\(\S+)$", body, re.MULTILINE))


def write_verilog(text: str, folder: Path, log: Path) -> None:
    """Write ``top.v`` and the ``top-<n>.mem`` files that it reads into `folder`.

    The memory files are named without a folder: run the simulator in `folder`.

    Raises
    ------
    ToolMissingError
        If there is no Yosys.
    ToolFailedError
        If Yosys fails; `log` has its output.
    """
    source, script = folder / f"{TOP}.il", folder / f"{TOP}.ys"
    source.write_text(text, encoding="utf-8")
    script.write_text(_SCRIPT, encoding="utf-8")
    # Relative names only: the WebAssembly build of Yosys sees another /tmp than we do.
    run_tool(find_tool("yosys"), ["-q", script.name], cwd=folder, log=log)
    source.unlink()
    script.unlink()
