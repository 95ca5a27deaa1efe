"""Results and answers to frames in block RAM."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.protocol import MAX_PAYLOAD
from pulsefold.hdl.link.writer import FrameWriter

__all__ = ["SlotFiller"]

#: Bytes of a result's header.
_HEADER = 3


class SlotFiller(wiring.Component):
    """Writes answers as they are due, and results between them.

    A result's slot is closed when it is full, when an answer waits, when the tensor changes, or at the end
    of an image while the line is quiet.

    Timing: a byte in 8 cycles, 24 more for a header and 47 for an end.
    """

    i: In(stream.Signature(TensorByte))
    #: Whether there is a free slot for a result.
    room: In(1)
    #: Whether small results may go.
    quiet: In(1)
    #: An answer waits, until `taken`.
    answer: In(1)
    taken: Out(1)
    #: Bytes of the answer or, unless `answering`, of the header of a result of `tensor`: asked for by place.
    answering: Out(1)
    tensor: Out(4)
    place: Out(8)
    byte: In(8)
    last: In(1)
    #: Write port of the slot: the answer's or the next result's.
    slot_place: Out(8)
    slot_byte: Out(8)
    slot_write: Out(1)
    #: High for one cycle when the slot is complete.
    done: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = FrameWriter()
        boundary, close = Signal(), Signal()
        # A cycle late, which does no harm: they come from all over the endpoint, and what they decide goes on
        # to the network's last unit.
        waits, quiet = Signal(), Signal()
        m.d.sync += [waits.eq(self.answer), quiet.eq(self.quiet)]
        source = self.i
        m.d.comb += [
            close.eq(
                (self.place == _HEADER + MAX_PAYLOAD)
                | waits
                | (boundary & quiet & ~source.valid)
                | (source.valid & (source.payload.tensor != self.tensor))
            ),
            self.slot_place.eq(writer.place),
            self.slot_byte.eq(writer.byte),
            self.slot_write.eq(writer.write),
            self.done.eq(writer.done),
        ]
        with m.If(writer.i.valid & writer.i.ready):
            m.d.sync += self.place.eq(self.place + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.place.eq(0), boundary.eq(0), self.answering.eq(self.answer)]
                with m.If(self.answer):
                    m.d.comb += self.taken.eq(1)
                    m.next = "ASKED"
                with m.Elif(source.valid & self.room):
                    m.d.sync += self.tensor.eq(source.payload.tensor)
                    m.next = "ASKED"
            with m.State("ASKED"):
                m.d.comb += [writer.i.valid.eq(1), writer.i.payload.eq(self.byte)]
                with m.If(self.last & writer.i.ready):
                    with m.If(self.answering):
                        m.next = "END"
                    with m.Else():
                        m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += writer.i.payload.eq(source.payload.byte)
                with m.If((self.place != _HEADER) & close):
                    m.next = "END"
                with m.Else():
                    m.d.comb += [source.ready.eq(writer.i.ready), writer.i.valid.eq(source.valid)]
                    with m.If(source.valid & writer.i.ready):
                        m.d.sync += boundary.eq(source.payload.last)
            with m.State("END"):
                m.d.comb += writer.finish.eq(1)
                with m.If(writer.done):
                    m.next = "IDLE"
        return m
