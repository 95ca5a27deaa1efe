"""An exported network under cocotbext-axi: images in, results out, as the host would exchange them."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource
from common import job, pauses


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def results_are_golden(dut):
    work = job()
    images, golden, at = work["images"], work["golden"], work["registers"]
    Clock(dut.aclk, 10, unit="ns").start()
    reset = {"reset": dut.aresetn, "reset_active_level": False}
    sources, sinks = (
        {name: end(AxiStreamBus.from_prefix(dut, name), dut.aclk, **reset) for name in names}
        for end, names in ((AxiStreamSource, images), (AxiStreamSink, golden))
    )
    lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    for seed, sink in enumerate(sinks.values()):
        sink.set_pause_generator(pauses(0.3, seed))
    for name, source in sources.items():
        for image in images[name]:
            await source.send(bytes.fromhex(image))
    for name, sink in sinks.items():
        for want in golden[name]:
            frame = await sink.recv()
            assert bytes(frame.tdata).hex() == want
    for name, frames in (images | golden).items():
        assert await lite.read_dword(at[f"{name}_images"]) == len(frames)
    assert await lite.read_dword(at["status"]) == 0
