"""A byte stream behind a Wishbone B4 classic slave, for soft processors."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.memory.buffer import StreamBuffer

__all__ = ["WishboneBytes"]

#: Bits of the status register.
_READABLE, _WRITABLE = 0, 1


class WishboneBytes(wiring.Component):
    """Two registers of 32 bits; `adr` counts words.

    0, data
        Reading takes a byte from `i`: bits 7 to 0, and bit 8 set where there was one (else all zero). Writing
        gives bits 7 to 0 to `o`; without room for it the cycle ends with ERR and nothing is written.
    1, status
        Bit 0: a byte can be read; bit 1: a byte can be written. Writes are ignored.

    Byte selects: a write without ``sel[0]`` does nothing, a read takes its byte whatever they are.

    Timing: ACK or ERR one cycle after CYC and STB, for one cycle; a cycle every two clock cycles.

    Parameters
    ----------
    depth
        Bytes buffered each way.
    """

    cyc: In(1)
    stb: In(1)
    we: In(1)
    adr: In(1)
    sel: In(4)
    dat_w: In(32)
    dat_r: Out(32)
    ack: Out(1)
    err: Out(1)
    #: Bytes from the bus.
    o: Out(stream.Signature(8))
    #: Bytes to the bus.
    i: In(stream.Signature(8))

    def __init__(self, depth: int = 16) -> None:
        if depth < 2:
            msg = f"depth must be at least 2, not {depth!r}"
            raise ValueError(msg)
        self.depth = depth
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.read = read = StreamBuffer(8, self.depth)
        m.submodules.write = write = StreamBuffer(8, self.depth)
        wiring.connect(m, wiring.flipped(self.i), read.i)
        wiring.connect(m, write.o, wiring.flipped(self.o))
        start, data = Signal(), Signal()
        refused = Signal()
        m.d.comb += [
            # The cycle that is being answered is still on the bus.
            start.eq(self.cyc & self.stb & ~self.ack & ~self.err),
            data.eq(start & (self.adr == 0)),
            write.i.payload.eq(self.dat_w[:8]),
            write.i.valid.eq(data & self.we & self.sel[0]),
            refused.eq(write.i.valid & ~write.i.ready),
            read.o.ready.eq(data & ~self.we),
        ]
        m.d.sync += [self.ack.eq(start & ~refused), self.err.eq(refused)]
        with m.If(start):
            m.d.sync += self.dat_r.eq(0)
            with m.If(self.adr):
                m.d.sync += [self.dat_r[_READABLE].eq(read.o.valid), self.dat_r[_WRITABLE].eq(write.i.ready)]
            with m.Elif(read.o.valid):
                m.d.sync += self.dat_r.eq(Cat(read.o.payload, 1))
        return m
