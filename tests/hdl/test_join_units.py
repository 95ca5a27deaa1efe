"""Units with several inputs against their golden functions and promised timing."""

from __future__ import annotations

import numpy as np
import pytest
from draws import INT, divisor, few, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import Concat, Constant, ElementType, Product, Sum, Tensor, type_for_range
from pulsefold.compiler.plan.units import ConcatUnit, ProductUnit, SumUnit
from pulsefold.errors import FoldingError
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden import OPERATIONS

TYPES = st.sampled_from(
    [ElementType.bipolar(), ElementType.ternary(), INT(3, signed=False), INT(8, signed=True)]
)


@st.composite
def sums(draw) -> SumUnit:
    count = draw(st.integers(2, 4))
    types = tuple(draw(TYPES) for _ in range(count))
    gains = tuple(draw(st.sampled_from([1, 1, -1, 2, 3, -5, 1000])) for _ in range(count))
    ends = [sorted((g * t.minimum, g * t.maximum)) for g, t in zip(gains, types, strict=True)]
    channels = draw(st.sampled_from([1, 3, 4, 6]))
    pixels = draw(st.integers(1, 5))
    spread = tuple(draw(st.booleans()) for _ in range(count))
    return SumUnit(
        name="sum",
        types=types,
        gains=gains,
        spread=(False, *spread[1:]),
        channels=channels,
        pixels=pixels,
        lanes=divisor(draw, channels),
        output_type=type_for_range(min(0, sum(e[0] for e in ends)), max(0, sum(e[1] for e in ends))),
    )


@st.composite
def tabled(draw) -> SumUnit | ProductUnit:
    """A stream and a constant; without a style, frames of more than 128 beats have theirs in block RAM."""
    kind = draw(TYPES)
    channels, pixels = draw(st.sampled_from([(1, 1), (2, 1), (4, 5), (6, 7), (1, 130)]))
    rng = np.random.default_rng(draw(seeds))
    table = rng.integers(-40, 90, (1, pixels, channels))
    node = Constant(name="t", output="t", values=table)
    x, t = Tensor(name="x", shape=(1, pixels, channels), type=kind), node.output_tensor()
    common = {
        "name": "tabled",
        "types": (x.type, t.type),
        "spread": (False, False),
        "tables": (None, table),
        "style": draw(st.sampled_from(["", "lut", "block"])),
        "channels": channels,
        "pixels": pixels,
        "lanes": divisor(draw, channels),
    }
    if draw(st.booleans()):
        gains = (draw(st.sampled_from([1, -1, 3])), draw(st.sampled_from([1, 5])))
        whole = Sum(name="y", inputs=("x", "t"), output="y", gains=gains)
        return SumUnit(gains=gains, output_type=whole.output_tensor(x, t).type, **common)
    zeros = (draw(st.sampled_from([0, 1])), 0)
    whole = Product(name="y", inputs=("x", "t"), output="y", zeros=zeros)
    multiplies = draw(st.sampled_from(["lut", "dsp"]))
    output = whole.output_tensor(x, t).type
    return ProductUnit(zeros=zeros, multiplies=multiplies, output_type=output, **common)


@st.composite
def concats(draw) -> ConcatUnit:
    lanes, count = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    types = tuple(draw(TYPES) for _ in range(count))
    kind = types[0]
    if any(t != kind for t in types):
        kind = type_for_range(min(t.minimum for t in types), max(t.maximum for t in types))
    return ConcatUnit(
        name="concat",
        types=types,
        channels=tuple(lanes * draw(st.integers(1, 3)) for _ in range(count)),
        pixels=draw(st.integers(1, 5)),
        lanes=lanes,
        output_type=kind,
    )


def golden(unit: SumUnit | ConcatUnit, seed: int) -> None:
    """The unit's own model against the graph's golden function."""
    rng = np.random.default_rng(seed)
    names = tuple(f"x{k}" for k in range(len(unit.types)))
    if isinstance(unit, SumUnit):
        node = Sum(name="n", inputs=names, output="y", gains=unit.gains)
        shapes = [(1, 1 if alone else unit.pixels, unit.channels) for alone in unit.spread]
    else:
        node = Concat(name="n", inputs=names, output="y")
        shapes = [(1, unit.pixels, channels) for channels in unit.channels]
    tensors = [
        Tensor(name=n, shape=shape, type=t) for n, shape, t in zip(names, shapes, unit.types, strict=True)
    ]
    assert node.output_tensor(*tensors).type == unit.output_type
    xs = [rng.integers(t.type.minimum, t.type.maximum + 1, (2, *t.shape)) for t in tensors]
    want = OPERATIONS[type(node)](node, *xs)
    got = expected_values(unit, *(x.reshape(-1, unit.lanes) for x in xs))
    np.testing.assert_array_equal(got.reshape(want.shape), want)


@settings(max_examples=100, deadline=None)
@given(sums() | concats(), seeds)
def test_unit_models_are_golden(unit, seed):
    golden(unit, seed)


@few(6)
@given(sums(), seeds)
def test_sum(check_unit, unit, seed):
    check_unit(unit, seed)


@settings(max_examples=60, deadline=None)
@given(tabled(), seeds)
def test_models_of_units_with_tables_are_golden(unit, seed):
    x = np.random.default_rng(seed).integers(0, 2, (2, 1, unit.pixels, unit.channels))
    names = {"name": "n", "inputs": ("x", "t"), "output": "y"}
    added = isinstance(unit, SumUnit)
    node = Sum(**names, gains=unit.gains) if added else Product(**names, zeros=unit.zeros)
    constant = Constant(name="t", output="t", values=unit.tables[1])
    want = OPERATIONS[type(node)](node, x, OPERATIONS[Constant](constant))
    got = expected_values(unit, x.reshape(-1, unit.lanes))
    np.testing.assert_array_equal(got.reshape(want.shape), want)


@settings(max_examples=12, deadline=None)
@given(tabled(), seeds)
def test_tables_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(4)
@given(tabled(), seeds)
def test_tables(check_unit, unit, seed):
    check_unit(unit, seed)


@few(5)
@given(concats(), seeds)
def test_concat(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.slow
@few(30, same=False)
@given(sums() | concats(), seeds)
def test_joins_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


def test_lanes_must_divide_every_input():
    kind = INT(4, signed=True)
    with pytest.raises(FoldingError, match="2 lanes do not divide 3 channels"):
        ConcatUnit(name="c", types=(kind, kind), channels=(4, 3), pixels=1, lanes=2, output_type=kind)
