"""Golden convolutions and pools against loops that follow the definitions, and their forms in plain ONNX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import TYPES, exported, graph_of, values
from pulsefold.compiler.ir import (
    Conv,
    ElementType,
    Graph,
    MaxPool,
    Output,
    Sum,
    SumPool,
    Tensor,
    type_for_range,
)
from pulsefold.errors import InputArrayError
from pulsefold.sim import golden
from pulsefold.sim.golden import conv as conv_module
from pulsefold.sim.golden.conv import conv
from pulsefold.sim.golden.maxpool import maxpool
from pulsefold.sim.golden.sumpool import sumpool

pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
pads = st.tuples(*[st.integers(0, 1)] * 4)
seeds = st.integers(0, 2**32 - 1)

UINT8, INT8 = ElementType.integer(8, signed=False), ElementType.integer(8, signed=True)


def taps(
    x: np.ndarray, place: tuple[int, int], size: tuple[int, int], node: Conv | MaxPool | SumPool
) -> list[tuple[int, int, np.ndarray | None]]:
    """Elements of one frame under the window at an output position; None for a tap outside the frame."""
    found = []
    for ky in range(size[0]):
        for kx in range(size[1]):
            iy = place[0] * node.stride[0] - node.pads[0] + ky * node.dilation[0]
            ix = place[1] * node.stride[1] - node.pads[1] + kx * node.dilation[1]
            inside = 0 <= iy < x.shape[0] and 0 <= ix < x.shape[1]
            found.append((ky, kx, x[iy, ix] if inside else None))
    return found


@settings(max_examples=80, deadline=None)
@given(
    seeds,
    pair,
    pair,
    pads,
    pair,
    st.sampled_from([*TYPES, ElementType.integer(12, signed=True), ElementType.integer(30, signed=False)]),
    st.sampled_from([1, 127, 300]),
    st.sampled_from([(1, 2, 3), (2, 4, 6), (4, 4, 4), (2, 2, 4)]),
    st.sampled_from([0, 0, 1, -3]),
)
def test_conv(
    seed: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    kernel: tuple[int, int],
    kind: ElementType,
    widest: int,
    sizes: tuple[int, int, int],
    pad_value: int,
) -> None:
    rng = np.random.default_rng(seed)
    groups, channels, outputs = sizes
    weights = rng.integers(-widest, widest + 1, (outputs, *kernel, channels // groups))
    node = Conv(
        name="c",
        input="x",
        output="y",
        weights=weights,
        weight_type=type_for_range(-widest, widest),
        stride=stride,
        dilation=dilation,
        pads=pads,
        groups=groups,
        pad_value=pad_value,
    )
    shape = (5, 4, channels)
    x = values(rng, kind, (2, *shape))
    y = conv(node, x)
    oh, ow, _ = node.output_shape(shape)
    assert y.shape == (2, oh, ow, outputs)
    rows = outputs // groups
    for n, i, j in np.ndindex(2, oh, ow):
        want = np.zeros(outputs, np.int64)
        for ky, kx, v in taps(x[n], (i, j), kernel, node):
            under = np.full(channels, pad_value) if v is None else v
            for o in range(outputs):
                first = o // rows * (channels // groups)
                want[o] += weights[o, ky, kx] @ under[first : first + channels // groups]
        assert np.array_equal(y[n, i, j], want)
    low, high = node.accumulator_range(kind)
    assert np.all((y >= low) & (y <= high))
    assert np.array_equal(exported(graph_of(node, (kind, shape)), x), y)


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
    kind = type_for_range(0, peak)
    assert exported(graph_of(node, (kind, (1, 1, 64))), x)[:, 0, 0].tolist() == want


@pytest.mark.parametrize("block", [1, 1000, 5000])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int, groups: int) -> None:
    """Rows of patches and of weights that do not fit one block."""
    rng = np.random.default_rng(0)
    node = Conv(
        name="c",
        input="x",
        output="y",
        weights=rng.integers(-9, 10, (6, 3, 3, 4 // groups)),
        weight_type=type_for_range(-9, 9),
        pads=(1, 1, 1, 1),
        groups=groups,
    )
    x = rng.integers(0, 256, (3, 7, 5, 4))
    want = conv(node, x)
    monkeypatch.setattr(conv_module, "_BLOCK_BYTES", block)
    assert np.array_equal(conv(node, x), want)


def test_signed_bytes_do_not_saturate() -> None:
    """Two products of 255 and 127 leave 16 bits: bytes for ONNX Runtime must be exact anyway."""
    weights = np.where(np.arange(256).reshape(1, 1, 1, 256) % 4 < 2, 127, -128).repeat(2, axis=0)
    node = Conv(name="c", input="x", output="y", weights=weights, weight_type=INT8)
    x = np.full((1, 2, 2, 256), 255)
    assert np.array_equal(exported(graph_of(node, (UINT8, (2, 2, 256))), x), conv(node, x))
    x = np.full((1, 1, 1, 256), 255)
    assert np.array_equal(exported(graph_of(node, (UINT8, (1, 1, 256))), x), conv(node, x))


@settings(max_examples=60, deadline=None)
@given(seeds, pair, pair, pads, st.sampled_from([*TYPES, ElementType.integer(40, signed=True)]))
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
    for n, i, j in np.ndindex(*y.shape[:3]):
        found = [v for _, _, v in taps(x[n], (i, j), (2, 2), node) if v is not None]
        assert np.array_equal(y[n, i, j], np.max(found, axis=0))
    assert np.array_equal(exported(graph_of(node, (kind, (5, 4, 2))), x), y)


@settings(max_examples=80, deadline=None)
@given(
    seeds,
    st.sampled_from([(2, 2), (3, 2), (5, 4)]),
    pair,
    pads,
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.booleans(),
    st.sampled_from([0, 3]),
    st.sampled_from([*TYPES, ElementType.integer(31, signed=True)]),
)
def test_sumpool(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    extra: tuple[int, int],
    include: bool,
    pad_value: int,
    kind: ElementType,
) -> None:
    """Against the average of exact fractions: y / divisor."""
    ceiled = (pads[0], pads[1], pads[2] + extra[0], pads[3] + extra[1])
    node = SumPool(
        name="p",
        input="x",
        output="y",
        kernel=kernel,
        stride=stride,
        pads=ceiled,
        include_pad=include,
        pad_value=pad_value,
        extra=extra,
    )
    x = values(np.random.default_rng(seed), kind, (2, 5, 4, 2))
    y = sumpool(node, x)
    divisor = node.divisor((5, 4, 2))
    for n, i, j in np.ndindex(*y.shape[:3]):
        total, count = np.zeros(2, np.int64), 0
        for ky, kx, v in taps(x[n], (i, j), kernel, node):
            # Beyond the declared padding: what ceil_mode added counts for nothing.
            beyond = (
                i * stride[0] - pads[0] + ky >= 5 + pads[2] or j * stride[1] - pads[1] + kx >= 4 + pads[3]
            )
            if v is not None or (include and not beyond):
                total += pad_value if v is None else v
                count += 1
        for c in range(2):
            assert Fraction(int(y[n, i, j, c]), divisor) == Fraction(int(total[c]), max(count, 1))
    graph = graph_of(node, (kind, (5, 4, 2)))
    assert graph.tensors["y"].type.contains(y)
    assert graph.tensors["y"].scale[0] == Fraction(1, divisor)
    assert np.array_equal(exported(graph, x), y)


def two_ended() -> Graph:
    """x -> p and (x, z) -> s: two inputs, and outputs of two tensors, one of them read twice."""
    first = graph_of(
        MaxPool(name="p", input="x", output="y", kernel=(2, 2), stride=(1, 1)), (UINT8, (3, 3, 2))
    )
    node = Sum(name="s", inputs=("x", "z"), output="t", gains=(3, -(2**31)))
    second = graph_of(node, (UINT8, (3, 3, 2)), (INT8, (1, 1, 2)))
    again = Output(tensor="y", name="again", index=np.arange(8).reshape(2, 2, 2))
    return Graph(
        name="two",
        inputs=second.inputs,
        outputs=(*first.outputs, *second.outputs, again),
        nodes=(*first.nodes, *second.nodes),
        tensors={**first.tensors, **second.tensors},
    )


def test_several_inputs_and_outputs() -> None:
    graph = two_ended()
    rng = np.random.default_rng(0)
    q = {"x": values(rng, UINT8, (4, 3, 3, 2)), "z": values(rng, INT8, (4, 1, 1, 2))}
    want = golden.run(graph, q)
    assert np.array_equal(want["t"], 3 * q["x"] - 2**31 * q["z"])
    got = golden.export.Exported(graph).run(q)
    assert set(got) == {"y", "t"}
    assert all(np.array_equal(got[name], want[name]) for name in got)


def test_run_keeps_what_is_asked() -> None:
    kind = ElementType.integer(4, signed=False)
    node = MaxPool(name="p", input="x", output="y", kernel=(2, 2), stride=(2, 2))
    graph = graph_of(node, (kind, (4, 4, 2)))
    q = np.arange(64).reshape(2, 4, 4, 2) % 16
    assert set(golden.run(graph, {"x": q})) == {"y"}
    assert set(golden.run(graph, {"x": q}, keep=True)) == {"x", "y"}
    assert set(golden.run(graph, {"x": q}, keep={"x"})) == {"x", "y"}
    assert golden.run(graph, {"x": q[:0]})["y"].shape == (0, 2, 2, 2)
    with pytest.raises(InputArrayError, match="4, 4, 2"):
        golden.run(graph, {"x": q[:, :2]})
    with pytest.raises(InputArrayError, match="float64"):
        golden.run(graph, {"x": q.astype(np.float64)})


def test_inputs_of_different_lengths_are_refused() -> None:
    graph = two_ended()
    with pytest.raises(InputArrayError, match="2 and 3"):
        golden.run(graph, {"x": np.zeros((2, 3, 3, 2), np.int64), "z": np.zeros((3, 1, 1, 2), np.int64)})


def test_exact_scale_is_kept() -> None:
    assert Tensor(name="t", shape=(1, 1, 1), type=TYPES[2], scale=(Fraction(1, 3),)).scale[0] * 3 == 1
