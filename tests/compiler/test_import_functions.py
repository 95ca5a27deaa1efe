"""Models that bring functions of their own: written out before anything else looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.ir import Table
from pulsefold.errors import ModelError
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def call(kind: str, inputs: list[str], output: str) -> NodeProto:
    return helper.make_node(kind, inputs, [output], domain="local")


def function(name: str, inputs: list[str], *body: NodeProto) -> FunctionProto:
    """A function whose last node writes its output."""
    return helper.make_function("local", name, inputs, [body[-1].output[0]], list(body), OPSETS)


def model(functions: list[FunctionProto], *nodes: NodeProto, **constants: np.ndarray) -> ModelProto:
    """From x (N, 2, 5, 5) to y (N, 3, 3, 3)."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 3, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, functions=functions, opset_imports=OPSETS, ir_version=9)


def test_functions_that_call_functions(tmp_path: Path) -> None:
    rounded = function(
        "Rounded",
        ["x", "s", "z"],
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["r"]),
    )
    block = function(
        "Block",
        ["x", "w", "s", "z"],
        call("Rounded", ["x", "s", "z"], "a"),
        helper.make_node("Conv", ["a", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
    )
    rng = np.random.default_rng(0)
    made = model(
        [rounded, block],
        helper.make_node("DequantizeLinear", ["wq", "ws"], ["w"]),
        call("Block", ["x", "w", "s", "z"], "m"),
        call("Rounded", ["m", "s", "z"], "y"),
        wq=rng.integers(-9, 9, (3, 2, 3, 3)).astype(np.int8),
        ws=np.float32(0.1),
        s=np.float32(0.05),
        z=np.int8(3),
    )
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    graph = import_model(path)
    x = rng.normal(size=(4, 2, 5, 5)).astype(np.float32)
    report = compare(path, graph, x)
    assert report.ok
    assert len(report.comparisons) == 3
    assert compare_runtime(path, graph, x).ok


def refused(made: ModelProto, path: Path) -> str:
    onnx.save(made, path)
    with pytest.raises(ModelError) as caught:
        import_model(path)
    return caught.value.message


def test_functions_that_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    relu = helper.make_node("Relu", ["x"], ["r"])
    doubled = [
        function(f"F{i}", ["x"], call(f"F{i + 1}", ["x"], "a"), call(f"F{i + 1}", ["a"], "r"))
        for i in range(100)
    ]
    made = model([*doubled, function("F100", ["x"], relu)], call("F0", ["x"], "y"))
    assert "over 20000 nodes once its functions are written out" in refused(made, path)
    made = model([function("F0", ["x"], call("F0", ["x"], "r"))], call("F0", ["x"], "y"))
    assert "'F0' calls itself" in refused(made, path)
    many = [function(f"F{i}", ["x"], relu) for i in range(201)]
    assert "201 functions of its own" in refused(model(many, call("F0", ["x"], "y")), path)


CONTRIBUTED = [
    ("Gelu", {}),
    ("FastGelu", {}),
    ("FastGelu", {"bias": True}),
    ("BiasGelu", {"bias": True}),
    ("QuickGelu", {}),
    ("QuickGelu", {"alpha": 1.5}),
]


@pytest.mark.parametrize(("kind", "attributes"), CONTRIBUTED)
def test_functions_of_onnx_runtime(kind: str, attributes: dict, tmp_path: Path) -> None:
    """Written out they are what ONNX Runtime's own kernels compute."""
    numbers = {k: v for k, v in attributes.items() if k != "bias"}
    tensors = {"bias": np.linspace(-1, 1, 5, dtype=np.float32)} if "bias" in attributes else {}
    node = helper.make_node(kind, ["x", *tensors], ["y"], domain="com.microsoft", **numbers)
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    written = load_model(path)
    assert all(node.domain == "" for node in written.graph.node)
    x = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32) * 3
    (want,), (got,) = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": x})
        for m in (onnx.load(path), written)
    )
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_a_function_of_onnx_runtime_becomes_a_table(tmp_path: Path) -> None:
    scales = {"s": np.float32(0.25), "z": np.int8(3)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("QuickGelu", ["d"], ["g"], domain="com.microsoft"),
        helper.make_node("QuantizeLinear", ["g", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, ["N", 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in scales.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    made = import_model(path)
    assert [type(node) for node in made.nodes] == [Table]
    x = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32) * 8
    for check in (compare, compare_runtime):
        assert check(path, made, x).ok
