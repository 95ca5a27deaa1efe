"""Results and answers to frames in block RAM."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.protocol import MAX_PAYLOAD, Type
from pulsefold.hdl.link.writer import FrameWriter

__all__ = ["SlotFiller"]


class SlotFiller(wiring.Component):
    """Writes answers as they are due, and results between them.

    A result's slot is closed when it is full, when an answer waits, when the tensor changes, or at the end
    of an image while the line is quiet.

    Timing: II 1; 3 cycles more for a header and 8 for an end.
    """

    i: In(stream.Signature(TensorByte))
    #: Whether there is a free slot for a result, and its number.
    room: In(1)
    number: In(8)
    #: Whether small results may go.
    quiet: In(1)
    #: An answer waits, until `taken`; its bytes, header first, are asked for by `place`.
    answer: In(1)
    answer_byte: In(8)
    answer_last: In(1)
    taken: Out(1)
    place: Out(8)
    #: Write port of the slot: the answer's or that of `number`.
    answering: Out(1)
    slot_place: Out(8)
    slot_byte: Out(8)
    slot_write: Out(1)
    #: High for one cycle when the slot is complete.
    done: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = FrameWriter()
        size, tensor, boundary, close = Signal(8), Signal(4), Signal(), Signal()
        source = self.i
        m.d.comb += [
            close.eq(
                (size == MAX_PAYLOAD)
                | self.answer
                | (boundary & self.quiet & ~source.valid)
                | (source.valid & (source.payload.tensor != tensor))
            ),
            self.slot_place.eq(writer.place),
            self.slot_byte.eq(writer.byte),
            self.slot_write.eq(writer.write),
            self.done.eq(writer.done),
        ]
        header = Array([Const(Type.RESULT, 8), self.number, tensor, Const(0, 8)])
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [size.eq(0), self.place.eq(0), boundary.eq(0), self.answering.eq(self.answer)]
                with m.If(self.answer):
                    m.d.comb += self.taken.eq(1)
                    m.next = "ANSWER"
                with m.Elif(source.valid & self.room):
                    m.d.sync += tensor.eq(source.payload.tensor)
                    m.next = "HEADER"
            with m.State("ANSWER"):
                m.d.comb += [writer.i.valid.eq(1), writer.i.payload.eq(self.answer_byte)]
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(self.answer_last):
                    m.next = "END"
            with m.State("HEADER"):
                m.d.comb += [writer.i.valid.eq(1), writer.i.payload.eq(header[self.place[:2]])]
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(self.place == 2):
                    m.next = "RESULT"
            with m.State("RESULT"):
                with m.If((size != 0) & close):
                    m.next = "END"
                with m.Else():
                    m.d.comb += [
                        source.ready.eq(1),
                        writer.i.valid.eq(source.valid),
                        writer.i.payload.eq(source.payload.byte),
                    ]
                    with m.If(source.valid):
                        m.d.sync += [size.eq(size + 1), boundary.eq(source.payload.last)]
            with m.State("END"):
                m.d.comb += writer.finish.eq(1)
                with m.If(writer.done):
                    m.next = "IDLE"
        return m
