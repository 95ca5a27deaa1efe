"""Passes keep outputs and reach what they ensure; the verifier finds what is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Conv, ElementType, Graph, Input, Output, Tensor, Threshold, type_for_range
from pulsefold.compiler.passes import PASSES, Pass, run_passes, verify
from pulsefold.compiler.passes.ascend import all_ascend, ascend
from pulsefold.sim import golden


def descending(seed: int, widest: int, rows: int) -> Graph:
    """Conv and Threshold whose channels go both ways."""
    rng = np.random.default_rng(seed)
    kind = ElementType.integer(3, signed=True)
    x = Tensor(name="x", shape=(1, 1, 3), type=kind)
    weights = rng.integers(-widest, widest, (4, 1, 1, 3))
    conv = Conv(name="c", input="x", output="a", weights=weights, weight_type=type_for_range(-widest, widest))
    a = conv.output_tensor(x)
    threshold = Threshold(
        name="t",
        input="a",
        output="y",
        thresholds=np.sort(rng.integers(-3 * widest, 3 * widest, (rows, 3))),
        descending=rng.integers(0, 2, rows).astype(np.bool_),
        first=-1,
        type=type_for_range(-1, 2),
    )
    y = threshold.output_tensor(a)
    source = Input(
        tensor="x",
        name="x",
        index=np.arange(3, dtype=np.int32),
        frame=(1, 1, 3),
        dtype="float32",
        thresholds=np.arange(-3, 4, dtype=np.float32)[None],
        descending=np.zeros(1, np.bool_),
        first=-4,
    )
    return Graph(
        name="g",
        inputs=(source,),
        outputs=(Output(tensor="y", name="y", index=np.arange(4)),),
        nodes=(conv, threshold),
        tensors={"x": x, "a": a, "y": y},
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 128]), st.sampled_from([1, 4]))
def test_ascend_keeps_the_integers(seed: int, widest: int, rows: int) -> None:
    graph = descending(seed, widest, rows)
    verify(graph)
    after = ascend(graph)
    verify(after)
    assert all_ascend(after)
    q = np.random.default_rng(seed).integers(-4, 4, (50, 1, 1, 3))
    before, kept = (golden.run(g, {"x": q}, keep=True) for g in (graph, after))
    assert np.array_equal(before["y"], kept["y"])
    # What the accumulators stand for stays too.
    assert np.array_equal(before["a"], kept["a"] * [int(s) for s in scale_of(after, 4)])


def scale_of(graph: Graph, channels: int) -> list[Any]:
    scale = graph.tensors["a"].scale
    return [scale[c % len(scale)] for c in range(channels)]


def test_what_a_pass_ensures_is_checked() -> None:
    idle = Pass(name="idle", description="does nothing", run=lambda g: g, ensures=lambda _: False)
    with pytest.raises(RuntimeError, match="idle"):
        run_passes(descending(0, 2, 4), [idle])


def test_passes_have_names_and_descriptions() -> None:
    assert len({step.name for step in PASSES}) == len(PASSES)
    assert all(step.description for step in PASSES)


def broken(graph: Graph, kind: str) -> Graph:
    conv, threshold = graph.nodes
    assert isinstance(conv, Conv)
    assert isinstance(threshold, Threshold)
    tensors = dict(graph.tensors)
    match kind:
        case "shape":
            tensors["a"] = replace(tensors["a"], shape=(1, 1, 5))
        case "type":
            tensors["a"] = replace(tensors["a"], type=ElementType.integer(2, signed=True))
        case "scale":
            tensors["a"] = replace(tensors["a"], scale=(tensors["a"].scale[0],) * 3)
        case "stray":
            tensors["z"] = replace(tensors["a"], name="z")
        case "weights":
            conv = replace(conv, weight_type=ElementType.bipolar())
        case "order":
            threshold = replace(threshold, thresholds=threshold.thresholds[:, ::-1])
        case "levels":
            threshold = replace(threshold, first=5)
            tensors["y"] = threshold.output_tensor(tensors["a"])
        case "names":
            threshold = replace(threshold, name=conv.name)
        case "topology":
            return replace(graph, nodes=(threshold, conv))
        case "twice":
            threshold = replace(threshold, output="a")
        case "input":
            source = replace(graph.inputs[0], first=0)
            return replace(graph, inputs=(source,))
        case "output":
            return replace(graph, outputs=(replace(graph.outputs[0], tensor="none"),))
    return replace(graph, nodes=(conv, threshold), tensors=tensors)


@pytest.mark.parametrize(
    "kind",
    [
        "shape",
        "type",
        "scale",
        "stray",
        "weights",
        "order",
        "levels",
        "names",
        "topology",
        "twice",
        "input",
        "output",
    ],
)
def test_the_verifier_finds(kind: str) -> None:
    graph = descending(3, 7, 4)
    verify(graph)
    with pytest.raises(RuntimeError):
        verify(broken(graph, kind))


def test_imported_graphs_ascend(tmp_path: Path, net: Callable[..., Any]) -> None:
    n = net("N", 3).quant(0.5, bits=3)
    n.add("MatMul", n.const(np.array([[1, 2], [-3, 4], [5, -6]]))).add("Mul", n.const([-1.0, 2.0]))
    graph = import_model(n.quant(0.5, bits=3).save(tmp_path))
    assert all_ascend(graph)
