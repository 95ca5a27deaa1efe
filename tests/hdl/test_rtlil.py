"""RTLIL text against Amaranth's own, byte for byte but for brackets in names."""

from __future__ import annotations

import pytest
from amaranth.back import rtlil as amaranth_rtlil
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl import rtlil


class Memories(wiring.Component):
    """A read and a written memory of a shape; contents with both ends of the range."""

    def __init__(self, width: int, depth: int) -> None:
        self.width, self.depth = width, depth
        super().__init__({"at": In(range(max(2, depth))), "data": In(width), "out": Out(width), "en": In(1)})

    def elaborate(self, platform):
        m = Module()
        words = [(k * 0x9E3779B97F4A7C15) % (1 << self.width) for k in range(self.depth - 1)]
        m.submodules.rom = rom = Memory(shape=self.width, depth=self.depth, init=words)
        m.submodules.ram = ram = Memory(shape=self.width, depth=self.depth, init=[])
        read, back, write = rom.read_port(), ram.read_port(domain="comb"), ram.write_port()
        m.d.comb += [port.addr.eq(self.at) for port in (read, back, write)]
        m.d.comb += [write.data.eq(self.data), write.en.eq(self.en), self.out.eq(read.data ^ back.data)]
        return m


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (1, 9), (7, 2), (64, 33), (300, 5)])
def test_text_is_that_of_amaranth(width: int, depth: int) -> None:
    want = amaranth_rtlil.convert(Memories(width, depth), name="top", emit_src=False)
    assert "meminit" in want
    assert rtlil.convert(Memories(width, depth), "top") == want


def test_no_name_is_another_and_an_index() -> None:
    ports = {"i": In(data.ArrayLayout(data.ArrayLayout(2, 3), 2)), "o": Out(2)}

    class Fields(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.o.eq(self.i[1][2] ^ self.i.as_value()[1])
            return m

    theirs = amaranth_rtlil.convert(Fields(ports), name="top", emit_src=False)
    ours = rtlil.convert(Fields(ports), "top")
    assert r"\i[1][2]" in theirs
    assert r"\i(1)(2)" in ours
    assert r"\i[" not in ours
    # Bits of wires are what they were.
    assert theirs.count(" [") == ours.count(" [") > 0
    assert ours.replace("(", "[").replace(")", "]") == theirs.replace("(", "[").replace(")", "]")


def test_what_writes_memories_is_put_back() -> None:
    before = amaranth_rtlil.ModuleEmitter.emit_memory
    with pytest.raises(ValueError, match="stop"):
        rtlil.convert(Stopping(), "top")
    assert amaranth_rtlil.ModuleEmitter.emit_memory is before


class Stopping(wiring.Component):
    """Fails while it is elaborated."""

    def __init__(self) -> None:
        super().__init__({"o": Out(1)})

    def elaborate(self, platform):
        msg = "stop"
        raise ValueError(msg)
