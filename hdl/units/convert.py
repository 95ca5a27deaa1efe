"""Circuit of :class:`pulsefold.compiler.plan.units.convert.Convert`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from pulsefold.hdl.units.counting import Counter
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
        # The wide beat's enable has hundreds of loads: what it depends on comes from registers.
        moves = Signal()
        last = Counter(m, p.ratio, moves, "position").last
        if p.up:
            kept = Signal((p.ratio - 1) * p.input.width, reset_less=True)
            m.d.comb += [
                buffer.i.p.eq(regrouped(Cat(kept, self.i.p), p.ratio, p.groups)),
                buffer.i.valid.eq(self.i.valid & last),
                self.i.ready.eq(~last | buffer.i.ready),
                moves.eq(self.i.valid & self.i.ready),
            ]
            with m.If(moves):
                m.d.sync += kept.eq(Cat(kept, self.i.p)[p.input.width :])
            return m
        word, busy = Signal(p.input.width, reset_less=True), Signal()
        m.d.comb += [
            buffer.i.p.eq(word[: p.output.width]),
            buffer.i.valid.eq(busy),
            moves.eq(busy & buffer.i.ready),
            self.i.ready.eq(~busy | (last & buffer.i.ready)),
        ]
        # An idle register takes what there is, a beat or not; of the top slice nothing is kept, as it is sent
        # from the bottom.
        empty = ~busy | last
        slices = Cat(word[p.output.width :], self.i.p.as_value()[-p.output.width :])
        with m.If(~busy | buffer.i.ready):
            m.d.sync += [word.eq(Mux(empty, self.i.p, slices)), busy.eq(~empty | self.i.valid)]
        return m


def regrouped(word, beats: int, groups: int):
    """Slices [beat][group] of a word as [group][beat]."""
    size = len(word) // (beats * groups)
    return Cat(
        word[(beat * groups + group) * size :][:size] for group in range(groups) for beat in range(beats)
    )
