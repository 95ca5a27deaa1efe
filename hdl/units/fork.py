"""Circuit of :class:`pulsefold.compiler.plan.units.fork.Fork`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module

from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["ForkCircuit"]


class ForkCircuit(UnitComponent):
    """Writes a beat into all output buffers at once. Timing as the parameter object states."""

    def elaborate(self, platform):
        m = Module()
        self.connect_output(m)
        # Readiness of a stream buffer comes from a register: no path from an output's ready leads here.
        m.d.comb += self.i.ready.eq(Cat(buffer.i.ready for buffer in self.buffers).all())
        for buffer in self.buffers:
            m.d.comb += [buffer.i.p.eq(self.i.p), buffer.i.valid.eq(self.i.valid & self.i.ready)]
        return m
