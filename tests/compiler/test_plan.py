"""Layers, folding search and the promises of a plan."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Conv, ElementType, Graph, MaxPool, Requantize, Tensor, Threshold
from pulsefold.compiler.plan.folding import choices_of
from pulsefold.compiler.plan.layers import Fold, layers_of
from pulsefold.compiler.plan.plan import make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.search import Choice, fastest_that_fits, smallest_for, total
from pulsefold.compiler.plan.sweep import sweep
from pulsefold.compiler.plan.target import Target
from pulsefold.compiler.plan.units import MatVec, RequantizeUnit, Window
from pulsefold.compiler.plan.units.integers import divisors
from pulsefold.compiler.plan.units.memory import brams_for, late_ram_brams
from pulsefold.compiling import first_report
from pulsefold.errors import DoesNotFitError, FoldingError
from pulsefold.reporting import facts
from pulsefold.sim import golden
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden.maxpool import maxpool
from pulsefold.sim.golden.threshold import threshold

DEMO = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"


def target(luts: int = 80_000, brams: int = 200, mhz: float = 100) -> Target:
    return Target(
        board="test",
        family="ecp5",
        resources=Resources(luts=luts, ffs=luts, brams=brams, dsps=100),
        usable=0.65,
        clock_mhz=mhz,
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_model(DEMO)


def folds(graph: Graph, **changes: Fold) -> dict[str, Fold]:
    return {layer.name: Fold() for layer in layers_of(graph)} | changes


def test_divisors():
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
    assert divisors(1) == [1]
    assert divisors(49) == [1, 7, 49]


def test_streams_of_neighbours_agree(graph):
    for fps in (None, 100_000, 1000):
        plan = make_plan(graph, target(), fps=fps)
        for a, b in zip(plan.units, plan.units[1:], strict=False):
            assert a.outputs == b.inputs, (a.name, b.name)


def test_rate_is_reached_with_no_more_than_needed(graph):
    costs = []
    for fps in (1_000, 20_000, 100_000):
        plan = make_plan(graph, target(), fps=fps)
        assert plan.fps >= fps
        assert target().shortage(plan.core_cost) is None
        costs.append(plan.cost.luts)
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_fastest_fits_and_uses_a_larger_device(graph):
    small, large = target(luts=6_000, brams=30), target()
    slow, fast = make_plan(graph, small), make_plan(graph, large)
    assert small.shortage(slow.core_cost) is None
    assert slow.cycles > fast.cycles


def test_fast_plans_take_several_pixels_and_carry_cells_where_there_are_some(graph):
    for family, carry_cells in (("ecp5", True), ("gowin", False)):
        plan = make_plan(graph, replace(target(), family=family))
        used = [plan.folds[layer.name] for layer in plan.layers if isinstance(layer.node, Conv)]
        assert ("carry" in {fold.adder for fold in used}) == carry_cells
        assert max(fold.pixels for fold in used) > 1


def test_too_much_names_resource_and_the_nearest_that_fits(graph):
    with pytest.raises(DoesNotFitError, match=r"(?s)needs at least .*fastest that fits is"):
        make_plan(graph, target(), fps=5e6)
    with pytest.raises(DoesNotFitError, match=r"(?s)need \d+ luts, test has .*fastest that fits is"):
        make_plan(graph, target(luts=4_000), fps=200_000)
    with pytest.raises(DoesNotFitError, match="larger board"):
        make_plan(graph, target(luts=500))


def test_given_folding_is_taken_as_it_is(graph):
    name = next(layer.name for layer in layers_of(graph) if isinstance(layer.node, Conv))
    plan = make_plan(graph, target(), folds=folds(graph, **{name: Fold(pe=2, simd=3)}))
    unit = next(u for u in plan.units if u.name == name)
    assert isinstance(unit, MatVec)
    assert (unit.pe, unit.simd) == (2, 3)


def test_folding_of_unknown_or_missing_layer(graph):
    with pytest.raises(FoldingError, match=r"'nonsense'.*not there"):
        make_plan(graph, target(), folds=folds(graph, nonsense=Fold()))
    few = folds(graph)
    few.popitem()
    with pytest.raises(FoldingError, match="no entry for layer"):
        make_plan(graph, target(), folds=few)


def test_chain_of_unit_models_is_golden(graph):
    rng = np.random.default_rng(0)
    plan = make_plan(graph, target(), fps=50_000)
    entry = graph.tensors[graph.inputs[0].tensor]
    q = rng.integers(entry.type.minimum, entry.type.maximum + 1, (3, *entry.shape))
    values = q.reshape(-1, plan.input.lanes)
    for unit in plan.units:
        values = expected_values(unit, values)
    name = graph.outputs[0].tensor
    want = golden.run(graph, {graph.inputs[0].tensor: q})[name]
    np.testing.assert_array_equal(values.reshape(want.shape), want)


def straight(*nodes, x: Tensor) -> Graph:
    tensors = {x.name: x}
    for node in nodes:
        x = node.output_tensor(x)
        tensors[x.name] = x
    return Graph(name="test", inputs=(), outputs=(), nodes=nodes, tensors=tensors)


def test_padded_bipolar_frame_becomes_ternary():
    bipolar = ElementType.bipolar()
    conv = Conv(
        name="c",
        input="x",
        output="a",
        weights=np.ones((4, 3, 3, 2), np.int64),
        weight_type=bipolar,
        pads=(1, 1, 1, 1),
    )
    x = Tensor(name="x", shape=(5, 5, 2), type=bipolar)
    plan = make_plan(straight(conv, x=x), target(), folds={"c": Fold(pe=2, simd=2)})
    window, unit = plan.units
    assert isinstance(window, Window)
    assert isinstance(unit, MatVec)
    assert window.output_type == unit.type == ElementType.ternary()
    ones = np.ones((1, 5, 5, 2), np.int64)
    got = expected_values(unit, expected_values(window, ones.reshape(-1, 2))).reshape(5, 5, 4)
    assert got[0, 0, 0] == 8
    assert got[2, 2, 0] == 18


def test_pool_and_threshold_alone():
    kind = ElementType.integer(6, signed=True)
    pool = MaxPool(name="p", input="x", output="m", kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1))
    steps = Threshold(
        name="t",
        input="m",
        output="y",
        thresholds=np.array([[-3, 5, 9]]),
        descending=np.array([False]),
        first=0,
        type=ElementType.integer(2, signed=False),
    )
    graph = straight(pool, steps, x=Tensor(name="x", shape=(7, 6, 4), type=kind))
    plan = make_plan(graph, target(), folds={"p": Fold(simd=2), "t": Fold(simd=4)})
    x = np.random.default_rng(1).integers(-32, 32, (2, 7, 6, 4))
    values = x.reshape(-1, plan.input.lanes)
    for unit in plan.units:
        values = expected_values(unit, values)
    want = threshold(steps, maxpool(pool, x))
    np.testing.assert_array_equal(values.reshape(2, 4, 3, 4), want)


def test_block_rams_side_by_side():
    assert brams_for("ecp5", 512, 36) == 1
    assert brams_for("ecp5", 512, 37) == 2
    assert brams_for("ecp5", 513, 36) == 2
    assert brams_for("ecp5", 16384, 16) == 16
    assert brams_for("ice40", 256, 16) == 1
    assert brams_for("ice40", 4096, 2) == 2
    # Cut into parts where that takes fewer: five of 1,024 words of 18 bits, two wide, not 16 of 8,192 of two.
    assert (late_ram_brams("ecp5", 5120, 32), brams_for("ecp5", 5120, 32)) == (10, 16)
    assert late_ram_brams("ecp5", 4096, 32) == brams_for("ecp5", 4096, 32) == 8
    assert late_ram_brams("gowin", 5120, 32) == brams_for("gowin", 5120, 32)


def test_weights_deeper_than_a_block_lie_side_by_side():
    """Blocks one above the other would be chosen among in front of their output registers."""
    bipolar = ElementType.bipolar()
    weights = np.random.default_rng(0).choice([-1, 1], (512, 4, 4, 64))
    conv = Conv(name="c", input="x", output="a", weights=weights, weight_type=bipolar)
    graph = straight(conv, x=Tensor(name="x", shape=(4, 4, 64), type=bipolar))
    rows = {}
    for simd in (32, 16, 8):
        plan = make_plan(graph, target(), folds={"c": Fold(simd=simd, memory="block")})
        (unit,) = (u for u in plan.units if isinstance(u, MatVec))
        rows[unit.weight_depth] = unit.weight_rows
        assert unit.cost("ecp5").brams <= brams_for("ecp5", unit.weight_depth, simd)
    assert rows == {16384: 0, 32768: 2048, 65536: 2048}


def int8_layer(kernel: int, channels: int, rows: int, pixels: int) -> Graph:
    rng = np.random.default_rng(1)
    int8 = ElementType.integer(8, signed=True)
    conv = Conv(
        name="c",
        input="x",
        output="a",
        weights=rng.integers(-127, 128, (rows, kernel, kernel, channels)),
        weight_type=int8,
    )
    shape = (pixels + kernel - 1, pixels + kernel - 1, channels)
    return straight(conv, x=Tensor(name="x", shape=shape, type=int8))


def test_frames_share_weights_in_plans_and_sweeps_alike():
    graph, room = int8_layer(1, 256, 256, 1), target(brams=40)
    fastest = make_plan(graph, room)
    assert fastest.folds["c"].batch > 1
    assert sweep(graph, room, count=3)[-1].folds == fastest.folds


def test_multipliers_take_two_rows_and_logic_helps_where_they_are_too_few():
    graph = int8_layer(3, 16, 16, 14)
    few, many = (
        replace(target(luts=30_000), resources=replace(target(luts=30_000).resources, dsps=n))
        for n in (8, 64)
    )
    slow, fast = (make_plan(graph, room, fps=target().clock_mhz * 1e6 / 4_800) for room in (few, many))
    assert fast.folds["c"].multiplier == "pair"
    assert slow.folds["c"].adder == "gated"
    # More multiply-accumulates a cycle than there are multipliers.
    assert sum(layer.macs for layer in fast.layers) / fast.cycles > 64 + 8


def test_a_window_in_front_of_the_slowest_unit_is_not_short_of_rows():
    """Frames without padding end with three rows at once, which the next one's then have to come for."""
    rng = np.random.default_rng(1)
    int8 = ElementType.integer(8, signed=True)
    graph = straight(
        *(
            Conv(
                name=n, input=x, output=y, weights=rng.integers(-9, 9, (rows, 3, 3, depth)), weight_type=int8
            )
            for n, x, y, depth, rows in (("a", "x", "a.y", 3, 8), ("b", "a.y", "b.y", 8, 8))
        ),
        x=Tensor(name="x", shape=(32, 32, 3), type=int8),
    )
    slow = Fold(pe=2, simd=9, pixels=3, lines="lut")
    for second, short in ((Fold(pe=8, simd=8, pixels=4), False), (Fold(pe=8, simd=8), True)):
        window = make_plan(graph, target(), folds={"a": slow, "b": second}).units[0]
        assert isinstance(window, Window)
        assert window.fewest_rows < window.lean_rows
        assert window.rows == (window.fewest_rows if short else window.lean_rows)


def test_requantizers_have_the_lanes_that_sums_come_in():
    graph = int8_layer(3, 4, 8, 4)
    scale = Requantize(
        name="r",
        input="a",
        output="y",
        multiplier=np.arange(3, 11),
        addend=np.full(1, 9),
        shift=6,
        low=np.full(1, -128),
        high=np.full(1, 127),
        type=ElementType.integer(8, signed=True),
    )
    graph = straight(*graph.nodes, scale, x=graph.tensors["x"])
    for pixels, pe, simd, lanes in ((1, 8, 4, 1), (1, 8, 12, 4), (1, 8, 36, 8), (2, 4, 4, 1), (4, 8, 12, 16)):
        plan = make_plan(graph, target(), folds={"c": Fold(pe=pe, simd=simd, pixels=pixels)})
        (unit,) = (u for u in plan.units if u.kind == "requantize")
        assert unit.outputs[0].lanes == lanes
        assert unit.cycles <= max(u.cycles for u in plan.units if u.kind == "matvec")


def test_constants_of_many_channels_lie_where_the_weights_do():
    scale = Requantize(
        name="r",
        input="x",
        output="y",
        multiplier=np.arange(3, 67),
        addend=np.full(1, 9),
        shift=6,
        low=np.full(1, -128),
        high=np.full(1, 127),
        type=ElementType.integer(8, signed=True),
    )
    graph = straight(scale, x=Tensor(name="x", shape=(4, 4, 64), type=ElementType.integer(16, signed=True)))
    for memory in ("lut", "block"):
        (unit,) = make_plan(graph, target(), folds={"r": Fold(simd=1, memory=memory)}).units
        assert unit.cost("ecp5").brams == (0.5 if memory == "block" else 0)


def test_constants_are_read_in_parts_where_sums_leave_the_time():
    rng = np.random.default_rng(2)
    scale = Requantize(
        name="r",
        input="a",
        output="y",
        multiplier=rng.integers(1 << 14, 1 << 15, 64),
        addend=rng.integers(-(1 << 24), 1 << 24, 64),
        shift=20,
        low=np.full(1, -128),
        high=np.full(1, 127),
        type=ElementType.integer(8, signed=True),
    )
    graph = int8_layer(3, 4, 64, 4)
    graph = straight(*graph.nodes, scale, x=graph.tensors["x"])
    for pe, simd, parts in ((1, 4, 4), (2, 12, 1), (1, 36, 1)):
        fold = Fold(pe=pe, simd=simd, constants="block")
        plan = make_plan(graph, target(), folds={"c": fold})
        (unit,) = (u for u in plan.units if isinstance(u, RequantizeUnit))
        assert unit.parts == parts
        assert unit.cycles <= max(u.cycles for u in plan.units if u.kind == "matvec")
        assert unit.memory == "block" or unit.folds < 64


def test_words_come_in_parts_where_groups_of_pes_are_few():
    """PE 2 and SIMD 16, 128 words: two groups and two parts fill 512 words, for as many steps or more."""
    layer = int8_layer(1, 64, 64, 5)
    (folds,) = ([choice.fold for choice in choices_of(each, target())] for each in layers_of(layer))
    parts = [f for f in folds if (f.pe, f.simd, f.multiplier) == (2, 16, "dsp") and f.parts > 1]
    assert {(f.held, f.shared, f.parts) for f in parts} == {(5, 2, 2)}
    for fold in parts:
        plan = make_plan(layer, target(), folds={"c": fold})
        (unit,) = (u for u in plan.units if isinstance(u, MatVec))
        whole = replace(unit, parts=1, buffer_depth=0, memory_width=0)
        assert (unit.memory_depth, unit.part_width) == (512, whole.weight_width // 2)
        assert unit.latency_cycles == whole.latency_cycles + 2
        assert unit.cost("ecp5").brams < whole.cost("ecp5").brams


def test_padding_beyond_what_may_be_costs_logic(graph):
    room = target()
    layers = {layer.name: choices_of(layer, room) for layer in layers_of(graph)}
    picks = smallest_for(layers, room, 20_000)
    cheapest = {
        name: min((c for c in cs if c.cycles <= 20_000), key=lambda c: c.cost.luts)
        for name, cs in layers.items()
    }

    def empty(chosen):
        cost = total(list(chosen.values()))
        return room.padding_beyond(cost)

    assert empty(picks) < empty(cheapest)


@pytest.mark.parametrize(("logic", "filled"), [(15_500, True), (51_000, True), (53_000, False)])
@pytest.mark.parametrize("between", [0, 4])
def test_block_ram_is_filled_where_the_logic_for_it_fits(logic, filled, between):
    """The second choice's 5 blocks are full, the first's 15 are a third full; `between` are empty."""
    block = 18432
    target = Target(
        board="b",
        family="ecp5",
        resources=Resources(luts=80_000, ffs=1e6, brams=208),
        usable=0.65,
        clock_mhz=100,
        reserved=Resources(brams=between),
    )
    table = {
        "layer": [
            Choice(fold=Fold(), cycles=64, cost=Resources(luts=10_000, brams=15, bram_bits=5 * block)),
            Choice(fold=Fold(simd=2), cycles=64, cost=Resources(luts=logic, brams=5, bram_bits=5 * block)),
        ]
    }
    for picks in (smallest_for(table, target, 64), fastest_that_fits(table, target)):
        assert picks is not None
        # Four blocks of nine are more than 15 %, whatever is chosen here.
        assert (picks["layer"].fold.simd == 2) == (filled and between == 0)


def test_the_fastest_that_is_filled_where_it_is_asked_for():
    """Twice the cycles for five full blocks: too slow, unless nothing else will do."""
    block = 18432
    room = target(brams=208)
    table = {
        "layer": [
            Choice(fold=Fold(), cycles=64, cost=Resources(luts=10_000, brams=15, bram_bits=5 * block)),
            Choice(fold=Fold(simd=2), cycles=128, cost=Resources(luts=9_000, brams=5, bram_bits=5 * block)),
            Choice(fold=Fold(simd=4), cycles=256, cost=Resources(luts=8_000, brams=5, bram_bits=5 * block)),
        ]
    }
    assert fastest_that_fits(table, room)["layer"].cycles == 64
    for slower, cycles in ((3, 128), (2, 128), (1.9, 64)):
        assert fastest_that_fits(table, room, slower=slower)["layer"].cycles == cycles
    assert fastest_that_fits(table, replace(room, padding=1.0), slower=3)["layer"].cycles == 64


def test_a_slower_plan_that_is_fuller_knows_the_fastest(graph):
    """Little logic: weights in LUTs at 288 cycles, or in block RAMs that stay empty at 192."""
    room = replace(target(), resources=Resources(luts=8_000, ffs=16_000, brams=50))
    plan, fastest = make_plan(graph, room), make_plan(graph, room, padding=1.0)
    assert room.padding_beyond(plan.cost) <= 0 < room.padding_beyond(fastest.cost)
    assert fastest.cycles == plan.fastest < plan.cycles <= 1.75 * plan.fastest
    assert fastest.fastest == 0
    told, untold = (first_report("digits.onnx", "", p) for p in (plan, fastest))
    assert ("", f"{fastest.cycles} cycles an image with --padding 100") in facts(told)
    assert not any("--padding" in text for _, text in facts(untold))
    # Where nothing is given up, nothing is said.
    assert make_plan(graph, target()).fastest == 0


def test_what_joins_layers_keeps_the_rate(graph):
    """Lanes of a small common divisor: 64 and 12, say, which by way of 4 would be half as fast as wanted."""
    for cycles in range(96, 201, 4):
        assert make_plan(graph, target(), fps=1e8 / (cycles + 0.5)).cycles <= cycles


def test_padding_that_is_asked_for(graph):
    """As little logic as can be, as full as asked for, or a refusal that says what would do."""
    room = target()
    plain = make_plan(graph, room, fps=20_000)
    least = make_plan(graph, room, fps=20_000, padding=1.0)
    assert least.cost.luts < plain.cost.luts
    assert least.cost.brams > plain.cost.brams
    fastest = make_plan(graph, room, padding=0.2)
    assert room.padding_beyond(least.cost) > 0 >= replace(room, padding=0.2).padding_beyond(fastest.cost)
    # What is not chosen is empty.
    room = replace(room, reserved=Resources(brams=1))
    with pytest.raises(DoesNotFitError, match=r"stay \d+% empty, 10% may") as refusal:
        make_plan(graph, room, fps=20_000, padding=0.1)
    allowed = re.search(r"--padding (\d+)", str(refusal.value))
    assert allowed
    make_plan(graph, room, fps=20_000, padding=int(allowed[1]) / 100)


def test_block_ram_is_filled_with_multipliers_that_another_layer_gives_up():
    """The first layer's full blocks need the multipliers that the second can do without."""
    block = 18432
    target = Target(
        board="b",
        family="ecp5",
        resources=Resources(luts=80_000, ffs=1e6, brams=208, dsps=10),
        usable=0.65,
        clock_mhz=100,
        reserved=Resources(),
    )
    table = {
        "first": [
            Choice(fold=Fold(), cycles=64, cost=Resources(luts=5_000, brams=15, bram_bits=5 * block)),
            Choice(
                fold=Fold(simd=2),
                cycles=64,
                cost=Resources(luts=5_100, brams=5, bram_bits=5 * block, dsps=10),
            ),
        ],
        "second": [
            Choice(fold=Fold(), cycles=64, cost=Resources(luts=5_000, dsps=10)),
            Choice(fold=Fold(simd=2), cycles=64, cost=Resources(luts=6_500)),
        ],
    }
    picks = smallest_for(table, target, 64)
    assert picks is not None
    assert [choice.fold.simd for choice in picks.values()] == [2, 2]


@pytest.mark.parametrize("seed", range(1322, 1328))
def test_no_rate_that_fits_is_passed_over(seed):
    """What is found at some cycles may not fit though what is found at fewer does; of these, at 1325."""
    rng = np.random.default_rng(seed)
    target = Target(
        board="b",
        family="ecp5",
        resources=Resources(luts=rng.uniform(3000, 12000), ffs=1e6, brams=20, dsps=12),
        usable=1.0,
        clock_mhz=100,
        reserved=Resources(),
    )
    slowest = rng.choice([3, 4, 5, 6, 7, 9], 5) * 1024

    def cost(speed: int, how: int) -> Resources:
        luts = float(rng.uniform(60, 160)) * (2.0**speed + 4 * (how == 0))
        brams = float(rng.integers(0, 2 + speed) * (how == 1))
        return Resources(luts=luts, brams=brams, dsps=float(2**speed // 4 * (how == 2)))

    table = {
        f"layer{k}": [
            Choice(fold=Fold(), cycles=int(cycles) >> speed, cost=cost(speed, how))
            for speed in range(7)
            for how in range(3)
        ]
        for k, cycles in enumerate(slowest)
    }
    fastest = max(c.cycles for c in fastest_that_fits(table, target).values())
    for cycles in {c.cycles for choices in table.values() for c in choices if c.cycles < fastest}:
        picks = smallest_for(table, target, cycles)
        assert picks is None or target.shortage(total(list(picks.values())))
