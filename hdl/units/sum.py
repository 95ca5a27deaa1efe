"""Circuit of :class:`pulsefold.compiler.plan.units.sum.SumUnit`."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from pulsefold.hdl.memory.ram import memory_attributes
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.affine import affine, lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.reduction import tree_sum
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["SumCircuit", "take_pixels"]


class SumCircuit(UnitComponent):
    """A pipeline that never stalls: input registers, products with the gains, adder tree.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, words = take_pixels(m, self)
        valid = delayed(m, taken, p.pipeline, "valid", reset_less=False)
        m.d.comb += self.buffer.i.valid.eq(valid)
        for lane in range(p.lanes):
            terms = []
            for k, (word, kind, product) in enumerate(zip(words, p.types, p.products, strict=True)):
                number = lane_number(word[lane * kind.bits : (lane + 1) * kind.bits], kind)
                terms.append(affine(m, product, number, Const(0, 1), f"x{k}_{lane}"))
            m.d.comb += self.buffer.i.p[lane].eq(tree_sum(m, terms, f"sum{lane}").value)
        return m


def take_pixels(m: Module, unit: UnitComponent) -> tuple[Signal, list[Value]]:
    """Take a beat from every stream at once, of a spread one for the first pixel of a frame alone.

    Gives a signal that is high in the cycle of taking, and the beats of all inputs, tables among them,
    later by the parameter object's read latency.
    """
    p = unit.unit
    taken, earn = Signal(name="taken"), Signal(name="earn")
    some = credit_gate(m, p.buffer_depth, spend=taken, earn=earn)
    fold = Counter(m, p.folds, taken, "fold")
    first = Counter(m, p.pixels, taken & fold.last, "pixel").first
    there = [
        port.valid | ~first if spread else port.valid for port, spread in zip(unit.ins, p.alone, strict=True)
    ]
    m.d.comb += [taken.eq(some & Cat(there).all()), earn.eq(unit.o.valid & unit.o.ready)]
    words: list[Value] = []
    ports, place = iter(unit.ins), None
    for k, (spread, flows) in enumerate(zip(p.spread, p.flows, strict=True)):
        if not flows:
            if place is None:
                place = Signal(range(max(2, p.cycles)))
                with m.If(taken):
                    m.d.sync += place.eq(Mux(place == p.cycles - 1, 0, place + 1))
            late = p.read_latency > 1
            m.submodules[f"table{k}"] = rom = Rom(p.types[k].bits * p.lanes, p.words(k), p.memory, late=late)
            m.d.comb += rom.address.eq(place)
            words.append(rom.data)
            continue
        port = next(ports)
        m.d.comb += port.ready.eq(taken & first if spread else taken)
        x = port.p.as_value()
        if spread and p.pixels > 1:
            kept = Memory(shape=len(x), depth=p.folds, init=[], attrs=memory_attributes("ram"))
            m.submodules[f"kept{k}"] = kept
            write, read = kept.write_port(), kept.read_port(domain="comb")
            m.d.comb += [
                write.addr.eq(fold.value),
                write.data.eq(x),
                write.en.eq(taken & first),
                read.addr.eq(fold.value),
            ]
            x = Mux(first, x, read.data)
        words.append(delayed(m, x, p.read_latency, f"word{k}"))
    return taken, words
