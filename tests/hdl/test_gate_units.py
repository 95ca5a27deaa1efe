"""Products of streams and local response normalization against golden functions and promised timing."""

from __future__ import annotations

import numpy as np
import pytest
from draws import BIPOLAR, INT, TERNARY, few, foldings, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import ElementType, Lrn, Product, Tensor, type_for_range
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower import lanes_of, units_of
from pulsefold.compiler.plan.units import LrnUnit, ProductUnit
from pulsefold.errors import FoldingError
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden.joins import product
from pulsefold.sim.golden.lrn import lrn


@st.composite
def products(draw) -> ProductUnit:
    kinds = st.sampled_from(
        [BIPOLAR, TERNARY, INT(1, signed=False), INT(4, signed=True), INT(8, signed=False)]
    )
    types = draw(kinds), draw(kinds)
    zeros = draw(st.sampled_from([(0, 0), (0, 3), (-2, 100)]))
    corners = [
        (p - zeros[0]) * (q - zeros[1])
        for p in (types[0].minimum, types[0].maximum)
        for q in (types[1].minimum, types[1].maximum)
    ]
    return ProductUnit(
        name="product",
        types=types,
        zeros=zeros,
        spread=draw(st.sampled_from([(False, False), (False, True), (True, False)])),
        **draw(foldings()),
        output_type=type_for_range(min(0, *corners), max(0, *corners)),
        multiplies=draw(st.sampled_from(["lut", "dsp"])),
    )


@st.composite
def lrns(draw) -> LrnUnit:
    kind = draw(st.sampled_from([TERNARY, INT(3, signed=False), INT(4, signed=True)]))
    out = draw(st.sampled_from([TERNARY, INT(2, signed=False), INT(3, signed=True)]))
    rows, count = kind.maximum - kind.minimum + 1, out.maximum - out.minimum
    before, after = draw(st.sampled_from([(2, 2), (1, 1), (0, 1), (3, 4), (0, 0), (4, 1), (2, 0)]))
    rng = np.random.default_rng(draw(seeds))
    zero = draw(st.integers(kind.minimum, kind.maximum))
    most = max((kind.minimum - zero) ** 2, (kind.maximum - zero) ** 2, 1)
    return LrnUnit(
        name="lrn",
        type=kind,
        **draw(foldings(8)),
        before=before,
        after=after,
        zero=zero,
        thresholds=np.sort(rng.integers(0, most * (before + after + 1) + 2, (rows, count)), axis=1),
        descending=rng.random(rows) < 0.5,
        first=out.minimum,
        output_type=out,
    )


@few(25)
@given(products(), seeds)
def test_product_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(25)
@given(lrns(), seeds)
def test_lrn_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(2)
@given(products(), seeds)
def test_product(check_unit, unit, seed):
    check_unit(unit, seed)


@few(2)
@given(lrns(), seeds)
def test_lrn(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.slow
@few(12, same=False)
@given(products() | lrns(), seeds)
def test_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


def values(rng: np.random.Generator, kind: ElementType, size: tuple[int, ...]) -> np.ndarray:
    return (
        rng.choice([-1, 1], size) if kind.is_bipolar else rng.integers(kind.minimum, kind.maximum + 1, size)
    )


@settings(max_examples=40, deadline=None)
@given(products(), seeds)
def test_product_is_that_of_the_graph(unit, seed):
    rng = np.random.default_rng(seed)
    pixels = [1 if s else unit.pixels for s in unit.spread]
    a, b = (values(rng, t, (2, n, 1, unit.channels)) for t, n in zip(unit.types, pixels, strict=True))
    node = Product(name="p", inputs=("a", "b"), output="y", zeros=unit.zeros)
    beats = (v.reshape(-1, unit.lanes) for v in (a, b))
    assert np.array_equal(expected_values(unit, *beats).ravel(), product(node, a, b).ravel())
    tensors = [Tensor(name="x", shape=v.shape[1:], type=t) for v, t in zip((a, b), unit.types, strict=True)]
    assert node.output_tensor(*tensors).type == unit.output_type


@settings(max_examples=40, deadline=None)
@given(lrns(), seeds)
def test_lrn_is_that_of_the_graph(unit, seed):
    x = values(np.random.default_rng(seed), unit.type, (2, unit.pixels, 1, unit.channels))
    node = Lrn(
        name="n",
        input="x",
        output="y",
        before=unit.before,
        after=unit.after,
        zero=unit.zero,
        least=unit.type.minimum,
        thresholds=unit.thresholds,
        descending=unit.descending,
        first=unit.first,
        type=unit.output_type,
    )
    assert np.array_equal(expected_values(unit, x.reshape(-1, unit.lanes)).ravel(), lrn(node, x).ravel())


def test_lanes_that_do_not_divide_are_refused():
    with pytest.raises(FoldingError, match="4 lanes do not divide 6 channels"):
        ProductUnit(
            name="p", types=(TERNARY, TERNARY), zeros=(0, 0), spread=(False, False), channels=6, pixels=1,
            lanes=4, output_type=TERNARY,
        )  # fmt: skip
    with pytest.raises(FoldingError, match="4 lanes do not divide 6 channels"):
        LrnUnit(
            name="l", type=TERNARY, channels=6, pixels=1, lanes=4, before=1, after=1, zero=0,
            thresholds=np.zeros((3, 1), np.int64), descending=np.zeros(3, np.bool_), first=0,
            output_type=INT(1, signed=False),
        )  # fmt: skip


def test_gates_and_normalization_in_a_plan():
    """The layers of a small graph, unit by unit, give what the golden model gives."""
    rng = np.random.default_rng(0)
    kind, pixels = INT(3, signed=False), (2, 3, 4)
    x, gate = Tensor(name="x", shape=pixels, type=kind), Tensor(name="gate", shape=(1, 1, 4), type=kind)
    scaled = Product(name="scale", inputs=("x", "gate"), output="scaled", zeros=(1, 0))
    narrow = Lrn(
        name="norm", input="x", output="normal", before=1, after=2, zero=0, least=0,
        thresholds=np.sort(rng.integers(0, 200, (8, 3)), axis=1), descending=np.arange(8) % 2 == 0,
        first=0, type=INT(2, signed=False),
    )  # fmt: skip
    values_of = {"x": rng.integers(0, 8, (2, *pixels)), "gate": rng.integers(0, 8, (2, 1, 1, 4))}
    for node, want in (
        (scaled, product(scaled, values_of["x"], values_of["gate"])),
        (narrow, lrn(narrow, values_of["x"])),
    ):
        xs = tuple({"x": x, "gate": gate}[name] for name in node.inputs)
        layer = Layer(name=node.name, node=node, steps=None, xs=xs, y=node.output_tensor(*xs))
        assert lanes_of(layer) == [1, 2, 4]
        (unit,) = units_of(layer, Fold(simd=2), "ecp5")
        y = expected_values(unit, *(values_of[name].reshape(-1, 2) for name in node.inputs))
        assert np.array_equal(y.ravel(), want.ravel())
        assert unit.outputs[0].type == layer.y.type
