"""One check for every unit: values under stalls, latency, initiation interval, each beat's cycle."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from amaranth.sim import Simulator

from pulsefold.compiler.plan.units import Stream, Unit
from pulsefold.hdl.units import circuit_for
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.bench.unit import Stimulus, run_unit_many

FRAMES = 3


def values(rng: np.random.Generator, stream: Stream, frames: int = FRAMES) -> np.ndarray:
    """Random integers of some frames of a stream."""
    size, kind = (frames * stream.beats, stream.lanes), stream.type
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
        promises, _ = unit.moves(*(np.arange(len(b)) for b in beats))
        for taken, promised in zip(free.all_accepted, promises, strict=True):
            np.testing.assert_array_equal(np.asarray(taken, np.int64) - start, promised[: len(taken)])

    return check


@pytest.fixture(scope="session")
def check_unit_quickly() -> Callable[..., None]:
    """The same values, stalls and cycles in Amaranth's simulator, which needs no compilation.

    The last `burst` of the `frames` together must take `burst` times the unit's cycles, or where these are
    only a bound no more.
    """

    def check(unit: Unit, seed: int, frames: int = FRAMES, burst: int = 1, *, bound: bool = False) -> None:
        rng = np.random.default_rng(seed)
        beats = [stream.type.encode(values(rng, stream, frames)) for stream in unit.inputs]
        (want,) = (
            words(stream, b) for stream, b in zip(unit.outputs, expected_beats(unit, *beats), strict=True)
        )
        play = [words(stream, b) for stream, b in zip(unit.inputs, beats, strict=True)]
        start, given = played(unit, play, want, 0.0, 0.0, seed)
        promised = unit.schedule(*(np.arange(len(b)) for b in beats))
        np.testing.assert_array_equal(given - start, promised)
        assert promised[0] == unit.latency_cycles
        ends = given[unit.outputs[0].beats - 1 :: unit.outputs[0].beats]
        steady = ends if burst == 1 else ends[-1 - burst :]
        if bound:
            assert max(steady[burst:] - steady[:-burst]) <= burst * unit.cycles
        else:
            np.testing.assert_array_equal(steady[burst:] - steady[:-burst], burst * unit.cycles)
        for k, (stall_in, stall_out) in enumerate([(0.3, 0.3), (0.0, 0.7), (0.7, 0.0)]):
            played(unit, play, want, stall_in, stall_out, seed + k)
        # With a reader that never takes anything, what finds a place is taken and no more.
        (depth,) = unit.buffer_depths
        places = [int(np.count_nonzero(claimed <= depth)) for claimed in unit.claims(frames)]
        taken = taken_without_reader(unit, play)
        # A batch's results also have places of their own, which the claims leave out.
        assert taken == places if burst == 1 else taken > places

    return check


def words(stream: Stream, beats: np.ndarray) -> list[int]:
    """Beats as integers, lane 0 in the lowest bits."""
    return [sum(int(v) << k * stream.type.bits for k, v in enumerate(beat)) for beat in beats]


def taken_without_reader(unit: Unit, beats: list[list[int]]) -> list[int]:
    """Beats of each input that go in where none ever leaves."""
    circuit = circuit_for(unit)
    sent = [0] * len(beats)

    async def bench(ctx) -> None:
        cycle = moved = 0
        while cycle < moved + 400:
            for k, port in enumerate(circuit.ins):
                ctx.set(port.valid, int(sent[k] < len(beats[k])))
                ctx.set(port.payload.as_value(), beats[k][min(sent[k], len(beats[k]) - 1)])
            for k, port in enumerate(circuit.ins):
                if ctx.get(port.valid) and ctx.get(port.ready):
                    sent[k], moved = sent[k] + 1, cycle
            cycle += 1
            await ctx.tick()

    simulator = Simulator(circuit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sent


def played(
    unit: Unit, beats: list[list[int]], want: list[int], stall_in: float, stall_out: float, seed: int
) -> tuple[int, np.ndarray]:
    """Cycle of the first beat in, and of each beat out; fails where one differs or does not hold still."""
    circuit, rng = circuit_for(unit), random.Random(seed)
    sent, offered = [0] * len(beats), [False] * len(beats)
    given: list[int] = []
    first: list[int] = []

    async def bench(ctx) -> None:
        cycle, moved, held = 0, 0, None
        (output,) = circuit.outs
        while len(given) < len(want) or cycle < moved + 20:
            assert cycle < moved + 3000, f"stuck after {sent} beats in and {len(given)} out"
            for k, port in enumerate(circuit.ins):
                if not offered[k] and sent[k] < len(beats[k]):
                    offered[k] = not (stall_in and rng.random() < stall_in)
                ctx.set(port.valid, int(offered[k]))
                # Without valid the payload is garbage.
                mask = 0 if offered[k] else (1 << unit.inputs[k].width) - 1
                ctx.set(port.payload.as_value(), beats[k][min(sent[k], len(beats[k]) - 1)] ^ mask)
            ready = not (stall_out and rng.random() < stall_out)
            ctx.set(output.ready, int(ready))
            value = ctx.get(output.payload.as_value()) if ctx.get(output.valid) else None
            assert held is None or held == value, "an offer was changed or taken back"
            held = None if ready else value
            for k, port in enumerate(circuit.ins):
                if offered[k] and ctx.get(port.ready):
                    sent[k] += 1
                    offered[k], moved = False, cycle
                    first.append(cycle)
            if ready and value is not None:
                assert len(given) < len(want), "a surplus beat"
                assert value == want[len(given)], f"beat {len(given)}: {value:#x}, not {want[len(given)]:#x}"
                given.append(cycle)
                moved = cycle
            cycle += 1
            await ctx.tick()

    simulator = Simulator(circuit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return first[0], np.array(given)
