"""A core small enough to build in seconds, and a cache of the test's own."""

import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards.cache import BuildCache


class Inverter(wiring.Component):
    """Each lane's complement."""

    i: In(stream.Signature(data.ArrayLayout(unsigned(4), 2)))
    o: Out(stream.Signature(data.ArrayLayout(unsigned(4), 2)))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.o.valid.eq(1)
            for lane in range(2):
                m.d.sync += self.o.payload[lane].eq(~self.i.payload[lane])
        return m


@pytest.fixture(scope="session")
def core():
    return Inverter


@pytest.fixture
def cache(tmp_path):
    return BuildCache(root=tmp_path / "cache")
