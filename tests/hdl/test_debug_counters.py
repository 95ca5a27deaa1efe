"""Counters of many units in one memory, read from another clock."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from pulsefold.hdl.debug.counters import UnitCounters


@pytest.mark.parametrize(("link", "sync"), [(40e-9, 11.1e-9), (11.1e-9, 40e-9), (20e-9, 20e-9)])
@pytest.mark.parametrize("units", [1, 3, 9])
def test_counts_of_random_events(link, sync, units):
    """Each snapshot holds all that was counted, of one moment, also when a reset came between."""
    m = Module()
    sync_domain, link_domain = ClockDomain("sync"), ClockDomain("link")
    m.domains += [sync_domain, link_domain]
    m.submodules.dut = dut = UnitCounters(units)
    rng = random.Random(units)
    # Events are steady for a while, so that a counter that is cleared as it counts shows.
    snapshots, seen = [], set()

    async def count(ctx):
        """Drives the events, and counts them in the cycles in which the circuit does."""
        state = [0, 0]
        while True:
            if rng.random() < 0.2:
                state = [rng.getrandbits(units), rng.getrandbits(units)]
            ctx.set(dut.starved, state[0])
            ctx.set(dut.stalled, state[1])
            ctx.set(dut.enable, rng.random() < 0.9)
            await ctx.tick("sync")

    async def watch(ctx):
        totals = [0] * (2 * units + 2)
        async for _, _, reset, on, starved, stalled in ctx.tick("sync").sample(
            sync_domain.rst, dut.counts, dut.starved, dut.stalled
        ):
            if reset:
                totals = [0] * (2 * units + 2)
            elif on:
                totals[0] += 1
                for k in range(units):
                    totals[2 * k + 2] += starved >> k & 1
                    totals[2 * k + 3] += stalled >> k & 1
            seen.add(tuple(totals))

    async def read(ctx):
        for number in range(6):
            await ctx.tick("link").repeat(rng.randrange(1, 400))
            if number == 3:
                ctx.set(sync_domain.rst, 1)
                await ctx.tick("link").repeat(20)
                ctx.set(sync_domain.rst, 0)
            seen.clear()
            ctx.set(dut.read.request, 1)
            while not ctx.get(dut.read.ready):
                await ctx.tick("link")
            words = []
            for address in range(2 * units + 2):
                ctx.set(dut.read.address, address)
                await ctx.tick("link")
                await ctx.tick("link")
                words.append(ctx.get(dut.read.data))
            # All of one moment since the request.
            assert tuple(words) in seen
            snapshots.append(words[0])
            ctx.set(dut.read.request, 0)
            while ctx.get(dut.read.ready):
                await ctx.tick("link")

    sim = Simulator(m)
    sim.add_clock(link, domain="link")
    sim.add_clock(sync, domain="sync", phase=sync / 3)
    sim.add_testbench(count, background=True)
    sim.add_process(watch)
    sim.add_testbench(read)
    sim.run()
    assert 0 < snapshots[0] < snapshots[1] < snapshots[2]
    assert 0 < snapshots[3] < snapshots[4] < snapshots[5]
