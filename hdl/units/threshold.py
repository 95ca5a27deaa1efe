"""Circuit of :class:`pulsefold.compiler.plan.units.threshold.ThresholdUnit`, and its pipeline."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.compiler.plan.units.threshold import Steps, threshold_style
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import delayed
from pulsefold.hdl.technology import is_ecp5
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent, lane_shape

__all__ = ["ThresholdCircuit", "ThresholdPipeline"]


class ThresholdPipeline(wiring.Component):
    """Binary search over the thresholds of `lanes` channels a cycle; never stalls.

    Stage s compares with threshold number (found so far, 1, 0 ... 0) in binary and appends the outcome, so
    that after all stages the found bits are the count of thresholds reached. `done` and `y` follow `valid`
    and `x` by ``steps.latency(folds)`` cycles.

    Parameters
    ----------
    steps
        Rows in channel order; beat number f of a pixel carries channels f * lanes onwards. One row is that of
        all channels.
    lanes
        Channels a beat.
    shape
        Amaranth shape of an input lane.
    by_row
        Each lane may use every row of `steps`: which one comes at `row`, with `x`.
    turns
        Beats, one after the other, of the same channels.
    """

    def __init__(
        self, steps: Steps, lanes: int, shape: Shape, *, by_row: bool = False, turns: int = 1
    ) -> None:
        self.steps, self.lanes, self.x_shape, self.by_row = steps, lanes, shape, by_row
        self.turns = turns
        rows = len(steps.thresholds)
        self.folds = rows if by_row else steps.folds(lanes)
        ports = {
            "x": In(data.ArrayLayout(shape, lanes)),
            "valid": In(1),
            "y": Out(data.ArrayLayout(unsigned(steps.type.bits), lanes)),
            "done": Out(1),
        }
        if by_row:
            ports["row"] = In(data.ArrayLayout(range(rows), lanes))
        super().__init__(ports)

    def of_lane(self, table: np.ndarray, lane: int) -> np.ndarray:
        """Rows of a table that a lane meets."""
        return table if self.by_row or len(table) == 1 else table[lane :: self.lanes]

    def elaborate(self, platform):
        m = Module()
        if self.by_row:
            rows = [self.row[lane] for lane in range(self.lanes)]
        else:
            turn = Counter(m, self.turns, self.valid, "turn")
            rows = [Counter(m, self.folds, self.valid & turn.last, "fold").value]
        valid, x = self.valid, [self.x[lane] for lane in range(self.lanes)]
        found = [Signal(0, name=f"found_{lane}") for lane in range(self.lanes)]
        for stage in range(self.steps.stages):
            valid, rows, x, found = self.stage(m, platform, stage, valid, rows, x, found)
        m.d.comb += self.done.eq(valid)
        if self.steps.adjusts:
            adjusted = Signal()
            m.d.sync += adjusted.eq(valid)
            m.d.comb += self.done.eq(adjusted)
        for lane in range(self.lanes):
            m.d.comb += self.y[lane].eq(self.adjust(m, lane, rows[lane % len(rows)], found[lane]))
        return m

    def stage(self, m, platform, stage: int, valid, rows, x, found):
        """One comparison: a cycle or two to read the thresholds, a cycle to compare."""
        steps = self.steps
        reads = steps.read_latency(stage, self.folds)
        compared = delayed(m, valid, reads + 1, f"valid_{stage}", reset_less=False)
        later = [delayed(m, row, reads + 1, f"row_{stage}_{n}") for n, row in enumerate(rows)]
        kind = steps.threshold_type
        table = steps.padded
        each = 1 << (steps.stages - stage)
        columns = np.arange(1 << stage) * each + each // 2 - 1
        next_x, next_found = [], []
        for lane in range(self.lanes):
            words = kind.encode(self.of_lane(table, lane)[:, columns]).ravel()  # [folds, 2**stage]
            style = threshold_style(len(words))
            column = block_width("ecp5", len(words)) if is_ecp5(platform) and style == "block" else 0
            rom = Rom(kind.bits, [int(w) for w in words], style, column, late=reads == 2)
            m.submodules[f"thresholds_{stage}_{lane}"] = rom
            address = Cat(found[lane], rows[lane % len(rows)]) if self.folds > 1 else found[lane]
            m.d.comb += rom.address.eq(address)
            x1 = delayed(m, x[lane], reads, f"x_{stage}_{lane}_read")
            x2 = Signal(self.x_shape, name=f"x_{stage}_{lane}", reset_less=True)
            f1 = delayed(m, found[lane], reads, f"found_{stage}_{lane}_read")
            f2 = Signal(stage + 1, name=f"found_{stage}_{lane}", reset_less=True)
            threshold = Signal(lane_shape(kind), name=f"t_{stage}_{lane}")
            m.d.comb += threshold.eq(rom.data)
            m.d.sync += [x2.eq(x1), f2.eq(Cat(x1 >= threshold, f1))]
            next_x.append(x2)
            next_found.append(f2)
        return compared, later, next_x, next_found

    def adjust(self, m, lane: int, fold, found):
        """Counts to output patterns."""
        steps = self.steps
        if not steps.adjusts:
            return found
        y = Signal(steps.type.bits, name=f"y_{lane}", reset_less=True)
        flags = [bool(b) for b in self.of_lane(steps.descending, lane)]
        count = found
        if all(flags):
            count = steps.count - found
        elif any(flags):
            mask = Const(sum(flag << k for k, flag in enumerate(flags)), len(flags))
            flag = mask.bit_select(fold, 1)
            count = Mux(flag, steps.count - found, found)
        m.d.sync += y.eq(count if steps.type.is_bipolar else count + steps.first)
        return y


class ThresholdCircuit(UnitComponent):
    """A stream through the pipeline, with credits for its output buffer."""

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        # A bipolar lane's pattern is (x + 1) / 2.
        steps = p.steps.shifted(np.full(len(p.steps.thresholds), -1), 2) if p.type.is_bipolar else p.steps
        shape = unsigned(1) if p.type.is_bipolar else lane_shape(p.type)
        m.submodules.search = search = ThresholdPipeline(steps, p.lanes, shape)
        buffer = self.buffer
        taken, earn = Signal(), Signal()
        some = credit_gate(m, p.buffer_depth, spend=taken, earn=earn)
        m.d.comb += [
            self.i.ready.eq(some),
            taken.eq(self.i.valid & self.i.ready),
            earn.eq(self.o.valid & self.o.ready),
        ]
        self.connect_output(m)
        m.d.comb += buffer.i.valid.eq(search.done)
        m.d.sync += search.valid.eq(taken)
        for lane in range(p.lanes):
            m.d.sync += search.x[lane].eq(self.i.p[lane])
            m.d.comb += buffer.i.p[lane].eq(search.y[lane])
        return m
