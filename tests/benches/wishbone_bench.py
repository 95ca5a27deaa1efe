"""WishboneBytes under cocotbext-wishbone's master."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.wishbone.driver import WBOp, WishboneMaster
from common import job

DATA, STATUS = 0, 1
ACK, ERR = 1, 2


class Bench:
    def __init__(self, dut):
        self.dut = dut
        Clock(dut.clk, 10, unit="ns").start()
        names = {n: n for n in ("cyc", "stb", "we", "adr", "sel", "ack", "err")}
        self.bus = WishboneMaster(
            dut, "", dut.clk, timeout=50, signals_dict=names | {"datwr": "dat_w", "datrd": "dat_r"}
        )
        self.got = []

    async def start(self):
        dut = self.dut
        dut.i__valid.value, dut.o__ready.value, dut.rst.value = 0, 0, 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        cocotb.start_soon(self.watch())

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            assert not (int(dut.ack.value) and int(dut.err.value))
            if int(dut.o__valid.value) and int(dut.o__ready.value):
                self.got.append(int(dut.o__payload.value))

    async def cycle(self, *operations):
        return [(r.ack, int(r.datrd)) for r in await self.bus.send_cycle(list(operations))]

    async def offer(self, data):
        dut = self.dut
        for byte in data:
            dut.i__payload.value, dut.i__valid.value = byte, 1
            await RisingEdge(dut.clk)
            while not int(dut.i__ready.value):
                await RisingEdge(dut.clk)
        dut.i__valid.value = 0
        await ClockCycles(dut.clk, 3)


async def started(dut):
    bench = Bench(dut)
    await bench.start()
    return bench


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reads(dut):
    bench = await started(dut)
    assert await bench.cycle(WBOp(DATA), WBOp(STATUS)) == [(ACK, 0), (ACK, 2)]
    data = list(random.Random(1).randbytes(job()["depth"]))
    await bench.offer(data)
    assert await bench.cycle(WBOp(STATUS)) == [(ACK, 3)]
    answers = await bench.cycle(*[WBOp(DATA, idle=n % 3) for n in range(len(data))])
    assert answers == [(ACK, 0x100 | byte) for byte in data]
    assert await bench.cycle(WBOp(DATA), WBOp(STATUS)) == [(ACK, 0), (ACK, 2)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def writes(dut):
    bench = await started(dut)
    dut.o__ready.value = 1
    data = list(random.Random(2).randbytes(40))
    answers = await bench.cycle(*[WBOp(DATA, 0xABCDEF00 | byte, idle=n % 2) for n, byte in enumerate(data)])
    assert [code for code, _ in answers] == [ACK] * len(data)
    # Without its byte lane a write does nothing; neither does one to the status.
    await bench.cycle(WBOp(DATA, 0x55, sel=0xE), WBOp(STATUS, 0x55))
    await ClockCycles(dut.clk, 5)
    assert bench.got == data


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_write_without_room_is_refused(dut):
    bench = await started(dut)
    written = []
    for byte in range(job()["depth"] + 6):
        ((status, writable),) = await bench.cycle(WBOp(STATUS))
        ((code, _),) = await bench.cycle(WBOp(DATA, byte))
        assert status == ACK
        assert code == (ACK if writable & 2 else ERR)
        if code == ACK:
            written.append(byte)
    assert job()["depth"] <= len(written) <= job()["depth"] + 1
    dut.o__ready.value = 1
    await ClockCycles(dut.clk, 3 * len(written))
    assert bench.got == written
    assert await bench.cycle(WBOp(DATA, 0x77)) == [(ACK, 0)]
