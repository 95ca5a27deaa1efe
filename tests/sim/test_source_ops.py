"""Every operator of the source evaluation against ONNX Runtime's, and its error bound against float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from networks import random_model
from networks.draw import BLOCKS, draw
from networks.ranges import float_model
from pulsefold.sim.source import Source, State
from pulsefold.sim.source.bounds import UNIT
from pulsefold.sim.source.ops import OPERATORS
from pulsefold.sim.source.quantizers import QUANTIZERS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 7, 6)).astype(np.float32)
LINE = RNG.normal(size=(2, 4, 9)).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def both(
    tmp_path: Any, kind: str, x: np.ndarray, *rest: Any, opset: int = 19, domain: str = "", **a: Any
) -> tuple[np.ndarray, np.ndarray]:
    """A node on an input and constants (None leaves one out): in float64 and in ONNX Runtime."""
    names = ["" if value is None else f"c{i}" for i, value in enumerate(rest)]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", *names], ["y"], domain=domain, **a)],
        "one",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(v), n) for v, n in zip(rest, names, strict=True) if n],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path = tmp_path / "one.onnx"
    path.write_bytes(model.SerializeToString())
    (exact,) = Source(path).run(x)
    return exact, np.asarray(session(model).run(None, {"x": x})[0])


def agree(tmp_path: Any, kind: str, x: np.ndarray, *rest: Any, **options: Any) -> None:
    exact, got = both(tmp_path, kind, x, *rest, **options)
    assert exact.shape == got.shape
    assert np.allclose(exact, got, rtol=1e-5, atol=1e-5)


CONVS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 1], "pads": [1, 0, 2, 1]},
    {"dilations": [2, 1]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [1, 2]},
    {"auto_pad": "VALID"},
    {"group": 2, "pads": [1, 1, 1, 1]},
]


@pytest.mark.parametrize("a", CONVS)
def test_conv(tmp_path: Any, a: dict[str, Any]) -> None:
    agree(tmp_path, "Conv", X, normal(6, 4 // a.get("group", 1), 3, 2), normal(6), **a)


def test_conv_of_one_axis(tmp_path: Any) -> None:
    agree(tmp_path, "Conv", LINE, normal(5, 4, 3), pads=[1, 0], strides=[2])


@pytest.mark.parametrize(
    "a",
    [
        {},
        {"strides": [2, 3], "pads": [1, 0, 0, 1]},
        {"strides": [2, 2], "output_padding": [1, 0]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"strides": [2, 2], "output_shape": [14, 12]},
        {"dilations": [2, 1], "group": 2},
    ],
)
def test_conv_transpose(tmp_path: Any, a: dict[str, Any]) -> None:
    agree(tmp_path, "ConvTranspose", X, normal(4, 3, 3, 2), normal(3 * a.get("group", 1)), **a)


POOLS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2]},
    {"strides": [2, 2], "pads": [1, 1, 0, 1]},
    {"strides": [2, 2], "ceil_mode": 1},
    {"strides": [3, 2], "pads": [1, 0, 1, 1], "ceil_mode": 1},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"dilations": [2, 2]},
]


@pytest.mark.parametrize("a", POOLS)
@pytest.mark.parametrize("count", [None, 0, 1])
def test_pools(tmp_path: Any, a: dict[str, Any], count: int | None) -> None:
    if count is None:
        agree(tmp_path, "MaxPool", X, kernel_shape=[3, 2], **a)
    else:
        agree(tmp_path, "AveragePool", X, kernel_shape=[3, 2], count_include_pad=count, **a)


def test_max_pool_of_bytes(tmp_path: Any) -> None:
    x = RNG.integers(-128, 128, (2, 3, 5, 5)).astype(np.int8)
    exact, got = both(tmp_path, "MaxPool", x, kernel_shape=[2, 2], pads=[1, 1, 0, 0])
    assert np.array_equal(exact, got)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
)
@pytest.mark.parametrize("scales", [(2, 3), (1, 2), (0.5, 1.5)])
def test_resize(tmp_path: Any, mode: str, coordinates: str, scales: tuple[float, float]) -> None:
    if (mode, coordinates, scales[0]) == ("nearest", "half_pixel_symmetric", 0.5):
        pytest.skip("places lie on ties that float32 cannot tell")
    a = {"mode": mode, "coordinate_transformation_mode": coordinates}
    factors = np.array([1, 1, *scales], np.float32)
    agree(tmp_path, "Resize", X, None, factors, **a)
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        if mode == "nearest":
            agree(tmp_path, "Resize", X, None, factors, nearest_mode=rounding, **a)


def test_resize_to_sizes_and_of_old(tmp_path: Any) -> None:
    agree(tmp_path, "Resize", X, None, None, np.array([2, 4, 14, 9]), mode="linear")
    factors = np.array([1, 1, 2, 3], np.float32)
    for mode in ("nearest", "linear"):
        agree(tmp_path, "Resize", X, factors, mode=mode, opset=10)
        agree(tmp_path, "Upsample", X, factors, mode=mode, opset=9)
        agree(tmp_path, "Upsample", X, mode=mode, opset=7, scales=[1.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad(tmp_path: Any, mode: str) -> None:
    """Negative numbers crop."""
    pads = np.array([0, 0, 1, -2, 0, 0, 2, 1])
    agree(tmp_path, "Pad", X, pads, np.float32(0.75), mode=mode)
    agree(tmp_path, "Pad", X, np.array([1, -1]), None, np.array([3]), mode=mode)
    agree(tmp_path, "Pad", X, opset=10, pads=[0, 0, 1, 2, 0, 0, 2, 1], value=0.5, mode=mode)


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_lrn(tmp_path: Any, size: int) -> None:
    agree(tmp_path, "LRN", X, size=size, alpha=0.5, beta=0.6, bias=2.0)
    agree(tmp_path, "LRN", X, size=size)


@pytest.mark.parametrize(
    ("kind", "rest", "a"),
    [
        ("BatchNormalization", [normal(4), normal(4), normal(4), normal(4) ** 2], {}),
        ("Clip", [np.float32(-0.5), np.float32(0.7)], {}),
        ("Clip", [None, np.float32(0.7)], {}),
        ("Elu", [], {"alpha": 0.3}),
        ("GlobalAveragePool", [], {}),
        ("GlobalMaxPool", [], {}),
        ("HardSigmoid", [], {}),
        ("HardSigmoid", [], {"alpha": 0.3, "beta": 0.2}),
        ("HardSwish", [], {}),
        ("LeakyRelu", [], {}),
        ("PRelu", [normal(4, 1, 1)], {}),
        ("Relu", [], {}),
        ("Sigmoid", [], {}),
        ("Softmax", [], {"axis": 2}),
        ("LogSoftmax", [], {}),
        ("Softplus", [], {}),
        ("Tanh", [], {}),
        ("MatMul", [normal(6, 5)], {}),
    ],
)
def test_elementwise(tmp_path: Any, kind: str, rest: list, a: dict[str, Any]) -> None:
    agree(tmp_path, kind, X, *rest, **a)


def test_of_old_versions(tmp_path: Any) -> None:
    agree(tmp_path, "Softmax", X, opset=11)
    agree(tmp_path, "LogSoftmax", X, opset=11, axis=2)
    agree(tmp_path, "Clip", X, opset=10, min=-0.25, max=0.5)
    agree(
        tmp_path,
        "BatchNormalization",
        X,
        normal(4),
        normal(4),
        normal(4),
        normal(4) ** 2,
        opset=9,
        momentum=0.9,
    )


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(tmp_path: Any, approximate: str) -> None:
    agree(tmp_path, "Gelu", X, opset=20, approximate=approximate)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(tmp_path: Any, transposed: int) -> None:
    x, w = normal(3, 5), normal(4, 5) if transposed else normal(5, 4)
    agree(tmp_path, "Gemm", x, w, normal(4), transB=transposed, alpha=0.5, beta=2.0)
    agree(tmp_path, "Gemm", normal(5, 3), w, None, transA=1, transB=transposed)


def test_integer_products(tmp_path: Any) -> None:
    x = RNG.integers(0, 256, (2, 4, 5, 5)).astype(np.uint8)
    w = RNG.integers(0, 256, (6, 2, 3, 3)).astype(np.uint8)
    exact, got = both(tmp_path, "ConvInteger", x, w, np.uint8(3), np.uint8(120), group=2, pads=[1, 0, 1, 0])
    assert np.array_equal(exact, got)
    w = RNG.integers(-128, 128, (5, 6)).astype(np.int8)
    exact, got = both(tmp_path, "MatMulInteger", x[:, 0], w, np.uint8(7), np.arange(6, dtype=np.int8))
    assert np.array_equal(exact, got)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16])
def test_quantize_and_dequantize(tmp_path: Any, kind: type) -> None:
    scale, zero = np.array([0.5, 0.03, 1.0, 0.25], np.float32), np.array([1, 2, 0, 100], kind)
    exact, got = both(tmp_path, "QuantizeLinear", X * 10, scale, zero, axis=1, opset=21)
    assert exact.dtype == got.dtype == kind
    assert np.array_equal(exact, got)
    exact, got = both(tmp_path, "DequantizeLinear", got, scale, zero, axis=1, opset=21)
    assert np.array_equal(exact.astype(np.float32), got)


def test_every_operator_is_tried() -> None:
    """What stands in the table is named in this file; those on integers are in the networks below."""
    text = __file__ and open(__file__, encoding="utf-8").read()  # noqa: PTH123, SIM115
    assert [name for name in OPERATORS if f'"{name}"' not in text] == []


@pytest.mark.parametrize("style", ["qdq", "qoperator"])
def test_quantizers_agree_in_whole_networks(style: str, tmp_path: Any) -> None:
    """ONNX Runtime's own run of a whole network ends within a level or two of the evaluation's."""
    seen = set()
    for seed in range(25):
        model = random_model(seed, style=style, features=frozenset(BLOCKS) - {"lrn"} | {"integer_input"})
        seen.update(node.op_type for node in model.graph.node if node.op_type in QUANTIZERS)
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        source = Source(path)
        feeds = {
            name: normal(3, *shape_of(model, name)).astype(kind) * (20 if kind != "float32" else 1)
            for name, kind in source.inputs.items()
        }
        for want, got in zip(source.run(feeds), session(model).run(None, feeds), strict=True):
            step = np.abs(np.asarray(got)).max() / 20 + 1e-6
            assert np.abs(want - got).max() <= step, seed
            assert np.isclose(want, got, rtol=1e-5).mean() > 0.9, seed
    assert len(seen) >= {"qdq": 1, "qoperator": 7}[style], seen


def shape_of(model: onnx.ModelProto, name: str) -> list[int]:
    (value,) = (v for v in model.graph.input if v.name == name)
    return [d.dim_value for d in value.type.tensor_type.shape.dim][1:]


def test_float32_stays_within_the_bound(tmp_path: Any) -> None:
    """ONNX Runtime in float32 against float64, every value of networks in floating point."""
    worst, typical = 0.0, []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        sketch = draw(rng, frozenset(BLOCKS) | {"fused", "linear", "gap", "sub"}, size=10, layers=4)
        writer, names = float_model(sketch)
        values = [
            (names[step.output], int(TensorProto.FLOAT), sketch.shape[step.output]) for step in sketch.steps
        ]
        inputs = [(name, int(TensorProto.FLOAT), sketch.shape[name]) for name in sketch.inputs]
        model = writer.model(inputs, list(dict.fromkeys(values)))
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        source = Source(path)
        feeds = {name: rng.normal(size=(2, *sketch.shape[name])).astype(np.float32) for name in sketch.inputs}
        state = State()
        for _ in source.steps(feeds, state):
            pass
        for name, got in zip(source.outputs, session(model).run(None, feeds), strict=True):
            error = state.errors[name]
            room = UNIT * (np.zeros(1) if error is None else error)
            off = np.abs(np.asarray(got) - state.values[name])
            assert np.all(off <= room), (seed, name)
            share = off / np.maximum(room, 1e-30)
            worst = max(worst, float(share.max()))
            typical.append(float(np.median(room / np.maximum(np.abs(state.values[name]).max(), 1e-6))))
    # Neither idle nor so wide that it excuses anything.
    assert worst > 0.05
    assert np.median(typical) < 1e-5
