"""Small networks quantized on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.quantize import Format, Quantized, Recipe, quantize_model
from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.compiler.quantize.read import read_float


def run_model(model: onnx.ModelProto | FloatGraph, x: np.ndarray) -> list[np.ndarray]:
    """In ONNX Runtime, operator by operator."""
    proto = model.to_model() if isinstance(model, FloatGraph) else model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return [np.asarray(y) for y in session.run(None, {session.get_inputs()[0].name: x})]


@pytest.fixture
def run() -> Callable[..., list[np.ndarray]]:
    return run_model


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., FloatGraph]:
    """A model as a float graph, not yet simplified."""

    def read_model(model: onnx.ModelProto, opset: int = 13) -> FloatGraph:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return read_float(path, opset)

    return read_model


@pytest.fixture
def quantized(tmp_path: Path) -> Callable[..., Quantized]:
    """A model, quantized with some images; formats by their names."""

    def quantize(model: onnx.ModelProto, x: np.ndarray, **options: Any) -> Quantized:
        path = tmp_path / "float.onnx"
        path.write_bytes(model.SerializeToString())
        for name in ("weights", "activations", "edges", "sums"):
            if name in options:
                options[name] = Format.parse(options[name], name, few=name == "weights")
        return quantize_model(path, x, Recipe(**options), lambda line: None)

    return quantize


@pytest.fixture
def images() -> Callable[..., np.ndarray]:
    """Random inputs for a model."""

    def make(model: onnx.ModelProto, count: int = 6, seed: int = 0) -> np.ndarray:
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
        return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)

    return make


@pytest.fixture
def old() -> Callable[..., onnx.ModelProto]:
    """One node in an old opset, between x and y; arrays become initializers, also listed as inputs."""

    def make(
        kind: str,
        shape: tuple[int, ...],
        opset: int,
        *rest: np.ndarray,
        outputs: int = 1,
        **attributes: Any,
    ) -> onnx.ModelProto:
        names = [f"c{i}" for i in range(len(rest))]
        made = ["y", *(f"y{i}" for i in range(1, outputs))]
        nodes = [helper.make_node(kind, ["x", *names], made, name="node", **attributes)]
        # A matrix product, so that there is something to quantize; its result is an output of its own.
        flat = int(np.prod(shape[1:]))
        nodes.append(helper.make_node("Flatten", ["x"], ["flat"], axis=1))
        nodes.append(helper.make_node("MatMul", ["flat", "w"], ["z"]))
        constants = {**dict(zip(names, rest, strict=True)), "w": np.ones((flat, 2), np.float32)}
        tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        graph = helper.make_graph(
            nodes, "old", inputs, [helper.make_empty_tensor_value_info(n) for n in [*made, "z"]], tensors
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)

    return make
