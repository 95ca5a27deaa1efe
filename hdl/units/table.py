"""Circuit of :class:`pulsefold.compiler.plan.units.table.TableUnit`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal

from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["TableCircuit"]


class TableCircuit(UnitComponent):
    """A memory a lane, read with the element's bit pattern below the fold; never stalls.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        taken, earn = Signal(), Signal()
        some = credit_gate(m, p.buffer_depth, spend=taken, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
            self.buffer.i.valid.eq(delayed(m, taken, 1 + p.read_latency, "valid", reset_less=False)),
        ]
        kept = delayed(m, Counter(m, p.folds, taken, "fold").value, 1, "kept", reset_less=False)
        for lane in range(p.lanes):
            x = Signal(p.type.bits, name=f"x{lane}", reset_less=True)
            m.d.sync += x.eq(self.i.p[lane])
            words = p.words(lane)
            m.submodules[f"values{lane}"] = rom = Rom(
                p.output_type.bits, words, p.memory, late=p.read_latency > 1
            )
            m.d.comb += [
                rom.address.eq(Cat(x, kept) if len(words) >> p.type.bits > 1 else x),
                self.buffer.i.p[lane].eq(rom.data),
            ]
        return m
