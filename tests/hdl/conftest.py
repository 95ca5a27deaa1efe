"""One check for every unit: values under stalls, latency, initiation interval, each beat's cycle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cocotb_tools.runner
import numpy as np
import pytest
from cocotb_tools.check_results import get_results

from pulsefold.boards.cache import BuildCache
from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.compiler.plan.units import Stream, Unit
from pulsefold.hdl.units import circuit_for
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.bench.launch import compile_bench
from pulsefold.sim.bench.unit import Stimulus, run_unit_many
from pulsefold.sim.cosim.compile import design_from_rtlil
from pulsefold.sim.cosim.verilog import to_rtlil

FRAMES = 3


def values(rng: np.random.Generator, stream: Stream) -> np.ndarray:
    """Random integers of some frames of a stream."""
    size, kind = (FRAMES * stream.beats, stream.lanes), stream.type
    return (
        rng.choice([-1, 1], size) if kind.is_bipolar else rng.integers(kind.minimum, kind.maximum + 1, size)
    )


@pytest.fixture(scope="session")
def check_unit() -> Callable[[Unit, int], None]:
    """Run a unit in cocotb on Verilator: without stalls against its timing, then with stalls at both ends."""

    def check(unit: Unit, seed: int) -> None:
        rng = np.random.default_rng(seed)
        beats = [stream.type.encode(values(rng, stream)) for stream in unit.inputs]
        want = expected_beats(unit, *beats)
        rates = [(0.0, 0.0), (0.3, 0.3), (0.0, 0.7), (0.7, 0.0)]
        stimuli = [
            Stimulus(beats=beats, expected=want, stall_in=i, stall_out=o, seed=seed + k)
            for k, (i, o) in enumerate(rates)
        ]
        free, *_ = run_unit_many(circuit_for(unit), stimuli)
        start = min(int(taken[0]) for taken in free.all_accepted)
        promised = unit.schedule(*(np.arange(len(b)) for b in beats))
        assert promised[0] == unit.latency_cycles
        for stream, produced in zip(unit.outputs, free.all_produced, strict=True):
            given = np.asarray(produced, np.int64) - start
            np.testing.assert_array_equal(given, promised)
            ends = given[stream.beats - 1 :: stream.beats]
            np.testing.assert_array_equal(np.diff(ends), unit.cycles)
        if len(unit.inputs) > 1:
            promises = unit.takes(*(np.arange(len(b)) for b in beats))
            for taken, promised in zip(free.all_accepted, promises, strict=True):
                np.testing.assert_array_equal(np.asarray(taken, np.int64) - start, promised)

    return check


@pytest.fixture
def run_bench(tmp_path, monkeypatch):
    """Run every cocotb test of a module in ``benches`` on a component; settings reach it as JSON."""

    def run(component, module: str, **settings) -> int:
        cache = BuildCache(root=user_cache_dir() / "cosim")
        design = design_from_rtlil(to_rtlil(component), cache)
        simulator = compile_bench(design, cache, visible=("*",))
        (tmp_path / "job.json").write_text(json.dumps(settings))
        monkeypatch.syspath_prepend(Path(__file__).parent / "benches")
        runner = cocotb_tools.runner.get_runner("verilator")
        results = tmp_path / "results.xml"
        log = tmp_path / "simulation.log"
        runner.test(
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
