"""ECP5's own cells equal what is simulated: before synthesis by proof, after it by simulation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from netlists import ECP5, cells_of, check_netlist, netlist_simulator

from pulsefold.boards import get_board
from pulsefold.boards.flow import flow_for
from pulsefold.boards.flow.joined import refuse_joined_nets
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import (
    MatVec,
    Steps,
)
from pulsefold.compiler.plan.units.carry import CarryTree, chains
from pulsefold.compiler.plan.units.choice import choice_luts
from pulsefold.compiler.plan.units.memory import (
    block_width,
)
from pulsefold.errors import ToolFailedError
from pulsefold.hdl.memory.buffer import StreamBuffer
from pulsefold.hdl.memory.choice import chosen
from pulsefold.hdl.rtlil import convert
from pulsefold.hdl.technology import Technology
from pulsefold.hdl.units.carry import Accumulator, CarryCount
from pulsefold.hdl.units.gated import GatedPairs

BIPOLAR, INT = ElementType.bipolar(), ElementType.integer
INT8 = INT(8, signed=True)


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
