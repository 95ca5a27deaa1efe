"""AxiCore around the complementing core, under the masters and sinks of cocotbext-axi."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from common import job, pauses


class Bench:
    def __init__(self, dut):
        self.dut, self.job = dut, job()
        Clock(dut.aclk, 10, unit="ns").start()
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)
        cocotb.start_soon(self.watch())

    async def watch(self):
        """AXI's rule: an offer stays as it is until it is taken."""
        held = None
        while True:
            await RisingEdge(self.dut.aclk)
            if int(self.dut.aresetn.value) == 0 or self.resetting:
                held = None
                continue
            now = (
                int(self.dut.m_axis_tvalid.value),
                int(self.dut.m_axis_tdata.value),
                int(self.dut.m_axis_tlast.value),
            )
            assert held is None or now == held, f"an offer changed from {held} to {now}"
            held = now if now[0] and not int(self.dut.m_axis_tready.value) else None

    resetting = False

    async def reset(self):
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 4)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def stall(self, probability, seed=1):
        self.source.set_pause_generator(pauses(probability, seed))
        self.sink.set_pause_generator(pauses(probability, seed + 1))

    async def read(self, name):
        return await self.lite.read_dword(self.job["registers"][name])

    def image(self, rng):
        return [rng.randrange(1 << self.job["bits"]) for _ in range(self.job["beats"])]

    def frame(self, beats):
        size = self.job["width"] // 8
        return AxiStreamFrame(b"".join(beat.to_bytes(size, "little") for beat in beats))

    def complement(self, beats):
        return [beat ^ ((1 << self.job["bits"]) - 1) for beat in beats]


async def started(dut):
    bench = Bench(dut)
    await bench.reset()
    return bench


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def images_come_back_complemented(dut):
    bench = await started(dut)
    rng = random.Random(1)
    sent = []
    for probability in (0.0, 0.3, 0.7):
        bench.stall(probability)
        images = [bench.image(rng) for _ in range(4)]
        sent += images
        for image in images:
            await bench.source.send(bench.frame(image))
        for image in images:
            got = await bench.sink.recv()
            # One frame an image: TLAST is where it belongs.
            assert bytes(got.tdata) == bytes(bench.frame(bench.complement(image)).tdata)
    assert await bench.read("s_axis_images") == len(sent)
    assert await bench.read("m_axis_images") == len(sent)
    assert await bench.read("status") == 0
    assert await bench.read("cycles") > len(sent) * bench.job["beats"]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def registers(dut):
    bench = await started(dut)
    at = bench.job["registers"]
    assert await bench.read("magic") == 0x464C5550
    assert await bench.read("s_axis_beats") == bench.job["beats"]
    assert await bench.read("m_axis_beats") == bench.job["beats"]
    assert await bench.read("s_axis_bits") == bench.job["bits"]
    assert await bench.read("m_axis_bits") == bench.job["bits"]
    for offset in (0x1C, 0x3C):
        assert (await bench.lite.read(offset, 4)).resp == AxiResp.SLVERR
    for offset in (at["magic"], 0x3C):
        assert (await bench.lite.write(offset, b"\1\0\0\0")).resp == AxiResp.SLVERR
    # Without the strobe of its byte, control keeps its value.
    await bench.lite.write_dword(at["control"], 1)
    assert (await bench.lite.write(at["control"] + 1, b"\0")).resp == AxiResp.OKAY
    assert await bench.read("control") == 1
    # Many at once, with pauses on every channel.
    for n, channel in enumerate(("aw_channel", "w_channel", "b_channel")):
        getattr(bench.lite.write_if, channel).set_pause_generator(pauses(0.5, n))
    for n, channel in enumerate(("ar_channel", "r_channel")):
        getattr(bench.lite.read_if, channel).set_pause_generator(pauses(0.5, 10 + n))
    for n in range(20):
        await bench.lite.write_dword(at["control"], n & 1)
        assert await bench.read("control") == n & 1
        beats, bits = bench.job["beats"], bench.job["bits"]
        assert await bench.lite.read_dwords(at["s_axis_beats"], 2) == [beats, bits]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def misplaced_last_is_told_and_changes_nothing(dut):
    bench = await started(dut)
    rng = random.Random(2)
    image = bench.image(rng)
    await bench.source.send(bench.frame(image[:2]))
    await bench.source.send(bench.frame(image[2:]))
    got = await bench.sink.recv()
    assert bytes(got.tdata) == bytes(bench.frame(bench.complement(image)).tdata)
    assert await bench.read("status") == 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def control_resets_the_core(dut):
    bench = await started(dut)
    image = bench.image(random.Random(3))
    # Half an image, then a reset: the next image is whole.
    await bench.source.send(bench.frame(image[:1]))
    await bench.source.wait()
    bench.resetting = True
    await bench.lite.write_dword(bench.job["registers"]["control"], 1)
    await bench.source.send(bench.frame(image))
    await ClockCycles(dut.aclk, 50)
    assert int(dut.s_axis_tready.value) == 0
    assert int(dut.m_axis_tvalid.value) == 0
    assert await bench.read("s_axis_images") == 0
    assert await bench.read("status") == 0
    bench.sink.clear()
    await bench.lite.write_dword(bench.job["registers"]["control"], 0)
    bench.resetting = False
    got = await bench.sink.recv()
    # The beat that came out before the reset is in the sink's first frame.
    assert bytes(got.tdata).endswith(bytes(bench.frame(bench.complement(image)).tdata))
    assert await bench.read("m_axis_images") == 1
    assert await bench.read("status") == 0
