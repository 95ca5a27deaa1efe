"""Frames to the host: results kept in block RAM until acknowledged, and answers between them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.filler import SlotFiller
from pulsefold.hdl.link.protocol import Hello, encode
from pulsefold.hdl.link.sender import SLOT_BYTES, SlotSender

__all__ = ["Outbox", "OutboxParameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxParameters:
    """Size and contents of an outbox.

    Parameters
    ----------
    hello
        What it answers to IDENTIFY; its `result_slots` are the outbox's.
    """

    hello: Hello

    @property
    def slots(self) -> int:
        """Results kept."""
        return self.hello.result_slots

    @property
    def hello_slot(self) -> int:
        """Where the ready-made HELLO stands."""
        return self.slots

    @property
    def answer_slot(self) -> int:
        """Where answers are written."""
        return self.slots + 1


class Outbox(wiring.Component):
    """Keeps results until acknowledged, and sends them between answers.

    A result's slot is closed when it is full, when an answer waits, when the tensor changes, or at the end
    of an image while the line is idle and less than half of the slots wait for the host: under load small
    results share frames, and a lone one does not wait.

    Timing: a byte that ends a lone image is followed by the first byte of its frame 57 cycles later.

    Parameters
    ----------
    parameters
        Size and contents.
    """

    def __init__(self, parameters: OutboxParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(TensorByte)),
                "o": Out(stream.Signature(8)),
                # Whether results are sent; empties the outbox.
                "open": In(1),
                "clear": In(1),
                # From the host, one cycle each; `number` goes with the first two.
                "ack": In(1),
                "resend": In(1),
                "number": In(8),
                "identify": In(1),
                # An answer waits until `taken`; then its bytes, header first, are asked for by place, and
                # so are those of the header of a result, with `answering` low.
                "answer": In(1),
                "taken": Out(1),
                "answering": Out(1),
                "tensor": Out(4),
                "place": Out(8),
                "byte": In(8),
                "last": In(1),
                # Number of the next result to be closed.
                "written": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parameters = self.parameters
        count = parameters.slots + 2
        bits = parameters.slots.bit_length() - 1
        hello = encode(parameters.hello.frame())
        init = [0] * (SLOT_BYTES * parameters.hello_slot) + list(hello)
        m.submodules.slots = ram = memory.Memory(shape=8, depth=SLOT_BYTES * count, init=init)
        m.submodules.sender = sender = SlotSender(count)
        m.submodules.filler = filler = ResetInserter(self.clear)(SlotFiller())
        wiring.connect(m, sender.o, wiring.flipped(self.o))

        # The oldest result that is kept, and the next to send; of that the low bits tell which.
        base, send = Signal(8), Signal(bits + 1)
        answered, greeting = Signal(), Signal()
        # Results kept: counted, for a difference in the way of all that asks for room costs slow families
        # their clock.
        used = Signal(bits + 1)

        # What is sent next, answers first.
        unsent, quiet = Signal(), Signal()
        read = ram.read_port()
        m.d.comb += [
            unsent.eq((send != self.written[: bits + 1]) & self.open),
            quiet.eq(sender.idle & ~(answered | greeting | unsent) & (used < parameters.slots // 2)),
            sender.start.eq(answered | greeting | unsent),
            sender.slot.eq(
                Mux(answered, parameters.answer_slot, Mux(greeting, parameters.hello_slot, send[:bits]))
            ),
            sender.clear.eq(self.clear),
            read.addr.eq(sender.address),
            read.en.eq(sender.enable),
            sender.data.eq(read.data),
        ]
        with m.If(sender.idle & ~answered):
            with m.If(greeting):
                m.d.sync += greeting.eq(0)
            with m.Elif(unsent):
                m.d.sync += send.eq(send + 1)
        with m.If(self.identify):
            m.d.sync += greeting.eq(1)

        # What the host says of the results it has; nonsense is ignored. A chain of carries in each step, for
        # which there is time: the next frame is many bytes away, and until then results only become more.
        named, ahead, sent, closed = Signal(8), Signal(8), Signal(bits + 1), Signal()
        said, known, heard = (Signal(2, name=name) for name in ("said", "known", "heard"))
        m.d.sync += [
            said.eq(Cat(self.ack, self.resend)),
            known.eq(said),
            heard.eq(Mux(ahead <= used, known, 0)),
            ahead.eq(named - base),
            sent.eq(send - base),
            used.eq(used + closed - Mux(heard.any(), ahead, 0)),
        ]
        with m.If(self.ack | self.resend):
            m.d.sync += named.eq(self.number)
        with m.If(heard.any()):
            m.d.sync += base.eq(named)
            with m.If(heard[1] | (sent < ahead)):
                m.d.sync += send.eq(named)

        write = ram.write_port()
        wiring.connect(m, wiring.flipped(self.i), filler.i)
        m.d.comb += [
            filler.room.eq(~used[bits] & self.open),
            filler.quiet.eq(quiet),
            filler.answer.eq(self.answer & ~answered),
            filler.byte.eq(self.byte),
            filler.last.eq(self.last),
            self.answering.eq(filler.answering),
            self.tensor.eq(filler.tensor),
            self.taken.eq(filler.taken),
            self.place.eq(filler.place),
            write.addr.eq(
                Cat(filler.slot_place, Mux(filler.answering, parameters.answer_slot, self.written[:bits]))
            ),
            write.data.eq(filler.slot_byte),
            write.en.eq(filler.slot_write),
        ]
        with m.If(filler.done):
            with m.If(filler.answering):
                m.d.sync += answered.eq(1)
            with m.Else():
                m.d.comb += closed.eq(1)
                m.d.sync += self.written.eq(self.written + 1)
        with m.If(sender.sent & (sender.current == parameters.answer_slot)):
            m.d.sync += answered.eq(0)
        with m.If(self.clear):
            m.d.sync += [self.written.eq(0), base.eq(0), send.eq(0), used.eq(0)]
            m.d.sync += [signal.eq(0) for signal in (said, known, heard, answered, greeting)]
        return m
