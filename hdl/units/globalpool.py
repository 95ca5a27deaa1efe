"""Circuit of :class:`pulsefold.compiler.plan.units.globalpool.GlobalPoolUnit`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from pulsefold.hdl.memory.buffer import StreamBuffer
from pulsefold.hdl.units.affine import lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["GlobalPoolCircuit"]


class GlobalPoolCircuit(UnitComponent):
    """A running result a channel; those of a pixel wait in a stream buffer for the next pixel.

    A buffer offers what it took two cycles before, a deep one five: none has fewer beats than that, so that
    it is never waited for. Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, done, earn = Signal(), Signal(), Signal()
        fold = Counter(m, p.folds, taken, "fold")
        pixel = Counter(m, p.pixels, taken & fold.last, "pixel")
        first, last = pixel.first, pixel.last
        waiting = Signal(init=1)
        some = credit_gate(m, p.buffer_depth, spend=taken & last, earn=earn)
        m.d.comb += [
            self.i.ready.eq((some | ~last) & (waiting | first)),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(done),
        ]
        m.d.sync += done.eq(taken & last)

        before, after = Signal(p.output.width), Signal(p.output.width)
        result = Signal(p.output.width, reset_less=True)
        bits, output = p.type.bits, p.output_type.bits
        m.d.comb += after.eq(
            Cat(
                self.joined(self.i.p[k], before[k * output : (k + 1) * output], first)[:output]
                for k in range(p.lanes)
            )
        )
        assert bits <= output
        m.d.comb += self.buffer.i.payload.as_value().eq(result)
        with m.If(taken):
            m.d.sync += result.eq(after)
        if p.folds == 1:
            m.d.comb += before.eq(result)
            return m
        # As many beats ago the channels were the same: they wait in line.
        m.submodules.results = kept = StreamBuffer(p.output.width, p.folds, p.memory)
        m.d.comb += [
            waiting.eq(kept.o.valid),
            before.eq(kept.o.p),
            kept.o.ready.eq(taken & ~first),
            kept.i.valid.eq(taken & ~last),
            kept.i.p.eq(after),
        ]
        return m

    def joined(self, x, before, first) -> Value:
        """The result so far with one element more."""
        p = self.unit
        number, kept = lane_number(x, p.type), lane_number(before, p.output_type)
        if p.op == "sum":
            return number + Mux(first, 0, kept)
        return Mux(first | (number > kept), x, before)
