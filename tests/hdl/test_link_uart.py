"""The serial line: bits as a host would send and see them."""

import itertools
import random

import pytest
from amaranth.sim import Simulator

from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter


def parameters(divisor):
    """Of `divisor` clock cycles a bit, which need not be whole."""
    return UartParameters(clock_hz=divisor * 1e6, baud=1_000_000)


def frame(byte, stop=1):
    return [0, *(byte >> n & 1 for n in range(8)), stop]


def levels(bits, bit_cycles, lead=3):
    """The line's level in each cycle, `bits` being `bit_cycles` long, fractions included."""
    total = int(len(bits) * bit_cycles)
    return [1] * lead + [bits[min(int(t / bit_cycles), len(bits) - 1)] for t in range(total)] + [1] * 60


def receive(divisor, line, ready=lambda cycle: True):
    """Bytes taken and bytes lost while `line` plays."""
    dut = UartReceiver(parameters(divisor))
    taken, lost = [], 0

    async def host(ctx):
        nonlocal lost
        held = None
        for cycle, level in enumerate(line):
            ctx.set(dut.i, level)
            ctx.set(dut.o.ready, ready(cycle))
            _, _, valid, payload, overflow = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.overflow)
            assert held is None or (valid and payload == held), "a stalled byte changed"
            held = payload if valid and not ready(cycle) else None
            if valid and ready(cycle):
                taken.append(payload)
            lost += overflow

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(host)
    sim.run()
    return taken, lost


@pytest.mark.parametrize("divisor", [8, 25 / 3, 9.5, 13, 104])
@pytest.mark.parametrize("error", [-0.02, -0.01, 0, 0.01, 0.02])
def test_receiver_back_to_back(divisor, error):
    sent = random.Random(int(divisor)).randbytes(12)
    line = levels([bit for byte in sent for bit in frame(byte)], divisor * (1 + error))
    assert receive(divisor, line) == (list(sent), 0)


def test_receiver_stalled_byte_is_held():
    sent = random.Random(1).randbytes(6)
    line = levels([bit for byte in sent for bit in frame(byte)], 10)
    assert receive(10, line, ready=lambda cycle: cycle % 37 == 0) == (list(sent), 0)


def test_receiver_overflow_drops_the_new_byte():
    line = levels([*frame(0x11), *frame(0x22)], 10)
    assert receive(10, line, ready=lambda cycle: cycle > 220) == ([0x11], 1)


def test_receiver_ignores_a_glitch_and_a_broken_frame():
    line = [1] * 5 + [0] * 3 + [1] * 40 + levels([*frame(0xFF, stop=0), *[1] * 12, *frame(0x5A)], 16)
    assert receive(16, line) == ([0x5A], 0)


@pytest.mark.parametrize("divisor", [8, 25 / 3, 25])
def test_transmitter(divisor):
    dut = UartTransmitter(parameters(divisor))
    sent = list(random.Random(2).randbytes(8))
    line = []

    async def feed(ctx):
        for n, byte in enumerate(sent):
            await ctx.tick().repeat(1 + 200 * (n == 4))
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        while True:
            _, _, level = await ctx.tick().sample(dut.o)
            line.append(level)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(feed)
    sim.add_testbench(watch, background=True)
    sim.run_until((len(sent) * 12 * divisor + 300) * 1e-6)
    assert receive(divisor, line) == (sent, 0)


def test_transmitter_interval():
    dut = UartTransmitter(parameters(9))
    cycles = []

    async def feed(ctx):
        ctx.set(dut.i.valid, 1)
        for cycle in range(400):
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            if ready:
                cycles.append(cycle)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(feed)
    sim.run()
    assert {b - a for a, b in itertools.pairwise(cycles)} == {10 * 9 + 1}


@pytest.mark.parametrize(("clock", "baud"), [(1e6, 200_000), (7.9e6, 1_000_000), (1e6, 0)])
def test_rates_that_cannot_be_made(clock, baud):
    with pytest.raises(ValueError, match="baud must be"):
        UartParameters(clock_hz=clock, baud=baud)
