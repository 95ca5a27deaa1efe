"""The whole top level of a board: the host protocol over SPI, with the clocks of link and network apart."""

import random
import struct

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import Timer
from common import job

from pulsefold.firmware.packing import from_bytes, to_bytes
from pulsefold.hdl.link.protocol import Frame, FrameDecoder, Hello, Status, Type, encode

LINK = 4000  # period of the link's clock, in ps
HALF = 6 * LINK  # of SCK


class Master:
    """Frames out, frames in."""

    def __init__(self, dut):
        self.dut, self.decoder = dut, FrameDecoder()

    async def transfer(self, data):
        """One transaction; what the master sampled."""
        dut, taken = self.dut, []
        await Timer(random.randrange(10 * LINK, 14 * LINK), unit="ps")
        dut.spi_cs_n.value = 0
        dut.spi_mosi.value = data[0] >> 7
        await Timer(random.randrange(7 * LINK, 9 * LINK), unit="ps")
        bits = [byte >> (7 - n) & 1 for byte in data for n in range(8)]
        for bit in [*bits[1:], 0]:
            taken.append(int(dut.spi_miso.value))
            dut.spi_sck.value = 1
            await Timer(HALF, unit="ps")
            dut.spi_sck.value, dut.spi_mosi.value = 0, bit
            await Timer(HALF, unit="ps")
        dut.spi_cs_n.value = 1
        return [int("".join(map(str, taken[n : n + 8])), 2) for n in range(0, len(taken), 8)]

    async def exchange(self, *frames):
        """Send frames, and read until nothing waits for a while."""
        data, found, quiet = b"".join(map(encode, frames)), [], 0
        while data or quiet < 3:
            size = random.randrange(1, 80)
            count, *answer = await self.transfer(data[:size].ljust(size, b"\0"))
            data = data[size:]
            found += self.decoder.feed(bytes(answer[:count]))
            quiet = 0 if count else quiet + 1
            if not count and not data:
                # The network computes, and small results wait for one another.
                await Timer(3000 * LINK, unit="ps")
        return found


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def hello_and_images(dut):
    work = job()
    random.seed(work["seed"])
    dut.spi_cs_n.value, dut.spi_sck.value, dut.spi_mosi.value = 1, 0, 0
    dut.reset.value = work["reset"]
    cocotb.start_soon(Clock(dut.clk, LINK, unit="ps").start())
    if work["ratio"]:
        # Any phase, and no common multiple.
        dut.pll_clk.value = 0
        await Timer(random.randrange(1, LINK), unit="ps")
        half = round(LINK / work["ratio"] / 2)
        cocotb.start_soon(Clock(dut.pll_clk, 2 * half + 1, unit="ps", period_high=half).start())
    await Timer(1000 * LINK, unit="ps")

    master = Master(dut)
    (frame,) = await master.exchange(Frame(type=Type.IDENTIFY))
    hello = Hello.of(frame)
    assert hello.design_id == bytes(range(16))
    q = np.array(work["images"])
    stream = to_bytes(q, hello.inputs[0])
    size = len(q) * hello.outputs[0].image_bytes
    # Bytes of a frame; each leaves the network in another place when it is cut short.
    for session, step in ((7, 93), (8, 101), (9, 86), (10, 100)):
        whole = session == 10
        found = await master.exchange(Frame(type=Type.OPEN, payload=struct.pack("<H", session)))
        assert Status.of(found[-1]).session == session
        got, number, sent = b"", 0, 0
        while len(got) < size:
            part = stream[step * sent : step * sent + step]
            frames = [Frame(type=Type.DATA, number=sent, payload=part)] if part else []
            sent += bool(part)
            # Without acknowledgements the network stands still in the end, with bytes on their way to it.
            frames.append(Frame(type=Type.ACK, number=number) if whole else Frame(type=Type.POLL, number=1))
            found = await master.exchange(*frames)
            assert None not in found
            for f in found:
                if f.type == Type.RESULT:
                    assert f.number == number
                    got, number = got + f.payload, number + 1
            if any(f.type == Type.STATUS and Status.of(f).refused for f in found):
                assert not whole
                break
    y = from_bytes(got, hello.outputs[0])
    assert y.reshape(-1).tolist() == work["sums"]
