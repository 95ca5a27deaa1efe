"""Counters of the link, read byte by byte."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LinkCounters"]


class LinkCounters(wiring.Component):
    """Page 0 of COUNT: five counters of 32 bits that wrap.

    They stand still while `hold` is high, so that what is read belongs together.
    """

    #: Each counts the cycles in which it is high.
    starved: In(1)
    stalled: In(1)
    blocked: In(1)
    bad: In(1)
    clear: In(1)
    hold: In(1)
    #: Place in the frame of the byte that is read, 3 being the first byte of the first counter.
    place: In(8)
    byte: Out(8)

    #: Bytes of the page.
    size = 20

    def elaborate(self, platform):
        m = Module()
        values = []
        for name in ("cycles", "starved", "stalled", "blocked", "bad"):
            value = Signal(32, name=name)
            moving = Const(1) if name == "cycles" else getattr(self, name)
            with m.If(moving & ~self.hold):
                m.d.sync += value.eq(value + 1)
            with m.If(self.clear):
                m.d.sync += value.eq(0)
            values.append(value)
        at = Signal(5)
        m.d.comb += at.eq(self.place + 1)
        word = Array([Const(0, 32), *values])[at[2:]]
        m.d.comb += self.byte.eq(Array([word[8 * k : 8 * k + 8] for k in range(4)])[at[:2]])
        return m
