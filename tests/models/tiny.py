"""A network that is compiled in seconds and has what larger ones have: convolutions, a branch, a matrix."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["tiny_images", "tiny_model"]

_SHAPE = (1, 2, 6, 6)


def tiny_model(seed: int = 0) -> onnx.ModelProto:
    """Two convolutions, the sum with what goes around the second, and a matrix product; QDQ, weights of int8.

    All seeds have the same scales, so that networks of several differ in weights alone.
    """
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {
        "step": np.array(1 / 8, np.float32),
        "zero": np.array(0, np.uint8),
        "even": np.array(0, np.int8),
    }

    def quantized(x: str, to: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [x, "step", "zero"], [f"{to}_q"], name=f"{to}_q"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{to}_q", "step", "zero"], [to], name=to))
        return to

    def weights(name: str, *shape: int) -> str:
        constants[f"{name}_w"] = rng.integers(-7, 8, shape).astype(np.int8)
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_w", "step", "even"], [f"{name}_dw"]))
        return f"{name}_dw"

    x = quantized("x", "image")
    for name, channels in (("first", 2), ("second", 4)):
        inputs = [x, weights(name, 4, channels, 3, 3)]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_y"], name=name, pads=[1, 1, 1, 1]))
        before, x = x, quantized(f"{name}_y", f"{name}_a")
    nodes.append(helper.make_node("Add", [x, before], ["joined"], name="join"))
    x = quantized("joined", "joined_a")
    nodes.append(helper.make_node("Flatten", [x], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", weights("last", 144, 3)], ["y"], name="last"))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, _SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


def tiny_images(count: int) -> np.ndarray:
    """Inputs [N, 2, 6, 6] that reach every integer of its quantizer."""
    return np.random.default_rng(1).uniform(-1, 33, (count, *_SHAPE[1:])).astype(np.float32)
