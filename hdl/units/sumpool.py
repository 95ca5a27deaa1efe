"""Circuit of :class:`pulsefold.compiler.plan.units.sumpool.SumPoolUnit`."""

from __future__ import annotations

from amaranth.hdl import Array, Const, Module, Mux, Shape, Signal, Value

from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.affine import affine, lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["SumPoolCircuit"]


class SumPoolCircuit(UnitComponent):
    """A running sum a lane, then the constants of its place. Timing as the parameter object states."""

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, done, earn = Signal(), Signal(), Signal()
        tap = Counter(m, p.taps, taken, "tap")
        first, last = tap.first, tap.last
        some = credit_gate(m, p.buffer_depth, spend=taken & last, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some | ~last),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(delayed(m, done, p.pipeline - 1, "valid", reset_less=False)),
        ]
        m.d.sync += done.eq(taken & last)
        word = self.constants(m, done) if p.varies else Const(0, 1)
        for lane in range(p.lanes):
            shape = Shape.cast(range(p.product.low, p.product.high + 1))
            total = Signal(shape, name=f"total{lane}", reset_less=True)
            with m.If(taken):
                m.d.sync += total.eq(lane_number(self.i.p[lane], p.type) + Mux(first, 0, total))
            kept = delayed(m, total, p.varies, f"total{lane}")
            m.d.comb += self.buffer.i.p[lane].eq(affine(m, p.product, kept, word, f"lane{lane}").value)
        return m

    def constants(self, m, done) -> Value:
        """The word of the place whose sum is done, a cycle later."""
        p = self.unit
        rows, columns, pairs = p.classes
        sizes = {"fold": p.folds, "column": len(columns), "row": len(rows)}
        count, carry = {}, done
        for name, size in sizes.items():
            counter = Counter(m, size, carry, name)
            count[name], carry = counter.value, carry & counter.last
        across = len(set(columns))
        place = Array(k * across for k in rows)[count["row"]] + Array(columns)[count["column"]]
        index = Signal(range(len(pairs)))
        word = Signal(sum(p.product.fields), reset_less=True)
        m.d.comb += index.eq(place)
        m.d.sync += word.eq(Array(p.product.words)[index])
        return word
