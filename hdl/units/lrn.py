"""Circuit of :class:`pulsefold.compiler.plan.units.lrn.LrnUnit`."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, unsigned

from pulsefold.compiler.plan.units.threshold import threshold_style
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.reduction import Term, tree_sum
from pulsefold.hdl.units.streams import UnitComponent
from pulsefold.hdl.units.threshold import ThresholdPipeline

__all__ = ["LrnCircuit"]


class LrnCircuit(UnitComponent):
    """Squares from a memory, a shift register of beats, energies, and a search whose row is the element.

    Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        go, first, gives = self.control(m)
        squares, x = self.shifted(m, go, first)
        energies = self.energies(m, squares)
        levels = (p.neighbours - 1).bit_length()

        m.submodules.search = search = ThresholdPipeline(
            p.steps, p.lanes, unsigned(p.steps.limit.bit_length()), by_row=True
        )
        m.d.comb += [
            search.valid.eq(delayed(m, gives, 1 + p.read_latency + levels, "gives", reset_less=False)),
            self.buffer.i.valid.eq(search.done),
        ]
        for lane in range(p.lanes):
            m.d.comb += [
                search.x[lane].eq(energies[lane]),
                search.row[lane].eq(delayed(m, x[lane], levels, f"x{lane}")),
                self.buffer.i.p[lane].eq(search.y[lane]),
            ]
        return m

    def control(self, m):
        """Steps, at a pixel's end without a beat: go, whether a pixel's first, whether it gives."""
        p = self.unit
        go, earn = Signal(), Signal()
        step = Counter(m, p.folds + p.ahead, go, "step")
        takes, gives = step.value < p.folds, step.value >= p.ahead
        some = credit_gate(m, p.buffer_depth, spend=go & gives, earn=earn)
        able = some | ~gives
        m.d.comb += [
            earn.eq(self.o.valid & self.o.ready),
            go.eq(able & (self.i.valid | ~takes)),
            self.i.ready.eq(able & takes),
        ]
        return go, step.first, go & gives

    def shifted(self, m, go, first):
        """Squares by beat, the newest first, and the elements in the middle of them."""
        p = self.unit
        words = [int(v) for v in p.squares]
        bits = p.square_limit.bit_length()
        # Squares come so much later than what they are of. What a step without input shifts in is never
        # counted: it comes as `ahead` of the last beats alone.
        moved, cleared, flush = (
            delayed(m, value, p.read_latency, name, reset_less=False)
            for value, name in ((go, "moved"), (first, "cleared"), (~self.i.ready, "flush"))
        )
        beats = [[] for _ in range(p.behind + p.ahead + 1)]
        middle = []
        for lane in range(p.lanes):
            rom = Rom(bits, words, threshold_style(len(words)), late=p.read_latency > 1)
            m.submodules[f"squares{lane}"] = rom
            m.d.comb += rom.address.eq(self.i.p[lane])
            square, x = Mux(flush, 0, rom.data), delayed(m, self.i.p[lane], p.read_latency, f"new{lane}")
            for k, beat in enumerate(beats):
                kept = Signal(bits, name=f"square{k}_{lane}", reset_less=True)
                with m.If(moved):
                    m.d.sync += kept.eq(Mux(cleared, 0, square) if k else square)
                beat.append(kept)
                square = kept
            for k in range(p.ahead + 1):
                kept = Signal(p.type.bits, name=f"element{k}_{lane}", reset_less=True)
                with m.If(moved):
                    m.d.sync += kept.eq(x)
                x = kept
            middle.append(x)
        return beats, middle

    def energies(self, m, beats):
        """Sums over the neighbours of each lane of the middle beat."""
        p = self.unit
        # Oldest channel first.
        flat = [square for beat in reversed(beats) for square in beat]
        sums = []
        for lane in range(p.lanes):
            here = p.behind * p.lanes + lane
            terms = [
                Term(flat[k] if 0 <= k < len(flat) else Const(0, 1), 0, p.square_limit)
                for k in range(here - p.before, here + p.after + 1)
            ]
            sums.append(tree_sum(m, terms, f"energy{lane}").value)
        return sums
