"""Circuit of :class:`pulsefold.compiler.plan.units.matvec.MatVec`."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory

from pulsefold.compiler.plan.units.matvec import MatVec
from pulsefold.hdl.memory.ram import LateRam, memory_attributes
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.hop import Sink, hop_row, send_rows
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["MatVecCircuit"]


class MatVecCircuit(UnitComponent):
    """Issue, replay, the row of hops, the step functions and the output buffer.

    Does not slide over frames (a window unit does) and does not change the order of rows. Timing as the
    parameter object states.
    """

    def __init__(self, unit: MatVec) -> None:
        super().__init__(unit)
        #: High in each cycle in which a beat, fresh or replayed, enters the pipeline.
        self.go = Signal()

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        hops = hop_row(m, p)
        self.issue(m, hops[0])
        sink = Sink(p.output.width)
        send_rows(m, p, hops, sink)
        m.d.comb += [self.buffer.i.valid.eq(sink.valid), self.buffer.i.p.eq(sink.p)]
        return m

    def issue(self, m, hop) -> None:
        """Which columns of which rows enter the pipeline, fresh from the stream or replayed."""
        p = self.unit
        if p.held > 1:
            self.issue_held(m, hop)
            return
        go, earn = self.go, Signal()
        # Groups of rows: the first one reads the vector as it comes, the others as it was kept.
        column = Counter(m, p.column_folds, go, "column")
        row = Counter(m, p.row_folds, go & column.last, "row")
        address = Counter(m, p.weight_depth, go, "address")
        some = credit_gate(m, p.buffer_depth, spend=go & column.first, earn=earn)
        able = ~column.first | some
        # From the other end of the unit, which may be far.
        m.d.sync += earn.eq(self.o.valid & self.o.ready)
        m.d.comb += [
            self.i.ready.eq(able & row.first),
            go.eq(able & (self.i.valid | ~row.first)),
        ]
        issued = hop.control_i
        m.d.sync += [
            issued.address.eq(address.value),
            issued.first.eq(column.first),
            issued.last.eq(column.last),
            issued.valid.eq(go),
        ]
        self.feed(m, hop, row, column)

    def issue_held(self, m, hop) -> None:
        """For each column the beats of all vectors that its weights are held for, fresh or replayed."""
        p = self.unit
        go, earn = self.go, Signal()
        turn = Counter(m, p.held, go, "turn")
        column = Counter(m, p.column_folds, go & turn.last, "column")
        beat = Counter(m, p.kept_beats, go, "beat")
        # Where vectors come anew for each group of rows, each is the first.
        row = Counter(m, p.row_folds if p.kept else 1, go & beat.last, "row")
        some = credit_gate(m, p.buffer_depth, spend=go & column.last, earn=earn)
        able = ~column.last | some
        m.d.sync += earn.eq(self.o.valid & self.o.ready)
        m.d.comb += [
            self.i.ready.eq(able & row.first),
            go.eq(able & (self.i.valid | ~row.first)),
        ]
        issued = hop.control_i
        m.d.sync += [
            issued.takes.eq(go & turn.first),
            issued.leaves.eq(turn.last),
            issued.first.eq(column.first),
            issued.last.eq(column.last),
            issued.valid.eq(go),
        ]
        self.feed(m, hop, row, beat)

    def feed(self, m, hop, row: Counter, beat: Counter) -> None:
        """The activations of each beat, fresh for the first group of rows, else as they were kept."""
        p, go = self.unit, self.go
        if p.row_folds > 1 and p.kept_beats == 1:
            # A vector of one beat stays where it came.
            x = Signal(p.input.width, name="arrived", reset_less=True)
            with m.If(go & row.first):
                m.d.sync += x.eq(self.i.p)
        else:
            x = delayed(m, self.i.p.as_value(), 1 + p.replay_wait, "arrived")
        if p.replays:
            was_fresh = delayed(m, row.first, 1 + p.replay_wait, "was_fresh")
            replayed = self.replay(m, beat, go & row.first)
            x = Mux(was_fresh, x, replayed)
        m.d.comb += hop.x_i.eq(delayed(m, x, p.vector_wait - p.replay_wait, "waiting"))

    def replay(self, m, beat: Counter, write_enable):
        """The kept beat of that number ``1 + replay_wait`` cycles later, as it was last written."""
        p, now = self.unit, beat.value
        # Written a cycle later, and read no sooner than two: whether a beat came shows late in its cycle.
        writing, enable = delayed(m, self.i.p.as_value(), 1, "writing"), Signal(name="writes")
        written = delayed(m, now, 1, "written")
        m.d.sync += enable.eq(write_enable)
        if p.replay_style == "block":
            m.submodules.replay = memory = LateRam(p.input.width, p.kept_beats, "block")
            m.d.comb += [
                memory.write_address.eq(written),
                memory.write_data.eq(writing),
                memory.write_enable.eq(enable),
                memory.read_address.eq(now),
            ]
            return memory.read_data
        m.submodules.replay = memory = Memory(
            shape=p.input.width, depth=p.kept_beats, init=[], attrs=memory_attributes("ram")
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        replayed = Signal(p.input.width, reset_less=True)
        m.d.comb += [
            write.en.eq(enable),
            write.addr.eq(written),
            write.data.eq(writing),
            # A wide vector's bits lie where its multipliers are, all over the unit.
            read.addr.eq(delayed(m, now, p.replay_wait, "reading")),
        ]
        m.d.sync += replayed.eq(read.data)
        return replayed
