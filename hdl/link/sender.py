"""A frame from block RAM to the line."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.protocol import DELIMITER, SLOT_BYTES

__all__ = ["SlotSender"]


class SlotSender(wiring.Component):
    """Sends a slot up to and with its delimiter; one at a time.

    Timing: 2 cycles from `start` to the first byte, II 2.

    Parameters
    ----------
    slots
        Slots in the block RAM.
    """

    def __init__(self, slots: int) -> None:
        super().__init__(
            {
                "o": Out(stream.Signature(8)),
                # Taken while idle.
                "start": In(1),
                "slot": In(range(slots)),
                "idle": Out(1),
                # High for one cycle when slot `current` was sent to its end.
                "sent": Out(1),
                "current": Out(range(slots)),
                # Ends what is being sent, as the slots are about to be written anew.
                "clear": In(1),
                # Block RAM: `data` is what stood at `address` when `enable` was high last.
                "address": Out(range(SLOT_BYTES * slots)),
                "enable": Out(1),
                "data": In(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place = Signal(8)
        # The slots were emptied meanwhile; the next byte ends the frame; this one does.
        stale, cut, forced = Signal(), Signal(), Signal()
        m.d.comb += [
            self.address.eq(Cat(place, self.current)),
            # Wherever a slot is written while it is sent, the frame ends within its bounds.
            forced.eq(cut | (place == SLOT_BYTES - 1)),
            self.o.payload.eq(Mux(forced, DELIMITER, self.data)),
        ]
        with m.If(self.clear & ~self.idle):
            m.d.sync += stale.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [place.eq(0), cut.eq(0), stale.eq(0)]
                with m.If(self.start):
                    m.d.sync += [self.current.eq(self.slot), stale.eq(self.clear)]
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += self.enable.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    # Only between two bytes: an offer stays as it is until it is taken.
                    m.d.sync += [place.eq(place + 1), cut.eq(stale)]
                    m.next = "FETCH"
                    with m.If(self.o.payload == DELIMITER):
                        m.d.comb += self.sent.eq(~stale & ~self.clear)
                        m.next = "IDLE"
        return m
