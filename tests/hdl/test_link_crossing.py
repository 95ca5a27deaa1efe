"""Bytes from one clock to another, and nothing left over after a reset of the network."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from pulsefold.hdl.link.crossing import Crossing

ROUNDS, COUNT = 4, 50


@pytest.mark.parametrize(("link", "sync"), [(40e-9, 11.1e-9), (11.1e-9, 40e-9), (20e-9, 20e-9)])
@pytest.mark.parametrize("busy", [0.4, 1.0])
def test_both_ways_through_resets(link, sync, busy):
    """In each round bytes that name it go both ways; a reset comes while some are inside."""
    m = Module()
    sync_domain, link_domain = ClockDomain("sync"), ClockDomain("link")
    m.domains += [sync_domain, link_domain]
    m.submodules.dut = dut = Crossing()
    rng = random.Random(7)
    seen: list[tuple[str, int, int]] = []
    state = {"round": 0, "open": False}

    async def give(ctx, domain, port, payload):
        while True:
            ctx.set(port.valid, 0)
            while not state["open"]:
                await ctx.tick(domain)
            mine = state["round"]
            for n in range(COUNT):
                while rng.random() > busy:
                    await ctx.tick(domain)
                ctx.set(payload, mine << 6 | n)
                ctx.set(port.valid, 1)
                while True:
                    _, _, ready = await ctx.tick(domain).sample(port.ready)
                    if ready or not state["open"]:
                        break
                ctx.set(port.valid, 0)
                if not state["open"]:
                    break
            while state["open"] and state["round"] == mine:
                await ctx.tick(domain)

    async def take(ctx, name, domain, port, payload):
        while True:
            ready = state["open"] and rng.random() < busy
            ctx.set(port.ready, ready)
            _, _, valid, value = await ctx.tick(domain).sample(port.valid, payload)
            if valid and ready and state["open"]:
                seen.append((name, value >> 6, value & 63))

    async def direct(ctx):
        for number in range(ROUNDS):
            # The network's reset begins, lasts and ends on the link's clock, as that of the board does.
            state["open"] = False
            ctx.set(dut.running, 0)
            ctx.set(sync_domain.rst, 1)
            await ctx.tick("link").repeat(20)
            ctx.set(sync_domain.rst, 0)
            await ctx.tick("link").repeat(20)
            ctx.set(dut.running, 1)
            await ctx.tick("link").repeat(4)
            state["round"], state["open"] = number, True
            # Odd rounds are cut short with bytes inside.
            await ctx.tick("link").repeat(40 if number % 2 else 1500)

    sim = Simulator(m)
    sim.add_clock(link, domain="link")
    sim.add_clock(sync, domain="sync", phase=sync / 3)
    sim.add_testbench(direct)
    for domain, port, payload in (
        ("link", dut.source, dut.source.payload.byte),
        ("sync", dut.i, dut.i.payload.byte),
    ):
        sim.add_testbench(_bound(give, domain, port, payload), background=True)
    for name, domain, port, payload in (
        ("there", "sync", dut.o, dut.o.payload.byte),
        ("back", "link", dut.sink, dut.sink.payload.byte),
    ):
        sim.add_testbench(_bound(take, name, domain, port, payload), background=True)
    sim.run()
    for name in ("there", "back"):
        for number in range(ROUNDS):
            mine = [n for who, r, n in seen if who == name and r == number % 4]
            assert mine == list(range(len(mine))), f"{name}, round {number}"
            assert len(mine) == COUNT or number % 2


def _bound(process, *arguments):
    async def bound(ctx):
        await process(ctx, *arguments)

    return bound
