"""A frame into block RAM, ready for the line."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.protocol import DELIMITER

__all__ = ["FrameWriter"]


class FrameWriter(wiring.Component):
    """Writes a frame into block RAM as it goes over the line, COBS and CRC done.

    COBS in one pass: a zero is not written; its place takes the distance to the next one when that comes.
    So each byte is one write, and the end two more.

    `i` takes the bytes of type, number, extra and payload. `finish` in a cycle without a byte ends
    the frame, and `done` is high in the last cycle of writing it. The writer is then ready for the next.

    Timing: II 1; 6 cycles from `finish` to `done`.
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
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        #: Place of the next byte, and of the zero whose distance is not known yet.
        at, code = Signal(8, init=1), Signal(8)
        byte, put = Signal(8), Signal()
        #: 1 to 4: the CRC's bytes; 5: the last distance; 6: the delimiter.
        tail = Signal(range(7))

        m.d.comb += [
            crc.start.eq(self.done),
            crc.data.eq(self.i.payload),
            crc.valid.eq(self.i.valid & self.i.ready),
            self.i.ready.eq(tail == 0),
            self.done.eq(tail == 6),
        ]
        with m.If(tail == 0):
            m.d.comb += [byte.eq(self.i.payload), put.eq(self.i.valid), self.write.eq(self.i.valid)]
            m.d.sync += tail.eq(self.finish)
        with m.Else():
            m.d.sync += tail.eq(Mux(self.done, 0, tail + 1))
            m.d.comb += [byte.eq(crc.crc.word_select((tail - 1)[:2], 8)), put.eq(tail < 5), self.write.eq(1)]
        with m.If(self.done):
            m.d.comb += [self.place.eq(at), self.byte.eq(DELIMITER)]
            m.d.sync += [at.eq(1), code.eq(0)]
        with m.Elif(put & (byte != 0)):
            m.d.comb += [self.place.eq(at), self.byte.eq(byte)]
            m.d.sync += at.eq(at + 1)
        with m.Else():
            m.d.comb += [self.place.eq(code), self.byte.eq(at - code)]
            with m.If(put):
                m.d.sync += [at.eq(at + 1), code.eq(at)]
        return m
