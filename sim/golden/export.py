"""The golden model as a plain integer ONNX graph, for an engine nobody here wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph, Tensor
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType
from pulsefold.errors import ModelError

__all__ = ["from_onnx_layout", "to_onnx", "to_onnx_layout"]

_OPSET = 17
_IR_VERSION = 8
_FAR = np.iinfo(np.int32).max


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """The integer graph in standard operators, from the quantized input to the last integers.

    Tensors are (N, C, H, W), the batch open; inputs are uint8 or int8 where the type fits, else
    int32; outputs are int32. A Conv is ConvInteger, or MatMulInteger where it covers the whole frame;
    a Threshold is a binary search over its sorted row; a MaxPool is a Max of strided slices.

    Raises
    ------
    ModelError
        An accumulator is wider than 32 bits or a linear node reads more than 8.
    """
    writer = _Writer(graph)
    for source in graph.inputs:
        writer.open(graph.tensors[source.tensor])
    for node in graph.nodes:
        match node:
            case Conv():
                writer.conv(node)
            case Threshold():
                writer.threshold(node)
            case MaxPool():
                writer.maxpool(node)
            case _:
                msg = "this operation has no form in plain ONNX"
                raise ModelError(msg, where=f"{node.name} ({type(node).__name__})")
    return writer.close()


def to_onnx_layout(q: np.ndarray, kind: ElementType) -> np.ndarray:
    """Integers [N, H, W, C] as the exported graph takes them."""
    return np.ascontiguousarray(q.transpose(0, 3, 1, 2)).astype(
        helper.tensor_dtype_to_np_dtype(_element(kind))
    )


def from_onnx_layout(q: np.ndarray) -> np.ndarray:
    """What the exported graph gives, as int64 [N, H, W, C]."""
    return q.transpose(0, 2, 3, 1).astype(np.int64)


def _element(kind: ElementType) -> int:
    """ONNX element type of an input or an operand of a product."""
    if kind.minimum >= 0 and kind.maximum <= 255:
        return TensorProto.UINT8
    if kind.minimum >= -128 and kind.maximum <= 127:
        return TensorProto.INT8
    return TensorProto.INT32


class _Writer:
    """Nodes and constants of the exported graph; every tensor travels as int32 under its own name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def open(self, tensor: Tensor) -> None:
        h, w, c = tensor.shape
        name = f"{tensor.name}/q"
        self._inputs.append(helper.make_tensor_value_info(name, _element(tensor.type), ["N", c, h, w]))
        self._emit("Cast", [name], tensor.name, to=TensorProto.INT32)

    def close(self) -> onnx.ModelProto:
        outputs = []
        for name in dict.fromkeys(output.tensor for output in self._graph.outputs):
            h, w, c = self._graph.tensors[name].shape
            outputs.append(helper.make_tensor_value_info(f"{name}/out", TensorProto.INT32, ["N", c, h, w]))
            self._emit("Identity", [name], f"{name}/out")
        graph = helper.make_graph(
            self._nodes,
            self._graph.name,
            self._inputs,
            outputs,
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
        )
        return helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            producer_name="pulsefold",
        )

    def conv(self, node: Conv) -> None:
        source = self._graph.tensors[node.input]
        low, high = source.type.minimum, source.type.maximum
        target = self._graph.tensors[node.output].type
        if high - low > 255 or target.bits - (not target.signed) > 31:
            msg = f"{source.type} activations or {target} accumulators have no form in ConvInteger"
            raise ModelError(msg, where=f"{node.name} (Conv)")
        # x + zero lies in 0 to 255; the zero point takes it off again, and pads with a real 0. A type
        # whose range does not hold 0 is not made (types start at or below 0).
        zero = np.array(-low if low < 0 else 0, np.uint8)
        shifted = self._fresh()
        self._emit("Add", [node.input, self._constant(zero.astype(np.int32))], shifted)
        operand = self._emit("Cast", [shifted], self._fresh(), to=TensorProto.UINT8)
        whole = node.kernel == source.shape[:2] and not node.padded and node.weights.shape[0] > 0
        weights = node.weights.transpose(0, 3, 1, 2)
        parts = self._byte_parts(weights)
        results = []
        for array, weight_zero in parts:
            result = self._fresh()
            if whole:
                flat = self._emit("Flatten", [operand], self._fresh(), axis=1)
                matrix = np.ascontiguousarray(array.reshape(array.shape[0], -1).T)
                names = [flat, self._constant(matrix), self._constant(zero), self._constant(weight_zero)]
                product = self._emit("MatMulInteger", names, self._fresh())
                axes = self._constant(np.array([2, 3], np.int64))
                self._emit("Unsqueeze", [product, axes], result)
            else:
                names = [
                    operand,
                    self._constant(np.ascontiguousarray(array)),
                    self._constant(zero),
                    self._constant(weight_zero),
                ]
                self._emit(
                    "ConvInteger",
                    names,
                    result,
                    strides=node.stride,
                    dilations=node.dilation,
                    pads=node.pads,
                    kernel_shape=node.kernel,
                )
            results.append(result)
        total = results[0]
        for result in results[1:]:
            total = self._emit("Add", [total, result], self._fresh())
        self._emit("Identity", [total], node.output)

    def threshold(self, node: Threshold) -> None:
        """Binary search without branches: position p grows by 2**b where x >= row[p + 2**b - 1]."""
        rows, count = node.thresholds.shape
        bits = count.bit_length()
        padded = np.full((rows, 1 << bits), _FAR, np.int64)
        padded[:, :count] = np.minimum(node.thresholds, _FAR)
        # Flattened: the row of channel c starts at c * 2**bits.
        table = self._constant(padded.ravel().astype(np.int32))
        base = (np.arange(rows, dtype=np.int32) << bits).reshape(1, rows, 1, 1)
        zeros = self._emit("Mul", [node.input, self._constant(np.zeros((), np.int32))], self._fresh())
        start = self._emit("Add", [zeros, self._constant(base)], self._fresh())
        position = start
        for b in reversed(range(bits)):
            probe = self._emit(
                "Add", [position, self._constant(np.array((1 << b) - 1, np.int32))], self._fresh()
            )
            mark = self._emit("Gather", [table, probe], self._fresh(), axis=0)
            reached = self._emit("GreaterOrEqual", [node.input, mark], self._fresh())
            further = self._emit("Add", [position, self._constant(np.array(1 << b, np.int32))], self._fresh())
            position = self._emit("Where", [reached, further, position], self._fresh())
        n = self._emit("Sub", [position, start], self._fresh())
        falling = np.asarray(node.descending)
        slope = np.where(falling, -node.step, node.step).astype(np.int32).reshape(1, -1, 1, 1)
        first = (
            np.where(falling, node.first + node.step * count, node.first)
            .astype(np.int32)
            .reshape(1, -1, 1, 1)
        )
        scaled = self._emit("Mul", [n, self._constant(slope)], self._fresh())
        self._emit("Add", [scaled, self._constant(first)], node.output)

    def maxpool(self, node: MaxPool) -> None:
        top, left, bottom, right = node.pads
        source = node.input
        if any(node.pads):
            pads = self._constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            lowest = self._constant(np.array(np.iinfo(np.int32).min, np.int32))
            source = self._emit("Pad", [node.input, pads, lowest], self._fresh(), mode="constant")
        oh, ow, _ = self._graph.tensors[node.output].shape
        slices = []
        for ky in range(node.kernel[0]):
            for kx in range(node.kernel[1]):
                starts = (ky * node.dilation[0], kx * node.dilation[1])
                ends = [s + (n - 1) * t + 1 for s, n, t in zip(starts, (oh, ow), node.stride, strict=True)]
                arguments = [
                    self._constant(np.array(v, np.int64)) for v in (starts, ends, (2, 3), node.stride)
                ]
                slices.append(self._emit("Slice", [source, *arguments], self._fresh()))
        self._emit("Max", slices, node.output)

    def _byte_parts(self, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights as bytes and their zero point: int8, or uint8, or the sum of int8 parts."""
        if weights.min() >= -128 and weights.max() <= 127:
            return [(weights.astype(np.int8), np.array(0, np.int8))]
        if weights.min() >= 0 and weights.max() <= 255:
            return [(weights.astype(np.uint8), np.array(0, np.uint8))]
        half = np.clip(weights, -128, 127)
        return [(half.astype(np.int8), np.array(0, np.int8)), *self._byte_parts(weights - half)]

    def _emit(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(
            helper.make_node(kind, list(inputs), [output], name=f"{kind}_{len(self._nodes)}", **attributes)
        )
        return output

    def _constant(self, array: np.ndarray) -> str:
        name = f"constant/{len(self._constants)}"
        self._constants[name] = array
        return name

    def _fresh(self) -> str:
        self._count += 1
        return f"value/{self._count}"
