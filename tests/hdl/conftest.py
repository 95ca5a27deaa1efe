"""One check for every unit: values under stalls, latency, initiation interval, each beat's cycle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pulsefold.compiler.plan.units import Unit
from pulsefold.hdl.units import circuit_for
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.bench.unit import Stimulus, run_unit_many

FRAMES = 3


@pytest.fixture(scope="session")
def check_unit() -> Callable[[Unit, int], None]:
    """Run a unit in cocotb on Verilator: without stalls against its timing, then with stalls at both ends."""

    def check(unit: Unit, seed: int) -> None:
        rng = np.random.default_rng(seed)
        kind = unit.input.type
        low, high = kind.minimum, kind.maximum
        if kind.is_bipolar:
            values = rng.choice([-1, 1], (FRAMES * unit.input.beats, unit.input.lanes))
        else:
            values = rng.integers(low, high + 1, (FRAMES * unit.input.beats, unit.input.lanes))
        beats = kind.encode(values)
        want = expected_beats(unit, beats)
        rates = [(0.0, 0.0), (0.3, 0.3), (0.0, 0.7), (0.7, 0.0)]
        stimuli = [
            Stimulus(beats=beats, expected=want, stall_in=i, stall_out=o, seed=seed + k)
            for k, (i, o) in enumerate(rates)
        ]
        free, *_ = run_unit_many(circuit_for(unit), stimuli)
        taken = np.asarray(free.accepted, np.int64)
        given = np.asarray(free.produced, np.int64) - taken[0]
        promised = unit.schedule(np.arange(unit.input.beats))
        np.testing.assert_array_equal(given[: unit.output.beats], promised)
        assert promised[0] == unit.latency_cycles
        ends = given[unit.output.beats - 1 :: unit.output.beats]
        np.testing.assert_array_equal(np.diff(ends), unit.cycles)

    return check
