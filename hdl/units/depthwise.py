"""Circuit of :class:`pulsefold.compiler.plan.units.depthwise.DepthwiseUnit`."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal

from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.technology import is_ecp5
from pulsefold.hdl.units.affine import affine, lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent, lane_shape

__all__ = ["DepthwiseCircuit"]


class DepthwiseCircuit(UnitComponent):
    """Weights beside the taps, products, running sums; a credit for each last tap, so that nothing stalls.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, earn = Signal(), Signal()
        tap, address = (Counter(m, n, taken, name) for n, name in ((p.taps, "tap"), (p.depth, "address")))
        first, last = tap.first, tap.last
        some = credit_gate(m, p.buffer_depth, spend=taken & last, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some | ~last),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(delayed(m, taken & last, p.pipeline, "valid", reset_less=False)),
        ]
        word = Const(0, 1)
        if p.word_width:
            late = p.memory == "block"
            column = block_width("ecp5", p.depth) if is_ecp5(platform) and late else 0
            m.submodules.weights = rom = Rom(p.word_width, p.words, p.memory, column, late=late)
            m.d.comb += rom.address.eq(address.value)
            word = rom.data
        x = delayed(m, self.i.payload.as_value(), p.read_latency, "x")
        # Control of the product that is there.
        adds = delayed(m, taken, p.pipeline - 1, "adds", reset_less=False)
        begins = delayed(m, first, p.pipeline - 1, "begins")
        bits, each, at = p.type.bits, p.weights.shape[1], 0
        for k, product in enumerate(p.products):
            lane, width = k // each, sum(product.fields)
            number = lane_number(x[lane * bits : (lane + 1) * bits], p.type)
            value = affine(m, product, number, word[at : at + width], f"product{k}").value
            at += width
            # The final sum fits; one on the way there that does not wraps, and comes back.
            total = Signal(lane_shape(p.output_type), name=f"total{k}", reset_less=True)
            with m.If(adds):
                m.d.sync += total.eq(value + Mux(begins, 0, total))
            m.d.comb += self.buffer.i.p[k].eq(total)
        return m
