"""The unit bench passes good circuits, and names the fault of every bad one."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.errors import InputArrayError, VerificationError
from pulsefold.sim.bench.stimulus import Stimulus
from pulsefold.sim.bench.unit import run_unit, run_unit_many
from pulsefold.sim.cosim import Simulator


def lanes(width: int, count: int) -> stream.Signature:
    return stream.Signature(data.ArrayLayout(unsigned(width), count))


class Unit(wiring.Component):
    def __init__(self, width: int = 8, count: int = 2) -> None:
        super().__init__({"i": In(lanes(width, count)), "o": Out(lanes(width, count))})


class Buffer(Unit):
    """Two registers, so that nothing passes through within a cycle."""

    def elaborate(self, platform):
        m = Module()
        spare = Signal.like(self.i.p)
        full = Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid | full), full.eq(0)]
            with m.If(full):
                m.d.sync += self.o.p.eq(spare)
            with m.Else():
                m.d.sync += self.o.p.eq(self.i.p)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [spare.eq(self.i.p), full.eq(1)]
        return m


class Slice(Unit):
    """One register: ready passes through."""

    def step(self, m: Module) -> None:
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.p.eq(self.i.p)]

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        self.step(m)
        return m


class OffByOne(Slice):
    """Adds one to 0x80 in lane 1."""

    def step(self, m: Module) -> None:
        super().step(m)
        with m.If(self.i.ready & (self.i.p[1] == 0x80)):
            m.d.sync += self.o.p[1].eq(0x81)


class DropsValid(Slice):
    """Takes its offer back after two stalled cycles, and the beat comes again."""

    def elaborate(self, platform):
        m = Module()
        inner = Slice()
        m.submodules.inner = inner
        waited = Signal(2)
        hide = waited == 2
        m.d.sync += waited.eq(0)
        with m.If(inner.o.valid & ~inner.o.ready & ~hide):
            m.d.sync += waited.eq(waited + 1)
        wiring.connect(m, wiring.flipped(self.i), inner.i)
        m.d.comb += [
            self.o.p.eq(inner.o.p),
            self.o.valid.eq(inner.o.valid & ~hide),
            inner.o.ready.eq(self.o.ready & ~hide),
        ]
        return m


class Unstable(Slice):
    """Lets the payload follow the input while stalled."""

    def elaborate(self, platform):
        m = Module()
        inner = Slice()
        m.submodules.inner = inner
        wiring.connect(m, wiring.flipped(self.i), inner.i)
        wiring.connect(m, inner.o, wiring.flipped(self.o))
        # Right in the cycle of each transfer, so that only the monitor can tell.
        with m.If(inner.o.valid & ~self.o.ready):
            m.d.comb += self.o.p.eq(~inner.o.p.as_value() ^ self.i.p.as_value())
        return m


class WaitsForReady(Unit):
    """Gives valid only in a cycle with ready."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.o.p.eq(self.i.p),
            self.o.valid.eq(self.i.valid & self.o.ready),
            self.i.ready.eq(self.o.ready),
        ]
        return m


class WaitsForReadyRegistered(Slice):
    """Gives valid only after a cycle with ready, by way of a register."""

    def elaborate(self, platform):
        m = Module()
        inner = Slice()
        seen, offered = Signal(), Signal()
        m.submodules.inner = inner
        wiring.connect(m, wiring.flipped(self.i), inner.i)
        m.d.sync += [seen.eq(self.o.ready), offered.eq(self.o.valid & ~self.o.ready)]
        m.d.comb += [
            self.o.p.eq(inner.o.p),
            self.o.valid.eq(inner.o.valid & (seen | offered)),
            inner.o.ready.eq(self.o.ready & self.o.valid),
        ]
        return m


class Swallows(Slice):
    """Loses the fifth beat."""

    def step(self, m: Module) -> None:
        count = Signal(4)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid & (count != 4)), self.o.p.eq(self.i.p)]
            m.d.sync += count.eq(count + self.i.valid)


class Repeats(Slice):
    """Says everything twice."""

    def elaborate(self, platform):
        m = Module()
        again = Signal()
        m.d.comb += self.i.ready.eq(~self.o.valid | (self.o.ready & again))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += again.eq(~again)
        self.step(m)
        return m


class ReadsWithoutValid(Slice):
    """Remembers the payload in each cycle, offered or not."""

    def elaborate(self, platform):
        m = Module()
        total = Signal(8)
        m.d.sync += total.eq(total ^ self.i.p[0])
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.p[0].eq(total ^ self.i.p[0])]
        return m


class Lookup(wiring.Component):
    """A table, whose contents are in a file beside the simulator."""

    i: In(lanes(4, 1))
    o: Out(lanes(35, 2))

    def __init__(self, words: list[int]) -> None:
        self.words = words
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        rom = memory.Memory(shape=unsigned(70), depth=16, init=self.words)
        m.submodules.rom = rom
        port = rom.read_port()
        m.d.comb += [
            port.addr.eq(self.i.p[0]),
            port.en.eq(self.i.ready),
            self.o.p.eq(port.data),
            self.i.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        return m


class Slow(Unit):
    """Takes a beat every three cycles."""

    def elaborate(self, platform):
        m = Module()
        wait = Signal(2)
        m.d.comb += self.i.ready.eq((wait == 0) & ~self.o.valid)
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [wait.eq(2), self.o.valid.eq(1), self.o.p.eq(self.i.p)]
        return m


def beats(n: int, width: int = 8, count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**width, (n, count)).astype(np.uint64)


def test_good_units_pass_under_all_stalls() -> None:
    x = beats(200)
    stalls = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.8)]
    plays = [Stimulus(beats=x, expected=x, stall_in=a, stall_out=b, seed=7) for a, b in stalls]
    plays.append(Stimulus(beats=x[:50], expected=x[:50], ready_after_valid=True))
    runs = run_unit_many(Buffer(), plays)
    assert np.array_equal(runs[0].accepted, np.arange(200))
    assert np.array_equal(runs[0].produced, np.arange(1, 201))
    assert all(np.array_equal(run.beats, play.expected) for run, play in zip(runs, plays, strict=True))
    # The same seed gives the same cycles, in another simulation too.
    again = run_unit(Buffer(), x, x, stall_in=0.3, stall_out=0.8, seed=7)
    assert np.array_equal(again.produced, runs[3].produced)
    other = run_unit(Buffer(), x, x, stall_in=0.3, stall_out=0.8, seed=8)
    assert not np.array_equal(other.produced, runs[3].produced)


def test_cycles_are_those_of_the_fast_harness() -> None:
    x = beats(100)
    slow = run_unit(Slow(), x, x)
    fast = Simulator.build(Slow()).run(x, outputs=100)
    assert np.array_equal(slow.accepted, fast.accepted)
    assert np.array_equal(slow.produced, fast.produced)


def test_latency_and_initiation_interval() -> None:
    x = beats(40)
    run_unit(Slow(), x, x, expect_latency=1, expect_ii=30, frames=4)
    with pytest.raises(VerificationError, match="latency is 1 cycles, not 2"):
        run_unit(Slow(), x, x, expect_latency=2)
    with pytest.raises(VerificationError, match=r"intervals are \[30\] cycles, not 29"):
        run_unit(Slow(), x, x, expect_ii=29, frames=4)


def test_memory_contents() -> None:
    words = [(k * 0x123456789ABCDEF) % 2**70 for k in range(16)]
    x = beats(50, 4, 1)
    want = [[words[int(k)] % 2**35, words[int(k)] >> 35] for k in x[:, 0]]
    run_unit(Lookup(words), x, np.array(want, np.uint64), stall_out=0.4, allow_paths={"i.ready"})


def test_wrong_beat_is_named() -> None:
    x = beats(50)
    x[:, 1] &= np.uint64(0x7F)
    x[31, 1] = 0x80
    with pytest.raises(
        VerificationError, match="output beat 31, lane 1: expected 0x80, got 0x81, in cycle 32"
    ):
        run_unit(OffByOne(), x, x, allow_paths={"i.ready"})


def test_dropped_valid_is_named() -> None:
    x = beats(50)
    run_unit(DropsValid(), x, x, allow_paths={"i.ready"})
    with pytest.raises(VerificationError, match=r"o\.valid was dropped in cycle \d+"):
        run_unit(DropsValid(), x, x, stall_out=0.7, allow_paths={"i.ready"})


def test_unstable_payload_is_named() -> None:
    x = beats(50)
    with pytest.raises(VerificationError, match=r"o\.payload changed in cycle \d+ while stalled"):
        run_unit(Unstable(), x, x, stall_out=0.7, allow_paths={"i.ready", "o.payload"})


def test_combinational_paths_are_named() -> None:
    x = beats(50)
    with pytest.raises(VerificationError, match=r"from o\.ready to i\.ready"):
        run_unit(Slice(), x, x)
    run_unit(Slice(), x, x, allow_paths={"i.ready"})
    with pytest.raises(VerificationError, match=r"from o\.ready to o\.valid"):
        run_unit(WaitsForReady(), x, x, allow_paths={"i.ready"})


def test_waiting_for_ready_is_a_deadlock() -> None:
    x = beats(20)
    paths = {"i.ready"}
    run_unit(WaitsForReadyRegistered(), x, x, stall_out=0.3, allow_paths=paths)
    with pytest.raises(VerificationError, match=r"stuck: .* 1 of 20 beats went in and 0 of 20 came out"):
        run_unit(WaitsForReadyRegistered(), x, x, ready_after_valid=True, allow_paths=paths, idle_cycles=200)


def test_lost_and_surplus_beats_are_named() -> None:
    x = np.zeros((10, 2), np.uint64)
    with pytest.raises(VerificationError, match=r"stuck: .* 10 of 10 beats went in and 9 of 10 came out"):
        run_unit(Swallows(), x, x, allow_paths={"i.ready"}, idle_cycles=200)
    with pytest.raises(VerificationError, match=r"surplus beat \[0, 0\] came after the 10 expected"):
        run_unit(Repeats(), x, x, allow_paths={"i.ready"})


def test_reading_without_valid_is_found() -> None:
    x = beats(50)
    x[:, 1] = 0
    want = x.copy()
    want[:, 0] = np.bitwise_xor.accumulate(x[:, 0])
    run_unit(ReadsWithoutValid(), x, want, allow_paths={"i.ready"})
    with pytest.raises(VerificationError, match="output beat"):
        run_unit(ReadsWithoutValid(), x, want, stall_in=0.5, allow_paths={"i.ready"})


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputArrayError):
        run_unit(Buffer(), beats(5, 8, 3), beats(5))
    with pytest.raises(InputArrayError):
        run_unit(Buffer(), beats(5), beats(5) + np.uint64(256))
    with pytest.raises(ValueError, match="stall_out"):
        run_unit(Buffer(), beats(5), beats(5), stall_out=1.0)
