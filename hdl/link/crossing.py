"""Bytes between the link's clock and the network's."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte

__all__ = ["Crossing"]

#: Enough for a byte in any four cycles of the slower clock; lines take twenty times as long for one.
_DEPTH = 4


class Crossing(wiring.Component):
    """An asynchronous FIFO each way between domains ``link`` and ``sync``.

    Both are empty after a reset of the network: the way there is emptied while `running` is low, the way
    back by the reset of ``sync`` itself.

    Timing: 4 to 5 cycles of the side that is given the byte and one of the network's; four bytes in a round
    trip of as many of both.
    """

    #: In ``link``: bytes to the network, its bytes back, and whether the network is out of reset.
    source: In(stream.Signature(TensorByte))
    sink: Out(stream.Signature(TensorByte))
    running: In(1)
    #: In ``sync``.
    i: In(stream.Signature(TensorByte))
    o: Out(stream.Signature(TensorByte))

    def elaborate(self, platform):
        m = Module()
        m.domains.there = there = ClockDomain(local=True)
        m.d.comb += [there.clk.eq(ClockSignal("link")), there.rst.eq(ResetSignal("link") | ~self.running)]
        width = TensorByte.as_shape().size
        m.submodules.forth = forth = AsyncFIFO(width=width, depth=_DEPTH, w_domain="there", r_domain="sync")
        m.submodules.back = back = AsyncFIFO(width=width, depth=_DEPTH, w_domain="sync", r_domain="link")
        # A register each way on the network's side, filled only while it is empty: nothing that the network
        # decides reaches a pointer in the same cycle.
        waiting = stream.Signature(TensorByte).create()
        m.d.comb += [forth.r_en.eq(~self.o.valid), self.i.ready.eq(~waiting.valid)]
        for register, valid, payload, taken in (
            (self.o, forth.r_rdy, forth.r_data, self.o.ready),
            (waiting, self.i.valid, self.i.payload, back.w_rdy),
        ):
            with m.If(~register.valid):
                m.d.sync += [register.payload.eq(payload), register.valid.eq(valid)]
            with m.Elif(taken):
                m.d.sync += register.valid.eq(0)
        m.d.comb += [
            forth.w_data.eq(self.source.payload),
            forth.w_en.eq(self.source.valid),
            self.source.ready.eq(forth.w_rdy),
            back.w_data.eq(waiting.payload),
            back.w_en.eq(waiting.valid),
            self.sink.payload.eq(back.r_data),
            self.sink.valid.eq(back.r_rdy),
            back.r_en.eq(self.sink.ready),
        ]
        return m
