"""Estimates: against what synthesis was seen to do, and their sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.plan import make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.sweep import sweep
from pulsefold.compiler.plan.target import Target, placed
from pulsefold.compiler.plan.units import MatVec, RowSums
from pulsefold.compiler.plan.units.memory import memory_cost
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.errors import DoesNotFitError

DEMO = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"


def target(family: str = "ecp5", luts: int = 80_000) -> Target:
    return Target(
        board="test",
        family=family,
        resources=Resources(luts=luts, ffs=luts, brams=200, dsps=100),
        usable=0.65,
        clock_mhz=100,
    )


@pytest.mark.parametrize(
    ("family", "depth", "width", "brams"),
    [
        # Each as Yosys mapped it in a whole design.
        ("ecp5", 49, 80, 3),
        ("ecp5", 8, 64, 0),
        ("ecp5", 18, 16, 0),
        ("ice40", 192, 1, 1),
        ("ice40", 48, 4, 1),
        ("ice40", 18, 16, 1),
        ("ice40", 8, 16, 0),
    ],
)
def test_small_memories_lie_where_synthesis_puts_them(family, depth, width, brams):
    cost = memory_cost(family, depth, width, "ram")
    assert cost.brams == brams
    assert cost.bram_bits == (depth * width if brams else 0)
    assert (cost.luts == 0) == (brams > 0)


@pytest.mark.parametrize(
    ("family", "depth", "width", "brams"),
    [
        ("ecp5", 512, 18, 0.5),
        ("ecp5", 513, 18, 1),
        ("ecp5", 512, 19, 1),
        ("ecp5", 1024, 9, 0.5),
        ("ecp5", 1024, 18 + 9, 1.5),
        ("ecp5", 300, 36 + 17, 1.5),
        ("ecp5", 4096, 2, 0.5),
        ("ecp5", 8193, 1, 1),
        ("gowin", 512, 18, 1),
    ],
)
def test_small_memories_that_are_only_read_take_half_a_block(family, depth, width, brams):
    assert rom_cost(family, depth, width, "block") == Resources(brams=brams, bram_bits=depth * width)


def test_resources_add_up():
    a = Resources(luts=1, ffs=2, brams=3, dsps=4, bram_bits=5)
    assert a * 3 == a + a + a
    assert a + a - a == a


def test_registers_take_positions_where_no_lut_stands_in_front_of_them():
    cost = Resources(luts=100, ffs=200, brams=3)
    assert placed(cost, "ecp5") == cost
    assert placed(cost, "ice40").luts > 150
    assert placed(cost, "gowin").luts > 150
    assert placed(cost, "ice40").brams == 3


def test_a_plan_costs_what_its_units_do():
    graph = import_model(DEMO)
    for family in ("ecp5", "ice40"):
        (plan,) = sweep(graph, target(family), cycles=[5000])
        each = sum((placed(u.cost(family), family) for u in plan.units), Resources())
        assert plan.core_cost.luts == pytest.approx(each.luts)
        assert plan.cost.brams == each.brams + plan.target.reserved.brams
        assert (plan.cost.bram_bits > 0) == (plan.cost.brams > 0)


def test_padding_is_what_holds_no_bit():
    plan = make_plan(import_model(DEMO), target(), fps=20_000, padding=1.0)
    assert plan.padding == pytest.approx(1 - plan.cost.bram_bits / (18 * 1024 * plan.cost.brams))
    assert 0 < plan.padding < 1
    assert make_plan(import_model(DEMO), target(), fps=20_000, padding=0.0).padding == 0


def test_sweep_from_the_smallest_to_the_fastest():
    graph = import_model(DEMO)
    plans = sweep(graph, target(), count=6)
    assert [p.cycles for p in plans] == sorted({p.cycles for p in plans}, reverse=True)
    assert len(plans) >= 4
    assert plans[-1].cycles < plans[0].cycles / 20
    assert all(p.target.shortage(p.core_cost) is None for p in plans)
    asked = sweep(graph, target(), cycles=[9000, 700])
    assert [p.cycles <= bound for p, bound in zip(asked, (9000, 700), strict=True)] == [True, True]
    with pytest.raises(DoesNotFitError, match="no folding is that fast"):
        sweep(graph, target(), cycles=[1])
    with pytest.raises(DoesNotFitError):
        sweep(graph, target(luts=500))


@pytest.mark.parametrize("signed", [False, True])
def test_ranges_from_sums_are_those_of_the_products(signed):
    rng = np.random.default_rng(4)
    kind, weights = ElementType.integer(4, signed=signed), rng.integers(-7, 8, (12, 40))
    sums = RowSums.of(weights)
    low, high = sums.reach(kind.minimum, kind.maximum)
    a, b = weights * kind.minimum, weights * kind.maximum
    assert np.array_equal(low, np.minimum(a, b).sum(axis=1))
    assert np.array_equal(high, np.maximum(a, b).sum(axis=1))
    unit = MatVec(
        name="m",
        vectors=1,
        weights=weights,
        weight_type=ElementType.integer(4, signed=True),
        type=kind,
        pe=1,
        simd=1,
    )
    assert unit.accumulator_type.minimum <= low.min()
    assert unit.accumulator_type.maximum >= high.max()
