"""A frame into block RAM, ready for the line."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.crc import FrameCrc
from pulsefold.hdl.link.protocol import DELIMITER

__all__ = ["FrameWriter"]


class FrameWriter(wiring.Component):
    """Writes a frame into block RAM as it goes over the line, COBS and CRC done.

    COBS in one pass: a zero is not written; its place takes the distance to the next one when that comes.
    So each byte is one write, and the end two more.

    `i` takes the bytes of type, number, extra and payload. `finish` in a cycle without a byte ends
    the frame, and `done` is high in the last cycle of writing it. The writer is then ready for the next.

    Timing: II 8; 46 cycles from `finish` to `done`.
    """

    i: In(stream.Signature(8))
    finish: In(1)
    done: Out(1)
    #: Write port of the slot.
    place: Out(8)
    byte: Out(8)
    write: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = FrameCrc()
        #: Place of the next byte, and of the zero whose distance is not known yet.
        at, code = Signal(8, init=1), Signal(8)
        byte, fresh, zero = Signal(8), Signal(), Signal()
        #: 1 to 4: the CRC's bytes; 5: a zero that stands for the end; 6: in its place, the delimiter.
        tail = Signal(range(7))
        ending, able = Signal(), Signal()

        m.d.comb += [
            able.eq(~crc.busy),
            ending.eq(tail != 0),
            self.i.ready.eq(able & ~ending & ~self.finish),
            self.done.eq(able & (tail == 6)),
            crc.byte.eq(byte),
            crc.begin.eq(fresh),
            crc.drain.eq(ending),
        ]
        with m.If(able):
            m.d.sync += [
                # Behind the CRC's bytes, a drained register gives zeros.
                byte.eq(Mux(ending, crc.low, self.i.payload)),
                fresh.eq(Mux(ending, ~self.done, self.i.valid & ~self.finish)),
            ]
            with m.If(ending | self.finish):
                m.d.sync += tail.eq(Mux(self.done, 0, tail + 1))
        with m.Else():
            m.d.sync += fresh.eq(0)

        m.d.comb += [
            zero.eq(byte == 0),
            self.write.eq(fresh | self.done),
            self.place.eq(Mux(zero, code, at)),
            # The delimiter is a zero that is written.
            self.byte.eq(byte | Mux(zero & ~self.done, at - code, DELIMITER)[:8]),
        ]
        with m.If(fresh):
            m.d.sync += at.eq(at + 1)
            with m.If(zero):
                m.d.sync += code.eq(at)
        with m.If(self.done):
            m.d.sync += [at.eq(1), code.eq(0)]
        return m
