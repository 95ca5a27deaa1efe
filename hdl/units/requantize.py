"""Circuit of :class:`pulsefold.compiler.plan.units.requantize.RequantizeUnit`."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.technology import is_ecp5
from pulsefold.hdl.units.affine import affine, lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["RequantizeCircuit"]


class RequantizeCircuit(UnitComponent):
    """A pipeline that never stalls: constants, product and sum, ties, comparison with the bounds, choice.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, earn = Signal(), Signal()
        some = credit_gate(m, p.buffer_depth, spend=taken, earn=earn)
        reads = self.reads(m, taken)
        m.d.comb += [
            self.i.ready.eq(some & ~reads),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(delayed(m, taken, p.pipeline, "valid", reset_less=False)),
        ]
        word = self.constants(m, taken | reads, platform)
        x = delayed(m, self.i.payload.as_value(), p.read_latency, "x")
        bits, at = p.type.bits, 0
        for lane, (product, bounds) in enumerate(zip(p.products, p.bounds, strict=True)):
            width = sum(product.fields)
            number = lane_number(x[lane * bits : (lane + 1) * bits], p.type)
            y = affine(m, product, number, word[at : at + width], f"lane{lane}")
            at += width
            ends = []
            for name, entries in zip(("low", "high"), bounds, strict=True):
                if len(entries) == 1:
                    ends.append(Const(entries[0], Shape.cast(range(min(0, *entries), max(0, *entries) + 1))))
                    continue
                kept = delayed(
                    m, word[at : at + p.output_type.bits], product.latency + p.even, f"{name}{lane}"
                )
                ends.append(kept.as_signed() if p.output_type.signed else kept)
                at += p.output_type.bits
            m.d.comb += self.buffer.i.p[lane].eq(self.clipped(m, y, ends, bounds, lane))
        return m

    def reads(self, m, taken) -> Value:
        """High in the cycles after a beat was taken in which parts of its constants are still to be read."""
        p = self.unit
        if p.parts == 1:
            return Const(0)
        busy, left = Signal(), Signal(range(p.parts))
        with m.If(taken):
            m.d.sync += [busy.eq(1), left.eq(p.parts - 1)]
        with m.Elif(busy):
            m.d.sync += [busy.eq(left != 1), left.eq(left - 1)]
        return busy

    def constants(self, m, step, platform) -> Value:
        """The word of the channels of the beat taken, when the beat is through its registers.

        `step` is high in each cycle in which a part of it is read.
        """
        p = self.unit
        if not p.word_width:
            return Const(0, 1)
        late = p.memory == "block"
        column = block_width("ecp5", p.depth) if is_ecp5(platform) and late else 0
        m.submodules.constants = rom = Rom(p.part_width, p.parts_of_words, p.memory, column, late=late)
        if p.depth > 1:
            m.d.comb += rom.address.eq(self.address(m, step))
        parts = [rom.data]
        for k in range(p.parts - 1):
            parts.insert(0, delayed(m, parts[0], 1, f"part{k}"))
        return Cat(*parts)

    def address(self, m, step) -> Value:
        """Where the next part is: runs are gone through as often as they have turns."""
        p = self.unit
        if p.turns == 1:
            return Counter(m, p.depth, step, "address").value
        length = p.run * p.parts
        run = Counter(m, length, step, "run")
        turn = Counter(m, p.turns, step & run.last, "turn")
        group = Counter(m, p.depth // length, step & run.last & turn.last, "group")
        address = Signal(range(p.depth), name="address")
        with m.If(step):
            m.d.sync += address.eq(address + 1)
            with m.If(run.last & ~turn.last):
                m.d.sync += address.eq(address - (length - 1))
            with m.Elif(run.last & group.last):
                m.d.sync += address.eq(0)
        return address

    def clipped(self, m, y, ends, bounds, lane: int) -> Value:
        """Compare in one cycle, choose in the next; bounds that nothing exceeds are not looked at."""
        p = self.unit
        low, high = ends
        value = y.value >> p.shift
        if p.even:
            # One less than an odd number is that number without its lowest bit.
            rounded = Signal(value.shape(), name=f"rounded{lane}", reset_less=True)
            m.d.sync += rounded.eq(Cat(value[:1] & y.value[: p.shift].any(), value[1:]))
            value = rounded
        below, above = Signal(name=f"below{lane}"), Signal(name=f"above{lane}")
        if (y.low >> p.shift) - p.even < max(bounds[0]):
            m.d.sync += below.eq(value < low)
        if y.high >> p.shift > min(bounds[1]):
            m.d.sync += above.eq(value > high)
        # What fits shows in the low bits; what does not fit is replaced.
        shown = Signal(p.output_type.bits, name=f"shown{lane}", reset_less=True)
        m.d.sync += shown.eq(value)
        kept = [delayed(m, end, not isinstance(end, Const), f"end{k}_{lane}") for k, end in enumerate(ends)]
        out = Signal(p.output_type.bits, name=f"out{lane}", reset_less=True)
        m.d.sync += out.eq(Mux(above, kept[1], Mux(below, kept[0], shown)))
        return out
