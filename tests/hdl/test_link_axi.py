"""The AXI wrapper, under cocotbext-axi in Verilator."""

import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.axi import AxiCore, AxiParameters
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
    parameters = AxiParameters(
        input_bits=lanes * bits, output_bits=lanes * bits, input_beats=beats, output_beats=beats
    )
    return AxiCore(Complement(lanes, bits), parameters)


# A beat of one bit, of parts of bytes, and of several words.
@pytest.mark.parametrize(("lanes", "bits", "beats"), [(1, 1, 3), (3, 4, 7), (9, 8, 4)])
def test_streams_and_registers(lanes, bits, beats, run_bench):
    component = make(lanes, bits, beats)
    width = component.parameters.input_width
    assert run_bench(component, "axi_bench", bits=lanes * bits, width=width, beats=beats) == 4


def test_sizes_are_checked():
    parameters = AxiParameters(input_bits=8, output_bits=9, input_beats=1, output_beats=1)
    with pytest.raises(ValueError, match=r"bits of the core's streams, \(8, 8\)"):
        AxiCore(Complement(2, 4), parameters)
    with pytest.raises(ValueError, match="input_beats must be at least 1"):
        AxiParameters(input_bits=8, output_bits=8, input_beats=0, output_beats=1)
