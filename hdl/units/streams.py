"""Stream signatures of the units, and element types as circuit shapes."""

from __future__ import annotations

from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import Stream, Unit
from pulsefold.hdl.memory.buffer import StreamBuffer

__all__ = ["UnitComponent", "lane_shape", "payload"]


def lane_shape(kind: ElementType) -> Shape:
    """Amaranth shape in which a lane's bit pattern has its value; not for bipolar lanes."""
    return signed(kind.bits) if kind.signed else unsigned(kind.bits)


def payload(s: Stream) -> data.ArrayLayout:
    """Payload of a stream: bit patterns, lane 0 in the lowest bits."""
    return data.ArrayLayout(unsigned(s.type.bits), s.lanes)


class UnitComponent(wiring.Component):
    """A stream unit built from its parameter object, with ports `i` and `o`."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.buffer = StreamBuffer(payload(unit.output), unit.buffer_depth)
        super().__init__(
            {
                "i": In(stream.Signature(payload(unit.input))),
                "o": Out(stream.Signature(payload(unit.output))),
            }
        )

    def connect_output(self, m: Module) -> None:
        """Put the unit's output buffer, the one thing that every unit ends in, between its logic and `o`."""
        m.submodules.buffer = self.buffer
        m.d.comb += [
            self.o.p.eq(self.buffer.o.p),
            self.o.valid.eq(self.buffer.o.valid),
            self.buffer.o.ready.eq(self.o.ready),
        ]
