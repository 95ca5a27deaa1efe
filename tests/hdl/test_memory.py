"""The stream buffer and the memories with two registers."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module, Signal, unsigned
from amaranth.lib import data
from amaranth.sim import Simulator

from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, accept_times
from pulsefold.compiler.plan.units.memory import buffer_lag, buffer_style
from pulsefold.hdl.debug.upload import Uploads
from pulsefold.hdl.memory.buffer import StreamBuffer
from pulsefold.hdl.memory.rom import Rom
from pulsefold.sim.bench.unit import Stimulus, run_unit_many


@pytest.mark.parametrize(
    ("depth", "width", "style"), [(5, 8, "ram"), (70, 40, "block"), (129, 17, "block"), (52, 34, "block")]
)
@pytest.mark.parametrize("ring", ["block", "full"])
def test_buffer_keeps_order_and_every_place(depth: int, width: int, style: str, ring: str) -> None:
    assert buffer_style("ecp5", depth, width) == style
    rng = np.random.default_rng(depth)
    beats = rng.integers(0, 1 << width, (2000, 1))
    rates = [(0.0, 0.0), (0.0, 0.6), (0.6, 0.0), (0.4, 0.4), (0.1, 0.1), (0.0, 0.97)]
    stimuli = [
        Stimulus(beats=beats, expected=beats, stall_in=i, stall_out=o, seed=k)
        for k, (i, o) in enumerate(rates)
    ]
    free, *stalled = run_unit_many(StreamBuffer(data.ArrayLayout(unsigned(width), 1), depth, ring), stimuli)
    np.testing.assert_array_equal(np.asarray(free.produced) - np.asarray(free.accepted), 2)
    assert np.all(np.diff(free.produced) == 1)
    # Under a slow reader the buffer runs full: its every place has been used.
    slow = stalled[-1]
    waiting = [np.searchsorted(slow.accepted, t) - k for k, t in enumerate(slow.produced)]
    assert max(waiting) >= depth


@pytest.mark.parametrize(("depth", "width"), [(66, 8), (70, 40), (129, 17)])
def test_buffer_that_runs_dry_lags_no_more_than_it_says(depth: int, width: int) -> None:
    """A reader that waits, then takes a beat a cycle; beats come every third cycle all along."""
    buffer, lag = StreamBuffer(unsigned(width), depth), buffer_lag(depth, width)
    came: list[int] = []
    went: list[int] = []

    async def bench(ctx) -> None:
        for cycle in range(400):
            ctx.set(buffer.i.valid, int(cycle % 3 == 0))
            ctx.set(buffer.i.p, cycle // 3)
            ctx.set(buffer.o.ready, int(cycle > 100))
            if ctx.get(buffer.i.valid):
                assert ctx.get(buffer.i.ready)
                came.append(cycle)
            if ctx.get(buffer.o.valid) and ctx.get(buffer.o.ready):
                assert ctx.get(buffer.o.p) == len(went)
                went.append(cycle)
            await ctx.tick()

    simulator = Simulator(buffer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    at_once = accept_times(np.maximum(np.asarray(came[: len(went)]) + BUFFER_LATENCY, 101))
    assert np.max(went - at_once) == lag


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("style", "column"), [("block", 9), ("lut", 0)])
@pytest.mark.parametrize("wired", [0, 0x00FF0, 0x3FFFF])
def test_words_of_which_some_bits_never_change(style: str, column: int, late: bool, wired: int) -> None:
    """Bits of `wired` are the same in all words: in part of a column, in a whole one, in all of them."""
    rng = np.random.default_rng(wired)
    words = [int(w) & ~wired | 0x2A5A5 & wired for w in rng.integers(0, 1 << 18, 13)]
    rom = Rom(18, words, style, column, late=late)
    places = rng.integers(0, len(words), 100).tolist()
    behind = int(late)
    assert read_of(rom, places)[behind:] == [words[place] for place in places[: len(places) - behind]]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("count", "rows", "column"), [(13, 4, 9), (16, 8, 0), (9, 8, 7), (33, 2, 18)])
@pytest.mark.parametrize("writable", [False, True])
def test_words_side_by_side(count: int, rows: int, column: int, late: bool, writable: bool) -> None:
    rng = np.random.default_rng(count)
    words = rng.integers(0, 1 << 5, count).tolist()
    rom = Rom(5, words, "block", column, late=late, rows=rows)
    places = rng.integers(0, count, 100).tolist()
    behind = 1 + late
    read = read_of(rom, places, Uploads() if writable else None)
    assert read[behind:] == [words[place] for place in places[: len(places) - behind]]


def read_of(rom: Rom, places: list[int], platform: object = None) -> list[int]:
    """What a memory gives in the cycle after each place was asked for."""
    read: list[int] = []

    async def bench(ctx) -> None:
        for place in places:
            ctx.set(rom.address, place)
            await ctx.tick()
            read.append(ctx.get(rom.data))

    module = Module()
    module.submodules.rom = Fragment.get(rom, platform)
    # Where nothing changes, the memory has no clock.
    module.d.sync += Signal().eq(1)
    simulator = Simulator(module)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return read
