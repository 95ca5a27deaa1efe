"""Nodes, constants and element types of an exported integer ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pulsefold.compiler.ir.graph import Graph, Tensor
from pulsefold.compiler.ir.types import ElementType

__all__ = ["Writer", "operand_type", "working_type"]

_OPSET = 17
_IR_VERSION = 8


def working_type(low: int, high: int) -> np.dtype:
    """int32 where it holds a range and one integer above it, else int64."""
    return np.dtype(np.int32 if low >= -(1 << 31) and high < (1 << 31) - 1 else np.int64)


def operand_type(kind: ElementType) -> np.dtype:
    """The type of a graph input: a byte where it fits, else the type it is worked with."""
    if kind.minimum >= 0 and kind.maximum <= 255:
        return np.dtype(np.uint8)
    if kind.minimum >= -128 and kind.maximum <= 127:
        return np.dtype(np.int8)
    return working_type(kind.minimum, kind.maximum)


class Writer:
    """The exported graph under construction: every tensor travels as int32 or int64 under its own name.

    Parameters
    ----------
    graph
        What is exported.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._inputs: list[onnx.ValueInfoProto] = []

    def name(self, stem: str) -> str:
        """A value name that is no tensor of the graph."""
        while stem in self.graph.tensors:
            stem += "_"
        return stem

    def tensor(self, name: str) -> Tensor:
        """A tensor of the graph."""
        return self.graph.tensors[name]

    def carried(self, name: str) -> np.dtype:
        """The type that a tensor of the graph travels as."""
        kind = self.tensor(name).type
        return working_type(kind.minimum, kind.maximum)

    def read(self, name: str, kind: np.dtype) -> str:
        """A tensor of the graph in a given type."""
        return name if self.carried(name) == kind else self.cast(name, kind)

    def write(self, value: str, kind: np.dtype, name: str) -> None:
        """A tensor of the graph, from a value of a given type."""
        if self.carried(name) == kind:
            self.emit("Identity", [value], name)
        else:
            self.emit("Cast", [value], name, to=helper.np_dtype_to_tensor_dtype(self.carried(name)))

    def cast(self, value: str, kind: np.dtype) -> str:
        """A value in another type."""
        return self.emit("Cast", [value], to=helper.np_dtype_to_tensor_dtype(kind))

    def emit(self, operation: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node; the name of its value."""
        output = output or self.name(f"value/{len(self._nodes)}")
        name = f"{operation}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [output], name=name, **attributes))
        return output

    def constant(self, value: Any, kind: Any) -> str:
        """A constant; the name of its value."""
        name = self.name(f"constant/{len(self._constants)}")
        self._constants[name] = np.ascontiguousarray(np.asarray(value, kind))
        return name

    def row(self, values: np.ndarray, kind: np.dtype) -> str:
        """Constants [1 or C] of channels, as [1, C, 1, 1]."""
        return self.constant(np.asarray(values).reshape(1, -1, 1, 1), kind)

    def pad(self, value: str, pads: Sequence[int], fill: int, kind: np.dtype) -> str:
        """Pads (axes 1 to 3 before, axes 1 to 3 behind) of a value [N, C, H, W]."""
        if not any(pads):
            return value
        amounts = self.constant([0, *pads[:3], 0, *pads[3:]], np.int64)
        return self.emit("Pad", [value, amounts, self.constant(fill, kind)], mode="constant")

    def slice(self, value: str, axis: int, start: int, count: int, stride: int) -> str:
        """Elements start, start + stride, ... along an axis: `count` of them."""
        ends = start + (count - 1) * stride + 1
        arguments = [self.constant([v], np.int64) for v in (start, ends, axis, stride)]
        return self.emit("Slice", [value, *arguments])

    def bound(self, operation: str, a: str, b: str) -> str:
        """``"Max"`` or ``"Min"`` of two values.

        By comparison: ONNX Runtime 1.31's own compare the lower halves of two int64 as signed numbers
        where the upper halves are equal.
        """
        first = self.emit("GreaterOrEqual", [a, b] if operation == "Max" else [b, a])
        return self.emit("Where", [first, a, b])

    def open(self, tensor: Tensor) -> None:
        """A graph input."""
        h, w, c = tensor.shape
        name = self.name(f"{tensor.name}/q")
        kind = helper.np_dtype_to_tensor_dtype(operand_type(tensor.type))
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["N", c, h, w]))
        self.write(name, operand_type(tensor.type), tensor.name)

    def close(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The model; `outputs` are tensors of the graph."""
        infos = []
        for name in outputs:
            h, w, c = self.tensor(name).shape
            kind = helper.np_dtype_to_tensor_dtype(self.carried(name))
            output = self.name(f"{name}/out")
            infos.append(helper.make_tensor_value_info(output, kind, ["N", c, h, w]))
            self.emit("Identity", [name], output)
        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        graph = helper.make_graph(self._nodes, self.graph.name, self._inputs, infos, constants)
        return helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            producer_name="pulsefold",
        )
