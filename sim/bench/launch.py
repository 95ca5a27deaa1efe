"""Compiles a design for cocotb and runs the test bench in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import get_runner

from pulsefold.boards.cache import BuildCache
from pulsefold.errors import ToolFailedError
from pulsefold.sim.cosim.compile import Design, compile_simulator

__all__ = ["compile_bench", "launch_bench"]

_MODULE = "pulsefold.sim.bench.testbench"


def compile_bench(
    design: Design, cache: BuildCache, visible: Sequence[str] = ("clk", "rst", "i*__*", "o*__*")
) -> Path:
    """The folder of the design's simulator with cocotb in it, compiled if it is not in the cache.

    cocotb's runner could compile too, but finds Verilator only on PATH, makes all signals public and
    compiles the runtime each time, which takes most of the time for a small unit. Only the ports of the
    patterns in `visible` can be driven and read.
    """
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    libraries = cocotb_tools.config.libs_dir
    link = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
    # The bench touches ports alone, and every signal that is public is one that Verilator cannot optimise.
    config = "".join(f'public_flat_rw -module "{design.top}" -var "{name}"\n' for name in visible)
    return compile_simulator(
        design,
        main.read_text(encoding="utf-8"),
        cache,
        options=["--vpi", "-LDFLAGS", link],
        config=config,
    )


def launch_bench(simulator: Path, design: Design, job: Path) -> None:
    """Run the test bench on the job in folder `job`, until its results are there.

    Raises
    ------
    ToolFailedError
        If the simulation ends without results; `why` holds the end of its log.
    """
    log = job / "simulation.log"
    code: object = 0
    runner = get_runner("verilator")
    # It raises its own level to tell each command, whatever the program's is.
    runner.log.setLevel(logging.WARNING)
    try:
        runner.test(
            _MODULE,
            design.top,
            hdl_toplevel_lang="verilog",
            # The executable's folder, and the one with the memory contents.
            build_dir=simulator,
            test_dir=design.folder,
            results_xml=str(job / "results.xml"),
            log_file=log,
            plusargs=[f"+job={job}"],
        )
    except (RuntimeError, SystemExit) as ended:
        # cocotb's runner ends the program where a test failed; ours has results or it has not.
        code = ended
    if not (job / "result.json").is_file():
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        raise ToolFailedError(
            "the cocotb simulation ended without results",
            where=design.top,
            why="\n".join(lines[-20:]) or str(code),
        )
