"""The AXI wrapper, under cocotbext-axi in Verilator."""

import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.axi import AxiCore, AxiParameters, AxiStream
from pulsefold.hdl.memory.buffer import StreamBuffer


class Complement(wiring.Component):
    """Each beat's complement, through a buffer."""

    def __init__(self, lanes, bits):
        self.shape = data.ArrayLayout(unsigned(bits), lanes)
        super().__init__({"i": In(stream.Signature(self.shape)), "o": Out(stream.Signature(self.shape))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(self.shape, 4)
        wiring.connect(m, wiring.flipped(self.i), buffer.i)
        m.d.comb += [
            self.o.payload.as_value().eq(~buffer.o.payload.as_value()),
            self.o.valid.eq(buffer.o.valid),
            buffer.o.ready.eq(self.o.ready),
        ]
        return m


def make(lanes, bits, beats):
    streams = (AxiStream(bits=lanes * bits, beats=beats),)
    return AxiCore(Complement(lanes, bits), AxiParameters(inputs=streams, outputs=streams))


# A beat of one bit, of parts of bytes, and of several words.
@pytest.mark.parametrize(("lanes", "bits", "beats"), [(1, 1, 3), (3, 4, 7), (9, 8, 4)])
def test_streams_and_registers(lanes, bits, beats, run_bench):
    component = make(lanes, bits, beats)
    parameters = component.parameters
    job = {"bits": lanes * bits, "width": parameters.inputs[0].width, "beats": beats}
    assert run_bench(component, "axi_bench", **job, registers=parameters.registers) == 4


def test_registers_of_several_streams():
    streams = (AxiStream(bits=8, beats=2),) * 2
    parameters = AxiParameters(inputs=streams, outputs=streams[:1])
    registers = parameters.registers
    assert [*parameters.sources, *parameters.sinks] == ["s_axis_0", "s_axis_1", "m_axis"]
    assert registers["s_axis_1_beats"] == 0x20
    assert registers["m_axis_images"] == 0x38
    assert len(set(registers.values())) == len(registers)
    assert max(registers.values()) < 1 << parameters.address_bits == 0x40


def test_sizes_are_checked():
    eight, nine = ((AxiStream(bits=bits, beats=1),) for bits in (8, 9))
    for ins, outs, sizes in [(eight, nine, r"\[8\]"), (eight * 2, eight, r"\[8\]"), (nine, eight, r"\[8\]")]:
        with pytest.raises(ValueError, match=f"bits of the core's streams, {sizes}"):
            AxiCore(Complement(2, 4), AxiParameters(inputs=ins, outputs=outs))
    with pytest.raises(ValueError, match="beats must be at least 1"):
        AxiStream(bits=8, beats=0)
