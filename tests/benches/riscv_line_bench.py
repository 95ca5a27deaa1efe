"""The board with the processor, heard at its serial line."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from common import job

PERIOD = 1000


async def byte_of(dut):
    """One byte of the line, as a terminal would take it."""
    bit = PERIOD * job()["divisor"]
    await FallingEdge(dut.uart_tx)
    await Timer(bit * 3 // 2, unit="ps")
    value = 0
    for n in range(8):
        value |= int(dut.uart_tx.value) << n
        await Timer(bit, unit="ps")
    assert int(dut.uart_tx.value) == 1, "no stop bit"
    return value


async def press(dut, value):
    """A byte to the board."""
    for level in [0, *(value >> n & 1 for n in range(8)), 1]:
        dut.uart_rx.value = level
        await Timer(PERIOD * job()["divisor"], unit="ps")


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def classes_on_the_line(dut):
    want = "".join(f"{n}\n" for n in job()["classes"]).encode()
    dut.uart_rx.value, dut.reset.value = 1, 1
    Clock(dut.clk, PERIOD, unit="ps").start()
    assert bytes([await byte_of(dut) for _ in want]) == want
    # Any byte starts over.
    await Timer(100 * PERIOD, unit="ps")
    listening = cocotb.start_soon(byte_of(dut))
    await press(dut, 0x3F)
    assert await listening == want[0]
