"""Random quantized networks are valid models, the same for the same seed, and have what they promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from networks import FEATURES, STYLES, random_model


@pytest.mark.parametrize("style", STYLES)
def test_valid(style: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(15):
        model = random_model(seed, style=style)
        assert model == random_model(seed, style=style)
        onnx.checker.check_model(model)
        kinds.update(node.op_type for node in model.graph.node)
        if style != "qonnx":
            runs(model)
    want = {"qdq": "DequantizeLinear", "qoperator": "QLinearConv", "qonnx": "Quant"}[style]
    assert kinds[want] > 15
    assert len(kinds) > 12


def runs(model: onnx.ModelProto) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Its rewriting of quantized graphs fails for some operator sets.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for port in session.get_inputs():
        dtype = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}[port.type]
        feeds[port.name] = np.zeros((2, *port.shape[1:]), dtype)
    assert all(np.asarray(y).shape[0] == 2 for y in session.run(None, feeds))


def test_every_feature_occurs() -> None:
    """Without one feature the same seeds draw other networks: none of them is a dead word."""
    for feature in FEATURES:
        styles = ["qdq", "qoperator", "qonnx"] if feature != "int4" else ["qdq"]
        pairs = (
            (
                random_model(s, style=k, opset=21),
                random_model(s, style=k, opset=21, features=FEATURES - {feature}),
            )
            for s in range(60)
            for k in styles
        )
        assert any(a != b for a, b in pairs), feature


def test_opset_and_layers_as_asked() -> None:
    for opset in (10, 13, 21):
        model = random_model(3, opset=opset, layers=2, batch=1)
        assert model.opset_import[0].version == opset
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
