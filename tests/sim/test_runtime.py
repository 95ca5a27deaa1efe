"""Golden against ONNX Runtime, quantizer by quantizer: what differs is found where it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph, Node, Requantize, Threshold
from pulsefold.errors import ModelError
from pulsefold.sim.golden import infer
from pulsefold.sim.runtime import compare_runtime, runnable

RNG = np.random.default_rng(5)


def network(folder: Path, *, scale: float = 0.037) -> Path:
    """QuantizeLinear, three products with a QuantizeLinear behind each, DequantizeLinear."""
    nodes, constants = [], {"z": np.int8(0), "s": np.float32(scale)}

    def pair(value: str, name: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [value, "s", "z"], [f"{name}q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}q", "s", "z"], [f"{name}d"]))
        return f"{name}d"

    value = pair("x", "a")
    for i in range(3):
        constants[f"w{i}"] = RNG.integers(-60, 60, (12, 12)).astype(np.int8)
        constants[f"v{i}"] = np.float32(0.0031)
        nodes.append(helper.make_node("DequantizeLinear", [f"w{i}", f"v{i}", "z"], [f"wd{i}"]))
        nodes.append(helper.make_node("MatMul", [value, f"wd{i}"], [f"m{i}"]))
        value = pair(f"m{i}", f"b{i}")
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 12])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["N", 12])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_four_bits(tmp_path: Path, kind: int) -> None:
    """NumPy has no such type: they are cast on their way in and out, and each layer is held by itself."""
    low, high = (-8, 7) if kind == TensorProto.INT4 else (0, 15)
    model = onnx.load(network(tmp_path, scale=0.4))
    model.opset_import[0].version = 21
    model.graph.initializer.append(helper.make_tensor("narrow", kind, [], [0]))
    for node in model.graph.node:
        if node.input[1] == "s":
            node.input[2] = "narrow"
    path = tmp_path / "narrow.onnx"
    onnx.save(model, path)
    graph = import_model(path)
    report = compare_runtime(path, graph, frames())
    assert report.ok, report.first
    assert len(report.comparisons) == 5
    first = next(node.output for node in graph.nodes if isinstance(node, (Requantize, Threshold)))
    broken = compare_runtime(path, wrong(graph, first, 3), frames())
    bad = [c.value for c in broken.comparisons if c.mismatches]
    assert bad == [first]
    assert (low, high) == (graph.tensors[first].type.minimum, graph.tensors[first].type.maximum)


def frames(count: int = 400) -> np.ndarray:
    return RNG.normal(size=(count, 12)).astype(np.float32)


def wrong(graph: Graph, output: str, delta: int) -> Graph:
    """Every threshold of one node moved, or what is the same of a Requantize."""

    def moved(node: Node) -> Node:
        if isinstance(node, Threshold):
            return replace(node, thresholds=node.thresholds + delta)
        assert isinstance(node, Requantize)
        return replace(node, addend=node.addend - delta * node.multiplier)

    nodes = [moved(n) if n.output == output else n for n in graph.nodes]
    assert any(a is not b for a, b in zip(nodes, graph.nodes, strict=True))
    return replace(graph, nodes=tuple(nodes))


def test_equal(tmp_path: Path) -> None:
    path = network(tmp_path)
    report = compare_runtime(path, import_model(path), frames())
    assert report.ok
    assert [c.value for c in report.comparisons] == ["aq", "b0q", "b1q", "b2q", "b2d"]
    assert all(c.elements == 4800 for c in report.comparisons)


def test_a_wrong_threshold_is_found_in_its_layer_alone(tmp_path: Path) -> None:
    path = network(tmp_path)
    report = compare_runtime(path, wrong(import_model(path), "b1q", 3), frames())
    assert not report.ok
    differing = {c.value: c.mismatches for c in report.comparisons}
    assert differing.pop("b1q") > 0
    assert not any(differing.values())


def test_ties_are_excused_and_more_is_not(tmp_path: Path) -> None:
    """Scales of powers of two put accumulators onto ties; one step further nothing is excused."""
    path = network(tmp_path)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == "s":
            tensor.CopyFrom(numpy_helper.from_array(np.float32(2**-5), "s"))
        if tensor.name.startswith("v"):
            tensor.CopyFrom(numpy_helper.from_array(np.float32(2**-8), tensor.name))
    onnx.save(model, path)
    graph = import_model(path)
    # 128 is half a level: thresholds move from "above the tie" to "at the tie" and back.
    exact = compare_runtime(path, graph, frames())
    assert exact.ok
    assert not any(c.differing for c in exact.comparisons)
    tied = compare_runtime(path, wrong(graph, "b0q", -1), frames(2000)).comparisons[1]
    assert tied.on_boundary > 0
    assert tied.mismatches > 0
    assert tied.first is not None


def test_outputs_in_floating_point_count_too(tmp_path: Path) -> None:
    path = network(tmp_path)
    graph = import_model(path)
    x = frames(5)
    assert np.allclose(infer(graph, x) / 0.037, np.rint(infer(graph, x) / 0.037))
    assert compare_runtime(path, graph, x).comparisons[-1].value == "b2d"


def test_what_it_cannot_run(tmp_path: Path) -> None:
    path = network(tmp_path)
    assert runnable(path)
    graph = import_model(path)
    model = onnx.load(path)
    model.graph.node[0].domain = "somewhere.else"
    model.opset_import.append(helper.make_opsetid("somewhere.else", 1))
    onnx.save(model, path)
    with pytest.raises(ModelError):
        compare_runtime(path, graph, frames(2))
    model.graph.node[0].op_type = "Quant"
    onnx.save(model, path)
    assert not runnable(path)
