"""The processor's program to its end, read at its serial port."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from common import job


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def classes_on_the_serial_port(dut):
    work = job()
    Clock(dut.clk, 10, unit="ns").start()
    dut.rx__valid.value, dut.tx__ready.value = 0, 1
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    for again in (False, True):
        if again:
            dut.rx__payload.value, dut.rx__valid.value = 0x21, 1
            await RisingEdge(dut.clk)
            dut.rx__valid.value = 0
        text = ""
        while text.count("\n") < len(work["classes"]):
            await RisingEdge(dut.tx__valid)
            # The processor is far slower than one byte a cycle.
            text += chr(int(dut.tx__payload.value))
        assert text.split() == [str(n) for n in work["classes"]]
        # It then waits: nothing more comes.
        await ClockCycles(dut.clk, 5000)
        assert int(dut.tx__valid.value) == 0
