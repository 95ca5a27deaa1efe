"""Writes a trained demo network as QONNX: float weights behind BipolarQuant, as training tools do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from demo.layers import BatchNorm, binary
from demo.network import INPUT_BITS, Network

__all__ = ["export"]

QONNX = "qonnx.custom_op.general"


class _Writer:
    """Nodes and initializers in the order they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.one = self.constant("one", np.float32(1))

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """An initializer."""
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, name: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        """A node with one output, named after it."""
        output = f"{name}_out"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def bipolar(self, name: str, x: str) -> str:
        """BipolarQuant at scale 1."""
        return self.node("BipolarQuant", name, [x, self.one], QONNX)

    def weights(self, name: str, values: np.ndarray) -> str:
        """Signs as float32, behind a BipolarQuant."""
        return self.bipolar(f"{name}_weight_quant", self.constant(f"{name}_weight", binary(values)))

    def norm(self, name: str, x: str, norm: BatchNorm) -> str:
        """BatchNormalization with the trained statistics."""
        values = {"gain": norm.gain, "bias": norm.bias, "mean": norm.mean, "var": norm.var}
        constants = [self.constant(f"{name}_{k}", v) for k, v in values.items()]
        return self.node("BatchNormalization", name, [x, *constants], epsilon=norm.eps)


def export(network: Network, path: Path) -> None:
    """Write `network` to `path`: ``image`` float32 [N, 1, 8, 8] to ``scores`` float32 [N, classes]."""
    w = _Writer()
    zero = w.constant("zero", np.float32(0))
    bits = w.constant("input_bits", np.float32(INPUT_BITS))
    y = w.node(
        "Quant", "input_quant", ["image", w.one, zero, bits], QONNX, signed=0, narrow=0, rounding_mode="ROUND"
    )
    for i in (0, 1):
        latent = network.linear[i].latent
        kernel = latent.reshape(3, 3, -1, latent.shape[1]).transpose(3, 2, 0, 1)
        name = f"conv{i + 1}"
        y = w.node("Conv", name, [y, w.weights(name, kernel)], kernel_shape=[3, 3])
        y = w.norm(f"norm{i + 1}", y, network.norm[i])
        y = w.bipolar(f"sign{i + 1}", y)
    y = w.node("MaxPool", "pool", [y], kernel_shape=[2, 2], strides=[2, 2])
    y = w.node("Flatten", "flatten", [y], axis=1)
    y = w.node("MatMul", "classify", [y, w.weights("classify", network.linear[2].latent)])
    w.norm("norm3", y, network.norm[2])
    w.nodes[-1].output[0] = "scores"

    graph = helper.make_graph(
        w.nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", network.shape.classes])],
        w.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)],
        ir_version=8,
        producer_name="pulsefold-demo",
    )
    path.write_bytes(model.SerializeToString())
