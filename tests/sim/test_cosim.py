"""The C++ harness passes good circuits, finds bad ones, and loses no bit on the way."""

import subprocess

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.errors import InputArrayError, OutputError, ToolMissingError, VerificationError
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.cosim.compile import compile_simulator
from pulsefold.sim.cosim.packing import pack, unpack
from pulsefold.sim.cosim.ports import Ports, StreamPort
from pulsefold.sim.cosim.simulator import mangle


def lanes(width: int, count: int) -> stream.Signature:
    return stream.Signature(data.ArrayLayout(unsigned(width), count))


class Slice(wiring.Component):
    """One register; latency 1, initiation interval 1."""

    def __init__(self, width: int, count: int, *, tap: bool = False) -> None:
        self.tap = tap
        ports = {"i": In(lanes(width, count)), "o": Out(lanes(width, count))}
        if tap:
            ports |= {
                "tap_in_payload": Out(data.ArrayLayout(unsigned(width), count)),
                "tap_in_valid": Out(1),
                "tap_in_ready": Out(1),
                "tap_out": Out(wiring.Signature({
                    "payload": Out(data.ArrayLayout(unsigned(width), count)), "valid": Out(1), "ready": Out(1)
                })),
            }  # fmt: skip
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.p.eq(self.i.p)]
        if self.tap:
            m.d.comb += [
                self.tap_in_payload.eq(self.i.p),
                self.tap_in_valid.eq(self.i.valid),
                self.tap_in_ready.eq(self.i.ready),
                self.tap_out.payload.eq(self.o.p),
                self.tap_out.valid.eq(self.o.valid),
                self.tap_out.ready.eq(self.o.ready),
            ]
        return m


class Queue(wiring.Component):
    """A FIFO of 5 entries."""

    i: In(lanes(9, 5))
    o: Out(lanes(9, 5))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=45, depth=5)
        m.d.comb += [
            queue.w_data.eq(self.i.p.as_value()),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.p.as_value().eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m


class Widen(wiring.Component):
    """Two beats of one lane to one of two."""

    i: In(lanes(12, 1))
    o: Out(lanes(12, 2))

    def elaborate(self, platform):
        m = Module()
        half = Signal()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [half.eq(~half), self.o.p[half].eq(self.i.p[0]), self.o.valid.eq(half)]
        return m


class Table(wiring.Component):
    """Looks a byte up in several memories, whose contents travel in files."""

    i: In(lanes(8, 1))
    o: Out(lanes(33, 3))

    def __init__(self, contents: np.ndarray) -> None:
        self.contents = contents
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        for k, words in enumerate(self.contents):
            rom = memory.Memory(shape=unsigned(33), depth=len(words), init=[int(w) for w in words])
            m.submodules[f"rom{k}"] = rom
            port = rom.read_port()
            m.d.comb += [port.addr.eq(self.i.p[0]), port.en.eq(self.i.ready), self.o.p[k].eq(port.data)]
        return m


class Stuck(Slice):
    """Takes three beats and then nothing more."""

    def __init__(self) -> None:
        super().__init__(8, 1)

    def elaborate(self, platform):
        m = Module()
        count = Signal(2)
        m.d.comb += [
            self.i.ready.eq(self.o.ready & (count != 3)),
            self.o.valid.eq(self.i.valid & (count != 3)),
            self.o.p.eq(self.i.p),
        ]
        m.d.sync += count.eq(count + (self.i.valid & self.i.ready))
        return m


class Comb(wiring.Component):
    """No clock at all."""

    i: In(lanes(8, 2))
    o: Out(lanes(8, 2))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.i.ready.eq(self.o.ready),
            self.o.valid.eq(self.i.valid),
            self.o.p[0].eq(self.i.p[1]),
            self.o.p[1].eq(~self.i.p[0]),
        ]
        return m


def random_beats(n: int, width: int, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 2**width, (n, count), np.uint64, endpoint=False)
        if width < 64
        else rng.integers(0, 2**64 - 1, (n, count), np.uint64, endpoint=True)
    )


@pytest.mark.parametrize(("width", "count"), [(1, 1), (1, 40), (3, 5), (7, 100), (8, 4), (33, 2), (64, 3)])
def test_packing_is_exact(width: int, count: int) -> None:
    port = StreamPort(name="i", prefix="i__", width=width, lanes=count)
    beats = random_beats(17, width, count)
    packed = pack(beats, port)
    assert packed.shape == (17, port.words)
    for row, words in zip(beats, packed, strict=True):
        want = sum(int(v) << (k * width) for k, v in enumerate(row))
        assert sum(int(w) << (32 * k) for k, w in enumerate(words)) == want
    assert np.array_equal(unpack(packed, port), beats)


@pytest.mark.parametrize(
    "beats",
    [np.zeros((2, 3), np.uint64), np.full((2, 2), 16, np.uint64), np.full((2, 2), -1), np.zeros((2, 2))],
)
def test_packing_refuses(beats: np.ndarray) -> None:
    with pytest.raises(InputArrayError):
        pack(beats, StreamPort(name="i", prefix="i__", width=4, lanes=2))


def test_mangle() -> None:
    assert [mangle(n) for n in ("clk", "i__valid", "tap_0_ready")] == ["clk", "i___05Fvalid", "tap_0_ready"]


# Every C++ type that Verilator gives a port: 8, 16, 32, 64 bits and an array of words.
@pytest.mark.parametrize(("width", "count"), [(1, 1), (5, 3), (8, 3), (21, 3), (32, 2), (64, 1), (13, 9)])
def test_register_slice(width: int, count: int) -> None:
    beats = random_beats(300, width, count)
    simulator = Simulator.build(Slice(width, count))
    run = simulator.run(beats, outputs=300)
    assert np.array_equal(run.beats, beats)
    assert np.array_equal(run.accepted, np.arange(300))
    assert np.array_equal(run.produced, np.arange(1, 301))
    assert run.cycles == 301
    stalled = simulator.run(beats, outputs=300, stall_in=0.4, stall_out=0.3, seed=5)
    assert np.array_equal(stalled.beats, beats)
    # Each end alone would take 300 / 0.6 and 300 / 0.7 cycles.
    assert 480 < stalled.cycles < 800
    again = simulator.run(beats, outputs=300, stall_in=0.4, stall_out=0.3, seed=5)
    assert np.array_equal(stalled.produced, again.produced)
    other = simulator.run(beats, outputs=300, stall_in=0.4, stall_out=0.3, seed=6)
    assert not np.array_equal(stalled.produced, other.produced)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.9), (0.3, 0.3)])
def test_fifo(stalls: tuple[float, float]) -> None:
    beats = random_beats(500, 9, 5)
    run = Simulator.build(Queue()).run(beats, outputs=500, stall_in=stalls[0], stall_out=stalls[1], seed=1)
    assert np.array_equal(run.beats, beats)


def test_widen() -> None:
    beats = random_beats(100, 12, 1)
    run = Simulator.build(Widen()).run(beats, outputs=50, stall_in=0.2, stall_out=0.2)
    assert np.array_equal(run.beats, beats.reshape(50, 2))


def test_combinational() -> None:
    beats = random_beats(100, 8, 2)
    run = Simulator.build(Comb()).run(beats, outputs=100, stall_in=0.2, stall_out=0.2)
    assert np.array_equal(run.beats, np.stack([beats[:, 1], 255 - beats[:, 0]], axis=1))


def test_memory_contents_are_found_from_any_folder(tmp_path, monkeypatch) -> None:
    # Zeros ahead and a depth that is no power of two: where file formats go wrong.
    contents = random_beats(3, 33, 200)
    contents[1] &= np.uint64(0xFF)
    contents[2, :50] = 0
    simulator = Simulator.build(Table(contents))
    monkeypatch.chdir(tmp_path)
    index = np.random.default_rng(0).integers(0, 200, (1000, 1)).astype(np.uint64)
    run = simulator.run(index, outputs=1000, stall_out=0.3)
    assert np.array_equal(run.beats, contents[:, index[:, 0].astype(int)].T)


def test_deadlock_says_where_it_stopped() -> None:
    simulator = Simulator.build(Stuck())
    with pytest.raises(VerificationError, match="3 of 9 beats went in and 3 of 9 came out") as caught:
        simulator.run(random_beats(9, 8, 1), outputs=9, idle_cycles=500)
    assert "stuck" in caught.value.what
    with pytest.raises(VerificationError, match="too many cycles"):
        simulator.run(random_beats(9, 8, 1), outputs=9, max_cycles=100)


def test_missing_output_is_a_deadlock() -> None:
    with pytest.raises(VerificationError, match="9 of 9 beats went in and 9 of 10 came out"):
        Simulator.build(Slice(8, 1)).run(random_beats(9, 8, 1), outputs=10, idle_cycles=100)


def test_taps() -> None:
    beats = random_beats(50, 13, 3)
    simulator = Simulator.build(Slice(13, 3, tap=True))
    run = simulator.run(beats, outputs=50, stall_in=0.3, stall_out=0.3, taps=True)
    assert set(run.taps) == {"in", "out"}
    for name, cycles in (("in", run.accepted), ("out", run.produced)):
        assert np.array_equal(run.taps[name][0], beats)
        assert np.array_equal(run.taps[name][1], cycles)
    assert not simulator.run(beats, outputs=50).taps
    with pytest.raises(InputArrayError, match="no taps"):
        Simulator.build(Slice(8, 1)).run(random_beats(1, 8, 1), outputs=1, taps=True)


def test_waves(tmp_path) -> None:
    simulator = Simulator.build(Slice(8, 1), waves=True)
    beats = random_beats(50, 8, 1)
    simulator.run(beats, outputs=50, waves=tmp_path / "all.vcd")
    simulator.run(beats, outputs=50, waves=tmp_path / "some.vcd", wave_window=(10, 20))

    def times(name: str) -> list[int]:
        lines = (tmp_path / name).read_text().splitlines()
        return [int(line[1:]) for line in lines if line.startswith("#")]

    assert times("all.vcd")[-1] == 505
    assert times("some.vcd")[0] == 100
    assert times("some.vcd")[-1] == 195
    with pytest.raises(OutputError, match="vcd"):
        simulator.run(beats, outputs=50, waves=tmp_path / "x.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.vcd", "some.vcd"]


def test_fst_waves_or_a_clear_message(tmp_path) -> None:
    try:
        Simulator.build(Slice(8, 1)).run(random_beats(5, 8, 1), outputs=5, waves=tmp_path / "a.fst")
    except ToolMissingError as error:
        assert "lz4" in error.message
    else:
        assert (tmp_path / "a.fst").stat().st_size > 0


def test_builds_once(tmp_path) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))

    simulator = Simulator.build(Slice(8, 1), cache=tmp_path, progress=progress)
    assert [stage for stage, _, _ in told] == ["convert", "verilate", "compile"]
    told.clear()
    simulator.run(random_beats(5, 8, 1), outputs=5)
    assert told == [("simulate", 5, 5)]
    told.clear()
    Simulator.build(Slice(8, 1), cache=tmp_path, progress=progress)
    assert [stage for stage, _, _ in told] == ["convert"]
    assert not list(tmp_path.glob("*.log"))


def test_designs_of_several_cpp_files() -> None:
    # Verilator splits what is large; its makefile then precompiles headers, with options of its own.
    simulator = Simulator.build(Slice(8, 1))
    main = '#include "Vtop.h"\nint main() { VerilatedContext c; Vtop top{&c}; top.eval(); return 0; }\n'
    options = ["--output-split", "1"]
    folder = compile_simulator(simulator.design, main, simulator.cache, options=options)
    subprocess.run([folder / simulator.design.top], check=True)


def test_from_verilog(tmp_path) -> None:
    source = tmp_path / "twice.v"
    source.write_text(
        "module twice(input clk, input rst, input [7:0] i__payload, input i__valid, output i__ready,\n"
        "  output [7:0] o__payload, output o__valid, input o__ready);\n"
        '  reg [7:0] rom [0:255]; initial $readmemh("rom.mem", rom);\n'
        "  assign o__payload = rom[i__payload]; assign o__valid = i__valid; assign i__ready = o__ready;\n"
        "endmodule\n"
    )
    rom = tmp_path / "rom.mem"
    rom.write_text("\n".join(f"{2 * k % 256:02x}" for k in range(256)))
    ports = Ports.of(Slice(8, 1))
    beats = random_beats(99, 8, 1)
    run = Simulator.from_verilog([source], ports=ports, top="twice", data=[rom]).run(beats, outputs=99)
    assert np.array_equal(run.beats, beats * 2 % 256)


def test_ports_refuse_what_nothing_drives() -> None:
    class Extra(wiring.Component):
        i: In(lanes(8, 1))
        o: Out(lanes(8, 1))
        start: In(1)

    class NoOutput(wiring.Component):
        i: In(lanes(8, 1))

    with pytest.raises(ValueError, match="start"):
        Ports.of(Extra())
    with pytest.raises(ValueError, match="o__payload"):
        Ports.of(NoOutput())
