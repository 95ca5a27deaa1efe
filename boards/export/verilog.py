"""The AXI peripheral as one Verilog file, and what Verilator thinks of it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.hdl import rtlil
from pulsefold.hdl.link.axi import AxiCore

__all__ = ["MODULE", "WAIVERS", "lint", "write_verilog"]

#: Name of the top module, and start of the name of every other.
MODULE = "pulsefold_axi"

#: Rules of ``verilator -Wall`` that generated code breaks by design, and why.
WAIVERS = {
    "DECLFILENAME": "one file holds all modules",
    "PROCASSINIT": "registers have a value after configuration, and the same one after a reset",
    "UNUSEDSIGNAL": "nets that the generator names; padding of TDATA, AxPROT and low address bits",
    "WIDTHTRUNC": "sums drop their carry by intention; logical operators take whole words",
    "WIDTHEXPAND": "operators extend as Verilog says; widths come from the types of the network",
    "CASEOVERLAP": "the first match counts, as in the source",
}

#: Memories keep their contents in the file: the tools differ in where they look for others.
_SCRIPT = f"""\
read_rtlil {MODULE}.il
proc
memory_collect
opt_clean
write_verilog -noattr -norename {MODULE}.v
"""


def write_verilog(component: AxiCore, path: Path, log: Path) -> None:
    """Write the component as a module :data:`MODULE` to `path`.

    Raises
    ------
    ToolMissingError, ToolFailedError
        If there is no Yosys or it fails; `log` has its output.
    """
    text = rtlil.convert(component, MODULE)
    # Amaranth joins the names of nested modules by dots, which not every tool takes even when escaped.
    text = re.sub(rf"\\{MODULE}(?:\.[\w$]+)+", lambda name: name[0].replace(".", "_"), text)
    with tempfile.TemporaryDirectory(prefix="pulsefold-", dir=path.parent) as name:
        folder = Path(name)
        (folder / f"{MODULE}.il").write_text(text, encoding="utf-8")
        (folder / "export.ys").write_text(_SCRIPT, encoding="utf-8")
        # Relative names only: the WebAssembly build of Yosys sees another /tmp than we do.
        run_tool(find_tool("yosys"), ["-q", "export.ys"], cwd=folder, log=log)
        (folder / f"{MODULE}.v").replace(path)


def lint(path: Path, log: Path) -> None:
    """Hold the Verilog at `path` to every rule of Verilator but those of :data:`WAIVERS`.

    A module that is not in the file, as a vendor's cell would be, is an error.

    Raises
    ------
    ToolMissingError, ToolFailedError
        If there is no Verilator, or it finds fault; `log` has what.
    """
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        waivers = Path(name) / "waivers.vlt"
        rules = "".join(f"// {why}\nlint_off -rule {rule}\n" for rule, why in WAIVERS.items())
        waivers.write_text(f"`verilator_config\n{rules}", encoding="utf-8")
        arguments = ["--lint-only", "-Wall", "--top-module", MODULE, str(waivers), str(path.resolve())]
        run_tool(find_tool("verilator"), arguments, cwd=Path(name), log=log)
