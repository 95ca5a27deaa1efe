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

    See ``firmware/PROTOCOL.md``. The link's bytes go in at `i`, which is always ready, and out at `o`;
    those of the network's input tensors leave at `source`, those of its outputs come in at `sink`. It has
    no timers.

    Timing: a byte of data is at `source` 5 cycles after its frame's delimiter is at `i`, if nothing is
    before it; a result's frame begins at `o` 14 cycles after the last byte of a lone image at `sink`.

    Parameters
    ----------
    parameters
        Sizes and description.
    """

    def __init__(self, parameters: EndpointParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
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
        session, live = Signal(16), Signal()
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
            inbox.open.eq(session != 0),
            outbox.open.eq(live),
            inbox.clear.eq(opening),
            outbox.clear.eq(opening),
            outbox.number.eq(inbox.number),
            outbox.ack.eq(inbox.command == Type.ACK),
            outbox.resend.eq(inbox.command == Type.RESEND),
            outbox.identify.eq(inbox.command == Type.IDENTIFY),
            opening.eq(inbox.command == Type.OPEN),
            self.bad.eq(inbox.bad),
        ]

        # The network is reset with each session, and nothing passes until it is running again.
        resetting = Signal()
        m.d.comb += [
            self.restart.eq(hold != 0),
            settled.eq(resetting & (hold == 0) & self.running),
            live.eq((session != 0) & ~resetting),
        ]
        with m.If(hold != 0):
            m.d.sync += hold.eq(hold - 1)
        with m.If(settled):
            m.d.sync += resetting.eq(0)
        with m.If(opening):
            m.d.sync += [session.eq(inbox.session), hold.eq(_RESET_CYCLES - 1), resetting.eq(1)]

        self._answer(m, inbox, outbox, session, resetting=resetting, settled=settled, opening=opening)
        return m

    def _answer(self, m, inbox, outbox, session, *, resetting, settled, opening) -> None:
        """What is due to be answered, and its bytes."""
        hello = self.parameters.hello
        half = hello.input_slots // 2
        # What happened since the last STATUS, and what this one tells.
        due, happened, flags = Signal(), Signal(4), Signal(4)
        #: Slots given back when a STATUS last said so.
        told, moved = Signal(8), Signal(hello.input_slots.bit_length())
        m.d.comb += moved.eq(inbox.freed - told)
        status = [
            Const(Type.STATUS, 8),
            inbox.next,
            Cat(flags, inbox.attempt),
            (inbox.freed + hello.input_slots)[:8],
            outbox.written,
            session[:8],
            session[8:],
        ]
        place, byte = outbox.place, Array(status)[outbox.place[:3]]
        last = place == len(status) - 1
        counting, count_due, busy = Signal(), Signal(), Const(0, 1)
        if hello.features & Feature.COUNTS:
            m.submodules.counters = counters = LinkCounters()
            m.d.comb += [
                counters.clear.eq(opening),
                counters.hold.eq(counting),
                counters.starved.eq(self.source.ready & ~self.source.valid),
                counters.stalled.eq(self.source.valid & ~self.source.ready),
                counters.blocked.eq(self.sink.valid & ~self.sink.ready),
                counters.bad.eq(inbox.bad),
                counters.place.eq(place),
            ]
            with m.If((inbox.command == Type.COUNT) & (inbox.number == 0)):
                m.d.sync += count_due.eq(1)
            header = Array([Const(Type.COUNTS, 8), *[Const(0, 8)] * 3])[place[:2]]
            byte = Mux(counting, Mux(place < 3, header, counters.byte), byte)
            last = Mux(counting, place == 2 + counters.size, last)
        if hello.units:
            byte, last, busy = self._unit_pages(m, inbox, outbox, counting, count_due, byte, last)
        m.d.comb += [
            outbox.answer.eq((due | count_due & ~busy) & ~resetting),
            outbox.byte.eq(byte),
            outbox.last.eq(last),
        ]
        with m.If(moved >= half):
            m.d.sync += due.eq(1)
        with m.If(last):
            m.d.sync += counting.eq(0)
        with m.If(outbox.taken):
            m.d.sync += counting.eq(~due)
            with m.If(due):
                m.d.sync += [due.eq(0), told.eq(inbox.freed), flags.eq(happened), happened.eq(0)]
            with m.Else():
                m.d.sync += count_due.eq(0)
        # After the above, so that nothing that happens meanwhile is lost.
        with m.If(inbox.refused):
            m.d.sync += [due.eq(1), happened[0].eq(1)]
        with m.If(inbox.bad):
            m.d.sync += [due.eq(1), happened[1].eq(1)]
        with m.If(inbox.command == Type.POLL):
            m.d.sync += [due.eq(1), happened[2:].eq(inbox.number[:2])]
        with m.If(settled | inbox.repeated):
            m.d.sync += due.eq(1)
        with m.If(opening):
            m.d.sync += [due.eq(0), count_due.eq(0), happened.eq(0), told.eq(0)]

    def _unit_pages(self, m, inbox, outbox, counting, count_due, byte, last):
        """COUNT of the units' pages; their bytes and end where they are asked for, and when to wait.

        Page 1 takes a snapshot, and all pages are read from that.
        """
        hello, units, place = self.parameters.hello, self.units, outbox.place
        page, telling = Signal(8), Signal(8)
        asking, ready = Signal(), Signal()
        m.submodules.units_ready = FFSynchronizer(units.ready, ready)
        # What is being told must not change, so no snapshot begins meanwhile.
        with m.If(asking & ~ready & ~counting):
            m.d.sync += units.request.eq(1)
        with m.If(units.request & ready):
            m.d.sync += units.request.eq(0)
            with m.If(asking):
                m.d.sync += [asking.eq(0), count_due.eq(1)]
        counted = inbox.command == Type.COUNT
        with m.If(counted & (inbox.number != 0) & (inbox.number <= hello.units)):
            m.d.sync += [page.eq(inbox.number), asking.eq(inbox.number == 1), count_due.eq(inbox.number != 1)]
        with m.If(counted & (inbox.number == 0)):
            m.d.sync += [page.eq(0), asking.eq(0)]
        with m.If(outbox.taken):
            m.d.sync += telling.eq(page)
        with m.If(inbox.command == Type.OPEN):
            m.d.sync += asking.eq(0)

        # The word of the next byte, as the memory takes a cycle: that of the cycles, then the unit's two.
        word = (place + 2)[2:4]
        m.d.comb += units.address.eq(Mux(word == 1, 0, Cat(word[0], telling)))
        header = Array([Const(Type.COUNTS, 8), telling, Const(0, 8), Const(0, 8)])[place[:2]]
        own = Mux(place < 3, header, units.data.word_select((place + 1)[:2], 8))
        telling_unit = counting & (telling != 0)
        return (
            Mux(telling_unit, own, byte),
            Mux(telling_unit, place == 2 + 12, last),
            units.request | asking,
        )
