"""Circuit of :class:`pulsefold.compiler.plan.units.batchmatvec.BatchMatVec`."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory

from pulsefold.compiler.plan.units.batchmatvec import BatchMatVec
from pulsefold.hdl.memory.ram import LateRam, small_attributes
from pulsefold.hdl.register import data_register, delayed
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.hop import Sink, hop_row, send_rows
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["BatchMatVecCircuit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What the parts of the circuit tell each other of passes.

    Parameters
    ----------
    begin, first, count
        A pass begins in the next cycle; the place of its first vector; number of its vectors.
    ends
        The last read of a pass.
    closed
        The last of its results is sent.
    """

    begin: Signal
    first: Signal
    count: Signal
    ends: Signal
    closed: Signal


class BatchMatVecCircuit(UnitComponent):
    """A ring of vectors, the matrix unit's row of hops, a collector of results.

    Lane b of the hops belongs to the vectors in places b and b + batch of the ring, wherever a pass begins;
    lanes without a vector compute what nobody reads. Timing as the parameter object states.
    """

    def __init__(self, unit: BatchMatVec) -> None:
        super().__init__(unit)
        #: High in each cycle of a pass.
        self.go = Signal()

    def elaborate(self, platform):
        p, batch = self.unit.matvec, self.unit.batch
        m = Module()
        self.connect_output(m)
        places = range(2 * batch)
        now = Pass(
            begin=Signal(name="begin"),
            first=Signal(places, name="first_place"),
            count=Signal(range(batch + 1), name="count"),
            ends=Signal(name="ends"),
            closed=Signal(name="closed"),
        )
        hops = hop_row(m, p)
        column = self.issue(m, now, hops[0])
        self.ring(m, now, column, hops[0])
        sink = Sink(p.output.width)
        send_rows(m, p, hops, sink)
        self.collect(m, now, sink, platform)
        return m

    def ring(self, m, now: Pass, column, hop) -> None:
        """Vectors come in, and those of a pass are read side by side."""
        p, batch = self.unit.matvec, self.unit.batch
        place = Signal(range(2 * batch), name="place")
        # Vectors that are here whole; and those of them that no pass has taken up yet.
        held, held_next = (Signal(range(2 * batch + 1), name=n) for n in ("held", "held_next"))
        fresh, fresh_next = (Signal(range(2 * batch + 1), name=n) for n in ("fresh", "fresh_next"))
        room, some = Signal(init=1, name="room"), Signal(name="some")
        working = Signal(range(batch + 1), name="working")
        taken, whole = Signal(name="taken"), Signal(name="whole")
        beat = Counter(m, p.column_folds, taken, "beat")
        open_passes, open_next = (Signal(range(3), name=n) for n in ("open", "open_next"))
        may_open = Signal(init=1, name="may_open")
        busy = Signal(name="busy")
        m.d.comb += [
            self.i.ready.eq(room),
            taken.eq(self.i.valid & room),
            whole.eq(taken & beat.last),
            now.count.eq(Mux(fresh > batch, batch, fresh)),
            now.begin.eq(some & may_open & (~busy | now.ends)),
            held_next.eq(held + whole - Mux(now.ends, working, 0)),
            fresh_next.eq(fresh + whole - Mux(now.begin, now.count, 0)),
            open_next.eq(open_passes + now.begin - now.closed),
        ]
        m.d.sync += [
            held.eq(held_next),
            room.eq(held_next != 2 * batch),
            fresh.eq(fresh_next),
            some.eq(fresh_next != 0),
            open_passes.eq(open_next),
            may_open.eq(open_next != 2),
        ]
        with m.If(whole):
            m.d.sync += place.eq(place + 1)
        with m.If(now.begin):
            m.d.sync += [busy.eq(1), working.eq(now.count), now.first.eq(now.first + now.count)]
        with m.Elif(now.ends):
            m.d.sync += busy.eq(0)
        halves = []
        for lane in range(batch):
            # A lane before the first one has its vector in the other half of the ring.
            half = Signal(name=f"half_{lane}")
            with m.If(now.begin):
                m.d.sync += half.eq(now.first[-1] ^ (now.first[:-1] > lane))
            halves.append(half)
        width, beats = p.simd * p.type.bits, p.column_folds
        words = []
        # Written a cycle later: that a beat came shows late in its cycle. A vector's first is read no sooner
        # than two cycles after its last came.
        writing = delayed(m, self.i.p.as_value(), 1, "writing")
        written = delayed(m, Mux(place[-1], beat.value + beats, beat.value), 1, "written")
        for lane, half in enumerate(halves):
            enable = Signal(name=f"writes_{lane}")
            m.d.sync += enable.eq(taken & (place[:-1] == lane))
            m.submodules[f"ring_{lane}"] = memory = LateRam(width, 2 * beats, "ram")
            m.d.comb += [
                memory.write_enable.eq(enable),
                memory.write_address.eq(written),
                memory.write_data.eq(writing),
                memory.read_address.eq(Mux(half, column + beats, column)),
            ]
            words.append(memory.read_data)
        m.d.comb += hop.x_i.eq(delayed(m, Cat(*words), p.vector_wait - 1, "waiting"))

    def issue(self, m, now: Pass, hop):
        """Reads of a pass: columns of each group of rows, one a cycle. Returns the column."""
        p = self.unit.matvec
        run = self.go
        column, address = (
            Counter(m, n, run, name) for n, name in ((p.column_folds, "column"), (p.weight_depth, "address"))
        )
        m.d.comb += now.ends.eq(run & address.last)
        with m.If(now.begin):
            m.d.sync += run.eq(1)
        with m.Elif(now.ends):
            m.d.sync += run.eq(0)
        issued = hop.control_i
        m.d.sync += [
            issued.address.eq(address.value),
            issued.first.eq(column.first),
            issued.last.eq(column.last),
            issued.valid.eq(run),
        ]
        return column.value

    def collect(self, m, now: Pass, sink, platform) -> None:
        """Results of all lanes into memory, and out of it frame by frame."""
        p, batch = self.unit.matvec, self.unit.batch
        rows, width = p.row_folds, self.unit.output.width
        # Passes that are open: their first lane and number of frames.
        firsts = Array(Signal(range(batch), name=f"first_{k}") for k in range(2))
        counts = Array(Signal(range(batch + 1), name=f"count_{k}") for k in range(2))
        entering, leaving = Signal(name="entering"), Signal(name="leaving")
        with m.If(now.begin):
            m.d.sync += [
                firsts[entering].eq(now.first[:-1]),
                counts[entering].eq(now.count),
                entering.eq(~entering),
            ]
        write_row, write_half = Counter(m, rows, sink.valid, "write_row"), Signal(name="write_half")
        with m.If(sink.valid & write_row.last):
            m.d.sync += write_half.eq(~write_half)

        # Rows that are written and not yet sent of the first frame; later frames' are then all there.
        fresh, fresh_next = (Signal(range(2 * rows + 1), name=n) for n in ("rows", "rows_next"))
        some, later = Signal(name="some_rows"), Signal(name="later")
        go = Signal(name="go")
        row, frame = Counter(m, rows, go, "read_row"), Signal(range(batch), name="frame")
        # Reading the lanes and choosing one of them takes a cycle each, with a register behind it.
        buffer, read_out, chosen = self.buffer, Signal(name="read_out"), Signal(name="chosen")
        free = ~chosen | buffer.i.ready
        reads = ~read_out | free
        m.d.comb += [
            go.eq(reads & (some | later)),
            fresh_next.eq(fresh + sink.valid - (go & ~later)),
            now.closed.eq(go & row.last & (frame == counts[leaving] - 1)),
            buffer.i.valid.eq(chosen),
        ]
        with m.If(reads):
            m.d.sync += read_out.eq(go)
        with m.If(free):
            m.d.sync += chosen.eq(read_out)
        m.d.sync += [fresh.eq(fresh_next), some.eq(fresh_next != 0)]
        with m.If(go):
            with m.If(now.closed):
                m.d.sync += [frame.eq(0), later.eq(0), leaving.eq(~leaving)]
            with m.Elif(row.last):
                m.d.sync += [frame.eq(frame + 1), later.eq(1)]
        lane = Signal(range(batch), name="lane")
        with m.If(reads):
            m.d.sync += lane.eq(firsts[leaving] + frame)
        words = []
        for k in range(batch):
            m.submodules[f"results_{k}"] = memory = Memory(
                shape=width, depth=2 * rows, init=[], attrs=small_attributes(platform)
            )
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(sink.valid),
                write.addr.eq(Mux(write_half, write_row.value + rows, write_row.value)),
                write.data.eq(sink.p[k * width : (k + 1) * width]),
                read.addr.eq(Mux(leaving, row.value + rows, row.value)),
            ]
            words.append(word := data_register(width, f"word_{k}"))
            with m.If(reads):
                m.d.sync += word.eq(read.data)
        result = data_register(width, "result")
        with m.If(free):
            m.d.sync += result.eq(Array(words)[lane])
        m.d.comb += buffer.i.p.eq(result)
