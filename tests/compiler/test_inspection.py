"""What `pulsefold inspect` says of models that are not supported as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import zoo
from pulsefold.compiler.frontend import import_model, inspect_model
from pulsefold.compiler.frontend.refused import REFUSED
from pulsefold.errors import ModelError


def save(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("build", [zoo.resnet, zoo.mobilenet, zoo.unet])
def test_a_float_model_needs_one_thing(tmp_path: Path, build: object) -> None:
    found = inspect_model(save(tmp_path, build(size=32, width=4)))
    assert not found.supported
    assert "pulsefold quantize" in found.advice
    assert {node.verdict for node in found.nodes} == {"unquantized"}
    convs = [node for node in found.nodes if node.op_type == "Conv"]
    assert convs
    assert all("once quantized: becomes a Conv" in node.why for node in convs)
    assert found.macs > 0


def with_node(folder: Path, kind: str, *, quantized: bool) -> Path:
    nodes = [helper.make_node("Relu", ["x"], ["r"], name="first")]
    if quantized:
        nodes[0] = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="first")
        nodes.append(helper.make_node("DequantizeLinear", ["q", "s", "z"], ["r"], name="second"))
    nodes.append(helper.make_node(kind, ["r"], ["y"], name="odd"))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 6])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.int8(0), "z")],
    )
    return save(folder, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


@pytest.mark.parametrize("kind", [*REFUSED, "Det"])
@pytest.mark.parametrize("quantized", [False, True])
def test_what_has_no_rule_is_named(tmp_path: Path, kind: str, quantized: bool) -> None:
    """Quantizing would not help: the operator comes first."""
    path = with_node(tmp_path, kind, quantized=quantized)
    with pytest.raises(ModelError) as caught:
        import_model(path)
    assert caught.value.where == f"odd ({kind})"
    why, todo = REFUSED.get(kind, ("", "replace it"))
    assert why in caught.value.why
    assert todo in caught.value.todo
    found = inspect_model(path)
    assert found.advice == caught.value.message
    odd = found.nodes[-1]
    assert (odd.name, odd.verdict) == ("odd", "unsupported")
    assert todo in odd.todo
