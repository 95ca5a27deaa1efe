"""Circuit of :class:`pulsefold.compiler.plan.units.product.ProductUnit`."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal, Value

from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.affine import lane_number
from pulsefold.hdl.units.reduction import Term, tree_sum
from pulsefold.hdl.units.streams import UnitComponent
from pulsefold.hdl.units.sum import take_pixels

__all__ = ["ProductCircuit"]


class ProductCircuit(UnitComponent):
    """A pipeline that never stalls: input registers, zeros taken away, products.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, words = take_pixels(m, self)
        m.d.comb += self.buffer.i.valid.eq(delayed(m, taken, p.pipeline, "valid", reset_less=False))
        for lane in range(p.lanes):
            operands = []
            for k, (word, kind) in enumerate(zip(words, p.types, strict=True)):
                number = lane_number(word[lane * kind.bits : (lane + 1) * kind.bits], kind)
                low, high = p.ranges[k]
                exact = Signal(Shape.cast(range(low, high + 1)), name=f"x{k}_{lane}", reset_less=True)
                domain = m.d.sync if any(p.zeros) else m.d.comb
                domain += exact.eq(number - p.zeros[k])
                operands.append(exact)
            m.d.comb += self.buffer.i.p[lane].eq(self.multiplied(m, operands, lane))
        return m

    def multiplied(self, m, operands, lane: int) -> Value:
        """In a multiplier and a register, or as the sum of one operand for each bit of the other."""
        p = self.unit
        if p.multiplies == "dsp":
            product = Signal(p.output_type.bits, name=f"product{lane}", reset_less=True)
            m.d.sync += product.eq(operands[0] * operands[1])
            return product
        narrow, wide = operands[p.narrow], operands[1 - p.narrow]
        terms = []
        for k, (low, high) in enumerate(p.terms):
            value = Mux(narrow[k], wide, 0) << k
            signed = p.ranges[p.narrow][0] < 0 and k == len(p.terms) - 1
            terms.append(Term(-value if signed else value, low, high))
        return tree_sum(m, terms, f"sum{lane}").value
