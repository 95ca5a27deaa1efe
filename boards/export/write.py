"""Writes an export: whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pulsefold.boards.export.project import EXPORTS, project_files
from pulsefold.boards.export.verilog import MODULE, lint, write_verilog
from pulsefold.errors import OutputError, PulsefoldError
from pulsefold.hdl.link.axi import AxiCore, AxiStream

__all__ = ["write_export"]


def write_export(component: AxiCore, tool: str, clock_mhz: float, folder: Path) -> Path:
    """Write Verilog, constraints and Tcl script for one maker's tool.

    The Verilog has passed Verilator's lint when this returns.

    Parameters
    ----------
    component
        The core behind its AXI wrapper.
    tool
        One of :data:`~pulsefold.boards.export.project.EXPORTS`.
    clock_mhz
        What the constraints ask for.
    folder
        A build folder, which exists: the export becomes ``export/<tool>`` in it, its logs
        ``logs/export-*.log``.

    Returns
    -------
    Path
        The folder of the export.

    Raises
    ------
    PulsefoldError
        If there is no such tool.
    ToolMissingError, ToolFailedError
        If Yosys or Verilator is absent or fails; an earlier export is then still there.
    OutputError
        If the folder cannot be written.
    """
    if tool not in EXPORTS:
        raise PulsefoldError(f"no export for {tool!r}", where="--export", todo=f"take {', '.join(EXPORTS)}")
    place, logs = folder / "export" / tool, folder / "logs"
    work: Path | None = None
    try:
        place.parent.mkdir(exist_ok=True)
        logs.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{tool}-", dir=place.parent))
        (work / "rtl").mkdir()
        source = work / "rtl" / f"{MODULE}.v"
        write_verilog(component, source, logs / "export-verilog.log")
        lint(source, logs / "export-lint.log")
        buses = [*component.parameters.sources, *component.parameters.sinks, "s_axil"]
        for name, text in project_files(tool, clock_mhz, buses).items():
            (work / name).write_text(text, encoding="utf-8")
        (work / "README.md").write_text(_readme(component, tool, clock_mhz), encoding="utf-8")
        # mkdtemp's folder is the owner's alone; an export is not.
        work.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    except OSError as error:
        raise OutputError(f"cannot write the export: {error.strerror}", where=str(place)) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return place


def _stream(prefix: str, stream: AxiStream) -> str:
    return (
        f"  * `{prefix}`: {stream.beats} transfers of {stream.width} bits an image, "
        f"the lower {stream.bits} of which are a beat."
    )


def _readme(component: AxiCore, tool: str, clock_mhz: float) -> str:
    p = component.parameters
    rows = "\n".join(f"| 0x{offset:02X} | `{name}` |" for name, offset in p.registers.items())
    images, results = (
        "\n".join(_stream(prefix, stream) for prefix, stream in streams.items())
        for streams in (p.sources, p.sinks)
    )
    return f"""\
# {MODULE} for {tool}

`build.tcl` implements the peripheral by itself at {clock_mhz:g} MHz; its first line says how to run it.

* **Clock and reset:** `aclk`, and `aresetn`, which is synchronous and active low.
* **Images in**, AXI4-Stream, TLAST with an image's last transfer:
{images}
* **Results out**, likewise:
{results}
* **Control:** `s_axil`, AXI4-Lite, 32-bit registers:

| offset | register |
|---|---|
{rows}

Bit 0 of `control` holds the network in reset; bit k of `status` says that TLAST was misplaced at the k-th
input. `cycles` and the images of each stream begin at 0 with a reset. The others are the sizes above.

Streams are in the order of the model's inputs and outputs. Nothing is buffered: feed all inputs side by
side, and take all outputs.

How elements lie in a beat: `docs/host-link.md` of pulsefold.
"""
