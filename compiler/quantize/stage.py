"""One node of the float network, run by itself on values of any batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime

from pulsefold.compiler.quantize.graph import FloatGraph, Node, tensor
from pulsefold.compiler.quantize.types import Types
from pulsefold.errors import ModelError

__all__ = ["Stage", "patches"]


class Stage:
    """A node in ONNX Runtime, its weights given with each run.

    Parameters
    ----------
    graph, node
        The network, and the node of it. What it reads beyond `free` are constants.
    free
        Inputs given with each run.
    types
        Of the network's values.
    """

    def __init__(self, graph: FloatGraph, node: Node, free: list[str], types: Types) -> None:
        self.node = node
        made = Node(
            name=node.name,
            op=node.op,
            inputs=list(node.inputs),
            outputs=list(node.outputs),
            attributes=node.attributes,
        )
        float32 = onnx.TensorProto.FLOAT
        one = FloatGraph(
            name="stage",
            nodes=[made],
            constants={},
            inputs=[onnx.helper.make_tensor_value_info(n, types.kinds.get(n, float32), None) for n in free],
            outputs=[onnx.helper.make_empty_tensor_value_info(n) for n in node.outputs if n],
            opset=graph.opset,
        )
        model = one.to_model()
        model.graph.initializer.extend(
            tensor(n, graph.constants[n]) for n in node.inputs if n in graph.constants and n not in free
        )
        self.session = _session(model, node.where)

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Its outputs by name."""
        names = [n for n in self.node.outputs if n]
        try:
            results = self.session.run(None, dict(feeds))
        except Exception as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            msg = "it does not run in ONNX Runtime"
            raise ModelError(msg, where=self.node.where, why=why, todo="check the model") from None
        return {name: np.asarray(y) for name, y in zip(names, results, strict=True)}


def _session(model: onnx.ModelProto, where: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options)
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = "it does not load in ONNX Runtime"
        raise ModelError(msg, where=where, why=why, todo="check the model with onnx.checker") from None


def patches(node: Node, channels: int, kernel: tuple[int, ...], opset: int) -> onnxruntime.InferenceSession:
    """What a Conv multiplies, from x (N, channels, ...) to y (N, channels * taps, ...), channels first.

    A depthwise convolution with one tap each: padding, strides and dilations are thus the node's own.
    """
    taps = int(np.prod(kernel))
    weights = np.tile(
        np.eye(taps, dtype=np.float32).reshape(taps, 1, *kernel), (channels, *[1] * (len(kernel) + 1))
    )
    attributes = {**node.attributes, "group": channels}
    made = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    graph = onnx.helper.make_graph(
        [made],
        "patches",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)],
        [onnx.helper.make_empty_tensor_value_info("y")],
        [tensor("w", weights)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    return _session(model, node.where)
