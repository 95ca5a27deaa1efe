"""The board's end of the host protocol."""

from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.debug.counters import CountersSignature
from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.counters import LinkCounters
from pulsefold.hdl.link.inbox import Inbox, InboxParameters
from pulsefold.hdl.link.outbox import Outbox, OutboxParameters
from pulsefold.hdl.link.protocol import Feature, Hello, Type

__all__ = ["Endpoint", "EndpointParameters"]

#: Cycles that the network's reset is held at the least, so that a sequence in a slower clock sees it.
_RESET_CYCLES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointParameters:
    """What an endpoint tells of itself, which is all that it is built from.

    Parameters
    ----------
    hello
        Slots, features, and the network.
    """

    hello: Hello


class Endpoint(wiring.Component):
    """Frames of the host to bytes for the network, and the network's bytes to frames.

    See ``firmware/PROTOCOL.md``. The link's bytes go in at `i`, which never waits for anything but the CRC
    of the last one (8 cycles, fewer than any line takes for a byte), and out at `o`; those of the
    network's input tensors leave at `source`, those of its outputs come in at `sink`. It has no timers.

    Timing: a byte of data is at `source` 10 cycles after its frame's delimiter is at `i`, if nothing is
    before it; a result's frame begins at `o` 57 cycles after the last byte of a lone image at `sink`.

    Parameters
    ----------
    parameters
        Sizes and description.
    """

    def __init__(self, parameters: EndpointParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "source": Out(stream.Signature(TensorByte)),
                "sink": In(stream.Signature(TensorByte)),
                # Asks for a reset of the network; it answers with `running` low, then high.
                "restart": Out(1),
                "running": In(1, init=1),
                # High for one cycle when bytes were no frame.
                "bad": Out(1),
                # Where the description has units: their counters.
                **({"units": Out(CountersSignature())} if parameters.hello.units else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        hello = self.parameters.hello
        m.submodules.inbox = inbox = Inbox(InboxParameters(slots=hello.input_slots))
        m.submodules.outbox = outbox = Outbox(OutboxParameters(hello=hello))
        # The session, and whether it is one: 16 bits are deep logic in front of all that asks for it.
        session, begun, live = Signal(16), Signal(), Signal()
        opening, settled = Signal(), Signal()
        hold = Signal(range(_RESET_CYCLES))
        wiring.connect(m, wiring.flipped(self.i), inbox.i)
        wiring.connect(m, outbox.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.sink), outbox.i)
        m.d.comb += [
            self.source.payload.byte.eq(inbox.o.payload),
            self.source.payload.tensor.eq(inbox.tensor),
            self.source.valid.eq(inbox.o.valid & live),
            inbox.o.ready.eq(self.source.ready & live),
            inbox.open.eq(begun),
            outbox.open.eq(live),
            inbox.clear.eq(opening),
            outbox.clear.eq(opening),
            outbox.number.eq(inbox.number),
            outbox.ack.eq(inbox.command[Type.ACK]),
            outbox.resend.eq(inbox.command[Type.RESEND]),
            outbox.identify.eq(inbox.command[Type.IDENTIFY]),
            opening.eq(inbox.command[Type.OPEN]),
            self.bad.eq(inbox.bad),
        ]

        # The network is reset with each session, and nothing passes until it is running again.
        resetting = Signal()
        m.d.comb += [
            self.restart.eq(hold != 0),
            settled.eq(resetting & (hold == 0) & self.running),
            live.eq(begun & ~resetting),
        ]
        with m.If(hold != 0):
            m.d.sync += hold.eq(hold - 1)
        with m.If(settled):
            m.d.sync += resetting.eq(0)
        with m.If(opening):
            m.d.sync += [session.eq(inbox.session), begun.eq(inbox.session != 0)]
            m.d.sync += [hold.eq(_RESET_CYCLES - 1), resetting.eq(1)]

        self._answer(m, inbox, outbox, session, resetting=resetting, settled=settled, opening=opening)
        return m

    def _answer(self, m, inbox, outbox, session, *, resetting, settled, opening) -> None:
        """What is due to be answered, and its bytes."""
        hello = self.parameters.hello
        # What happened since the last STATUS, and what this one tells.
        due, happened, flags = Signal(), Signal(4), Signal(4)
        #: Slots given back since a STATUS last said so; half of them are worth one.
        moved = Signal(range(hello.input_slots // 2))
        # The header of a result has two of the bytes of a STATUS: one multiplexer does for both.
        answering, place = outbox.answering, outbox.place
        fields = Array(
            [
                Mux(answering, Type.STATUS, Type.RESULT),
                inbox.next,
                Cat(flags, inbox.attempt),
                inbox.limit,
                outbox.written,
                session[:8],
                session[8:],
                outbox.tensor,
            ]
        )
        of_result = Cat(place[1], place[1], place[:2].any())
        byte = fields[Mux(answering, place[:3], of_result)]
        last = place == Mux(answering, len(fields) - 2, 2)
        counting, count_due, counted = Signal(), Signal(), Signal()
        m.d.comb += [
            outbox.answer.eq((due | (count_due & counted)) & ~resetting),
            outbox.byte.eq(byte),
            outbox.last.eq(last),
        ]
        # Page of the COUNT that waits, and of the one that is being told.
        page, telling = Signal(8), Signal(8)
        if hello.features & Feature.COUNTS:
            m.submodules.counters = counters = LinkCounters()
            m.d.comb += [
                counters.clear.eq(opening),
                counters.hold.eq((count_due & (page == 0)) | (counting & (telling == 0))),
                counters.starved.eq(self.source.ready & ~self.source.valid),
                counters.stalled.eq(self.source.valid & ~self.source.ready),
                counters.blocked.eq(self.sink.valid & ~self.sink.ready),
                counters.bad.eq(inbox.bad),
                counters.place.eq(place),
                counted.eq(counters.ready),
            ]
            with m.If(inbox.command[Type.COUNT] & (inbox.number == 0)):
                m.d.sync += count_due.eq(1)
            self._tell(m, outbox, counting & (telling == 0), counting, counters.byte, counters.size)
        if hello.units:
            self._unit_pages(m, inbox, outbox, counting, count_due, counted, page, telling)
        with m.If(inbox.freed):
            m.d.sync += moved.eq(moved + 1)
            with m.If(moved == hello.input_slots // 2 - 1):
                m.d.sync += due.eq(1)
        with m.If(outbox.taken):
            m.d.sync += counting.eq(~due)
            with m.If(due):
                m.d.sync += [due.eq(0), moved.eq(inbox.freed), flags.eq(happened), happened.eq(0)]
            with m.Else():
                m.d.sync += count_due.eq(0)
        # After the above, so that nothing that happens meanwhile is lost.
        with m.If(inbox.refused):
            m.d.sync += [due.eq(1), happened[0].eq(1)]
        with m.If(inbox.bad):
            m.d.sync += [due.eq(1), happened[1].eq(1)]
        with m.If(inbox.command[Type.POLL]):
            m.d.sync += [due.eq(1), happened[2:].eq(inbox.number[:2])]
        with m.If(settled | inbox.repeated):
            m.d.sync += due.eq(1)
        with m.If(opening):
            m.d.sync += [due.eq(0), count_due.eq(0), happened.eq(0), moved.eq(0)]

    def _tell(self, m, outbox, told, counting, byte, size: int) -> None:
        """Answer with `byte` while `told` is high, and end `counting` behind so many of them."""
        with m.If(told & outbox.answering):
            m.d.comb += [outbox.byte.eq(byte), outbox.last.eq(outbox.place == size - 1)]
            with m.If(outbox.place == size):
                m.d.sync += counting.eq(0)

    def _unit_pages(self, m, inbox, outbox, counting, count_due, counted, page, telling) -> None:
        """COUNT of the units' pages: their bytes where they are asked for, and when to wait.

        Page 1 takes a snapshot, and all pages are read from that.
        """
        hello, units, place = self.parameters.hello, self.units, outbox.place
        asking, ready = Signal(), Signal()
        m.submodules.units_ready = FFSynchronizer(units.ready, ready)
        # What is being told must not change, so no snapshot begins meanwhile.
        with m.If(asking & ~ready & ~counting):
            m.d.sync += units.request.eq(1)
        with m.If(units.request & ready):
            m.d.sync += units.request.eq(0)
            with m.If(asking):
                m.d.sync += [asking.eq(0), count_due.eq(1)]
        asked = inbox.command[Type.COUNT]
        with m.If(asked & (inbox.number != 0) & (inbox.number <= hello.units)):
            m.d.sync += [page.eq(inbox.number), asking.eq(inbox.number == 1), count_due.eq(inbox.number != 1)]
        with m.If(asked & (inbox.number == 0)):
            m.d.sync += [page.eq(0), asking.eq(0)]
        with m.If(page != 0):
            m.d.comb += counted.eq(~(units.request | asking))
        with m.If(outbox.taken):
            m.d.sync += telling.eq(page)
        with m.If(inbox.command[Type.OPEN]):
            m.d.sync += asking.eq(0)

        # That of the cycles, then the unit's two; a byte is looked at for longer than the memory takes.
        word = (place + 1)[2:4]
        m.d.comb += units.address.eq(Mux(word == 1, 0, Cat(word[0], telling)))
        header = Array([Const(Type.COUNTS, 8), telling, Const(0, 8), Const(0, 8)])[place[:2]]
        own = Mux(place < 3, header, units.data.word_select((place + 1)[:2], 8))
        self._tell(m, outbox, counting & (telling != 0), counting, own, 3 + 12)
