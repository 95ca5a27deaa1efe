"""Circuit of :class:`pulsefold.compiler.plan.units.convert.Convert`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal

from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["ConvertCircuit"]


class ConvertCircuit(UnitComponent):
    """Widening collects narrow beats, first in the lowest lanes; narrowing sends slices, lowest lanes first.

    Neither does arithmetic nor crosses clocks. Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        buffer = self.buffer
        if p.ratio == 1:
            m.d.comb += [
                buffer.i.p.eq(self.i.p),
                buffer.i.valid.eq(self.i.valid),
                self.i.ready.eq(buffer.i.ready),
            ]
            return m
        position = Signal(range(p.ratio))
        last = position == p.ratio - 1
        if p.up:
            kept = Signal((p.ratio - 1) * p.input.width, reset_less=True)
            m.d.comb += [
                buffer.i.p.eq(regrouped(Cat(kept, self.i.p), p.ratio, p.groups)),
                buffer.i.valid.eq(self.i.valid & last),
                self.i.ready.eq(~last | buffer.i.ready),
            ]
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [kept.eq(Cat(kept, self.i.p)[p.input.width :]), position.eq(position + 1)]
                with m.If(last):
                    m.d.sync += position.eq(0)
        else:
            word, busy = Signal(p.input.width, reset_less=True), Signal()
            m.d.comb += [
                buffer.i.p.eq(word[: p.output.width]),
                buffer.i.valid.eq(busy),
                self.i.ready.eq(~busy | (last & buffer.i.ready)),
            ]
            with m.If(busy & buffer.i.ready):
                m.d.sync += [word.eq(word >> p.output.width), position.eq(position + 1)]
                with m.If(last):
                    m.d.sync += [busy.eq(0), position.eq(0)]
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [word.eq(self.i.p), busy.eq(1), position.eq(0)]
        return m


def regrouped(word, beats: int, groups: int):
    """Slices [beat][group] of a word as [group][beat]."""
    size = len(word) // (beats * groups)
    return Cat(
        word[(beat * groups + group) * size :][:size] for group in range(groups) for beat in range(beats)
    )
