"""Circuit of :class:`pulsefold.compiler.plan.units.concat.ConcatUnit`."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from pulsefold.hdl.units.affine import lane_number
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["ConcatCircuit"]


class ConcatCircuit(UnitComponent):
    """Passes one input after the other to the buffer. Timing as the parameter object states."""

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        buffer = self.buffer
        part = Signal(range(len(p.types)))
        with m.Switch(part):
            for k, (port, kind, folds) in enumerate(zip(self.ins, p.types, p.folds, strict=True)):
                with m.Case(k):
                    m.d.comb += [buffer.i.valid.eq(port.valid), port.ready.eq(buffer.i.ready)]
                    for lane in range(p.lanes):
                        x = port.p[lane]
                        if kind != p.output_type:
                            x = lane_number(x, kind)
                        m.d.comb += buffer.i.p[lane].eq(x)
                    taken = port.valid & buffer.i.ready
                    with m.If(taken & Counter(m, folds, taken, f"fold{k}").last):
                        m.d.sync += part.eq(0 if k == len(p.types) - 1 else k + 1)
        return m
