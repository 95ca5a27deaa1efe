"""Old operator sets: the upgraded model computes what the old one does."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.quantize.upgrade import NEWEST
from pulsefold.errors import ModelError, UnsupportedNodeError

FULL = (2, 3, 4, 5)

CASES = {
    "upsample 7": ("Upsample", FULL, 7, [], {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "nearest"}),
    "upsample 7 linear": ("Upsample", FULL, 7, [], {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}),
    "upsample 9": ("Upsample", FULL, 9, [np.float32([1, 1, 2, 3])], {"mode": "nearest"}),
    "resize 10": ("Resize", FULL, 10, [np.float32([1, 1, 2, 2])], {"mode": "nearest"}),
    "squeeze": ("Squeeze", (2, 1, 4, 1), 11, [], {"axes": [1, 3]}),
    "unsqueeze": ("Unsqueeze", (2, 3), 11, [], {"axes": [1]}),
    "clip": ("Clip", FULL, 10, [], {"min": -0.5, "max": 0.5}),
    "clip below": ("Clip", FULL, 7, [], {"min": 0.0}),
    "pad": ("Pad", FULL, 8, [], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 1.5}),
    "slice": ("Slice", FULL, 9, [], {"starts": [1], "ends": [3], "axes": [2]}),
    "slice all": ("Slice", FULL, 8, [], {"starts": [0, 1], "ends": [2, 3]}),
    "split": ("Split", (2, 6, 4), 11, [], {"axis": 1, "split": [2, 4]}),
    "split evenly": ("Split", (2, 6, 4), 11, [], {"axis": 1}),
    "softmax flat": ("Softmax", FULL, 11, [], {}),
    "softmax last": ("Softmax", FULL, 11, [], {"axis": 3}),
    "softmax of one position": ("Softmax", (2, 9, 1, 1), 7, [], {"axis": 1}),
    "log softmax": ("LogSoftmax", FULL, 12, [], {"axis": 2}),
    "mean": ("ReduceMean", FULL, 11, [], {"axes": [2, 3], "keepdims": 0}),
    "sum": ("ReduceSum", FULL, 11, [], {"axes": [1]}),
    "batch norm": (
        "BatchNormalization",
        FULL,
        8,
        [np.float32([1, 2, 0.5]), np.float32([0, 1, 2]), np.float32([0, 0.1, 0]), np.float32([1, 2, 3])],
        {"epsilon": 1e-3},
    ),
    "max pool": ("MaxPool", FULL, 8, [], {"kernel_shape": [2, 2], "strides": [1, 1]}),
    "average pool": ("AveragePool", FULL, 7, [], {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]}),
    "top k": ("TopK", (2, 6), 7, [], {"k": 2, "axis": 1}),
    "lrn": ("LRN", FULL, 7, [], {"size": 3}),
    "dropout": ("Dropout", FULL, 7, [], {"ratio": 0.4}),
}


@pytest.mark.parametrize("target", [13, 21, NEWEST])
@pytest.mark.parametrize("case", CASES)
def test_upgraded_node(case, target, old, read, run):
    kind, shape, opset, rest, attributes = CASES[case]
    outputs = 2 if kind in ("Split", "TopK") else 1
    model = old(kind, shape, opset, *rest, outputs=outputs, **attributes)
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    graph = read(model, target)
    assert graph.opset == target
    assert [v.name for v in graph.inputs] == ["x"]
    for want, got in zip(run(model, x), run(graph, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_newer_opset_is_kept(read, old):
    assert read(old("Relu", FULL, 18), 13).opset == 18


def test_the_newest_opset_comes_down_to_what_runs(read, old, run):
    model = old("Relu", FULL, NEWEST + 1)
    graph = read(model, 13)
    assert graph.opset == NEWEST
    x = np.float32(np.random.default_rng(0).normal(size=FULL))
    np.testing.assert_array_equal(run(graph, x)[0], np.maximum(x, 0))


def test_too_old(read, old):
    with pytest.raises(ModelError, match="opset 6"):
        read(old("Relu", FULL, 6))


def test_an_operator_without_a_rule_is_named(read, old):
    where, what = np.zeros((2, 3, 4, 5), np.int64), np.zeros((2, 3, 4, 5), np.float32)
    model = old("ScatterElements", FULL, 16, where, what)
    with pytest.raises(UnsupportedNodeError, match=r"node \(ScatterElements\).*opset 16"):
        read(model, 21)


def test_an_operator_that_does_not_exist(read, old):
    model = old("Relu", FULL, 13)
    model.graph.node.append(helper.make_node("Frobnicate", ["y"], ["u"], name="odd"))
    model.graph.output.append(helper.make_empty_tensor_value_info("u"))
    with pytest.raises(UnsupportedNodeError, match=r"odd \(Frobnicate\)"):
        read(model)


def test_softmax_of_a_list_of_boxes(read):
    """Before opset 13, and the sizes in front of it made from an open batch: the last axis stays the last."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["n"]),
        helper.make_node("Unsqueeze", ["n"], ["batch"], axes=[0]),
        helper.make_node("Concat", ["batch", "rest"], ["boxes"], axis=0),
        helper.make_node("Reshape", ["y", "boxes"], ["z"]),
        helper.make_node("Softmax", ["z"], ["scores"], axis=2),
    ]
    arrays = {"w": np.ones((4, 6), np.float32), "first": np.int64(0), "rest": np.array([-1, 3], np.int64)}
    graph = helper.make_graph(
        nodes,
        "boxes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2, 3])],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    assert [node.op for node in read(model, 17).nodes].count("Flatten") == 0


def test_operators_on_constants_are_not_refused(read, old):
    """torch writes index arithmetic with operators that no circuit has."""
    model = old("Add", FULL, 11, np.zeros(5, np.float32))
    model.graph.node[0].input[1] = "shift"
    ones = numpy_helper.from_array(np.ones(5, np.int64), "ones")
    model.graph.node.insert(0, helper.make_node("NonZero", ["ones"], ["places"]))
    model.graph.node.insert(1, helper.make_node("Cast", ["places"], ["shift"], to=TensorProto.FLOAT))
    model.graph.initializer.append(ones)
    graph = read(model, 17)
    np.testing.assert_array_equal(graph.constants["shift"], [[0, 1, 2, 3, 4]])
