"""Every operator and every way of writing it, against the source in float64."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from pulsefold.compiler.frontend import import_model, inspect_model
from pulsefold.compiler.ir import Conv, Graph, MaxPool, Threshold
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim import golden
from pulsefold.sim.reference import compare

Start = Callable[..., Any]
RNG = np.random.default_rng(0)


def checked(net: Any, folder: Path, frames: int = 3) -> Graph:
    path = net.save(folder)
    graph = import_model(path)
    x = frames_for(graph, frames)
    report = compare(path, graph, x)
    assert report.ok, report.first
    assert inspect_model(path).supported
    return graph


def frames_for(graph: Graph, count: int) -> np.ndarray:
    source = graph.inputs[0]
    rng = np.random.default_rng(1)
    if np.dtype(source.dtype).kind != "f":
        info = np.iinfo(source.dtype)
        return rng.integers(info.min, info.max + 1, (count, *source.shape)).astype(source.dtype)
    return rng.normal(size=(count, *source.shape)).astype(source.dtype) * 3


def weights(net: Any, *shape: int) -> str:
    return net.weights(RNG.normal(size=shape) * 2, scale=0.5, bits=4)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3])
def test_auto_pad(tmp_path: Path, net: Start, auto: str, stride: int, kernel: int) -> None:
    n = net("N", 2, 7, 6).quant(0.5, bits=4)
    n.conv(weights(n, 3, 2, kernel, kernel), auto_pad=auto, strides=[stride] * 2, kernel_shape=[kernel] * 2)
    graph = import_model(n.save(tmp_path))
    x = frames_for(graph, 2)
    # The same Conv in float on the same quantized input and weights, by ONNX Runtime.
    conv = graph.nodes[0]
    assert isinstance(conv, Conv)
    q = golden.quantize_input(graph.inputs[0], x)
    got = golden.run(graph, {graph.inputs[0].tensor: q})[graph.outputs[0].tensor]
    want = runtime(
        "Conv",
        q.transpose(0, 3, 1, 2),
        conv.weights.transpose(0, 3, 1, 2),
        auto_pad=auto,
        strides=[stride] * 2,
        kernel_shape=[kernel] * 2,
    )
    assert np.array_equal(got.transpose(0, 3, 1, 2), want)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]])
@pytest.mark.parametrize("dilation", [1, 2])
def test_pool_windows(
    tmp_path: Path, net: Start, ceil_mode: int, stride: int, pads: list[int], dilation: int
) -> None:
    attributes = {
        "kernel_shape": [2, 3],
        "ceil_mode": ceil_mode,
        "strides": [stride] * 2,
        "pads": pads,
        "dilations": [dilation] * 2,
    }
    n = net("N", 2, 8, 9).quant(0.25, bits=4).add("MaxPool", **attributes)
    pool_agrees(n, tmp_path, attributes)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pool_auto_pad(tmp_path: Path, net: Start, auto: str) -> None:
    attributes = {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": auto}
    pool_agrees(net("N", 2, 8, 7).quant(0.25, bits=4).add("MaxPool", **attributes), tmp_path, attributes)


def pool_agrees(net: Any, folder: Path, attributes: dict[str, Any]) -> None:
    graph = import_model(net.save(folder))
    assert [type(node) for node in graph.nodes] == [MaxPool]
    q = golden.quantize_input(graph.inputs[0], frames_for(graph, 2))
    got = golden.run(graph, {graph.inputs[0].tensor: q})[graph.outputs[0].tensor]
    assert np.array_equal(
        got.transpose(0, 3, 1, 2), runtime("MaxPool", q.transpose(0, 3, 1, 2), **attributes)
    )


def runtime(kind: str, *arrays: np.ndarray, **attributes: Any) -> np.ndarray:
    """One float node in ONNX Runtime."""
    names = [f"i{k}" for k in range(len(arrays))]
    inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in names]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["y"], **attributes)],
        "one",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(
        session.run(None, dict(zip(names, (a.astype(np.float32) for a in arrays), strict=True)))[0]
    )


def test_flatten_permutes_the_next_weights(tmp_path: Path, net: Start) -> None:
    n = net("N", 3, 4, 5).quant(0.5, bits=4).add("Flatten")
    n.add("MatMul", weights(n, 60, 7))
    graph = checked(n, tmp_path)
    (conv,) = graph.nodes
    assert isinstance(conv, Conv)
    assert conv.weights.shape == (7, 4, 5, 3)


@pytest.mark.parametrize("shape", [[0, -1], [-1, 60], [1, -1], [-1, 1, 60]])
def test_reshape(tmp_path: Path, net: Start, shape: list[int]) -> None:
    n = net(1, 3, 4, 5).quant(0.5, bits=4)
    n.add("Reshape", n.const(shape, np.int64))
    checked(n.add("MatMul", weights(n, 60, 7)), tmp_path)


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_shape_of_the_batch_goes_into_a_reshape(tmp_path: Path, net: Start, batch: Any) -> None:
    n = net(batch, 3, 4, 5).quant(0.5, bits=4)
    x = n.last
    n.add("Shape").add("Gather", n.const(0, np.int64), axis=0)
    n.add("Unsqueeze", n.const([0], np.int64)).add("Concat", n.const([-1], np.int64), axis=0)
    n.add("Reshape", first=[x, n.last])
    graph = checked(n.add("MatMul", weights(n, 60, 7)), tmp_path, frames=4)
    assert graph.outputs[0].shape == (7,)


def test_channels_last_input(tmp_path: Path, net: Start) -> None:
    n = net("N", 6, 7, 3).quant(0.5, bits=4).add("Transpose", perm=[0, 3, 1, 2])
    n.conv(weights(n, 4, 3, 2, 3)).add("Transpose", perm=[0, 2, 3, 1])
    graph = checked(n, tmp_path)
    for end in (graph.inputs[0], graph.outputs[0]):
        assert np.array_equal(end.index.ravel(), np.arange(end.index.size))
    assert graph.tensors[graph.inputs[0].tensor].shape == (6, 7, 3)
    x = frames_for(graph, 2)
    assert golden.infer(graph, x).shape == (2, 5, 5, 4)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_multi_threshold_layouts(tmp_path: Path, net: Start, layout: str) -> None:
    n = net("N", 3, 4, 5).quant(0.5, bits=4)
    n.conv(weights(n, 4, 3, 2, 2))
    if layout == "NHWC":
        n.add("Transpose", perm=[0, 2, 3, 1])
    table = np.random.default_rng(3).normal(size=(4, 5)) * 5
    n.add(
        "MultiThreshold",
        n.const(table),
        domain="qonnx.custom_op.general",
        data_layout=layout,
        out_dtype="INT4",
        out_bias=-2.0,
    )
    graph = checked(n, tmp_path)
    threshold = graph.nodes[-1]
    assert isinstance(threshold, Threshold)
    assert (threshold.first, threshold.count) == (-2, 5)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(tmp_path: Path, net: Start, transposed: int) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    shape = (5, 8) if transposed else (8, 5)
    n.add("Gemm", weights(n, *shape), n.const(RNG.normal(size=5)), transB=transposed, alpha=0.3, beta=2.0)
    checked(n, tmp_path)


def test_operands_in_either_order(tmp_path: Path, net: Start) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    n.add("MatMul", weights(n, 8, 5))
    for kind in ("Add", "Sub", "Mul"):
        n.add(kind, first=[n.const(RNG.normal(size=(1, 5)).round(2)), n.last])
        n.add(kind, n.const(0.75))
    n.add("Div", n.const([1.0, -2.0, 3.0, 4.0, 5.0]))
    checked(n.quant(0.3, bits=3), tmp_path)


@pytest.mark.parametrize(
    ("starts", "ends", "steps"),
    [([0], [3], [1]), ([1], [-1], [2]), ([-1], [-9], [-1]), ([-2], [0], [-2]), ([0], [99], [1])],
)
def test_slice_drops_weight_rows(
    tmp_path: Path, net: Start, starts: list[int], ends: list[int], steps: list[int]
) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    n.add("MatMul", weights(n, 8, 6)).add("Add", n.const(RNG.normal(size=6)))
    n.add("Slice", *(n.const(v, np.int64) for v in (starts, ends, [1], steps)))
    graph = checked(n, tmp_path)
    (conv,) = graph.nodes
    assert isinstance(conv, Conv)
    assert conv.weights.shape[0] == len(range(*slice(starts[0], ends[0], steps[0]).indices(6)))


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceSum"])
@pytest.mark.parametrize("last", [False, True])
def test_reduction_over_channels(tmp_path: Path, net: Start, kind: str, last: bool) -> None:
    """As spatial attention has it: the result gates the frame that it comes from."""
    n = net("N", 4, 3, 4).quant(0.5, bits=4)
    n.conv(weights(n, 6, 4, 1, 1)).quant(0.5, bits=5)
    if last:
        n.add("Transpose", perm=[0, 2, 3, 1])
    frame, axis = n.last, 3 if last else 1
    if kind == "ReduceSum":
        n.add(kind, n.const([axis], np.int64))
    else:
        n.add(kind, axes=[axis])
    n.add("Sigmoid").quant(0.1, bits=4, signed=False) if kind == "ReduceMax" else n.quant(0.5, bits=5)
    n.add("Mul", frame).quant(0.5, bits=5)
    checked(n, tmp_path)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_pads_before_the_input_quantizer(tmp_path: Path, net: Start, mode: str) -> None:
    """By a number that is no level and no zero of the input, twice, with a step before and one behind."""
    n = net("N", 2, 4, 5)
    n.add("Sub", n.const(0.3)).add("Div", n.const(1.7))
    for pads in ([0, 0, 1, 0, 0, 0, 2, 1], [0, 0, -1, 1, 0, 1, 0, 0]):
        n.add("Pad", n.const(pads, np.int64), n.const(0.4), mode=mode if pads[5] == 0 else "constant")
    graph = checked(n.add("Mul", n.const(2.0)).quant(0.25, bits=4).conv(weights(n, 2, 3, 2, 2)), tmp_path)
    assert graph.inputs[0].shape == (2, 4, 5)


def test_pad_of_an_integer_input(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 4, 4, dtype=TensorProto.UINT8).add("Cast", to=TensorProto.FLOAT)
    n.add("Pad", n.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    checked(n.conv(weights(n, 3, 2, 2, 2)).bipolar(), tmp_path)


def test_slices_of_an_input_each_with_its_quantizer(tmp_path: Path, net: Start) -> None:
    """Every other pixel, as detectors begin."""
    n = net("N", 2, 6, 4)
    parts = []
    for k, scale in enumerate((0.5, 0.25)):
        bounds = (n.const(v, np.int64) for v in ([k, 1 - k], [99, 99], [2, 3], [2, 2]))
        n.add("Slice", first=["x", *bounds]).quant(scale, bits=4)
        parts.append(n.last)
    n.add("Concat", first=parts, axis=1).quant(0.5, bits=4)
    graph = checked(n.conv(weights(n, 3, 4, 2, 2)), tmp_path)
    assert [entry.name for entry in graph.inputs] == ["x", "x"]


@pytest.mark.parametrize("kind", ["Sigmoid", "LeakyRelu", "Abs"])
def test_moves_behind_a_function(tmp_path: Path, net: Start, kind: str) -> None:
    n = net("N", 4, 5, 5).quant(0.5, bits=4).add(kind)
    n.add("Slice", *(n.const(v, np.int64) for v in ([1], [4], [1])))
    n.add("Pad", n.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="edge").quant(0.05, bits=5)
    checked(n.conv(weights(n, 2, 3, 2, 2)), tmp_path)


@pytest.mark.parametrize("kind", ["Sigmoid", "LeakyRelu", "Abs"])
def test_slice_behind_a_function(tmp_path: Path, net: Start, kind: str) -> None:
    """Of channels with a scale each."""
    n = net("N", 3, 5, 5).quant(0.5, bits=4)
    n.conv(n.weights(RNG.normal(size=(6, 3, 1, 1)), scale=RNG.uniform(0.2, 1, (6, 1, 1, 1)), bits=4)).add(
        kind
    )
    n.add("Slice", *(n.const(v, np.int64) for v in ([1], [4], [1]))).quant(0.05, bits=5)
    checked(n.conv(weights(n, 2, 3, 1, 1)), tmp_path)


def test_slice_behind_a_normalization(tmp_path: Path, net: Start) -> None:
    """The channels that are dropped were counted in the energy of their neighbours."""
    n = net("N", 3, 5, 5).quant(0.5, bits=2)
    n.conv(n.weights(RNG.integers(-1, 2, (6, 3, 1, 1)), bits=2)).add("LRN", size=3, alpha=0.1, bias=1.0)
    n.add("Slice", *(n.const(v, np.int64) for v in ([1], [4], [1]))).quant(0.05, bits=5)
    with pytest.raises(UnsupportedNodeError, match="no quantizer stands between 'lrn"):
        import_model(n.save(tmp_path))


def test_slice_before_a_quantizer(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 5, 5).quant(0.5, bits=4)
    n.conv(weights(n, 6, 2, 3, 3))
    n.add("Slice", *(n.const(v, np.int64) for v in ([2], [5], [1])))
    n.quant(0.5, bits=3).add("Flatten")
    checked(n.add("MatMul", weights(n, 27, 3)), tmp_path)


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_values_and_indices(tmp_path: Path, net: Start, largest: int) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    n.add("MatMul", weights(n, 8, 6)).add("Mul", n.const([1.0, 2.0, -1.0, 0.5, 0.0, 1.0]))
    n.add("TopK", n.const([3], np.int64), axis=-1, largest=largest)
    n.nodes[-1].output.append("index")
    n.outputs = [n.last, "index"]
    graph = checked(n, tmp_path, frames=20)
    assert [output.kind for output in graph.outputs] == ["topk_values", "topk_indices"]


def test_ties_go_to_the_lower_index(tmp_path: Path, net: Start) -> None:
    n = net("N", 4).quant(1.0, bits=4)
    n.add("MatMul", n.const(np.eye(4))).add("TopK", n.const([4], np.int64), axis=1)
    n.nodes[-1].output.append("index")
    n.outputs = ["index"]
    graph = import_model(n.save(tmp_path))
    assert golden.infer(graph, np.array([[1, 3, 3, 1]], np.float32)).tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_arg_best(tmp_path: Path, net: Start, kind: str, keepdims: int) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    n.add("MatMul", weights(n, 8, 6)).add(kind, axis=1, keepdims=keepdims)
    graph = checked(n, tmp_path, frames=20)
    assert golden.infer(graph, frames_for(graph, 5)).shape == ((5, 1) if keepdims else (5,))


@pytest.mark.parametrize("keepdims", [0, 1])
def test_class_of_each_pixel(tmp_path: Path, net: Start, keepdims: int) -> None:
    """Channels first and last, behind a softmax and without."""
    n = net("N", 2, 5, 4).quant(0.5, bits=4)
    n.conv(weights(n, 6, 2, 1, 1))
    scores = n.last
    n.add("Softmax", axis=1).add("ArgMax", axis=1, keepdims=keepdims)
    n.outputs = [n.last]
    n.add("Transpose", first=[scores], perm=[0, 2, 3, 1]).add("ArgMin", axis=-1, keepdims=keepdims)
    n.outputs.append(n.last)
    n.add("TopK", first=[scores, n.const([2], np.int64)], axis=1)
    n.nodes[-1].output.append("index")
    n.outputs += [n.last, "index"]
    graph = checked(n, tmp_path)
    first, *_, values, index = (o.shape for o in graph.outputs)
    assert first == ((1, 5, 4) if keepdims else (5, 4))
    assert values == index == (2, 5, 4)


def test_softmax_over_other_axes_changes_the_order(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 5, 4).quant(0.5, bits=4).add("Softmax", axis=2).add("ArgMax", axis=1)
    with pytest.raises(UnsupportedNodeError, match="behind a softmax over another"):
        import_model(n.save(tmp_path))


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.INT8])
def test_integer_input_needs_no_quantizer(tmp_path: Path, net: Start, dtype: int) -> None:
    n = net("N", 2, 4, 4, dtype=dtype).add("Cast", to=TensorProto.FLOAT)
    n.add("Mul", n.const(1 / 255))
    n.conv(weights(n, 3, 2, 2, 2))
    checked(n.bipolar(), tmp_path)


def test_float64_input(tmp_path: Path, net: Start) -> None:
    n = net("N", 8, dtype=TensorProto.DOUBLE).quant(0.1, bits=4)
    graph = checked(n.add("MatMul", weights(n, 8, 3)), tmp_path)
    assert graph.inputs[0].thresholds.dtype == np.float64


def test_relu_behind_the_quantizer(tmp_path: Path, net: Start) -> None:
    n = net("N", 8).quant(0.5, bits=4).add("Relu")
    graph = checked(n.add("MatMul", weights(n, 8, 3)), tmp_path)
    clip = graph.nodes[0]
    assert isinstance(clip, Threshold)
    assert (clip.first, str(clip.type), clip.thresholds.tolist()) == (0, "uint3", [[1, 2, 3, 4, 5, 6, 7]])
    n = net("N", 8).quant(0.5, bits=4, signed=False).add("Relu")
    n.add("Clip", "", n.const(100.0))
    assert all(isinstance(node, Conv) for node in checked(n.add("MatMul", weights(n, 8, 3)), tmp_path).nodes)


def test_fractional_offset_is_folded(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 5, 5).quant(0.5, 0.5, bits=2, signed=False)
    n.conv(weights(n, 3, 2, 3, 3)).quant(1.0, bits=3)
    graph = checked(n, tmp_path)
    assert graph.tensors[graph.inputs[0].tensor].offset == (Fraction(-1, 4),)


def test_bipolar_padding_is_zero(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 5, 5).bipolar(0.5)
    n.conv(weights(n, 3, 2, 3, 3), pads=[1, 1, 1, 1]).quant(0.5, bits=4)
    checked(n, tmp_path)


@pytest.mark.parametrize(
    ("gain", "order"), [(1.0, [Conv, Threshold, MaxPool]), (-1.0, [Conv, MaxPool, Threshold])]
)
def test_pool_goes_where_it_is_right(tmp_path: Path, net: Start, gain: float, order: list[type]) -> None:
    n = net("N", 2, 6, 6).quant(0.5, bits=4)
    n.conv(weights(n, 3, 2, 3, 3)).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    graph = checked(n.add("Mul", n.const(gain)).quant(0.5, bits=3), tmp_path)
    assert [type(node) for node in graph.nodes] == order


def test_pool_before_the_input_quantizer(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 6, 6).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).quant(0.5, bits=4)
    checked(n, tmp_path)


def test_pool_at_the_end(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 6, 6).quant(0.5, bits=4)
    n.conv(weights(n, 3, 2, 3, 3)).add("MaxPool", kernel_shape=[2, 2])
    graph = checked(n, tmp_path)
    assert graph.outputs[0].index.shape[1:] == graph.tensors[graph.outputs[0].tensor].shape[:2]


def test_negative_gains_negate_weights(tmp_path: Path, net: Start) -> None:
    n = net("N", 2, 6, 6).quant(0.5, bits=4)
    n.conv(weights(n, 4, 2, 3, 3)).bn([1.0, -1.0, 0.0, -2.0], np.ones(4), np.ones(4), np.full(4, 2.0))
    graph = checked(n.quant(0.5, bits=3), tmp_path)
    assert not any(node.descending.any() for node in graph.nodes if isinstance(node, Threshold))


def test_a_row_that_cannot_be_negated_descends(tmp_path: Path, net: Start) -> None:
    n = net("N", 3).quant(1.0, bits=3)
    n.add("MatMul", n.const([[-128.0, 5.0], [1.0, 127.0], [2.0, 3.0]])).add("Mul", n.const(-1.0))
    graph = checked(n.quant(60.0, bits=4), tmp_path)
    threshold = graph.nodes[-1]
    assert isinstance(threshold, Threshold)
    assert threshold.descending.tolist() == [True, False]


def test_weights_without_a_quantizer(tmp_path: Path, net: Start) -> None:
    n = net("N", 3).quant(1.0, bits=3)
    scale = np.float32([0.25, 0.7, 1.0])
    n.add("MatMul", n.const(np.float32([[1, -1, 3], [-3, 1, 0], [2, 1, 100]]) * scale))
    graph = checked(n, tmp_path)
    (conv,) = graph.nodes
    assert isinstance(conv, Conv)
    assert conv.weights[:, 0, 0].tolist() == [[1, -3, 2], [-1, 1, 1], [3, 0, 100]]


def test_constants_are_folded_in_their_own_type(tmp_path: Path, net: Start) -> None:
    n = net("N", 3).quant(1.0, bits=3)
    x = n.last
    n.add("Pow", first=[n.const([318.19665]), n.const(0.5)])
    n.add("Div", first=[x, n.last])
    graph = import_model(n.save(tmp_path))
    root = np.float32(318.19665) ** np.float32(0.5)
    assert graph.tensors[graph.outputs[0].tensor].scale == (1 / Fraction(float(root)),)


@pytest.mark.parametrize("domain", ["", "onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general"])
def test_domains_without_an_import(tmp_path: Path, net: Start, domain: str) -> None:
    n = net("N", 8).quant(0.5, bits=4, mode=None).bipolar()
    for node in n.nodes:
        node.domain = domain
    n.opsets = [("", 13)]
    checked(n, tmp_path)


def test_initializers_listed_as_inputs(tmp_path: Path, net: Start) -> None:
    n = net("N", 8).quant(0.5, bits=4)
    n.add("MatMul", weights(n, 8, 3))
    model = n.model()
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    assert [source.name for source in import_model(path).inputs] == ["x"]


def test_names_are_made_unique(tmp_path: Path, net: Start) -> None:
    n = net("N", 4)
    for _ in range(3):
        n.quant(0.5, bits=4)
        n.nodes[-1].name = ""
        n.add("MatMul", n.const(np.eye(4)), name="same")
    graph = checked(n.quant(0.5, bits=4), tmp_path)
    names = [node.name for node in graph.nodes]
    assert len(set(names)) == len(names)
    assert "" not in names


def test_unused_nodes_are_ignored(tmp_path: Path, net: Start) -> None:
    n = net("N", 4).quant(0.5, bits=4)
    kept = n.last
    n.add("Softmax")
    n.outputs = [kept]
    path = n.save(tmp_path)
    assert import_model(path).nodes == ()
    assert [report.verdict for report in inspect_model(path).nodes] == ["supported", "unused"]


def test_inspection_of_what_stops(tmp_path: Path, net: Start) -> None:
    n = net("N", 3, 6, 6).quant(0.5, bits=4)
    n.conv(weights(n, 2, 3, 3, 3), name="first").add("Det", name="odd").add("Relu").add(
        "Einsum", equation="a->a"
    )
    inspection = inspect_model(n.save(tmp_path))
    verdicts = {report.name: report.verdict for report in inspection.nodes}
    assert verdicts["first"] == "supported"
    assert verdicts["odd"] == "unsupported"
    assert verdicts["relu4"] == "unchecked"
    assert verdicts["einsum5"] == "unsupported"
    assert "odd (Det)" in inspection.advice
    assert "what to do" in inspection.advice


def test_inspection_counts(tmp_path: Path, net: Start) -> None:
    n = net("N", 3, 6, 6).quant(0.5, bits=4)
    n.conv(weights(n, 2, 3, 3, 3)).bipolar().add("Flatten")
    inspection = inspect_model(n.add("MatMul", weights(n, 32, 5)).save(tmp_path))
    assert inspection.macs == 16 * 2 * 27 + 160
    assert inspection.parameters == 54 + 160
    assert inspection.activation_bits == (1, 4)
    assert max(inspection.weight_bits) <= 4


@pytest.mark.parametrize("how", ["align_corners", "half_pixel", "asymmetric"])
@pytest.mark.parametrize(("height", "width"), [(8, 9), (3, 16), (5, 2), (1, 4)])
def test_linear_resize_to_any_size(tmp_path: Path, net: Start, how: str, height: int, width: int) -> None:
    """Places between pixels that no binary fraction is."""
    n = net("N", 2, 5, 4).quant(0.5, bits=5)
    sizes = n.const([height, width], np.int64)
    n.add("Resize", "", "", sizes, axes=[2, 3], mode="linear", coordinate_transformation_mode=how)
    n.opsets[0] = ("", 18)
    graph = checked(n.quant(0.25, bits=6), tmp_path)
    assert graph.outputs[0].shape == (2, height, width)


def test_linear_resize_to_places_too_fine_is_refused(tmp_path: Path, net: Start) -> None:
    n = net("N", 1, 5, 5).quant(0.5, bits=5)
    n.add("Resize", "", n.const([1, 1, 1.3, 1.3]), mode="linear").quant(0.25)
    with pytest.raises(UnsupportedNodeError, match="places that are multiples of 1/"):
        import_model(n.save(tmp_path))
    n = net("N", 1, 6, 6).quant(0.5, bits=5)
    n.add("Resize", "", n.const([1, 1, 0.5, 0.5]), mode="linear", antialias=1).quant(0.25)
    n.opsets[0] = ("", 18)
    with pytest.raises(UnsupportedNodeError, match="antialias"):
        import_model(n.save(tmp_path))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_best_of_any_axis(tmp_path: Path, net: Start, axis: int) -> None:
    """Behind a linear Resize, whose channels lie side by side for each phase, as segmentation has it."""
    n = net("N", 3, 4, 5).quant(0.5, bits=5)
    n.add("Resize", "", n.const([1, 1, 2, 2]), mode="linear").add("ArgMax", axis=axis, keepdims=0)
    graph = checked(n, tmp_path)
    assert graph.outputs[0].kind == "topk_indices"
    assert graph.outputs[0].shape == tuple(s for i, s in enumerate((3, 8, 10)) if i != (axis % 4) - 1)
