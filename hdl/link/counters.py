"""Counters of the link in a small memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.protocol import Type
from pulsefold.hdl.memory.ram import memory_attributes

__all__ = ["LinkCounters"]

#: Bytes of the frame before the first counter.
_HEADER = (Type.COUNTS, 0, 0)

#: Counters, their bytes, and the cycles that a pointer takes to go once around all of them.
_COUNTERS, _BYTES = 5, 4
_ROUND = _COUNTERS * _BYTES


class LinkCounters(wiring.Component):
    """Page 0 of COUNT: five counters of 32 bits that wrap.

    They stand in LUT RAM, byte by byte, as the frame has them; what happens is collected in a few bits a
    counter until the pointer that goes around adds them. `hold` stops counting at the end of a round, and
    `ready` says that all is in the memory: what is then read belongs together. `clear` takes a round in
    which nothing is counted.

    Timing: `ready` 20 to 40 cycles behind `hold`.
    """

    #: Each counts the cycles in which it is high.
    starved: In(1)
    stalled: In(1)
    blocked: In(1)
    bad: In(1)
    clear: In(1)
    hold: In(1)
    ready: Out(1)
    #: The byte of the frame that is read.
    place: In(8)
    byte: Out(8)

    #: Bytes of the frame.
    size = len(_HEADER) + _ROUND

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=8, depth=self.size, init=_HEADER, attrs=memory_attributes("ram")
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        at = Signal(range(self.size), init=len(_HEADER))
        # Counting in this round; clearing.
        running, wiping = Signal(init=1), Signal()
        turns = [Signal(name=f"turn{k}") for k in range(_COUNTERS)]
        m.d.comb += [turn.eq(at == len(_HEADER) + k * _BYTES) for k, turn in enumerate(turns)]

        # Rounds are all of one length, and counting begins and ends with one.
        adding = Mux(turns[0] & running, Const(_ROUND), 0)
        for turn, name in zip(turns[1:], ("starved", "stalled", "blocked", "bad"), strict=True):
            some, more = Signal(range(_ROUND + 1), name=name), Signal(range(_ROUND + 1), name=f"{name}_next")
            # It comes late in the cycle, from valid and ready.
            was = Signal(name=f"{name}_was")
            m.d.comb += more.eq(some + (was & running))
            m.d.sync += [was.eq(getattr(self, name)), some.eq(more)]
            with m.If(turn):
                m.d.sync += some.eq(0)
            adding = adding | Mux(turn, more, 0)

        carry, total = Signal(), Signal(10)
        last_byte = at[:2] == (len(_HEADER) + _BYTES - 1) % _BYTES
        m.d.comb += [
            # The lowest bits are there for the carry, so that one adder does.
            total.eq(Cat(1, read.data) + Cat(carry, adding)),
            read.addr.eq(Mux(self.ready, self.place, at)),
            write.addr.eq(read.addr),
            write.data.eq(Mux(wiping, 0, total[1:9])),
            write.en.eq(~self.ready),
            self.byte.eq(read.data),
        ]
        with m.If(self.ready):
            m.d.sync += [self.ready.eq(self.hold), running.eq(~self.hold)]
        with m.Else():
            m.d.sync += [at.eq(at + 1), carry.eq(total[9] & ~last_byte)]
            with m.If(at == self.size - 1):
                m.d.sync += [
                    at.eq(len(_HEADER)),
                    wiping.eq(0),
                    running.eq(~self.hold),
                    self.ready.eq(self.hold & ~running & ~wiping),
                ]
        with m.If(self.clear):
            m.d.sync += [at.eq(len(_HEADER)), wiping.eq(1), running.eq(0), self.ready.eq(0)]
        return m
