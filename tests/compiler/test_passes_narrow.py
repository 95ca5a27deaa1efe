"""Sums with small gains lead to the levels of the exact ones, for every combination of integers."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import source_of
from pulsefold.compiler.ir import ElementType, Graph, Output, Requantize, Sum, Tensor, Threshold
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import bipolar, uniform
from pulsefold.compiler.numerics.ranges import node_range
from pulsefold.compiler.numerics.thresholds import integer_thresholds
from pulsefold.compiler.passes import verify
from pulsefold.compiler.passes.narrow import narrow_sums
from pulsefold.sim import golden

BYTE, NIBBLE = ElementType.integer(8, signed=True), ElementType.integer(4, signed=True)


def residual(
    scales: list[float],
    kinds: list[ElementType],
    *,
    scale: float,
    bits: int,
    gain: int = 1,
    mode: str = "HALF_EVEN",
    low: Fraction | None = None,
) -> Graph:
    """Sum and quantizer as the importer makes them of an Add of float32 scales; one bit is bipolar."""
    exact = [Fraction(float(np.float32(s))) for s in scales]
    below = lcm(*(s.denominator for s in exact))
    unit = Fraction(gcd(*(int(s * below) for s in exact)), below)
    inputs = [Tensor(name=f"x{i}", shape=(1, 1, 1), type=kind) for i, kind in enumerate(kinds)]
    names = tuple(x.name for x in inputs)
    total = Sum(name="add", inputs=names, output="a", gains=tuple(int(s / unit) for s in exact))
    a = total.output_tensor(*inputs)
    reach = node_range(
        total, inputs, [(np.array([x.type.minimum]), np.array([x.type.maximum])) for x in inputs]
    )
    real = Fraction(float(np.float32(scale)))
    quantizer = (
        bipolar((real,))
        if bits == 1
        else uniform(scale=(real,), zero=Fraction(0), bits=bits, signed=True, narrow=False, mode=mode)
    )
    line = Line(gain=unit * gain, offset=Fraction(1, 3), low=low)
    thresholds, descending = integer_thresholds([line], quantizer, *reach)
    step = Threshold(
        name="quant",
        input="a",
        output="y",
        thresholds=thresholds,
        descending=descending,
        first=quantizer.first,
        type=quantizer.type,
    )
    y = step.output_tensor(a)
    return Graph(
        name="g",
        inputs=tuple(source_of(x) for x in inputs),
        outputs=(Output(tensor="y", name="y", index=np.zeros((1, 1, 1), np.int64)),),
        nodes=(total, step),
        tensors={t.name: t for t in (*inputs, a, y)},
    )


def check(graph: Graph) -> Graph:
    """The graph with small gains, which says the same of every combination of integers."""
    verify(graph)
    after = narrow_sums(graph)
    verify(after)
    inputs = [graph.tensors[source.tensor] for source in graph.inputs]
    grids = np.meshgrid(*(np.arange(x.type.minimum, x.type.maximum + 1) for x in inputs))
    q = {x.name: g.reshape(-1, 1, 1, 1) for x, g in zip(inputs, grids, strict=True)}
    assert np.array_equal(golden.run(graph, q)["y"], golden.run(after, q)["y"])
    return after


float_scales = st.floats(1 / 64, 1 / 8, width=32)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(float_scales, min_size=2, max_size=2),
    float_scales,
    st.sampled_from([8, 8, 5, 4, 2, 1]),
    st.sampled_from([1, -1]),
    st.sampled_from([None, Fraction(0)]),
    st.sampled_from(["HALF_EVEN", "FLOOR", "DOWN"]),
)
def test_bytes(
    scales: list[float], scale: float, bits: int, gain: int, low: Fraction | None, mode: str
) -> None:
    check(residual(scales, [BYTE, BYTE], scale=scale, bits=bits, gain=gain, mode=mode, low=low))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(float_scales, min_size=2, max_size=3),
    float_scales,
    st.sampled_from([6, 4, 2, 1]),
    st.sampled_from([1, -1]),
)
def test_several_nibbles(scales: list[float], scale: float, bits: int, gain: int) -> None:
    check(residual(scales, [NIBBLE] * len(scales), scale=scale, bits=bits, gain=gain))


@pytest.mark.parametrize(("kind", "bits", "most"), [(BYTE, 8, 21), (NIBBLE, 4, 6), (BYTE, 1, 12)])
def test_gains_are_small(kind: ElementType, bits: int, most: int) -> None:
    graph = residual([0.0317, 0.0451], [kind, kind], scale=0.0522, bits=bits)
    total, step = check(graph).nodes
    assert isinstance(total, Sum)
    assert isinstance(graph.nodes[0], Sum)
    assert min(g.bit_length() for g in graph.nodes[0].gains) > 20
    assert max(g.bit_length() for g in total.gains) <= most
    assert isinstance(step, Requantize if bits == 8 else Threshold)
    if isinstance(step, Requantize):
        assert step.multiplier.tolist() == [1]


def test_what_stays() -> None:
    """Sums without multiplication, sums of too many combinations, sums that are read twice."""
    graph = residual([0.5, 0.5], [BYTE, BYTE], scale=0.75, bits=8)
    assert narrow_sums(graph).nodes == graph.nodes
    graph = residual([0.031, 0.045, 0.05], [BYTE, BYTE, BYTE], scale=0.75, bits=8)
    assert narrow_sums(graph).nodes == graph.nodes
    graph = residual([0.031, 0.045], [NIBBLE, NIBBLE], scale=0.75, bits=4)
    output = Output(tensor="a", name="a", index=np.zeros((1, 1, 1), np.int64))
    shown = Graph(
        name="g",
        inputs=graph.inputs,
        outputs=(*graph.outputs, output),
        nodes=graph.nodes,
        tensors=graph.tensors,
    )
    assert narrow_sums(shown).nodes == graph.nodes


def test_the_sum_says_about_what_it_stands_for() -> None:
    graph = residual([0.031, 0.045], [NIBBLE, NIBBLE], scale=0.1, bits=4)
    after = narrow_sums(graph)
    exact, about = (
        [float(g.tensors["a"].scale[0]) * v for v in node.gains]
        for g in (graph, after)
        for node in g.nodes[:1]
        if isinstance(node, Sum)
    )
    assert about[0] == pytest.approx(exact[0])
    assert about[1] == pytest.approx(exact[1], rel=0.1)
