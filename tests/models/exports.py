"""Float networks as exporters write them, and files that ONNX Runtime's own quantizer makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime.quantization as ort
from onnx import TensorProto, helper, numpy_helper

from pulsefold.compiler.quantize import Recipe, quantize_model

__all__ = ["NETWORKS", "Net", "enlarged", "quantized"]


class Net:
    """A float model under construction, its weights drawn from a seed."""

    def __init__(self, shape: tuple[int, ...], seed: int = 1) -> None:
        self.shape, self.rng = shape, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: object, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def whole(self, *values: int) -> str:
        return self.const(values, np.int64)

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def conv(self, x: str, outputs: int, inputs: int, size: int = 1, **attributes: object) -> str:
        pads = [size // 2] * 4
        w = self.const(self.rng.normal(size=(outputs, inputs, size, size)) / (size * inputs**0.5))
        b = self.const(self.rng.normal(size=outputs) * 0.1)
        return self.op("Relu", self.op("Conv", x, w, b, **({"pads": pads} | attributes)))

    def saved(self, y: str, path: Path) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *self.shape])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)],
            self.constants,
        )
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
        return path


def channels_last() -> tuple[Net, str]:
    """What tf2onnx makes of a network: Transposes at the ends, the mean over the two middle axes."""
    net = Net((9, 9, 3))
    y = net.conv(net.op("Transpose", "x", perm=[0, 3, 1, 2]), 6, 3, 3, pads=[0, 0, 1, 1], strides=[2, 2])
    y = net.op("Add", net.conv(y, 6, 1, 3, group=6), y)
    y = net.op("ReduceMean", net.op("Transpose", y, perm=[0, 2, 3, 1]), axes=[1, 2], keepdims=0)
    return net, net.op("MatMul", y, net.const(net.rng.normal(size=(6, 4))))


def averages_rounded_up() -> tuple[Net, str]:
    """Ties at the last quantizer but one, which another of the same scale follows."""
    net = Net((2, 11, 9))
    y = net.conv("x", 6, 2, 3)
    include = {"ceil_mode": 1, "count_include_pad": 1}
    y = net.op("AveragePool", y, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], **include)
    y = net.op("AveragePool", net.conv(y, 4, 6), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    return net, net.op("Flatten", y)


def sums_and_means() -> tuple[Net, str]:
    net = Net((4, 6, 6))
    y = net.conv("x", 4, 4, 3)
    total = net.op("ReduceSum", y, net.whole(2, 3), keepdims=1)
    return net, net.op("Mean", net.conv(total, 4, 4), net.op("GlobalAveragePool", y))


def repeated() -> tuple[Net, str]:
    """A pixel spread over a frame, by Expand and by Tile."""
    net = Net((4, 6, 5))
    y = net.conv("x", 4, 4, 3)
    one = net.op("Expand", net.conv(net.op("GlobalAveragePool", y), 4, 4), net.whole(1, 4, 6, 5))
    other = net.op("Tile", net.op("GlobalMaxPool", y), net.whole(1, 1, 6, 5))
    return net, net.conv(net.op("Concat", one, other, axis=1), 3, 8)


def enlarged(factor: float = 2) -> tuple[Net, str]:
    """Linear; QOperator files have it on integers."""
    net = Net((3, 5, 6))
    scales = net.const([1, 1, factor, factor])
    y = net.op("Resize", net.conv("x", 4, 3, 3), "", scales, mode="linear")
    return net, net.conv(y, 3, 4, 3)


def normalized() -> tuple[Net, str]:
    """An LRN with its MaxPool, and no quantizer between the two, as AlexNet has them."""
    net = Net((3, 9, 9))
    y = net.op("LRN", net.conv("x", 8, 3, 3), size=5, alpha=1e-2, beta=0.75, bias=1.0)
    y = net.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2])
    return net, net.op("Flatten", net.conv(y, 4, 8))


def attentive() -> tuple[Net, str]:
    """Channels gated by what is in them, then pixels by their mean and greatest channel."""
    net = Net((3, 6, 6))
    y = net.conv("x", 8, 3, 3)
    gate = net.conv(net.op("GlobalAveragePool", y), 4, 8)
    y = net.op("Mul", y, net.op("HardSigmoid", net.conv(gate, 8, 4), alpha=1 / 6, beta=0.5))
    y = net.conv(y, 6, 8)
    both = net.op("Concat", net.op("ReduceMean", y, axes=[1]), net.op("ReduceMax", y, axes=[1]), axis=1)
    y = net.op("Mul", y, net.op("Sigmoid", net.conv(both, 1, 2, 3)))
    return net, net.conv(y, 3, 6)


def causal() -> tuple[Net, str]:
    """Over time, padded in front alone: the first time before any quantizer."""
    net = Net((4, 1, 20))
    y = "x"
    for inputs, step in ((4, 1), (6, 2), (6, 4)):
        padded = net.op("Pad", y, net.whole(0, 0, 0, 2 * step, 0, 0, 0, 0))
        w = net.const(net.rng.normal(size=(6, inputs, 1, 3)) / 4)
        z = net.op("Relu", net.op("Conv", padded, w, dilations=[1, step]))
        y = net.op("Add", z, y) if inputs == 6 else z
    return net, net.conv(y, 3, 6)


def focused() -> tuple[Net, str]:
    """Every other pixel of the input as channels, SiLU, halves that change places."""
    net = Net((2, 8, 8))
    ends, axes, steps = net.whole(8, 8), net.whole(2, 3), net.whole(2, 2)
    starts = [net.whole(i, j) for i in (0, 1) for j in (0, 1)]
    y = net.op("Concat", *(net.op("Slice", "x", start, ends, axes, steps) for start in starts), axis=1)
    w = net.const(net.rng.normal(size=(6, 8, 3, 3)) / 8)
    y = net.op("Conv", y, w, pads=[1] * 4)
    y = net.op("Mul", y, net.op("Sigmoid", y))
    low, high = (net.op("Slice", y, net.whole(a), net.whole(b), net.whole(1)) for a, b in ((0, 2), (2, 6)))
    pooled = net.op("MaxPool", low, kernel_shape=[3, 3], pads=[1] * 4)
    return net, net.conv(net.op("Concat", high, low, pooled, axis=1), 4, 8)


def rivals() -> tuple[Net, str]:
    """The greatest of two convolutions, as networks of maxout have it; the least of it and a mean."""
    net = Net((3, 6, 6))

    def linear(x: str, inputs: int) -> str:
        return net.op("Conv", x, net.const(net.rng.normal(size=(4, inputs, 3, 3)) / 4), pads=[1] * 4)

    y = net.op("Max", linear("x", 3), linear("x", 3), net.const(-0.5))
    y = net.op("Relu", net.op("Min", linear(y, 4), net.op("GlobalAveragePool", net.conv(y, 4, 4))))
    return net, net.conv(y, 3, 4)


def placed() -> tuple[Net, str]:
    """Coordinates beside the input, an embedding and a mask of positions, corners aligned to any size."""
    net = Net((2, 5, 6))
    places = np.stack(np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 5)))[np.newaxis]
    y = net.conv(net.op("Concat", "x", net.const(places), axis=1), 4, 4, 3)
    y = net.op("Add", net.const(net.rng.normal(size=(1, 4, 5, 6))), y)
    y = net.conv(net.op("Mul", y, net.const(net.rng.uniform(size=(5, 6)))), 4, 4, 3)
    how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return net, net.conv(net.op("Resize", y, "", "", net.whole(1, 4, 9, 3), **how), 3, 4)


class Batches(ort.CalibrationDataReader):
    def __init__(self, arrays: np.ndarray) -> None:
        self.left = iter([{"x": array[np.newaxis]} for array in arrays])

    def get_next(self) -> Any:
        return next(self.left, None)


def quantized(net: Net, y: str, folder: Path, style: str) -> Path:
    """By onnxruntime's quantize_static; or by pulsefold."""
    source, path = net.saved(y, folder / "float.onnx"), folder / "quantized.onnx"
    x = np.random.default_rng(2).normal(size=(8, *net.shape)).astype(np.float32)
    if style == "pulsefold":
        onnx.save(quantize_model(source, x, Recipe(), lambda _: None).model, path)
        return path
    unsigned, operators = "u8" in style, "operators" in style
    ort.quantize_static(
        source,
        path,
        Batches(x),
        quant_format=ort.QuantFormat.QOperator if operators else ort.QuantFormat.QDQ,
        activation_type=ort.QuantType.QUInt8 if unsigned else ort.QuantType.QInt8,
        weight_type=ort.QuantType.QInt8,
        per_channel=unsigned,
    )
    return path


NETWORKS: list[Callable[[], tuple[Net, str]]] = [
    channels_last,
    averages_rounded_up,
    sums_and_means,
    repeated,
    enlarged,
    normalized,
    attentive,
    causal,
    focused,
    rivals,
    placed,
]
