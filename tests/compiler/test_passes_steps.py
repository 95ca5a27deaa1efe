"""Thresholds that change nothing disappear, two in a row become one, and the integers stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import source_of
from pulsefold.compiler.ir import ElementType, Graph, MaxPool, Node, Output, Tensor, Threshold, type_for_range
from pulsefold.compiler.passes import verify
from pulsefold.compiler.passes.steps import join_steps, steps_are_needed
from pulsefold.sim import golden

BYTE = ElementType.integer(8, signed=True)


def chain(kind: ElementType, *nodes: Node) -> Graph:
    """Nodes in a row behind three channels."""
    x = Tensor(name="x", shape=(2, 2, 3), type=kind)
    tensors = {"x": x}
    for node in nodes:
        tensors[node.output] = node.output_tensor(*(tensors[name] for name in node.inputs))
    last = tensors[nodes[-1].output]
    output = Output(tensor=last.name, name="y", index=np.arange(last.elements))
    return Graph(name="g", inputs=(source_of(x),), outputs=(output,), nodes=nodes, tensors=tensors)


def step(
    name: str, read: str, rows: np.ndarray, first: int, descending: np.ndarray, kind: ElementType
) -> Threshold:
    return Threshold(
        name=name,
        input=read,
        output=f"{name}.y",
        thresholds=rows,
        descending=descending,
        first=first,
        type=kind,
        sources=(name,),
    )


def random_step(
    rng: np.random.Generator, name: str, read: str, low: int, high: int, *, bipolar: bool
) -> Threshold:
    rows, count = int(rng.choice([1, 3])), 1 if bipolar else int(rng.integers(1, 20))
    first = -1 if bipolar else int(rng.integers(-10, 3))
    return step(
        name,
        read,
        np.sort(rng.integers(low, high + 2, (rows, count))),
        first,
        rng.integers(0, 2, rows).astype(np.bool_),
        ElementType.bipolar() if bipolar else type_for_range(first, first + count),
    )


def every_integer(graph: Graph) -> dict[str, np.ndarray]:
    kind = graph.tensors["x"].type
    q = np.arange(kind.minimum, kind.maximum + 1)
    return {"x": np.broadcast_to(q[:, None, None, None], (len(q), 2, 2, 3))}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.booleans())
def test_pairs(seed: int, bipolar: int, merges: bool) -> None:
    """Any two in a row, falling or rising, a row a channel or one for all, two-valued or not."""
    rng = np.random.default_rng(seed)
    first = random_step(rng, "a", "x", -128, 127, bipolar=bipolar == 1)
    second = random_step(rng, "b", "a.y", -12, 22, bipolar=bipolar == 2)
    graph = chain(BYTE, first, second)
    verify(graph)
    after = join_steps(graph)
    verify(after)
    q = every_integer(graph)
    assert np.array_equal(golden.run(graph, q)["b.y"], golden.run(after, q)[after.outputs[0].tensor])
    if second.count <= 15:
        assert [node.output for node in after.nodes] == ["b.y"]
        assert after.nodes[0].sources == ("a", "b")


def identity(name: str, read: str, kind: ElementType = BYTE) -> Threshold:
    marks = np.arange(kind.minimum + 1, kind.maximum + 1)[np.newaxis]
    return step(name, read, marks, kind.minimum, np.zeros(1, np.bool_), kind)


def test_idle_ones_go() -> None:
    """A quantizer of the same scale behind a MaxPool."""
    pool = MaxPool(name="pool", input="x", output="p", kernel=(2, 2), stride=(1, 1))
    behind = MaxPool(name="behind", input="same.y", output="q", kernel=(1, 1), stride=(1, 1))
    graph = chain(BYTE, pool, identity("same", "p"), behind)
    assert not steps_are_needed(graph)
    after = join_steps(graph)
    verify(after)
    assert [node.name for node in after.nodes] == ["pool", "behind"]
    last = join_steps(chain(BYTE, pool, identity("same", "p")))
    verify(last)
    assert last.outputs[0].tensor == "p"
    two = ElementType.bipolar()
    assert not join_steps(
        chain(two, step("same", "x", np.array([[1]]), -1, np.zeros(1, np.bool_), two))
    ).nodes


@pytest.mark.parametrize("kind", ["shifted", "clipped", "falls", "widened", "meaning"])
def test_what_does_something_stays(kind: str) -> None:
    node = identity("t", "x")
    match kind:
        case "shifted":
            node = replace(node, thresholds=node.thresholds + 1)
        case "clipped":
            node = replace(node, thresholds=node.thresholds[:, 1:], first=node.first + 1)
        case "falls":
            node = replace(node, descending=np.ones(1, np.bool_))
        case "widened":
            node = replace(node, type=ElementType.integer(9, signed=True))
    graph = chain(BYTE, node)
    if kind == "meaning":
        tensor = graph.tensors["t.y"]
        graph = replace(
            graph, tensors={**graph.tensors, "t.y": replace(tensor, scale=(tensor.scale[0] / 2,))}
        )
    assert len(join_steps(graph).nodes) == 1


def test_two_multiplications_stay_two() -> None:
    """Rounded twice, 255 levels are no multiplication any more."""
    rng = np.random.default_rng(0)
    wide = ElementType.integer(12, signed=True)
    marks = np.round((np.arange(-127, 128) - 0.5) * 7.37).astype(np.int64)[np.newaxis]
    first = step("a", "x", marks, -128, np.zeros(1, np.bool_), BYTE)
    again = np.ceil((np.arange(-90, 91) - 0.5) * 1.3371).astype(np.int64)[np.newaxis]
    second = step("b", "a.y", again, -91, np.zeros(1, np.bool_), BYTE)
    graph = chain(wide, first, second)
    source = replace(graph.inputs[0], thresholds=np.arange(-2047, 2048, dtype=np.float32)[None], first=-2048)
    graph = replace(graph, inputs=(source,))
    assert len(join_steps(graph).nodes) == 2
    few = step(
        "b", "a.y", np.sort(rng.integers(-90, 90, (1, 3))), 0, np.zeros(1, np.bool_), type_for_range(0, 3)
    )
    assert len(join_steps(chain(wide, first, few)).nodes) == 1
