"""Old operator sets: the upgraded model computes what the old one does."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

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
