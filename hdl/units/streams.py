"""Stream signatures of the units, and element types as circuit shapes."""

from __future__ import annotations

from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import Stream, Unit
from pulsefold.hdl.memory.buffer import StreamBuffer

__all__ = ["UnitComponent", "lane_shape", "payload", "port_names"]


def lane_shape(kind: ElementType) -> Shape:
    """Amaranth shape in which a lane's bit pattern has its value; not for bipolar lanes."""
    return signed(kind.bits) if kind.signed else unsigned(kind.bits)


def payload(s: Stream) -> data.ArrayLayout:
    """Payload of a stream: bit patterns, lane 0 in the lowest bits."""
    return data.ArrayLayout(unsigned(s.type.bits), s.lanes)


def port_names(letter: str, count: int) -> list[str]:
    """Names of a component's streams: the letter alone where there is one, else numbered from 0."""
    return [letter] if count == 1 else [f"{letter}{k}" for k in range(count)]


class UnitComponent(wiring.Component):
    """A stream unit built from its parameter object.

    Ports `i` and `o`; where there are several inputs `i0`, `i1` and so on, and likewise `o0`, `o1`.
    """

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        buffers = zip(unit.outputs, unit.buffer_depths, unit.rings, strict=True)
        #: Output buffers, one a port.
        self.buffers = [StreamBuffer(payload(s), depth, ring) for s, depth, ring in buffers]
        ins, outs = port_names("i", len(unit.inputs)), port_names("o", len(unit.outputs))
        ports = {name: In(stream.Signature(payload(s))) for name, s in zip(ins, unit.inputs, strict=True)}
        ports |= {name: Out(stream.Signature(payload(s))) for name, s in zip(outs, unit.outputs, strict=True)}
        super().__init__(ports)
        #: Streams in and out, in the order of the parameter object.
        self.ins = [getattr(self, name) for name in ins]
        self.outs = [getattr(self, name) for name in outs]

    @property
    def buffer(self) -> StreamBuffer:
        """The buffer of a single output."""
        (buffer,) = self.buffers
        return buffer

    def connect_output(self, m: Module) -> None:
        """Put the output buffers, which every unit ends in, between its logic and its output ports."""
        for name, buffer, port in zip(
            port_names("buffer", len(self.outs)), self.buffers, self.outs, strict=True
        ):
            m.submodules[name] = buffer
            m.d.comb += [
                port.p.eq(buffer.o.p),
                port.valid.eq(buffer.o.valid),
                buffer.o.ready.eq(port.ready),
            ]
