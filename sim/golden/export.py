"""The golden model as a plain integer ONNX graph, for an engine nobody here wrote."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import numpy as np
import onnx
import onnxruntime

from pulsefold.compiler.ir.graph import Graph
from pulsefold.compiler.ir.types import ElementType
from pulsefold.sim.golden.onnx_ops import WRITERS
from pulsefold.sim.golden.onnx_writer import Writer, operand_type

__all__ = ["Exported", "from_onnx_layout", "to_onnx", "to_onnx_layout"]


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """The integer graph in standard operators, from the quantized inputs to the last integers.

    Tensors are (N, C, H, W), the batch open, int32 where 31 bits hold them and int64 otherwise. Inputs
    are uint8 or int8 where the type fits, and stand in the order of the graph's; outputs are one a tensor,
    however many outputs of the graph read it.
    """
    writer = Writer(graph)
    for source in graph.inputs:
        writer.open(graph.tensors[source.tensor])
    for node in graph.nodes:
        WRITERS[type(node)](writer, node)
    return writer.close(list(dict.fromkeys(output.tensor for output in graph.outputs)))


def to_onnx_layout(q: np.ndarray, kind: ElementType) -> np.ndarray:
    """Integers [N, H, W, C] as the exported graph takes them."""
    return np.ascontiguousarray(q.transpose(0, 3, 1, 2)).astype(operand_type(kind))


def from_onnx_layout(q: np.ndarray) -> np.ndarray:
    """What the exported graph gives, as int64 [N, H, W, C]."""
    return q.transpose(0, 2, 3, 1).astype(np.int64)


class Exported:
    """The exported graph in ONNX Runtime.

    Parameters
    ----------
    graph
        The integer graph it was made from.
    model
        The exported graph, or a file that holds it; None exports `graph`.
    """

    def __init__(self, graph: Graph, model: onnx.ModelProto | PathLike[str] | None = None) -> None:
        self._graph = graph
        model = to_onnx(graph) if model is None else model
        given = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
        self._session = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Integers of the tensors that outputs read, int64 [N, H, W, C], from those of the inputs."""
        tensors = [source.tensor for source in self._graph.inputs]
        feeds = {
            port.name: to_onnx_layout(inputs[name], self._graph.tensors[name].type)
            for port, name in zip(self._session.get_inputs(), tensors, strict=True)
        }
        names = dict.fromkeys(output.tensor for output in self._graph.outputs)
        values = self._session.run(None, feeds)
        return {name: from_onnx_layout(np.asarray(value)) for name, value in zip(names, values, strict=True)}
