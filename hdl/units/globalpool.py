"""Circuit of :class:`pulsefold.compiler.plan.units.globalpool.GlobalPoolUnit`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from pulsefold.hdl.memory.buffer import next_address
from pulsefold.hdl.memory.ram import memory_attributes
from pulsefold.hdl.units.affine import lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["GlobalPoolCircuit"]


class GlobalPoolCircuit(UnitComponent):
    """A running result a channel, read a beat or two ahead and written back as the beat is taken.

    The result of the beat that comes next is never the one being written, as a pixel has two beats or more
    where there is a memory. Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, done, earn = Signal(), Signal(), Signal()
        fold = Counter(m, p.folds, taken, "fold")
        pixel = Counter(m, p.pixels, taken & fold.last, "pixel")
        first, last = pixel.first, pixel.last
        some = credit_gate(m, p.buffer_depth, spend=taken & last, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some | ~last),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(done),
        ]
        m.d.sync += done.eq(taken & last)

        before = Signal(p.output.width, reset_less=True)
        after, result = Signal(p.output.width), Signal(p.output.width, reset_less=True)
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
        m.submodules.results = memory = Memory(
            shape=p.output.width, depth=p.folds, init=[], attrs=memory_attributes(p.memory)
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        # What block RAM gives comes late in its cycle, and is added in the next.
        late = p.memory == "block"
        ahead = Signal(range(p.folds), init=1 + late)
        m.d.comb += [write.addr.eq(fold.value), write.data.eq(after), write.en.eq(taken), read.addr.eq(ahead)]
        word = read.data
        if late:
            word = Signal(p.output.width, reset_less=True)
            with m.If(taken):
                m.d.sync += word.eq(read.data)
        with m.If(taken):
            m.d.sync += [before.eq(word), ahead.eq(next_address(ahead, p.folds))]
        return m

    def joined(self, x, before, first) -> Value:
        """The result so far with one element more."""
        p = self.unit
        number, kept = lane_number(x, p.type), lane_number(before, p.output_type)
        if p.op == "sum":
            return number + Mux(first, 0, kept)
        return Mux(first | (number > kept), x, before)
