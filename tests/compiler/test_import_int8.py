"""Single operators between int8 quantizers, against ONNX Runtime, integer for integer.

Scales are powers of two, so that float32 computes everything exactly and no rounding can differ.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim.golden import present_output, quantize_input, run

RNG = np.random.default_rng(11)


class Sketch:
    """Nodes between int8 inputs x0, x1, ... and int8 outputs; values are dequantized at 1/4."""

    def __init__(self, *shapes: tuple[int, ...], opset: int = 17, zero: int = 3) -> None:
        self.opset, self.zero = opset, zero
        self.inputs = [
            helper.make_tensor_value_info(f"x{i}", TensorProto.INT8, ["N", *s]) for i, s in enumerate(shapes)
        ]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.values = [self.dequantized(f"x{i}") for i in range(len(shapes))]

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        names = [f"{kind.lower()}{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def dequantized(self, name: str, scale: float = 0.25) -> str:
        return self.node("DequantizeLinear", name, self.const(scale), self.const(self.zero, np.int8))

    def quantized(self, name: str, scale: float = 0.5) -> str:
        return self.node("QuantizeLinear", name, self.const(scale), self.const(self.zero, np.int8))

    def weights(self, *shape: int) -> str:
        q = self.const(RNG.integers(-8, 8, shape), np.int8)
        return self.node("DequantizeLinear", q, self.const(0.25), self.const(0, np.int8))

    def output(self, name: str, kind: int = TensorProto.INT8) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def saved(self, folder: Path) -> Path:
        """The model's file."""
        graph = helper.make_graph(self.nodes, "sketch", self.inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
        path = folder / "sketch.onnx"
        onnx.save(model, path)
        return path

    def checked(self, folder: Path, count: int = 4) -> Graph:
        """The graph; its outputs equal those of ONNX Runtime on random inputs."""
        path = self.saved(folder)
        graph = import_model(path)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        shapes = {s.name: s.shape for s in graph.inputs}
        x = {name: RNG.integers(-100, 100, (count, *shape)).astype(np.int8) for name, shape in shapes.items()}
        integers = run(graph, {s.tensor: quantize_input(s, x[s.name]) for s in graph.inputs})
        for output, want in zip(graph.outputs, session.run(None, x), strict=True):
            got = present_output(graph, output, integers[output.tensor])
            assert got.dtype == np.asarray(want).dtype
            assert np.array_equal(got, np.asarray(want))
        return graph


Make = Callable[[Sketch, str], str]
FRAME = (4, 6, 5)


def i64(s: Sketch, *values: int) -> str:
    return s.const(values, np.int64)


def to_sizes(s: Sketch, x: str, how: str, *sizes: int) -> str:
    """Resized linearly to a frame of these sizes."""
    whole = i64(s, 4, 4, *sizes)
    return s.node("Resize", x, "", "", whole, mode="linear", coordinate_transformation_mode=how)


def by_channel(s: Sketch, kind: str, x: str) -> str:
    """Height and width of (N, H, W, C) reduced, both kept, and a gain for each channel behind."""
    return s.node("Mul", s.node(kind, x, axes=[1, 2], keepdims=1), s.const([1.0, 0.5, 2.0]))


UNARY: dict[str, tuple[tuple[int, ...], Make]] = {
    "conv": (FRAME, lambda s, x: s.node("Conv", x, s.weights(3, 4, 3, 3), pads=[1, 0, 0, 1])),
    "conv same upper": (
        FRAME,
        lambda s, x: s.node("Conv", x, s.weights(2, 4, 3, 2), auto_pad="SAME_UPPER", strides=[2, 2]),
    ),
    "conv same lower": (
        FRAME,
        lambda s, x: s.node("Conv", x, s.weights(2, 4, 2, 3), auto_pad="SAME_LOWER", strides=[2, 1]),
    ),
    "conv dilated": (FRAME, lambda s, x: s.node("Conv", x, s.weights(2, 4, 2, 2), dilations=[2, 3])),
    "conv groups": (FRAME, lambda s, x: s.node("Conv", x, s.weights(6, 2, 3, 3), group=2, pads=[1] * 4)),
    "conv depthwise": (FRAME, lambda s, x: s.node("Conv", x, s.weights(4, 1, 3, 3), group=4, pads=[1] * 4)),
    "conv multiplier": (FRAME, lambda s, x: s.node("Conv", x, s.weights(8, 1, 2, 2), group=4)),
    "conv 1-D": ((4, 9), lambda s, x: s.node("Conv", x, s.weights(3, 4, 3), pads=[2, 1], strides=[2])),
    "conv transpose": (
        FRAME,
        lambda s, x: s.node("ConvTranspose", x, s.weights(4, 3, 3, 2), strides=[2, 3], pads=[1, 0, 0, 1]),
    ),
    "conv transpose groups": (
        FRAME,
        lambda s, x: s.node("ConvTranspose", x, s.weights(4, 3, 2, 2), strides=[2, 2], group=2),
    ),
    "conv transpose 1-D": (
        (4, 7),
        lambda s, x: s.node("ConvTranspose", x, s.weights(4, 2, 4), strides=[2], dilations=[2], pads=[3, 1]),
    ),
    "gemm": (
        (7,),
        lambda s, x: s.node("Gemm", x, s.weights(5, 7), s.const([1, -2, 0, 3, 2]), transB=1, alpha=0.5),
    ),
    "matmul rows": ((3, 6), lambda s, x: s.node("MatMul", x, s.weights(6, 4))),
    "flatten gemm": (FRAME, lambda s, x: s.node("Gemm", s.node("Flatten", x), s.weights(120, 3))),
    "max pool": (
        FRAME,
        lambda s, x: s.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, pads=[1, 0] * 2),
    ),
    "max pool 1-D": ((4, 9), lambda s, x: s.node("MaxPool", x, kernel_shape=[3], strides=[2])),
    "average pool": (FRAME, lambda s, x: s.node("AveragePool", x, kernel_shape=[2, 4], strides=[2, 1])),
    "average pool included": (
        FRAME,
        lambda s, x: s.node("AveragePool", x, kernel_shape=[4, 4], pads=[2, 1, 1, 2], count_include_pad=1),
    ),
    "global average": ((4, 8, 4), lambda s, x: s.node("GlobalAveragePool", x)),
    "global max": (FRAME, lambda s, x: s.node("GlobalMaxPool", x)),
    "reduce max": ((4, 8, 4), lambda s, x: s.node("ReduceMax", x, axes=[2, 3])),
    "reduce max, channels last": ((4, 8, 3), lambda s, x: by_channel(s, "ReduceMax", x)),
    "reduce mean, channels last": ((4, 8, 3), lambda s, x: by_channel(s, "ReduceMean", x)),
    "reduce mean": ((4, 8, 4), lambda s, x: s.node("ReduceMean", x, axes=[2, 3], keepdims=0)),
    "resize nearest": (
        FRAME,
        lambda s, x: s.node("Resize", x, "", s.const([1, 1, 2, 3]), mode="nearest"),
    ),
    "resize nearest odd": (
        FRAME,
        lambda s, x: s.node(
            "Resize", x, "", "", i64(s, 4, 4, 9, 4), mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
    ),
    "resize linear": (FRAME, lambda s, x: s.node("Resize", x, "", s.const([1, 1, 2, 2]), mode="linear")),
    "resize linear asymmetric": (
        FRAME,
        lambda s, x: s.node(
            "Resize", x, "", s.const([1, 1, 4, 2]), mode="linear",
            coordinate_transformation_mode="asymmetric",
        ),
    ),
    "resize linear aligned": (FRAME, lambda s, x: to_sizes(s, x, "align_corners", 11, 17)),
    "resize linear aligned to fewer": (FRAME, lambda s, x: to_sizes(s, x, "align_corners", 11, 3)),
    "resize linear smaller": (
        FRAME,
        lambda s, x: s.node("Resize", x, "", s.const([1, 1, 0.5, 0.5]), mode="linear"),
    ),
    "resize linear to any": (FRAME, lambda s, x: to_sizes(s, x, "half_pixel", 8, 4)),
    "resize linear columns": ((4, 6), lambda s, x: to_sizes(s, x, "pytorch_half_pixel", 8)),
    "resize linear of one pixel": ((4, 1, 1), lambda s, x: to_sizes(s, x, "align_corners", 3, 5)),
    "depth to space": (FRAME, lambda s, x: s.node("DepthToSpace", x, blocksize=2, mode="CRD")),
    "space to depth": ((2, 6, 4), lambda s, x: s.node("SpaceToDepth", x, blocksize=2)),
    "slice": (
        FRAME,
        lambda s, x: s.node("Slice", x, i64(s, 1, -2), i64(s, 5, -5), i64(s, 2, 3), i64(s, 2, -1)),
    ),
    "gather": (FRAME, lambda s, x: s.node("Gather", x, i64(s, 2, 0, 3, 2), axis=1)),
    "pad": (FRAME, lambda s, x: s.node("Pad", x, i64(s, 0, 0, 1, 2, 0, 0, 0, 1))),
    "pad value": (FRAME, lambda s, x: s.node("Pad", x, i64(s, 0, 1, 0, 0, 0, 0, 2, 0), s.const(1.5))),
    "pad edge": (FRAME, lambda s, x: s.node("Pad", x, i64(s, 0, 0, 2, 1, 0, 0, 1, 2), mode="edge")),
    "pad reflect": (FRAME, lambda s, x: s.node("Pad", x, i64(s, 0, 0, 2, 1, 0, 0, 1, 2), mode="reflect")),
    "pad negative": (FRAME, lambda s, x: s.node("Pad", x, i64(s, 0, 0, -1, 2, 0, 0, 1, -2))),
    "shuffle": (
        (6, 4, 3),
        lambda s, x: s.node(
            "Reshape",
            s.node("Transpose", s.node("Reshape", x, i64(s, 0, 2, 3, 4, 3)), perm=[0, 2, 1, 3, 4]),
            i64(s, 0, 6, 4, 3),
        ),
    ),
    "channels last": (
        (6, 5, 4),
        lambda s, x: s.node(
            "Transpose",
            s.node("Conv", s.node("Transpose", x, perm=[0, 3, 1, 2]), s.weights(3, 4, 2, 2)),
            perm=[0, 2, 3, 1],
        ),
    ),
    "leaky": (FRAME, lambda s, x: s.node("LeakyRelu", x, alpha=0.25)),
    "prelu": (FRAME, lambda s, x: s.node("PRelu", x, s.const([[[0.5]], [[0.25]], [[-1]], [[0]]]))),
    "conv leaky": (
        FRAME,
        lambda s, x: s.node("LeakyRelu", s.node("Conv", x, s.weights(3, 4, 1, 1)), alpha=0.125),
    ),
    "abs": (FRAME, lambda s, x: s.node("Abs", x)),
    "square": (FRAME, lambda s, x: s.node("Mul", x, x)),
    "clip": (FRAME, lambda s, x: s.node("Clip", x, s.const(-2.0), s.const(6.0))),
    "hard sigmoid": (FRAME, lambda s, x: s.node("HardSigmoid", x, alpha=0.25, beta=0.5)),
    "max": (FRAME, lambda s, x: s.node("Max", x, s.const(-1.5))),
    "neg": (FRAME, lambda s, x: s.node("Neg", x)),
    "square root": (FRAME, lambda s, x: s.node("Sqrt", s.node("Abs", x))),
    "square root of a ReLU": (FRAME, lambda s, x: s.node("Sqrt", s.node("Relu", x))),
    "square root of levels above zero": (
        FRAME,
        lambda s, x: s.node("Sqrt", s.dequantized(s.quantized(s.node("Relu", x)))),
    ),
    "power of minus a half": (
        FRAME,
        lambda s, x: s.node("Pow", s.node("Add", s.node("Abs", x), s.const(0.5)), s.const(-0.5)),
    ),
    "power of a half": (FRAME, lambda s, x: s.node("Pow", s.node("Relu", x), s.const(0.5))),
    "maxout": (
        FRAME,
        lambda s, x: s.node("ReduceMax", s.node("Reshape", x, i64(s, 0, 2, 2, 6, 5)), axes=[2], keepdims=0),
    ),
    "maxout of sums": (
        FRAME,
        lambda s, x: s.node(
            "ReduceMax",
            s.node("Reshape", s.node("Conv", x, s.weights(6, 4, 1, 1)), i64(s, 0, 2, 3, 6, 5)),
            axes=[2],
        ),
    ),
    "reciprocal": (FRAME, lambda s, x: s.node("Reciprocal", s.node("Add", s.node("Abs", x), s.const(0.5)))),
    "constants over": (
        FRAME,
        lambda s, x: s.node(
            "Div", s.const([[[4.0]], [[-2]], [[0.5]], [[0]]]), s.node("Add", s.node("Exp", x), s.const(1.0))
        ),
    ),
    "add constant": (FRAME, lambda s, x: s.node("Add", x, s.const([[[1.0]], [[-2]], [[0.5]], [[0]]]))),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_operator(name: str, tmp_path: Path) -> None:
    shape, make = UNARY[name]
    sketch = Sketch(shape)
    sketch.output(sketch.quantized(make(sketch, sketch.values[0])))
    sketch.checked(tmp_path)


JOINS: dict[str, Callable[[Sketch, str, str], str]] = {
    "add": lambda s, a, b: s.node("Add", a, b),
    "subtract": lambda s, a, b: s.node("Sub", a, b),
    "multiply": lambda s, a, b: s.node("Mul", a, b),
    "sum": lambda s, a, b: s.node("Sum", a, b, a),
    "concat channels": lambda s, a, b: s.node("Concat", a, b, a, axis=1),
    "concat rows": lambda s, a, b: s.node("Concat", a, b, axis=2),
    "concat columns": lambda s, a, b: s.node("Concat", b, a, axis=-1),
    "add a vector": lambda s, a, b: s.node("Add", a, s.node("GlobalMaxPool", b)),
    "gate": lambda s, a, b: s.node("Mul", a, s.node("GlobalMaxPool", b)),
    "one map for all channels": lambda s, a, b: s.node(
        "Mul", a, s.node("Slice", b, i64(s, 0), i64(s, 1), i64(s, 1))
    ),
    "other scale": lambda s, a, b: s.node("Add", a, s.node("Mul", b, s.const(1.5))),
    "max": lambda s, a, b: s.node("Max", a, b),
    "min": lambda s, a, b: s.node("Min", a, b),
    "max of three, another scale": lambda s, a, b: s.node(
        "Max", a, s.node("Mul", b, s.const(-1.5)), s.node("Conv", a, s.weights(4, 4, 1, 1))
    ),
    "min of three": lambda s, a, b: s.node("Min", s.node("Min", a, s.node("Tanh", b)), s.node("Neg", b)),
    "max with constants, clipped": lambda s, a, b: s.node(
        "Clip",
        s.node("Max", s.const(-2.0), s.node("Conv", a, s.weights(4, 4, 1, 1)), b, s.const(-3.0)),
        s.const(-1.0),
        s.const(5.0),
    ),
    "min with a vector, then ReLU": lambda s, a, b: s.node(
        "Relu", s.node("Min", a, s.node("GlobalMaxPool", b))
    ),
    "max of transposed": lambda s, a, b: s.node(
        "Max", s.node("Transpose", a, perm=[0, 2, 3, 1]), s.node("Transpose", b, perm=[0, 2, 3, 1])
    ),
    "how far apart, moved, ReLU": lambda s, a, b: s.node(
        "Relu",
        s.node(
            "Transpose", s.node("Abs", s.node("Sub", a, s.node("Mul", b, s.const(1.0625)))), perm=[0, 3, 1, 2]
        ),
    ),
    "size of a product": lambda s, a, b: s.node(
        "Max", b, s.node("Abs", s.node("Conv", a, s.weights(4, 4, 1, 1)))
    ),
    "max of pools": lambda s, *both: s.node(
        "Max",
        *(s.node("MaxPool", s.node("Conv", x, s.weights(4, 4, 1, 1)), kernel_shape=[2, 2]) for x in both),
    ),
    "max through a product": lambda s, a, b: s.node("Conv", s.node("Max", a, b), s.weights(3, 4, 3, 2)),
    "conv and input": lambda s, a, b: s.node("Add", s.node("Conv", a, s.weights(4, 4, 1, 1)), b),
}


@pytest.mark.parametrize("name", JOINS)
def test_two_streams(name: str, tmp_path: Path) -> None:
    sketch = Sketch(FRAME, FRAME)
    sketch.output(sketch.quantized(JOINS[name](sketch, *sketch.values)))
    graph = sketch.checked(tmp_path)
    assert len(graph.inputs) == 2


@pytest.mark.parametrize("scale", [1.0, 0.75])
@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_comparisons_without_a_quantizer(tmp_path: Path, kind: str, scale: float) -> None:
    """Levels of one scale have a greatest as they are; anything else waits for a quantizer."""
    sketch = Sketch(FRAME, FRAME)
    a, b = sketch.values
    best = sketch.node(kind, a, sketch.node("Mul", b, sketch.const(scale)))
    sketch.output(sketch.quantized(sketch.node("Conv", best, sketch.weights(3, 4, 1, 1))))
    if (kind, scale) == ("Max", 1.0):
        sketch.checked(tmp_path)
        return
    with pytest.raises(UnsupportedNodeError, match=r"Conv.*no quantizer stands between 'M\w+' and this node"):
        import_model(sketch.saved(tmp_path))
    bare = Sketch(FRAME, FRAME)
    a, b = bare.values
    bare.output(bare.node(kind, a, bare.node("Mul", b, bare.const(scale))), TensorProto.FLOAT)
    with pytest.raises(UnsupportedNodeError, match=r"output 'm\w+': no quantizer stands between"):
        import_model(bare.saved(tmp_path))


def test_functions_at_the_end_are_the_hosts(tmp_path: Path) -> None:
    """In float64, rounded once; ONNX Runtime's own functions are not as near."""
    ends: dict[str, dict[str, float]] = {
        "Abs": {}, "Exp": {}, "HardSigmoid": {"alpha": 0.1, "beta": 0.4}, "Log": {}, "Sigmoid": {},
        "Softplus": {}, "Sqrt": {}, "Tanh": {},
    }  # fmt: skip
    sketch = Sketch(FRAME)
    y = sketch.quantized(sketch.node("Conv", sketch.values[0], sketch.weights(3, 4, 3, 3)))
    y = sketch.dequantized(y, 0.125)
    for kind, attributes in ends.items():
        sketch.output(sketch.node("Mul", sketch.node(kind, y, **attributes), sketch.const(1.5)), 1)
    path = sketch.saved(tmp_path)
    graph = import_model(path)
    x = RNG.integers(-100, 100, (4, *FRAME)).astype(np.int8)
    integers = run(graph, {s.tensor: quantize_input(s, x) for s in graph.inputs})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for output, want in zip(graph.outputs, session.run(None, {"x0": x}), strict=True):
        got = present_output(graph, output, integers[output.tensor])
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-6, atol=1e-6)
        assert len(np.unique(got)) > 10
    sketch.node("Softmax", sketch.node("Exp", y), axis=1)
    sketch.output(sketch.nodes[-1].output[0], 1)
    assert import_model(sketch.saved(tmp_path)).outputs[-1].steps[-1].op == "softmax"


def test_zeros_beside_activations(tmp_path: Path) -> None:
    """Constants in a Concat are padding, and those of several numbers are added to zeros."""
    zeros = np.zeros((1, 2, *FRAME[1:]))
    sketch = Sketch(FRAME, FRAME)
    a, b = sketch.values
    zero = sketch.const(zeros)
    sketch.output(sketch.quantized(sketch.node("Concat", zero, a, b, zero, axis=1)))
    sketch.output(
        sketch.quantized(sketch.node("Concat", a, sketch.const(np.full((1, 4, 1, 5), 2.5)), axis=-2))
    )
    y = sketch.node("Conv", sketch.node("Concat", b, zero, axis=1), sketch.weights(2, 6, 3, 3))
    sketch.output(sketch.quantized(y))
    sketch.checked(tmp_path, 1)
    ramp = Sketch(FRAME)
    numbers = ramp.const(np.arange(zeros.size).reshape(zeros.shape))
    ramp.output(ramp.quantized(ramp.node("Concat", ramp.values[0], numbers, axis=1)))
    ramp.checked(tmp_path, 1)


def test_what_functions_are_not_defined_on(tmp_path: Path) -> None:
    for kind, words in (("Sqrt", "square root of -"), ("Reciprocal", "a division by 0")):
        sketch = Sketch(FRAME)
        sketch.output(sketch.quantized(sketch.node(kind, sketch.values[0])))
        with pytest.raises(UnsupportedNodeError, match=rf"cannot be evaluated .*\nwhy: .*{words}"):
            import_model(sketch.saved(tmp_path))


def test_activations_over_activations(tmp_path: Path) -> None:
    sketch = Sketch(FRAME, FRAME)
    sketch.output(sketch.quantized(sketch.node("Div", *sketch.values)))
    with pytest.raises(UnsupportedNodeError, match=r"divides activations by activations\nwhy: .*normalized"):
        import_model(sketch.saved(tmp_path))


def test_branches_and_outputs(tmp_path: Path) -> None:
    """One input, a split, a residual connection, and every branch an output too."""
    sketch = Sketch(FRAME)
    (x,) = sketch.values
    left, right = sketch.node("Split", x, outputs=2, axis=1)
    left = sketch.dequantized(sketch.quantized(sketch.node("Conv", left, sketch.weights(2, 2, 1, 1))), 0.5)
    total = sketch.quantized(sketch.node("Relu", sketch.node("Add", left, right)))
    sketch.output(total)
    sketch.output(left, TensorProto.FLOAT)
    sketch.output(sketch.node("Transpose", total, perm=[0, 2, 3, 1]))
    sketch.checked(tmp_path)


def test_softmax_is_the_hosts(tmp_path: Path) -> None:
    sketch = Sketch((6,))
    (x,) = sketch.values
    scores = sketch.dequantized(sketch.quantized(sketch.node("Gemm", x, sketch.weights(6, 4))))
    soft = sketch.node("Softmax", scores)
    sketch.output(sketch.node("ArgMax", soft, axis=1), TensorProto.INT64)
    sketch.output(sketch.node("Relu", scores), TensorProto.FLOAT)
    graph = sketch.checked(tmp_path)
    assert graph.outputs[0].kind == "topk_indices"
    assert [step.op for step in graph.outputs[1].steps] == ["clip"]


def test_integer_operators(tmp_path: Path) -> None:
    """MatMulInteger and ConvInteger give their int32 accumulators."""
    for kind, shape, weights in (("MatMulInteger", (6,), (6, 3)), ("ConvInteger", FRAME, (3, 4, 2, 2))):
        sketch = Sketch(shape)
        q = sketch.const(RNG.integers(-8, 8, weights), np.int8)
        zeros = (sketch.const(3, np.int8), sketch.const(0, np.int8))
        y = sketch.node(kind, "x0", q, *zeros)
        scaled = sketch.node("Mul", sketch.node("Cast", y, to=TensorProto.FLOAT), sketch.const(0.125))
        sketch.output(y, TensorProto.INT32)
        sketch.output(scaled, TensorProto.FLOAT)
        sketch.nodes = [n for n in sketch.nodes if n.op_type != "DequantizeLinear"]
        sketch.checked(tmp_path)


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh", "HardSwish", "Gelu", "Elu", "Softplus", "Erf", "Mish"])
def test_functions_are_tables(name: str, tmp_path: Path) -> None:
    """Within float32's error of ONNX Runtime everywhere, and equal where no rounding boundary is near."""
    sketch = Sketch(FRAME, opset=20)
    sketch.output(sketch.quantized(sketch.node(name, sketch.values[0]), 1 / 32))
    graph = sketch.checked(tmp_path)
    assert [type(node).__name__ for node in graph.nodes] == ["Table"]


def test_function_of_accumulators(tmp_path: Path) -> None:
    """A function that only rises needs no quantizer in front of it; nor has |x|; one that turns does."""
    for name in ("Sigmoid", "Abs", "HardSwish"):
        sketch = Sketch(FRAME)
        y = sketch.node("Conv", sketch.values[0], sketch.weights(3, 4, 3, 3))
        sketch.output(sketch.quantized(sketch.node(name, y), 1 / 32))
        if name == "HardSwish":
            with pytest.raises(UnsupportedNodeError, match="in front of it"):
                sketch.checked(tmp_path)
        else:
            sketch.checked(tmp_path)
