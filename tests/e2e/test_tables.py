"""A network with an embedding of positions and a scale of positions: the constants lie in its units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pulsefold import api
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Constant

SHAPE = (3, 6, 30)


def network(path: Path) -> Path:
    """x + embedding, times a mask, in QDQ; frames of 180 pixels, which no LUTs hold."""
    rng = np.random.default_rng(4)
    tensors = {
        "s": np.float32(0.125),
        "z": np.int8(0),
        "q": rng.integers(-90, 90, (1, *SHAPE)).astype(np.int8),
        "w": rng.integers(-9, 10, (3, 3, 1, 1)).astype(np.int8),
        "mask": rng.integers(0, 3, (1, 1, *SHAPE[1:])).astype(np.float32) / 2,
    }
    nodes = []

    def node(op: str, *inputs: str) -> str:
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], name=f"n{len(nodes)}"))
        return nodes[-1].output[0]

    def rounded(value: str) -> str:
        return node("DequantizeLinear", node("QuantizeLinear", value, "s", "z"), "s", "z")

    y = rounded(node("Add", rounded("x"), node("DequantizeLinear", "q", "s", "z")))
    y = rounded(node("Mul", rounded(node("Conv", y, node("DequantizeLinear", "w", "s", "z"))), "mask"))
    graph = helper.make_graph(
        nodes,
        "tables",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_circuit_equals_golden(tmp_path: Path) -> None:
    path = network(tmp_path / "m.onnx")
    assert sum(isinstance(node, Constant) for node in import_model(path).nodes) == 2
    api.compile(path, board="unlimited", out=tmp_path / "d", fps=10_000)
    x = np.random.default_rng(5).normal(size=(3, *SHAPE)).astype(np.float32) * 8
    free = api.simulate(tmp_path / "d", x)
    assert free.mismatches == 0
    assert free.report["latency_cycles"] <= free.report["latency_cycles_promised"]
    assert free.report["cycles_per_image"] <= free.report["cycles_per_image_promised"]
    assert api.simulate(tmp_path / "d", x, stalls=0.3).mismatches == 0
    assert all(rung.passed for rung in api.verify(tmp_path / "d", x))
