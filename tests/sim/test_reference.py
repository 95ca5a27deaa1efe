"""The comparison with the source: it must find what differs, and excuse only what float64 cannot tell."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from networks import random_model
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph, Threshold
from pulsefold.compiling import compile_model
from pulsefold.errors import ModelError
from pulsefold.sim.reference import compare
from pulsefold.sim.source import Source
from pulsefold.verifying import random_inputs, source_rung

WEIGHTS = np.array([[3, -1], [2, 5], [-4, 1]], np.float32)


def network(folder: Path, *, batch: int | str = "N", gain: float = 0.5) -> Path:
    """Quant, MatMul, Mul, Quant, MatMul."""
    constants = {
        "s": np.float32(0.5),
        "z": np.float32(0),
        "b": np.float32(4),
        "w": WEIGHTS,
        "g": np.float32(gain),
        "v": np.array([[1, 2], [3, -4]], np.float32),
    }
    domain = "qonnx.custom_op.general"
    nodes = [
        helper.make_node("Quant", ["x", "s", "z", "b"], ["q"], domain=domain, signed=1, narrow=0),
        helper.make_node("MatMul", ["q", "w"], ["a"]),
        helper.make_node("Mul", ["a", "g"], ["m"]),
        helper.make_node("Quant", ["m", "s", "z", "b"], ["r"], domain=domain, signed=1, narrow=0),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    path = folder / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def frames(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32) * 2


def changed(graph: Graph, **fields: object) -> Graph:
    nodes = [replace(n, **fields) if isinstance(n, Threshold) else n for n in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


def test_equal(tmp_path: Path) -> None:
    path = network(tmp_path)
    report = compare(path, import_model(path), frames())
    assert report.ok
    assert report.first is None
    assert [(c.value, c.elements) for c in report.comparisons] == [("q", 120), ("r", 80), ("y", 80)]
    assert report.frames == 40


def test_a_wrong_threshold_is_found_where_it_is(tmp_path: Path) -> None:
    path = network(tmp_path)
    graph = import_model(path)
    threshold = graph.nodes[1]
    assert isinstance(threshold, Threshold)
    wrong = changed(graph, thresholds=threshold.thresholds + 1)
    report = compare(path, wrong, frames())
    assert not report.ok
    assert report.first is not None
    assert report.first.value == "r"
    assert report.first.mismatches > 0
    # The layer behind it went on from the golden values, and agrees.
    assert report.comparisons[-1].differing == 0


def test_the_first_difference_has_its_frame(tmp_path: Path) -> None:
    path = network(tmp_path, batch=1)
    graph = import_model(path)
    wrong = changed(graph, first=-7)
    x = np.zeros((5, 3), np.float32)
    report = compare(path, wrong, x)
    assert report.first is not None
    assert report.first.first == (0, 0)
    assert report.first.frames == 5


def test_a_wrong_scale_is_found_at_the_output(tmp_path: Path) -> None:
    path = network(tmp_path)
    graph = import_model(path)
    name = graph.outputs[0].tensor
    tensors = dict(graph.tensors)
    tensors[name] = replace(tensors[name], scale=(tensors[name].scale[0] * Fraction(1001, 1000),))
    report = compare(path, replace(graph, tensors=tensors), frames())
    assert report.first is not None
    assert report.first.value == "y"


def test_what_float64_cannot_tell_is_excused(tmp_path: Path) -> None:
    """A gain so close to a boundary that only exact arithmetic knows the side."""
    path = network(tmp_path)
    graph = import_model(path)
    threshold = graph.nodes[1]
    assert isinstance(threshold, Threshold)
    # a / 4 is quantized by 0.5: accumulators 1, 3, 5 ... of the integers 2 a lie exactly on ties. Taking
    # a tie the other way is what an error of the last bit does.
    ties = changed(graph, thresholds=threshold.thresholds - 1)
    report = compare(path, ties, frames(200))
    second = report.comparisons[1]
    assert second.value == "r"
    assert second.differing >= second.on_boundary > 0


def test_batches_of_a_fixed_size(tmp_path: Path) -> None:
    path = network(tmp_path, batch=4)
    assert compare(path, import_model(path), frames(8)).ok
    with pytest.raises(ModelError, match="batches of 4"):
        compare(path, import_model(path), frames(6))


def test_source_in_float64(tmp_path: Path) -> None:
    x = frames()
    (y,) = Source(network(tmp_path)).run(x)
    q = np.round(np.clip(x.astype(np.float64) / 0.5, -8, 7)) * 0.5
    r = np.round(np.clip(q @ WEIGHTS.astype(np.float64) * 0.5 / 0.5, -8, 7)) * 0.5
    assert y.dtype == np.float64
    assert np.array_equal(y, r @ np.array([[1, 2], [3, -4.0]]))


def test_statistics_of_batch_norm_are_the_models_own(tmp_path: Path) -> None:
    """onnx's reference takes those of the batch for opset 9 and a momentum."""
    names = ["g", "b", "m", "v"]
    values = np.array([[2, 1], [0, 1], [1, 0], [4, 1]], np.float32)
    graph = helper.make_graph(
        [helper.make_node("BatchNormalization", ["x", *names], ["y"], epsilon=0.0, momentum=0.9)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(v, n) for n, v in zip(names, values, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=6)
    path = tmp_path / "bn.onnx"
    onnx.save(model, path)
    (y,) = Source(path).run(np.array([[3, 3], [1, 1]], np.float32))
    assert y.tolist() == [[2.0, 4.0], [0.0, 2.0]]


def test_rung_one_of_a_qdq_network_has_both_engines(tmp_path: Path) -> None:
    """What `pulsefold verify` reports of it: counts of the float64 evaluation and of ONNX Runtime."""
    path = tmp_path / "net.onnx"
    model = random_model(2, features=frozenset({"conv"}), dyadic=True, size=6, layers=2)
    path.write_bytes(model.SerializeToString())
    design = compile_model(path, board="ulx3s-85f", out=tmp_path / "design")
    passed, detail, figures = source_rung(design, random_inputs(design, 2))
    assert passed
    assert "float64" in detail
    assert "ONNX Runtime" in detail
    assert figures["elements"] == figures["onnxruntime"]["elements"] > 50
    assert figures["differing"] == figures["onnxruntime"]["differing"] == 0
