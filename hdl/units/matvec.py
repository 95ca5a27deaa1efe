"""Circuit of :class:`pulsefold.compiler.plan.units.matvec.MatVec`."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Const, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.matvec import MatVec
from pulsefold.compiler.plan.units.threshold import threshold_style
from pulsefold.hdl.memory.buffer import memory_attributes
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.dot import dot_product
from pulsefold.hdl.units.streams import UnitComponent
from pulsefold.hdl.units.threshold import ThresholdPipeline

__all__ = ["Hop", "MatVecCircuit", "raw_shape"]


def raw_shape(unit: MatVec) -> Shape:
    """Shape of a row's final raw accumulator."""
    low, high = unit.raw_range
    return Shape.cast(range(low, high + 1))


def control(unit: MatVec) -> data.StructLayout:
    """What travels beside the activations: weight address, ends of a fold, and whether a beat is there."""
    return data.StructLayout({"address": range(max(2, unit.weight_depth)), "first": 1, "last": 1, "valid": 1})


class Hop(wiring.Component):
    """A group of PEs: weight memory, dot products, accumulators; passes activations and control on.

    `control_o` follows `control_i` and `x_o` follows `x_i` by one cycle, in which the weight memory is read,
    so that weights and activations meet behind the registers. `raw` holds the sums of a fold from the cycle
    in which `done` is high.

    Parameters
    ----------
    unit
        Parameter object.
    index
        Which group.
    hold
        Keep `raw` until this group's next fold ends (True), or only for one cycle and then delay it by
        the hops that follow (False).
    """

    def __init__(self, unit: MatVec, index: int, *, hold: bool) -> None:
        self.unit, self.index, self.hold = unit, index, hold
        super().__init__(
            {
                "control_i": In(control(unit)),
                "control_o": Out(control(unit)),
                "x_i": In(unsigned(unit.input.width)),
                "x_o": Out(unsigned(unit.input.width)),
                "raw": Out(data.ArrayLayout(raw_shape(unit), unit.hop)),
                "done": Out(1),
            }
        )

    def words(self) -> list[int]:
        """Contents of the weight memory: word (row group, column group), PE outer, SIMD inner."""
        p = self.unit
        bits = p.weight_type.encode(p.weights)
        rows = bits.reshape(p.row_folds, p.pe, p.column_folds, p.simd)
        rows = rows[:, self.index * p.hop : (self.index + 1) * p.hop].transpose(0, 2, 1, 3)
        rows = rows.reshape(p.weight_depth, p.hop * p.simd)
        width = p.weight_type.bits
        return [sum(int(v) << (k * width) for k, v in enumerate(word)) for word in rows]

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        width = p.hop * p.simd * p.weight_type.bits
        m.submodules.weights = rom = Rom(width, self.words(), p.memory, p.memory_width)
        m.d.comb += rom.address.eq(self.control_i.address)
        m.d.sync += [self.control_o.eq(self.control_i), self.x_o.eq(self.x_i)]

        # Control of the beat whose operands are at the adder trees' inputs.
        x, weights = self.x_o, rom.data
        stages = p.levels
        if p.weight_latency == 2:
            kept_x, kept_w = Signal.like(x, reset_less=True), Signal.like(weights, reset_less=True)
            m.d.sync += [kept_x.eq(x), kept_w.eq(weights)]
            x, weights, stages = kept_x, kept_w, stages + 1
        first, last, valid = self.control_o.first, self.control_o.last, self.control_o.valid
        for k in range(stages):
            now = [Signal(name=f"{n}_{k}") for n in ("first", "last", "valid")]
            m.d.sync += [a.eq(b) for a, b in zip(now, (first, last, valid), strict=True)]
            first, last, valid = now

        ended = Signal()
        m.d.sync += [ended.eq(valid & last), self.done.eq(ended)]
        xs = lanes_of(x, p.simd, p.type.bits)
        for pe in range(p.hop):
            ws = lanes_of(weights, p.hop * p.simd, p.weight_type.bits)[pe * p.simd : (pe + 1) * p.simd]
            product = dot_product(m, p, xs, ws, f"pe{pe}")
            total = Signal(raw_shape(p), name=f"total{pe}", reset_less=True)
            with m.If(valid):
                m.d.sync += total.eq(product.value + (Mux(first, 0, total) if p.column_folds > 1 else 0))
            held = Signal.like(total, name=f"held{pe}")
            if self.hold:
                with m.If(ended):
                    m.d.sync += held.eq(total)
            else:
                m.d.sync += held.eq(total)
                for k in range(p.hops - 1 - self.index):
                    later = Signal.like(total, name=f"held{pe}_{k}", reset_less=True)
                    m.d.sync += later.eq(held)
                    held = later
            m.d.comb += self.raw[pe].eq(held)
        return m


def lanes_of(word, lanes: int, bits: int) -> list:
    """Slices of a word, lowest first."""
    return [word[k * bits : (k + 1) * bits] for k in range(lanes)]


class MatVecCircuit(UnitComponent):
    """Issue, replay, the row of hops, the step functions and the output buffer.

    Does not slide over frames (a window unit does) and does not change the order of rows. Timing as the
    parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        buffer = self.buffer
        hops = [Hop(p, k, hold=p.column_folds >= p.hops) for k in range(p.hops)]
        for k, hop in enumerate(hops):
            m.submodules[f"hop{k}"] = hop
        for a, b in pairwise(hops):
            m.d.comb += [b.control_i.eq(a.control_o), b.x_i.eq(a.x_o)]
        self.issue(m, hops[0])
        self.finish(m, hops, buffer)
        return m

    def issue(self, m, hop) -> None:
        """Which columns of which rows enter the pipeline, fresh from the stream or replayed."""
        p = self.unit
        column = Signal(range(max(2, p.column_folds)))
        row = Signal(range(max(2, p.row_folds)))
        address = Signal(range(max(2, p.weight_depth)))
        go, earn = Signal(), Signal()
        first, last = column == 0, column == p.column_folds - 1
        fresh, ends = row == 0, row == p.row_folds - 1
        some = credit_gate(m, p.buffer_depth, spend=go & first, earn=earn)
        able = ~first | some
        m.d.comb += [
            earn.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(able & fresh),
            go.eq(able & (self.i.valid | ~fresh)),
        ]
        with m.If(go):
            m.d.sync += [
                column.eq(Mux(last, 0, column + 1)),
                address.eq(Mux(last & ends, 0, address + 1)),
            ]
            with m.If(last):
                m.d.sync += row.eq(Mux(ends, 0, row + 1))

        issued = hop.control_i
        m.d.sync += [
            issued.address.eq(address),
            issued.first.eq(first),
            issued.last.eq(last),
            issued.valid.eq(go),
        ]
        arrived = Signal(p.input.width, reset_less=True)
        m.d.sync += arrived.eq(self.i.p)
        m.d.comb += hop.x_i.eq(arrived)
        if p.row_folds > 1:
            m.submodules.replay = memory = Memory(
                shape=p.input.width,
                depth=p.column_folds,
                init=[],
                attrs=memory_attributes("block" if p.column_folds > 64 else "ram"),
            )
            write, read = memory.write_port(), memory.read_port(domain="comb")
            replayed, was_fresh = Signal(p.input.width, reset_less=True), Signal()
            m.d.comb += [
                write.addr.eq(column),
                write.data.eq(self.i.p),
                write.en.eq(go & fresh),
                read.addr.eq(column),
                hop.x_i.eq(Mux(was_fresh, arrived, replayed)),
            ]
            m.d.sync += [replayed.eq(read.data), was_fresh.eq(fresh)]

    def finish(self, m, hops, buffer) -> None:
        """All hops' sums at once, through the steps or turned into accumulators, into the buffer."""
        p = self.unit
        done = hops[-1].done
        raws = [hop.raw[k] for hop in hops for k in range(p.hop)]
        if p.steps:
            steps = p.steps.shifted(p.offset, p.gain)
            m.submodules.steps = search = ThresholdPipeline(steps, p.pe, raw_shape(p))
            m.d.comb += [search.valid.eq(done), buffer.i.valid.eq(search.done)]
            for lane, raw in enumerate(raws):
                m.d.comb += [search.x[lane].eq(raw), buffer.i.p[lane].eq(search.y[lane])]
            return
        ready = Signal()
        m.d.sync += ready.eq(done)
        m.d.comb += buffer.i.valid.eq(ready)
        row, following = (Signal(range(max(2, p.row_folds)), name=n) for n in ("row_out", "row_following"))
        m.d.comb += following.eq(Mux(done, Mux(row == p.row_folds - 1, 0, row + 1), row))
        m.d.sync += row.eq(following)
        kind = p.accumulator_type
        for lane, raw in enumerate(raws):
            offsets = [int(v) for v in p.offset[lane :: p.pe]]
            offset = Const(offsets[0], range(min(0, *offsets), max(0, *offsets) + 1))
            if len(set(offsets)) > 1:
                words = [v & ((1 << kind.bits) - 1) for v in offsets]
                rom = Rom(kind.bits, words, threshold_style(len(words)))
                m.submodules[f"offset{lane}"] = rom
                m.d.comb += rom.address.eq(following)
                offset = rom.data
            y = Signal(kind.bits, name=f"y{lane}", reset_less=True)
            m.d.sync += y.eq(raw * p.gain + offset)
            m.d.comb += buffer.i.p[lane].eq(y)
