"""The stream buffer: the one FIFO, and the one cut between valid and ready, of the whole design."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.memory import FRONT_DEPTH, buffer_style
from pulsefold.hdl.memory.ram import LateRam, memory_attributes

__all__ = ["StreamBuffer"]


class StreamBuffer(wiring.Component):
    """First in, first out; `depth` entries and an output register.

    Offers a beat two cycles after taking it, a deep buffer within five. `i.ready`, `o.valid` and `o.payload`
    come from registers, so neither valid nor ready passes through. No memory is ever read where it is being
    written: reading waits until the entry count, which follows the write by a cycle, is above zero.

    A deep buffer is a small one with a ring of block RAM or LUT RAM beside it: beats go round by the ring
    while the small one has no room or others are still on that way. So it is that a beat is offered three
    cycles later where the small one runs dry while beats come at least every third cycle.

    Parameters
    ----------
    shape
        Shape of the payload.
    depth
        Entries beside the output register, at least 2.
    ring
        Memory of a deep one's ring: ``"block"``, or ``"full"`` for LUT RAM where it fills no block.
    """

    def __init__(self, shape, depth: int, ring: str = "block") -> None:
        self.depth = max(2, depth)
        self.ring = ring
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        if buffer_style("", self.depth, Shape.cast(self.shape).width) == "block":
            self.deep(m)
        else:
            self.shallow(m)
        return m

    def shallow(self, m: Module) -> None:
        """A ring of LUT RAM."""
        width = Shape.cast(self.shape).width
        m.submodules.memory = memory = Memory(
            shape=width, depth=self.depth, init=[], attrs=memory_attributes("ram")
        )
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        taken, sent = Signal(), Signal()
        some, full = count_entries(m, self.depth, taken, sent)
        m.d.comb += [
            self.i.ready.eq(~full),
            taken.eq(self.i.valid & ~full),
            sent.eq(some & (~self.o.valid | self.o.ready)),
            write.en.eq(taken),
            write.data.eq(self.i.p),
        ]
        with m.If(taken):
            m.d.sync += write.addr.eq(next_address(write.addr, self.depth))
        with m.If(sent):
            m.d.sync += read.addr.eq(next_address(read.addr, self.depth))
        head = Signal(width, reset_less=True)
        m.d.comb += self.o.p.eq(head)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [head.eq(read.data), self.o.valid.eq(some)]

    def deep(self, m: Module) -> None:
        """The small buffer, and the ring."""
        width = Shape.cast(self.shape).width
        m.submodules.front = front = StreamBuffer(width, FRONT_DEPTH)
        m.submodules.ring = ring = LateRam(width, self.depth, self.ring)
        taken, around, fetch, sent = Signal(), Signal(), Signal(), Signal()
        some, full = count_entries(m, self.depth, around, fetch)
        # Places of the small buffer that neither hold a beat nor are promised to one on its way.
        promised = Signal(range(FRONT_DEPTH + 1))
        promised_next = Signal.like(promised)
        room = Signal(init=1)
        coming = [Signal(name=f"coming{k}") for k in range(2)]
        m.d.comb += [
            self.i.ready.eq(~full),
            taken.eq(self.i.valid & ~full),
            around.eq(taken & (some | coming[0] | coming[1] | ~room)),
            fetch.eq(some & room),
            sent.eq(front.o.valid & front.o.ready),
            promised_next.eq(promised + ((taken & ~around) | fetch) - sent),
            ring.write_enable.eq(around),
            ring.write_data.eq(self.i.p),
            front.i.valid.eq((taken & ~around) | coming[1]),
            front.i.p.eq(Mux(coming[1], ring.read_data, self.i.p)),
            self.o.p.eq(front.o.p),
            self.o.valid.eq(front.o.valid),
            front.o.ready.eq(self.o.ready),
        ]
        m.d.sync += [
            promised.eq(promised_next),
            room.eq(promised_next != FRONT_DEPTH),
            coming[0].eq(fetch),
            coming[1].eq(coming[0]),
        ]
        with m.If(around):
            m.d.sync += ring.write_address.eq(next_address(ring.write_address, self.depth))
        with m.If(fetch):
            m.d.sync += ring.read_address.eq(next_address(ring.read_address, self.depth))


def count_entries(m: Module, depth: int, taken: Signal, sent: Signal) -> tuple[Signal, Signal]:
    """Registers that tell whether a ring holds some entries, and whether it is full.

    `taken` and `sent` come late in the cycle, so what either leads to is worked out beside them.
    """
    level = Signal(range(depth + 1))
    some, full = Signal(), Signal()
    with m.If(taken ^ sent):
        m.d.sync += [
            level.eq(level + Mux(sent, -1, 1)),
            some.eq(taken | (level != 1)),
            full.eq(taken & (level == depth - 1)),
        ]
    return some, full


def next_address(address, depth: int):
    """The address after, round a memory of `depth` entries."""
    if depth & (depth - 1) == 0:
        return address + 1
    return Mux(address == depth - 1, 0, address + 1)
