"""Golden operations against loops that follow the definitions, and their forms in plain ONNX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import (
    Conv,
    ElementType,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Tensor,
    Threshold,
    type_for_range,
)
from pulsefold.errors import InputArrayError, ModelError
from pulsefold.sim import golden
from pulsefold.sim.golden.conv import conv
from pulsefold.sim.golden.export import from_onnx_layout, to_onnx, to_onnx_layout
from pulsefold.sim.golden.maxpool import maxpool
from pulsefold.sim.golden.threshold import threshold

pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
pads = st.tuples(*[st.integers(0, 1)] * 4)
TYPES = [
    ElementType.bipolar(),
    ElementType.ternary(),
    ElementType.integer(8, signed=True),
    ElementType.integer(8, signed=False),
    ElementType.integer(3, signed=True),
    ElementType.integer(1, signed=False),
]


def values(rng: np.random.Generator, kind: ElementType, shape: tuple[int, ...]) -> np.ndarray:
    if kind.is_bipolar:
        return rng.choice([-1, 1], shape)
    return rng.integers(kind.minimum, kind.maximum + 1, shape)


def taps(
    x: np.ndarray, y: int, size: tuple[int, int], node: Conv | MaxPool, column: int
) -> list[tuple[int, int, np.ndarray]]:
    """Elements of one frame that lie under the window at an output position."""
    found = []
    for ky in range(size[0]):
        for kx in range(size[1]):
            iy = y * node.stride[0] - node.pads[0] + ky * node.dilation[0]
            ix = column * node.stride[1] - node.pads[1] + kx * node.dilation[1]
            if 0 <= iy < x.shape[0] and 0 <= ix < x.shape[1]:
                found.append((ky, kx, x[iy, ix]))
    return found


def graph_of(node: Node, kind: ElementType, shape: tuple[int, int, int]) -> Graph:
    """One node between an input and an output."""
    count = 1 if kind.is_bipolar else kind.maximum - kind.minimum
    (read,) = node.inputs
    source = Input(
        tensor=read,
        name="x",
        index=np.arange(np.prod(shape), dtype=np.int32).reshape(shape),
        frame=shape,
        dtype="float32",
        thresholds=np.arange(count, dtype=np.float32)[None] + kind.minimum + 1,
        descending=np.zeros(1, np.bool_),
        first=kind.minimum,
    )
    x = Tensor(name=read, shape=shape, type=kind)
    y = node.output_tensor(x)
    output = Output(tensor=y.name, name="y", index=np.arange(y.elements).reshape(y.shape))
    return Graph(
        name="one", inputs=(source,), outputs=(output,), nodes=(node,), tensors={x.name: x, y.name: y}
    )


def exported(graph: Graph, q: np.ndarray) -> np.ndarray:
    model = to_onnx(graph)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    kind = graph.tensors[graph.inputs[0].tensor].type
    feed = {session.get_inputs()[0].name: to_onnx_layout(q, kind)}
    return from_onnx_layout(np.asarray(session.run(None, feed)[0]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), pair, pair, pads, pair, st.sampled_from(TYPES), st.sampled_from([1, 127, 300])
)
def test_conv(
    seed: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    kernel: tuple[int, int],
    kind: ElementType,
    widest: int,
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-widest, widest + 1, (3, *kernel, 2))
    node = Conv(
        name="c",
        input="x",
        output="y",
        weights=weights,
        weight_type=type_for_range(-widest, widest),
        stride=stride,
        dilation=dilation,
        pads=pads,
    )
    x = values(rng, kind, (2, 5, 4, 2))
    y = conv(node, x)
    oh, ow, _ = node.output_shape((5, 4, 2))
    assert y.shape == (2, oh, ow, 3)
    for n in range(2):
        for i in range(oh):
            for j in range(ow):
                found = taps(x[n], i, kernel, node, j)
                want = sum((weights[:, ky, kx] @ v for ky, kx, v in found), np.zeros(3, np.int64))
                assert np.array_equal(y[n, i, j], want)
    low, high = node.accumulator_range(kind)
    assert np.all((y >= low) & (y <= high))
    assert np.array_equal(exported(graph_of(node, kind, (5, 4, 2)), x), y)


@pytest.mark.parametrize("peak", [2**20, 2**40, 2**50])
def test_conv_is_exact_whatever_type_computes_it(peak: int) -> None:
    """Sums next to a power of two, where float32 and float64 would round."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 8, (2, 1, 1, 64)) * 2 + 1
    node = Conv(name="c", input="x", output="y", weights=weights, weight_type=type_for_range(0, 15))
    x = rng.integers(peak - 100, peak, (5, 1, 1, 64))
    want = [
        [int(sum(int(a) * int(b) for a, b in zip(row, w, strict=True))) for w in weights[:, 0, 0]]
        for row in x[:, 0, 0]
    ]
    assert conv(node, x)[:, 0, 0].tolist() == want


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), pair, pair, pads, st.sampled_from(TYPES))
def test_maxpool(
    seed: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    kind: ElementType,
) -> None:
    node = MaxPool(
        name="p", input="x", output="y", kernel=(2, 2), stride=stride, dilation=dilation, pads=pads
    )
    x = values(np.random.default_rng(seed), kind, (2, 5, 4, 2))
    y = maxpool(node, x)
    for n in range(2):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                found = [v for _, _, v in taps(x[n], i, (2, 2), node, j)]
                assert np.array_equal(y[n, i, j], np.max(found, axis=0))
    assert np.array_equal(exported(graph_of(node, kind, (5, 4, 2)), x), y)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 7, 9, 255]), st.sampled_from([1, 2]), st.booleans()
)
def test_threshold(seed: int, count: int, rows: int, bipolar: bool) -> None:
    rng = np.random.default_rng(seed)
    kind = ElementType.bipolar() if bipolar and count == 1 else type_for_range(-5, count - 5)
    node = Threshold(
        name="t",
        input="x",
        output="y",
        thresholds=np.sort(rng.integers(-130, 130, (rows, count))),
        descending=rng.integers(0, 2, rows).astype(np.bool_),
        first=-1 if kind.is_bipolar else -5,
        type=kind,
    )
    source = ElementType.integer(8, signed=True)
    x = values(rng, source, (3, 2, 2, 2))
    y = threshold(node, x)
    for place in np.ndindex(x.shape):
        c = place[3] % rows
        n = int(sum(x[place] >= t for t in node.thresholds[c]))
        assert y[place] == node.first + node.step * (count - n if node.descending[c] else n)
    assert node.type.contains(y)
    assert np.array_equal(exported(graph_of(node, source, (2, 2, 2)), x), y)


def test_accumulators_beyond_int32_are_not_exported() -> None:
    weights = np.full((1, 1, 1, 1), 2**30)
    node = Conv(name="wide", input="x", output="y", weights=weights, weight_type=type_for_range(0, 2**30))
    with pytest.raises(ModelError, match="wide"):
        to_onnx(graph_of(node, ElementType.integer(8, signed=False), (1, 1, 1)))


def test_run_keeps_what_is_asked() -> None:
    kind = ElementType.integer(4, signed=False)
    node = MaxPool(name="p", input="x", output="y", kernel=(2, 2), stride=(2, 2))
    graph = graph_of(node, kind, (4, 4, 2))
    q = np.arange(64).reshape(2, 4, 4, 2) % 16
    assert set(golden.run(graph, {"x": q})) == {"y"}
    assert set(golden.run(graph, {"x": q}, keep=True)) == {"x", "y"}
    assert set(golden.run(graph, {"x": q}, keep={"x"})) == {"x", "y"}
    assert golden.run(graph, {"x": q[:0]})["y"].shape == (0, 2, 2, 2)
    with pytest.raises(InputArrayError, match="4, 4, 2"):
        golden.run(graph, {"x": q[:, :2]})
    with pytest.raises(InputArrayError, match="float64"):
        golden.run(graph, {"x": q.astype(np.float64)})


def test_exact_scale_is_kept() -> None:
    assert Tensor(name="t", shape=(1, 1, 1), type=TYPES[2], scale=(Fraction(1, 3),)).scale[0] * 3 == 1
