"""Models that bring functions of their own: written out before anything else looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model
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
