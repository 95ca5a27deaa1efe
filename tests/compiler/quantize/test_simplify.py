"""The normal form computes what the model does, in fewer nodes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import zoo
from pulsefold.compiler.quantize.equalize import equalize
from pulsefold.compiler.quantize.simplify import simplify
from pulsefold.errors import ModelError, UnsupportedNodeError


@pytest.fixture
def normal(read, run, images):
    """A model's normal form, shown equal to it; its operators."""

    def check(model: onnx.ModelProto, rtol: float = 1e-4):
        graph = read(model)
        simplify(graph)
        x = images(model, 3)
        for want, got in zip(run(model, x), run(graph, x), strict=True):
            np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-4 * np.abs(want).max())
        return graph, [node.op for node in graph.nodes]

    return check


def net(*shape: int) -> zoo.Net:
    return zoo.Net(shape or (3, 8, 8), seed=1)


def test_batch_norms_scales_and_biases_fold_into_each_kind_of_layer(normal):
    n = net()
    x = n.bn(n.conv(n.x, 4))
    x = n.node("Mul", x, n.const(np.linspace(0.5, 2, 4).reshape(1, 4, 1, 1)), shape=n.shape[x])
    x = n.bn(n.conv_transpose(n.act(x), 5, 2, 2))
    x = n.node("Add", x, n.const(0.25), shape=n.shape[x])
    x = n.gemm(n.flatten(n.global_average(n.act(x))), 6)
    x = n.node("Div", x, n.const([2, 4, 1, 1, 2, 8]), shape=n.shape[x])
    x = n.node("Sub", n.const(1.0), x, shape=n.shape[x])
    _, ops = normal(n.model(x))
    assert ops == ["Conv", "Relu", "ConvTranspose", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]


def test_grouped_transposed_convolution(normal):
    n = net(4, 5, 5)
    w = n.weights(4, 3, 2, 2, fan_in=8)
    x = n.node("ConvTranspose", n.x, w, shape=(6, 10, 10), group=2, strides=[2, 2], kernel_shape=[2, 2])
    _, ops = normal(n.model(n.bn(x)))
    assert ops == ["ConvTranspose"]


def test_what_two_nodes_read_does_not_fold(normal):
    n = net()
    x = n.conv(n.x, 4)
    _, ops = normal(n.model(n.add(n.bn(x), n.act(x))))
    assert "BatchNormalization" in ops


def test_what_differs_within_a_channel_does_not_fold(normal):
    n = net()
    x = n.conv(n.x, 4)
    x = n.node("Add", x, n.const(np.random.default_rng(0).normal(size=(1, 4, 8, 8))), shape=n.shape[x])
    _, ops = normal(n.model(x))
    assert ops == ["Conv", "Add"]


def test_matmul_with_bias_becomes_gemm(normal):
    n = net(12)
    x = n.node("MatMul", n.x, n.weights(12, 7, fan_in=12), shape=(7,))
    x = n.node("Add", n.const(np.arange(7)), x, shape=(7,))
    graph, ops = normal(n.model(x))
    assert ops == ["Gemm"]
    assert len(graph.nodes[0].inputs) == 3


def test_matmul_of_a_sequence_stays(normal):
    n = net(5, 12)
    x = n.node("MatMul", n.x, n.weights(12, 7, fan_in=12), shape=(5, 7))
    x = n.node("Add", x, n.const(np.arange(7)), shape=(5, 7))
    graph, ops = normal(n.model(x))
    assert ops == ["MatMul"]
    assert len(graph.nodes[0].inputs) == 3


def test_scaled_gemm(normal):
    n = net(4)
    w, b = n.weights(4, 3, fan_in=4), n.const([1.0, 2, 3])
    _, ops = normal(n.model(n.node("Gemm", n.x, w, b, shape=(3,), alpha=0.5, beta=2.0)))
    assert ops == ["Gemm"]


def test_zeros_around_a_convolution_are_its_padding(normal):
    n = net()
    pads = n.const([0, 0, 1, 0, 0, 0, 0, 2], np.int64)
    x = n.node("Pad", n.x, pads, shape=(3, 9, 10))
    graph, ops = normal(n.model(n.conv(x, 4)))
    assert ops == ["Conv"]
    assert graph.nodes[0].attributes["pads"] == [2, 1, 1, 3]


def test_other_values_around_a_convolution_stay(normal):
    n = net()
    x = n.node("Pad", n.x, n.const([0, 0, 1, 0, 0, 0, 0, 2], np.int64), n.const(1.0), shape=(3, 9, 10))
    assert normal(n.model(n.conv(x, 4)))[1] == ["Pad", "Conv"]


def test_mean_over_positions_is_a_pool(normal):
    n = net()
    x = n.conv(n.x, 4)
    x = n.node("ReduceMean", x, shape=(4,), axes=[-1, 2], keepdims=0)
    assert normal(n.model(n.gemm(x, 3)))[1] == ["Conv", "GlobalAveragePool", "Flatten", "Gemm"]


def test_activations_come_before_pools_and_movements(normal):
    n = net()
    x = n.act(n.pool(n.bn(n.conv(n.x, 4))))
    x = n.act(n.reshape(n.permute(n.conv(x, 6), 2, 3, 1), 48, 2), "Sigmoid")
    _, ops = normal(n.model(x))
    assert ops == ["Conv", "Relu", "MaxPool", "Conv", "Sigmoid", "Transpose", "Reshape"]


def test_idle_nodes_go_and_outputs_keep_their_names(normal):
    n = net()
    x = n.conv(n.node("Identity", n.x, shape=(3, 8, 8)), 4)
    y = n.node("Dropout", x, shape=n.shape[x])
    z = n.node("Cast", n.act(y), shape=n.shape[x], to=TensorProto.FLOAT)
    graph, ops = normal(n.model(z, y))
    assert ops == ["Conv", "Relu"]
    assert graph.output_names == [z, y]


def test_weights_behind_constants_fold(normal):
    n = net()
    x = n.conv(n.x, 4)
    conv = n.nodes[-1]
    w = next(t for t in n.initializers if t.name == conv.input[1])
    array = numpy_helper.to_array(w)
    n.initializers.remove(w)
    stored = np.rint(array * 50).astype(np.int8)
    made = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(stored.reshape(-1, 3))),
        helper.make_node("Reshape", ["k", n.const(stored.shape, np.int64)], ["r"]),
        helper.make_node(
            "DequantizeLinear", ["r", n.const([0.02] * 4), n.const([0] * 4, np.int8)], [w.name], axis=0
        ),
    ]
    n.nodes = [*made, *n.nodes]
    graph, ops = normal(n.model(x))
    assert ops == ["Conv"]
    np.testing.assert_allclose(graph.constants[graph.nodes[0].inputs[1]], stored * 0.02, rtol=1e-5)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floats_become_float32(kind, read, images, run):
    n = net()
    model = n.model(n.classifier(n.cbr(n.x, 4), 3))
    x = images(model, 3)
    # ONNX Runtime itself has no convolution of doubles.
    (want,) = run(model, x)
    code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    for t in model.graph.initializer:
        if t.data_type == TensorProto.FLOAT:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(kind), t.name))
    for v in (*model.graph.input, *model.graph.output):
        v.type.tensor_type.elem_type = code
    graph = read(model)
    simplify(graph)
    assert all(v.dtype != kind for v in graph.constants.values())
    np.testing.assert_allclose(run(graph, x)[0], want, rtol=0.01, atol=0.01)


def test_equalized_network_computes_the_same_from_equal_ranges(read, run, images):
    n = net()
    x = n.act(n.conv(n.x, 6, bias=True))
    x = n.pool(n.act(n.conv(x, 6, groups=6, bias=True), "LeakyRelu"))
    x = n.act(n.conv(x, 8, 1, bias=True), "Relu6")
    model = n.model(n.gemm(n.flatten(n.global_average(x)), 3))
    for i in (0, 2):
        w = model.graph.initializer[i]
        gains = np.geomspace(0.01, 1, 6).astype(np.float32).reshape(-1, 1, 1, 1)
        w.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(w) * gains, w.name))
    graph = read(model)
    simplify(graph)
    # Not the third pair: a clamp at six is no line through zero.
    assert equalize(graph) == 2
    np.testing.assert_allclose(
        run(graph, images(model))[0], run(model, images(model))[0], rtol=1e-3, atol=1e-4
    )
    weights = [graph.constants[node.inputs[1]] for node in graph.nodes if node.op == "Conv"]
    axes = ((1, 2, 3), (1, 2, 3), (0, 2, 3))
    ranges = [np.abs(w).max(axis=a) for w, a in zip(weights, axes, strict=True)]
    np.testing.assert_allclose(ranges[0], ranges[1], rtol=0.05)
    np.testing.assert_allclose(ranges[1], ranges[2], rtol=0.05)


def test_products_of_activations_are_refused(read):
    n = net(4, 4)
    model = n.model(n.node("MatMul", n.x, n.x, shape=(4, 4)))
    with pytest.raises(UnsupportedNodeError, match=r"matmul0 \(MatMul\).*activation"):
        simplify(read(model))


def test_weights_that_are_not_numbers(read):
    n = net(4)
    w = n.weights(4, 3, fan_in=4)
    n.initializers[-1].CopyFrom(numpy_helper.from_array(np.full((4, 3), np.nan, np.float32), w))
    with pytest.raises(ModelError, match="NaN"):
        simplify(read(n.model(n.node("MatMul", n.x, w, shape=(3,)))))


def test_a_network_without_weights(read):
    n = net(4)
    with pytest.raises(ModelError, match="no matrix product"):
        simplify(read(n.model(n.act(n.x))))


@pytest.mark.parametrize(("limit", "kept"), [(20.0, False), (3.0, True)])
def test_softplus_as_torch_writes_it(normal, limit, kept):
    n = net()
    x = n.conv(n.x, 4)
    size = n.shape[x]
    above = n.node("Greater", x, n.const(limit), shape=size)
    x = n.node("Where", above, x, n.node("Softplus", x, shape=size), shape=size)
    _, ops = normal(n.model(n.conv(x, 2)))
    assert ("Where" in ops) == kept
