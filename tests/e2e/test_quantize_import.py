"""What ``pulsefold quantize`` writes is read by the importer, and means the same to the golden model."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import pulsefold as api
import zoo
from pulsefold.compiler.frontend import import_model
from pulsefold.sim import golden


def embedded() -> onnx.ModelProto:
    """Numbers of positions added and multiplied, and a frame of them beside the input."""
    net = zoo.Net((3, 6, 8))
    rng = np.random.default_rng(1)
    shape = (4, 6, 8)
    x = net.node("Add", net.conv(net.x, 4), net.const(rng.normal(size=(1, *shape))), shape=shape)
    x = net.act(net.node("Div", x, net.const(rng.uniform(1, 2, (6, 8))), shape=shape))
    x = net.node("Sub", net.const(rng.normal(size=(1, 1, 1, 8))), net.conv(x, 4), shape=shape)
    return net.model(net.conv(net.act(x), 3))


def distance() -> onnx.ModelProto:
    """The square root of a sum of squares, which are no less than 0 whatever their quantizer may say."""
    net = zoo.Net((3, 6, 6))
    a, b = (net.global_average(net.act(net.conv(net.x, 4))) for _ in range(2))
    d = net.node("Sub", a, b, shape=net.shape[a])
    d = net.node("Mul", d, d, shape=net.shape[a])
    d = net.node("ReduceSum", d, net.const([1], np.int64), shape=(1, 1, 1))
    return net.model(net.node("Sqrt", d, shape=(1, 1, 1)))


NETWORKS = {
    "nin": lambda: zoo.nin(size=8, width=4),
    "residual": lambda: zoo.resnet(18, size=32, width=2, classes=5),
    "excited": lambda: zoo.mobilenet(3, size=16, width=2, classes=5),
    "dense": lambda: zoo.densenet(size=8, growth=2, layers=2, classes=5),
    "unet": lambda: zoo.unet(size=8, width=2, depth=1),
    "embedded": embedded,
    "decoded": zoo.decoded,
    "distance": distance,
    "silu": lambda: zoo.yolo(size=32, width=1, classes=1, act="SiLU"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_equals_onnx_runtime(name, tmp_path):
    model = NETWORKS[name]()
    (tmp_path / "float.onnx").write_bytes(model.SerializeToString())
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    out = tmp_path / "q.onnx"
    api.quantize(tmp_path / "float.onnx", x, out)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = onnxruntime.InferenceSession(out, options).run(None, {"x": x})
    graph = import_model(out)
    integers = golden.run(graph, golden.quantize_inputs(graph, golden.input_arrays(graph, x)))
    for want, output in zip(wanted, graph.outputs, strict=True):
        got = golden.present_output(graph, output, integers[output.tensor])
        assert got.shape == np.shape(want)
        # ONNX Runtime computes in float32: now and then a value on a rounding boundary goes the other way,
        # and one level of one value is all that may come of it.
        step = np.abs(want).max() / 64
        assert np.mean(np.abs(got - want) > 1e-4 * np.abs(want).max()) < 0.25
        assert np.abs(got - want).max() < step
