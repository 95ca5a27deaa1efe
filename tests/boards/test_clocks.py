"""The start of the core: its reset falls while its clock stands still."""

import itertools

from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from pulsefold.boards.clocks import BootSequence


def test_boot_sequence():
    m = Module()
    m.domains.boot = ClockDomain()
    m.submodules.dut = dut = BootSequence()
    seen = []

    async def run(ctx):
        for _ in range(200):
            _, _, reset, clock_runs, ready = await ctx.tick("boot").sample(dut.reset, dut.run, dut.ready)
            seen.append((reset, clock_runs, ready))

    sim = Simulator(m)
    sim.add_clock(40e-9, domain="boot")
    sim.add_testbench(run)
    sim.run()
    phases = [(key, len(list(group))) for key, group in itertools.groupby(seen)]
    assert [key for key, _ in phases] == [(1, 1, 0), (1, 0, 0), (0, 0, 0), (0, 1, 1)]
    assert all(32 <= cycles <= 33 for _, cycles in phases[:3])
