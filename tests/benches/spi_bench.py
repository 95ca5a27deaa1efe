"""SpiSlave under a master of mode 0 whose clock has nothing to do with the slave's."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from common import job

PERIOD = 1000  # of the slave's clock, in ps


class Bench:
    def __init__(self, dut):
        self.dut, self.half = dut, int(PERIOD * job()["ratio"] / 2)
        Clock(dut.clk, PERIOD, unit="ps").start()
        self.got, self.lost = [], 0
        self.ready = True
        cocotb.start_soon(self.watch())

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            self.lost += int(dut.overflow.value)
            if int(dut.o__valid.value) and int(dut.o__ready.value):
                self.got.append(int(dut.o__payload.value))

    async def start(self):
        dut = self.dut
        dut.cs_n.value, dut.sck.value, dut.mosi.value = 1, 0, 0
        dut.i__valid.value, dut.o__ready.value = 0, 1
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 3)

    async def offer(self, data):
        """Bytes for the master, as fast as they go."""
        dut = self.dut
        for byte in data:
            dut.i__payload.value, dut.i__valid.value = byte, 1
            await RisingEdge(dut.clk)
            while not int(dut.i__ready.value):
                await RisingEdge(dut.clk)
        dut.i__valid.value = 0

    async def transfer(self, data, bits=None):
        """One transaction; what the master sampled. `bits` cuts it short."""
        dut = self.dut
        bits = 8 * len(data) if bits is None else bits
        # A phase of its own each time.
        await Timer(random.randrange(1, 3 * PERIOD), unit="ps")
        dut.cs_n.value = 0
        dut.mosi.value = data[0] >> 7
        await Timer(max(self.half, 6 * PERIOD), unit="ps")
        taken = []
        for n in range(bits):
            taken.append(int(dut.miso.value))
            dut.sck.value = 1
            await Timer(self.half, unit="ps")
            dut.sck.value = 0
            if n + 1 < 8 * len(data):
                dut.mosi.value = data[(n + 1) // 8] >> (7 - (n + 1) % 8) & 1
            await Timer(self.half, unit="ps")
        dut.cs_n.value = 1
        await Timer(10 * PERIOD, unit="ps")
        return [int("".join(map(str, taken[n : n + 8])), 2) for n in range(0, len(taken) - 7, 8)]


async def started(dut):
    random.seed(job()["ratio"])
    bench = Bench(dut)
    await bench.start()
    return bench


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def both_directions_at_once(dut):
    bench = await started(dut)
    for size in (1, 2, 5, 31):
        out, back = random.randbytes(size + 3), random.randbytes(size)
        await bench.offer(back)
        await ClockCycles(dut.clk, 4)
        assert int(dut.waiting.value) == 1
        bench.got.clear()
        answer = await bench.transfer(out)
        assert bench.got == list(out)
        # How many there are, they, and then nothing.
        assert answer == [size, *back, 0, 0]
        assert int(dut.waiting.value) == 0
    assert bench.lost == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_short_transaction_loses_nothing(dut):
    bench = await started(dut)
    back = list(random.randbytes(7))
    await bench.offer(back)
    # Two bytes taken, and five bits of a third: it comes again.
    assert await bench.transfer(bytes(4), bits=29) == [7, back[0], back[1]]
    assert bench.got == [0, 0, 0]
    # Nothing but the count, and less than that.
    assert await bench.transfer(b"\xa5") == [5]
    assert await bench.transfer(b"\xa5", bits=3) == []
    assert await bench.transfer(bytes(6)) == [5, *back[2:]]
    assert bench.got == [0, 0, 0, 0xA5, *bytes(6)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_comes_meanwhile_waits_for_the_next(dut):
    bench = await started(dut)
    await bench.offer([1, 2])
    await ClockCycles(dut.clk, 4)
    transaction = cocotb.start_soon(bench.transfer(bytes(6)))
    await ClockCycles(dut.clk, int(12 * job()["ratio"]))
    await bench.offer([3, 4])
    assert await transaction == [2, 1, 2, 0, 0, 0]
    assert await bench.transfer(bytes(3)) == [2, 3, 4]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def overflow_is_told(dut):
    bench = await started(dut)
    dut.o__ready.value = 0
    await bench.transfer(b"\x11\x22\x33")
    assert bench.lost == 2
    dut.o__ready.value = 1
    await ClockCycles(dut.clk, 2)
    assert bench.got == [0x11]
    await bench.transfer(b"\x44")
    assert bench.got == [0x11, 0x44]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_full_buffer_holds_its_sender(dut):
    bench = await started(dut)
    data = list(random.randbytes(job()["depth"] + 4))
    sender = cocotb.start_soon(bench.offer(data))
    await ClockCycles(dut.clk, 3 * len(data))
    assert not sender.done()
    taken = []
    while len(taken) < len(data):
        count, *answer = await bench.transfer(bytes(9))
        taken += answer[:count]
    assert taken == data
