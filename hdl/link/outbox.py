"""Frames to the host: results kept in block RAM until acknowledged, and answers between them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.filler import SlotFiller
from pulsefold.hdl.link.protocol import SLOT_BYTES, Hello, encode
from pulsefold.hdl.link.sender import SlotSender

__all__ = ["Outbox", "OutboxParameters", "outbox_bytes"]

#: Slots that are not for results: the ready-made HELLO's, and that of answers.
_OTHER_SLOTS = 2


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


def outbox_bytes(results: int) -> int:
    """Block RAM of an outbox that keeps so many results."""
    return SLOT_BYTES * (results + _OTHER_SLOTS)


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
        slots = parameters.slots
        hello = encode(parameters.hello.frame())
        init = [0] * (SLOT_BYTES * parameters.hello_slot) + list(hello)
        m.submodules.slots = ram = memory.Memory(shape=8, depth=outbox_bytes(slots), init=init)
        m.submodules.sender = sender = SlotSender(slots + _OTHER_SLOTS)
        m.submodules.filler = filler = ResetInserter(self.clear)(SlotFiller())
        wiring.connect(m, sender.o, wiring.flipped(self.o))

        # The slots are a ring, and numbers wrap elsewhere: where the oldest result that is kept stands, the
        # next to send, the next to be closed. Results kept, those of them that were sent and those that were
        # not are counted, for a difference in the way of all that asks for them costs slow families their
        # clock.
        oldest, next_sent, next_filled = (
            Signal(range(slots), name=name) for name in ("oldest", "next_sent", "next_filled")
        )
        used, sent, waiting = (Signal(range(slots + 1), name=name) for name in ("used", "sent", "waiting"))
        answered, greeting = Signal(), Signal()

        # What is sent next, answers first.
        unsent, quiet, begun = Signal(), Signal(), Signal()
        read = ram.read_port()
        m.d.comb += [
            unsent.eq(waiting.any() & self.open),
            quiet.eq(sender.idle & ~(answered | greeting | unsent) & (used < slots // 2)),
            begun.eq(sender.idle & ~(answered | greeting) & unsent),
            sender.start.eq(answered | greeting | unsent),
            sender.slot.eq(
                Mux(answered, parameters.answer_slot, Mux(greeting, parameters.hello_slot, next_sent))
            ),
            sender.clear.eq(self.clear),
            read.addr.eq(sender.address),
            read.en.eq(sender.enable),
            sender.data.eq(read.data),
        ]
        with m.If(sender.idle & ~answered):
            m.d.sync += greeting.eq(0)
        with m.If(self.identify):
            m.d.sync += greeting.eq(1)

        # What the host says of the results it has; nonsense is ignored. The oldest is freed until only those
        # are kept that it does not have: so nothing is added but ones, whatever the number of slots. Each in
        # two cycles, with a chain of carries in either, for which there is time: the next frame is many bytes
        # away.
        named, missing = Signal(8), Signal(8)
        said, heard, again = Signal(), Signal(), Signal()
        closed, counted = Signal(), Signal()
        freed, back = Signal(), Signal()
        step, more = Signal(), Signal()
        m.d.comb += [step.eq(heard & counted & ~freed), more.eq(missing < used)]
        m.d.sync += [
            said.eq(self.ack | self.resend),
            missing.eq(self.written - named),
            # It does not count the result that was closed a cycle ago.
            counted.eq(~closed),
            freed.eq(step & more),
            back.eq(step & again & (missing == used)),
        ]
        with m.If(step & ~more):
            m.d.sync += [heard.eq(0), again.eq(0)]
        with m.If(said):
            m.d.sync += heard.eq(1)
        with m.If(self.ack | self.resend):
            m.d.sync += named.eq(self.number)
        with m.If(self.resend):
            m.d.sync += again.eq(1)

        # A result that is freed before it was sent need not be.
        passed = Signal()
        m.d.comb += passed.eq(begun | (freed & (sent == 0)))
        for slot, passes in ((oldest, freed), (next_sent, passed), (next_filled, closed)):
            with m.If(passes):
                m.d.sync += slot.eq(_following(slot, slots))
        for count, more, less in ((used, closed, freed), (sent, passed, freed), (waiting, closed, passed)):
            with m.If(more ^ less):
                m.d.sync += count.eq(count + Mux(less, -1, 1))
        with m.If(back):
            m.d.sync += [next_sent.eq(oldest), sent.eq(0), waiting.eq(used + closed)]

        write = ram.write_port()
        wiring.connect(m, wiring.flipped(self.i), filler.i)
        # There are never more, so the bits that are set in their number tell.
        full = Cat(used[k] for k in range(len(used)) if slots >> k & 1).all()
        m.d.comb += [
            filler.room.eq(~full & self.open),
            filler.quiet.eq(quiet),
            filler.answer.eq(self.answer & ~answered),
            filler.byte.eq(self.byte),
            filler.last.eq(self.last),
            self.answering.eq(filler.answering),
            self.tensor.eq(filler.tensor),
            self.taken.eq(filler.taken),
            self.place.eq(filler.place),
            write.addr.eq(Cat(filler.slot_place, Mux(filler.answering, parameters.answer_slot, next_filled))),
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
            m.d.sync += [self.written.eq(0), oldest.eq(0), next_sent.eq(0), next_filled.eq(0)]
            m.d.sync += [signal.eq(0) for signal in (used, sent, waiting, answered, greeting)]
            m.d.sync += [signal.eq(0) for signal in (said, heard, again, freed, back)]
        return m


def _following(slot, slots: int):
    """The next one in a ring; of a power of two there, addition wraps."""
    last = slot == slots - 1
    return slot + Mux(last, (1 << len(slot)) - slots + 1, 1)
