"""Thresholds of many levels become multiplications, and the integers stay."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import (
    Conv,
    ElementType,
    Graph,
    Input,
    Node,
    Output,
    Requantize,
    Tensor,
    Threshold,
    type_for_range,
)
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import uniform
from pulsefold.compiler.numerics.ranges import node_range, reachable
from pulsefold.compiler.numerics.thresholds import integer_thresholds
from pulsefold.compiler.passes import verify
from pulsefold.compiler.passes.requantize import products_fit, requantize
from pulsefold.sim import golden


def chain(x: Tensor, *nodes: Node) -> Graph:
    """Nodes in a row behind one input that takes every integer of its type."""
    levels = np.arange(x.type.minimum + 1, x.type.maximum + 1, dtype=np.float32)[np.newaxis]
    source = Input(
        tensor=x.name,
        name=x.name,
        index=np.arange(x.elements, dtype=np.int32),
        frame=x.shape,
        dtype="float32",
        thresholds=levels,
        descending=np.zeros(1, np.bool_),
        first=x.type.minimum,
    )
    tensors = {x.name: x}
    for node in nodes:
        tensors[node.output] = node.output_tensor(*(tensors[name] for name in node.inputs))
    last = tensors[nodes[-1].output]
    output = Output(tensor=last.name, name="y", index=np.arange(last.elements))
    return Graph(name="g", inputs=(source,), outputs=(output,), nodes=nodes, tensors=tensors)


def network(seed: int, bits: int) -> Graph:
    """Conv, a quantizer of some scale a channel, Conv, another quantizer."""
    rng = np.random.default_rng(seed)
    x = Tensor(name="x", shape=(3, 3, 2), type=ElementType.integer(4, signed=True))
    nodes: list[Node] = []
    tensor, reach = x, (np.full(2, -8), np.full(2, 7))
    for k, channels in enumerate((5, 4)):
        weights = rng.integers(-8, 8, (channels, 2, 2, tensor.shape[2]))
        conv = Conv(
            name=f"c{k}",
            input=tensor.name,
            output=f"a{k}",
            weights=weights,
            weight_type=type_for_range(-8, 7),
            pads=(1, 0, 0, 1),
        )
        reach = node_range(conv, [tensor], [reach])
        tensor = conv.output_tensor(tensor)
        lines = [
            Line(gain=Fraction(int(g), 64), offset=Fraction(int(o), 7), low=Fraction(0) if k == 0 else None)
            for g, o in zip(rng.integers(-40, 41, channels), rng.integers(-20, 20, channels), strict=True)
        ]
        quantizer = uniform(
            scale=(Fraction(3, 5),), zero=Fraction(0), bits=bits, signed=True, narrow=False, mode="HALF_EVEN"
        )
        thresholds, descending = integer_thresholds(lines, quantizer, *reach)
        threshold = Threshold(
            name=f"t{k}",
            input=tensor.name,
            output=f"q{k}",
            thresholds=thresholds,
            descending=descending,
            first=quantizer.first,
            type=quantizer.type,
        )
        reach = node_range(threshold, [tensor], [reach])
        tensor = threshold.output_tensor(tensor)
        nodes += [conv, threshold]
    return chain(x, *nodes)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 5, 8]))
def test_the_integers_stay(seed: int, bits: int) -> None:
    graph = network(seed, bits)
    verify(graph)
    after = requantize(graph)
    verify(after)
    assert products_fit(after)
    if bits == 3:
        assert [type(node) for node in after.nodes] == [type(node) for node in graph.nodes]
    q = np.random.default_rng(seed).integers(-8, 8, (200, 3, 3, 2))
    before, kept = (golden.run(g, {"x": q}, keep=True) for g in (graph, after))
    ranges = reachable(after)
    for name in graph.tensors:
        assert np.array_equal(before[name], kept[name])
        low, high = ranges[name]
        assert np.all((kept[name] >= low) & (kept[name] <= high))


def test_most_become_multiplications() -> None:
    kinds = [type(node) for seed in range(20) for node in requantize(network(seed, 8)).nodes]
    assert kinds.count(Requantize) > 3 * kinds.count(Threshold)


def test_ranges_are_reached() -> None:
    """Every end of the range of a padded convolution occurs for some input."""
    graph = network(1, 8)
    conv = graph.nodes[0]
    assert isinstance(conv, Conv)
    low, high = reachable(graph)["a0"]
    for o in range(5):
        for end, sign in ((high, 1), (low, -1)):
            best = np.where(sign * conv.weights[o] > 0, 7, -8)[np.newaxis]
            q = np.zeros((1, 3, 3, 2), np.int64)
            q[:, 1:, :2] = best
            assert golden.run(graph, {"x": q}, keep=True)["a0"][0, 2, 0, o] == end[o]


@pytest.mark.parametrize("broken", [{"shift": -1}, {"low": np.array([200])}, {"high": np.array([4000])}])
def test_the_verifier_finds(broken: dict) -> None:
    graph = requantize(network(2, 8))
    nodes = list(graph.nodes)
    assert isinstance(nodes[3], Requantize)
    nodes[3] = replace(nodes[3], **broken)
    with pytest.raises(RuntimeError, match="t1"):
        verify(replace(graph, nodes=tuple(nodes)))
