"""Circuit of :class:`pulsefold.compiler.plan.units.maxpool.MaxPoolUnit`."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent, lane_shape

__all__ = ["MaxPoolCircuit"]


class MaxPoolCircuit(UnitComponent):
    """A running maximum a lane; bipolar lanes need only an OR. Timing as the parameter object states."""

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        buffer = self.buffer
        taken, done, earn = Signal(), Signal(), Signal()
        tap = Counter(m, p.taps, taken, "tap")
        first, last = tap.first, tap.last
        some = credit_gate(m, p.buffer_depth, spend=taken & last, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
        ]
        self.connect_output(m)
        m.d.comb += buffer.i.valid.eq(done)
        m.d.sync += done.eq(taken & last)
        for lane in range(p.lanes):
            best = Signal(p.type.bits, name=f"best{lane}")
            x = self.i.p[lane]
            if p.type.is_bipolar:
                greater = best | x
            else:
                shape = lane_shape(p.type)
                a, b = Signal(shape, name=f"a{lane}"), Signal(shape, name=f"b{lane}")
                m.d.comb += [a.eq(best), b.eq(x)]
                greater = Mux(b > a, x, best)
            with m.If(taken):
                m.d.sync += best.eq(Mux(first, x, greater))
            m.d.comb += buffer.i.p[lane].eq(best)
        return m
