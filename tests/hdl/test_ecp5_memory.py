"""Memories of ECP5 equal what is simulated after synthesis, and are read from their output registers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data
from netlists import cells_of, check_netlist, netlist_simulator

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import (
    BatchMatVec,
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
from pulsefold.compiler.plan.units.memory import (
    becomes_block,
    block_width,
    brams_for,
    buffer_cost,
    late_ram_brams,
    parts_of,
)
from pulsefold.compiler.plan.units.rom import packed_rows
from pulsefold.hdl.memory.buffer import StreamBuffer

BIPOLAR, INT = ElementType.bipolar(), ElementType.integer


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


def test_vectors_of_a_batch_come_from_the_output_register_of_block_ram(tmp_path) -> None:
    rng = np.random.default_rng(8)
    matvec = MatVec(
        name="m",
        vectors=2,
        pixels=2,
        weights=rng.choice([-1, 1], (16, 1024)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=4,
        simd=8,
        memory="block",
    )
    unit = BatchMatVec(matvec=matvec)
    blocks = cells_of(check_netlist(unit, tmp_path), "DP16KD")
    # Each lane's ring of 256 words, and weights.
    assert len(blocks) == unit.cost("ecp5").brams == 3
    assert all("OUTREG" in (b["parameters"]["REGMODE_A"], b["parameters"]["REGMODE_B"]) for b in blocks)


def test_results_of_a_batch_lie_in_lut_ram(tmp_path) -> None:
    """A register behind what is read does not make block RAM of them, which would be read late."""
    rng = np.random.default_rng(8)
    matvec = MatVec(
        name="m",
        vectors=2,
        pixels=2,
        weights=rng.choice([-1, 1], (512, 32)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=8,
        simd=8,
        memory="block",
    )
    unit = BatchMatVec(matvec=matvec)
    assert becomes_block("ecp5", 2 * matvec.row_folds, unit.output.width)
    # Weights.
    assert len(cells_of(check_netlist(unit, tmp_path), "DP16KD")) == unit.cost("ecp5").brams == 2


def test_starts_of_sums_that_come_at_once_lie_in_luts(tmp_path) -> None:
    """There is no time for two cycles of block RAM in front of one level of adders."""
    rng = np.random.default_rng(8)
    rows, columns = 320, 3
    steps = Steps(
        thresholds=rng.integers(-2, 3, (rows, 1)),
        descending=np.zeros(rows, bool),
        first=-1,
        type=BIPOLAR,
        limit=columns,
    )
    unit = MatVec(
        name="m",
        vectors=1,
        weights=rng.choice([-1, 1], (rows, columns)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=2,
        simd=3,
        steps=steps,
        memory="lut",
        adder="carry",
    )
    assert unit.decided
    assert unit.all_folds > 128
    assert unit.starts_early < 2
    assert not cells_of(check_netlist(unit, tmp_path), "DP16KD")
    assert not unit.cost("ecp5").brams


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
