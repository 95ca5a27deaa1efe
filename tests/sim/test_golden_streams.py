"""Golden operations on elements and on several streams, against their definitions and in plain ONNX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import TYPES, exported, graph_of, values
from pulsefold.compiler.ir import (
    Concat,
    ElementType,
    Lrn,
    Product,
    Reorder,
    Requantize,
    Sum,
    Table,
    Threshold,
    type_for_range,
)
from pulsefold.sim.golden.joins import concat, product, sum_
from pulsefold.sim.golden.lrn import lrn
from pulsefold.sim.golden.reorder import reorder
from pulsefold.sim.golden.requantize import requantize
from pulsefold.sim.golden.table import table
from pulsefold.sim.golden.threshold import threshold

seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from([*TYPES, ElementType.integer(20, signed=True), ElementType.integer(33, signed=False)])
UINT8, INT8 = ElementType.integer(8, signed=False), ElementType.integer(8, signed=True)


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.sampled_from([1, 2, 3, 7, 9, 255]),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.sampled_from([INT8, ElementType.integer(32, signed=True), ElementType.integer(45, signed=True)]),
)
def test_threshold(seed: int, count: int, rows: int, bipolar: bool, source: ElementType) -> None:
    rng = np.random.default_rng(seed)
    kind = ElementType.bipolar() if bipolar and count == 1 else type_for_range(-5, count - 5)
    near = rng.integers(source.minimum, source.maximum + 2, (rows, count))
    near = np.where(rng.random(near.shape) < 0.1, source.maximum + 1, near)
    node = Threshold(
        name="t",
        input="x",
        output="y",
        thresholds=np.sort(near),
        descending=rng.integers(0, 2, rows).astype(np.bool_),
        first=-1 if kind.is_bipolar else -5,
        type=kind,
    )
    x = values(rng, source, (3, 2, 2, 2))
    # Elements on a threshold, and one below.
    x[0] = np.clip(rng.choice(near.ravel(), x[0].shape) - rng.integers(0, 2), source.minimum, source.maximum)
    y = threshold(node, x)
    for place in np.ndindex(x.shape):
        c = place[3] % rows
        n = int(sum(x[place] >= t for t in node.thresholds[c]))
        assert y[place] == node.first + node.step * (count - n if node.descending[c] else n)
    assert node.type.contains(y)
    assert np.array_equal(exported(graph_of(node, (source, (2, 2, 2))), x), y)


@settings(max_examples=80, deadline=None)
@given(seeds, st.sampled_from([1, 2]), st.integers(0, 40), kinds, st.booleans())
def test_requantize(seed: int, rows: int, shift: int, kind: ElementType, even: bool) -> None:
    rng = np.random.default_rng(seed)
    multiplier, addend = rng.integers(-(2**20), 2**20, rows), rng.integers(-(2**50), 2**50, rows)
    if even:
        # Ties occur.
        shift = 1 + shift % 5
        multiplier, addend = multiplier % 8 - 4, addend % 64 - 32
    node = Requantize(
        name="r",
        input="x",
        output="y",
        multiplier=multiplier,
        addend=addend,
        shift=shift,
        even=even,
        low=rng.integers(-8, 0, rows),
        high=rng.integers(0, 8, rows),
        type=type_for_range(-8, 7),
    )
    x = values(rng, kind, (3, 2, 2, 2))
    y = requantize(node, x)
    for place in np.ndindex(x.shape):
        c = place[3] % rows
        # Python's division of integers rounds down, and round() to even.
        product = int(node.multiplier[c]) * int(x[place]) + int(node.addend[c])
        level = round(Fraction(product, 2**shift) - Fraction(1, 2)) if even else product // 2**shift
        assert y[place] == min(max(level, int(node.low[c])), int(node.high[c]))
    assert np.array_equal(exported(graph_of(node, (kind, (2, 2, 2))), x), y)


def test_requantize_beyond_64_bits() -> None:
    """A product that int64 would wrap: the golden model stays exact."""
    row = np.array([2**40 + 1])
    node = Requantize(
        name="r",
        input="x",
        output="y",
        multiplier=row,
        addend=np.array([5]),
        shift=62,
        low=np.array([-128]),
        high=np.array([127]),
        type=INT8,
    )
    x = np.array([2**27, -(2**27), 2**28 - 1]).reshape(1, 1, 3, 1)
    want = [((2**40 + 1) * v + 5) >> 62 for v in (2**27, -(2**27), 2**28 - 1)]
    assert requantize(node, x).ravel().tolist() == want


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.sampled_from([1, 3]),
    st.sampled_from([kind for kind in TYPES if not kind.is_bipolar] + [ElementType.integer(12, signed=True)]),
    st.sampled_from([INT8, UINT8, ElementType.integer(34, signed=True)]),
)
def test_table(seed: int, rows: int, source: ElementType, kind: ElementType) -> None:
    rng = np.random.default_rng(seed)
    entries = source.maximum - source.minimum + 1
    node = Table(
        name="t",
        input="x",
        output="y",
        values=values(rng, kind, (rows, entries)),
        least=source.minimum,
        type=kind,
    )
    x = values(rng, source, (2, 3, 2, 3))
    y = table(node, x)
    for place in np.ndindex(x.shape):
        assert y[place] == node.values[place[3] % rows, x[place] - source.minimum]
    assert np.array_equal(exported(graph_of(node, (source, (3, 2, 3))), x), y)


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([UINT8, INT8, ElementType.integer(3, signed=True)]),
    st.sampled_from([1, 3, 15]),
)
def test_lrn(seed: int, channels: int, before: int, after: int, kind: ElementType, count: int) -> None:
    rng = np.random.default_rng(seed)
    entries = kind.maximum - kind.minimum + 1
    zero = int(rng.integers(kind.minimum, kind.maximum + 1))
    most = (before + after + 1) * max(zero - kind.minimum, kind.maximum - zero) ** 2
    node = Lrn(
        name="l",
        input="x",
        output="y",
        before=before,
        after=after,
        zero=zero,
        least=kind.minimum,
        thresholds=np.sort(rng.integers(0, most + 2, (entries, count))),
        descending=rng.integers(0, 2, entries).astype(np.bool_),
        first=-2,
        type=type_for_range(-2, count - 2),
    )
    x = values(rng, kind, (2, 2, 3, channels))
    y = lrn(node, x)
    for n, i, j, c in np.ndindex(x.shape):
        near = range(max(0, c - before), min(channels - 1, c + after) + 1)
        energy = sum((int(x[n, i, j, k]) - zero) ** 2 for k in near)
        row = x[n, i, j, c] - kind.minimum
        reached = int(sum(energy >= t for t in node.thresholds[row]))
        assert y[n, i, j, c] == -2 + (count - reached if node.descending[row] else reached)
    assert np.array_equal(exported(graph_of(node, (kind, (2, 3, channels))), x), y)


frames = st.sampled_from([((2, 3, 2),) * 2, ((2, 3, 2), (1, 1, 2)), ((1, 1, 2), (2, 3, 2)), ((1, 1, 2),) * 2])


@settings(max_examples=60, deadline=None)
@given(seeds, kinds, kinds, frames, st.sampled_from([1, -3, 2**20]), st.sampled_from([1, 7, -(2**12)]))
def test_sum(
    seed: int, a: ElementType, b: ElementType, shapes: tuple[tuple, tuple], first: int, second: int
) -> None:
    rng = np.random.default_rng(seed)
    node = Sum(name="s", inputs=("a", "b"), output="y", gains=(first, second))
    x = [values(rng, kind, (2, *shape)) for kind, shape in zip((a, b), shapes, strict=True)]
    y = sum_(node, *x)
    for place in np.ndindex(y.shape):
        u, v = (int(part[tuple(min(k, s - 1) for k, s in zip(place, part.shape, strict=True))]) for part in x)
        assert y[place] == first * u + second * v
    graph = graph_of(node, (a, shapes[0]), (b, shapes[1]))
    assert graph.tensors["y"].type.contains(y)
    assert np.array_equal(exported(graph, *x), y)


def test_sum_of_three_and_of_one_twice() -> None:
    rng = np.random.default_rng(0)
    x = [values(rng, kind, (2, 2, 2, 3)) for kind in (INT8, UINT8)]
    node = Sum(name="s", inputs=("a", "b", "a"), output="y", gains=(2, -1, 5))
    assert np.array_equal(sum_(node, x[0], x[1], x[0]), 7 * x[0] - x[1])
    graph = graph_of(node, (INT8, (2, 2, 3)), (UINT8, (2, 2, 3)))
    assert np.array_equal(exported(graph, *x), 7 * x[0] - x[1])


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(TYPES), kinds, frames, st.sampled_from([0, 5, -100]), st.sampled_from([0, 1]))
def test_product(
    seed: int, a: ElementType, b: ElementType, shapes: tuple[tuple, tuple], first: int, second: int
) -> None:
    rng = np.random.default_rng(seed)
    node = Product(name="m", inputs=("a", "b"), output="y", zeros=(first, second))
    x = [values(rng, kind, (2, *shape)) for kind, shape in zip((a, b), shapes, strict=True)]
    y = product(node, *x)
    for place in np.ndindex(y.shape):
        u, v = (int(part[tuple(min(k, s - 1) for k, s in zip(place, part.shape, strict=True))]) for part in x)
        assert y[place] == (u - first) * (v - second)
    graph = graph_of(node, (a, shapes[0]), (b, shapes[1]))
    assert graph.tensors["y"].type.contains(y)
    assert np.array_equal(exported(graph, *x), y)


def test_product_with_itself() -> None:
    x = values(np.random.default_rng(0), INT8, (2, 2, 2, 3))
    node = Product(name="m", inputs=("a", "a"), output="y", zeros=(3, -2))
    assert np.array_equal(exported(graph_of(node, (INT8, (2, 2, 3))), x), (x - 3) * (x + 2))


@settings(max_examples=40, deadline=None)
@given(seeds, st.lists(kinds, min_size=2, max_size=4))
def test_concat(seed: int, types: list[ElementType]) -> None:
    rng = np.random.default_rng(seed)
    names = tuple("abcd"[: len(types)])
    node = Concat(name="c", inputs=names, output="y")
    x = [values(rng, kind, (2, 2, 3, 1 + k)) for k, kind in enumerate(types)]
    y = concat(node, *x)
    c = 0
    for part in x:
        for k in range(part.shape[3]):
            assert np.array_equal(y[..., c], part[..., k])
            c += 1
    assert c == y.shape[3]
    graph = graph_of(node, *((kind, (2, 3, 1 + k)) for k, kind in enumerate(types)))
    assert graph.tensors["y"].type.contains(y)
    assert np.array_equal(exported(graph, *x), y)


@settings(max_examples=60, deadline=None)
@given(seeds, kinds, st.tuples(*[st.integers(1, 4)] * 3), st.booleans(), st.sampled_from([0, -7, 2**33]))
def test_reorder(seed: int, kind: ElementType, shape: tuple[int, int, int], filled: bool, fill: int) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(-1 if filled else 0, 3 * 2 * 2, shape).astype(np.int32)
    node = Reorder(name="r", input="x", output="y", index=index, fill=fill)
    x = values(rng, kind, (2, 3, 2, 2))
    y = reorder(node, x)
    for n, i, j, c in np.ndindex(y.shape):
        at = int(index[i, j, c])
        assert y[n, i, j, c] == (fill if at < 0 else x[n, at // 4, at // 2 % 2, at % 2])
    graph = graph_of(node, (kind, (3, 2, 2)))
    assert graph.tensors["y"].type.contains(y)
    assert np.array_equal(exported(graph, x), y)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_any_batch(batch: int) -> None:
    node = Reorder(name="r", input="x", output="y", index=np.arange(12)[::-1].reshape(2, 3, 2))
    x = values(np.random.default_rng(0), INT8, (batch, 3, 2, 2))
    assert exported(graph_of(node, (INT8, (3, 2, 2))), x).shape == (batch, 2, 3, 2)
