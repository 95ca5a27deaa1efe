"""An exported network under cocotbext-axi: images in, results out, as the host would exchange them."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource
from common import job, pauses

from pulsefold.hdl.link.axi import AXI_REGISTERS


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def results_are_golden(dut):
    work = job()
    Clock(dut.aclk, 10, unit="ns").start()
    reset = {"reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
    lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    sink.set_pause_generator(pauses(0.3, 1))
    for image in work["images"]:
        await source.send(bytes.fromhex(image))
    for golden in work["golden"]:
        frame = await sink.recv()
        assert bytes(frame.tdata).hex() == golden
    assert await lite.read_dword(AXI_REGISTERS["images_out"]) == len(work["images"])
    assert await lite.read_dword(AXI_REGISTERS["status"]) == 0
