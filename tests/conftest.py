"""Options, and cocotb test benches that run a whole module of tests on one design."""

import contextlib
import json
from pathlib import Path

import cocotb_tools.runner
import pytest
from cocotb_tools.check_results import get_results

from pulsefold.boards.cache import BuildCache
from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.sim.bench.launch import compile_bench
from pulsefold.sim.cosim.compile import Design, design_from_rtlil
from pulsefold.sim.cosim.verilog import to_rtlil


def pytest_addoption(parser):
    parser.addoption("--networks", type=int, default=None, help="random networks of each style to try")


@pytest.fixture
def simulator_cache():
    return BuildCache(root=user_cache_dir() / "cosim")


@pytest.fixture
def run_bench(tmp_path, monkeypatch, simulator_cache):
    """Run every cocotb test of a module in ``benches`` on a component or Verilog design.

    Settings reach it as JSON; returns the number of tests.
    """

    def run(dut, module: str, **settings) -> int:
        design = dut if isinstance(dut, Design) else design_from_rtlil(to_rtlil(dut), simulator_cache)
        simulator = compile_bench(design, simulator_cache, visible=("*",))
        (tmp_path / "job.json").write_text(json.dumps(settings))
        monkeypatch.syspath_prepend(Path(__file__).parent / "benches")
        results, log = tmp_path / "results.xml", tmp_path / "simulation.log"
        # cocotb's runner ends the program where a test failed; the log says more.
        with contextlib.suppress(SystemExit):
            cocotb_tools.runner.get_runner("verilator").test(
                module,
                design.top,
                hdl_toplevel_lang="verilog",
                build_dir=simulator,
                test_dir=design.folder,
                results_xml=str(results),
                log_file=log,
                plusargs=[f"+job={tmp_path / 'job.json'}"],
            )
        tests, failed = get_results(results)
        assert tests, log.read_text()
        assert not failed, log.read_text()[-4000:]
        return tests

    return run
