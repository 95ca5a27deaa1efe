"""The stream buffer: the one FIFO, and the one cut between valid and ready, of the whole design."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.memory import buffer_style

__all__ = ["StreamBuffer", "memory_attributes"]


def memory_attributes(style: str) -> dict[str, str]:
    """Synthesis attributes of a memory of a style of ``compiler.plan.units.memory``."""
    return {"ram_style": {"block": "block", "lut": "logic", "ram": "auto"}[style]}


class StreamBuffer(wiring.Component):
    """First in, first out; `depth` entries and an output register.

    Offers a beat two cycles after taking it. `i.ready`, `o.valid` and `o.payload` come from registers, so
    neither valid nor ready passes through. The memory is never read where it is being written: reading
    waits until the entry count, which follows the write by a cycle, is above zero.

    Parameters
    ----------
    shape
        Shape of the payload.
    depth
        Entries beside the output register, at least 2.
    """

    def __init__(self, shape, depth: int) -> None:
        self.depth = max(2, depth)
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self.shape).width
        style = buffer_style("", self.depth, width)
        m.submodules.memory = memory = Memory(
            shape=width, depth=self.depth, init=[], attrs=memory_attributes(style)
        )
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        level = Signal(range(self.depth + 1))
        full = Signal()
        some = Signal()
        taken, sent = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~full),
            taken.eq(self.i.valid & ~full),
            sent.eq(some & (~self.o.valid | self.o.ready)),
            write.en.eq(taken),
            write.data.eq(self.i.p),
        ]
        level_next = Signal.like(level)
        m.d.comb += level_next.eq(level + taken - sent)
        m.d.sync += [level.eq(level_next), full.eq(level_next == self.depth), some.eq(level_next != 0)]
        with m.If(taken):
            m.d.sync += write.addr.eq(next_address(write.addr, self.depth))
        with m.If(sent):
            m.d.sync += read.addr.eq(next_address(read.addr, self.depth))
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.p.eq(read.data), self.o.valid.eq(some)]
        return m


def next_address(address, depth: int):
    """The address after, round a memory of `depth` entries."""
    if depth & (depth - 1) == 0:
        return address + 1
    return Mux(address == depth - 1, 0, address + 1)
