"""Beats to bytes and back: the format, under stalls."""

import itertools
import random

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.hdl.link.pack import BeatParameters, BeatsToBytes, BytesToBeats


def pass_through(dut, values, *, seed=0, busy=1.0):
    """What leaves `dut` when `values` enter, each side active in a share `busy` of the cycles."""
    rng, out = random.Random(seed), []

    async def run(ctx):
        waiting = list(values)
        offered, held = False, None
        idle = 0
        while idle < 200:
            offered = offered or (bool(waiting) and rng.random() < busy)
            take = rng.random() < busy
            ctx.set(dut.i.valid, offered)
            if offered:
                ctx.set(dut.i.payload, waiting[0])
            ctx.set(dut.o.ready, take)
            _, _, ready, valid, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
            assert held is None or (valid and payload == held), "a stalled payload changed"
            held = payload if valid and not take else None
            if offered and ready:
                offered = False
                waiting.pop(0)
            if valid and take:
                out.append(payload)
            idle = 0 if waiting or valid else idle + 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    return out


def as_bytes(beats, count):
    return [byte for beat in beats for byte in beat.to_bytes(count, "little")]


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 70), busy=st.sampled_from([0.2, 0.7, 1.0]), seed=st.integers(0, 1000))
def test_format_and_stalls(width, busy, seed):
    parameters = BeatParameters(width=width)
    beats = [random.Random(seed + n).getrandbits(width) for n in range(6)]
    encoded = as_bytes(beats, parameters.bytes)
    assert pass_through(BeatsToBytes(parameters), beats, seed=seed, busy=busy) == encoded
    assert pass_through(BytesToBeats(parameters), encoded, seed=seed, busy=busy) == beats


def test_padding_bits_are_ignored():
    assert pass_through(BytesToBeats(BeatParameters(width=11)), [0xFF, 0xFF]) == [0x7FF]


@pytest.mark.parametrize("width", [1, 8, 9, 24])
@pytest.mark.parametrize("unit", [BeatsToBytes, BytesToBeats])
def test_initiation_interval(unit, width):
    dut, cycles = unit(BeatParameters(width=width)), []
    beat_side = dut.i if unit is BeatsToBytes else dut.o

    async def run(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        for cycle in range(100):
            _, _, valid, ready = await ctx.tick().sample(beat_side.valid, beat_side.ready)
            if valid and ready:
                cycles.append(cycle)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    assert {b - a for a, b in itertools.pairwise(cycles)} == {dut.parameters.bytes + 1}
