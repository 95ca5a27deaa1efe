"""A writer of ONNX networks that keeps track of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Net"]


class Net:
    """A network under construction. Each method adds nodes and returns the name of the new value.

    Parameters
    ----------
    shape
        (channels, height, width) of the input, or (channels, length).
    seed
        Of the weights.
    opset
        Of the default operators; from 13 on.
    batch
        Size or name of the batch axis.
    """

    def __init__(
        self, shape: tuple[int, ...], *, seed: int = 0, opset: int = 17, batch: int | str = "N"
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.batch = batch
        self.x = "x"
        self.inputs = [self.x]
        #: Shape behind the batch axis, by value.
        self.shape: dict[str, tuple[int, ...]] = {"x": shape}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.constants = 0

    def input(self, name: str, *shape: int) -> str:
        """One more input."""
        self.inputs.append(name)
        self.shape[name] = shape
        return name

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        self.constants += 1
        name = f"c{self.constants}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, shape: tuple[int, ...], **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        self.shape[output] = shape
        return output

    def weights(self, *shape: int, fan_in: int) -> str:
        return self.const(self.random.normal(0, np.sqrt(2 / fan_in), shape))

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        pad: int | None = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> str:
        """Convolution; `pad` None keeps the size at stride 1."""
        inside, *sizes = self.shape[x]
        reach = dilation * (kernel - 1)
        pad = reach // 2 if pad is None else pad
        rank = len(sizes)
        fan_in = inside // groups * kernel**rank
        inputs = [x, self.weights(channels, inside // groups, *[kernel] * rank, fan_in=fan_in)]
        if bias:
            inputs.append(self.const(self.random.normal(0, 0.1, channels)))
        out = tuple((s + 2 * pad - reach - 1) // stride + 1 for s in sizes)
        return self.node(
            "Conv",
            *inputs,
            shape=(channels, *out),
            kernel_shape=[kernel] * rank,
            strides=[stride] * rank,
            pads=[pad] * 2 * rank,
            dilations=[dilation] * rank,
            group=groups,
        )

    def conv_transpose(self, x: str, channels: int, kernel: int, stride: int, pad: int = 0) -> str:
        inside, *sizes = self.shape[x]
        rank = len(sizes)
        fan_in = max(1, inside * kernel**rank // stride**rank)
        weights = self.weights(inside, channels, *[kernel] * rank, fan_in=fan_in)
        bias = self.const(self.random.normal(0, 0.1, channels))
        return self.node(
            "ConvTranspose",
            x,
            weights,
            bias,
            shape=(channels, *((s - 1) * stride + kernel - 2 * pad for s in sizes)),
            kernel_shape=[kernel] * rank,
            strides=[stride] * rank,
            pads=[pad] * 2 * rank,
        )

    def gemm(self, x: str, features: int) -> str:
        (inside,) = self.shape[x]
        weights = self.weights(features, inside, fan_in=inside)
        bias = self.const(self.random.normal(0, 0.1, features))
        return self.node("Gemm", x, weights, bias, shape=(features,), transB=1)

    def bn(self, x: str, gain: float = 1.0) -> str:
        """Batch norm near identity, times `gain`."""
        n, r = self.shape[x][0], self.random
        gamma, beta = gain * r.uniform(0.7, 1.3, n), r.normal(0, 0.2, n)
        rest = [self.const(v) for v in (gamma, beta, r.normal(0, 0.2, n), r.uniform(0.7, 1.3, n))]
        return self.node("BatchNormalization", x, *rest, shape=self.shape[x], epsilon=1e-5)

    def act(self, x: str, kind: str = "Relu") -> str:
        """Activation function; SiLU and GELU come as the exporters write them, in several nodes."""
        shape = self.shape[x]
        if kind == "Relu6":
            return self.node("Clip", x, self.const(0.0), self.const(6.0), shape=shape)
        if kind == "SiLU":
            return self.node("Mul", x, self.node("Sigmoid", x, shape=shape), shape=shape)
        if kind == "GELU":
            y = self.node("Div", x, self.const(np.sqrt(2)), shape=shape)
            y = self.node("Add", self.node("Erf", y, shape=shape), self.const(1.0), shape=shape)
            return self.node("Mul", self.node("Mul", x, y, shape=shape), self.const(0.5), shape=shape)
        if kind == "PRelu":
            slope = self.const(self.random.uniform(0.1, 0.3, (shape[0], *[1] * (len(shape) - 1))))
            return self.node("PRelu", x, slope, shape=shape)
        attributes = {"LeakyRelu": {"alpha": 0.1}, "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5}}
        return self.node(kind, x, shape=shape, **attributes.get(kind, {}))

    def cbr(self, x: str, channels: int, kernel: int = 3, *, act: str = "Relu", **options: Any) -> str:
        """Convolution, batch norm, activation."""
        return self.act(self.bn(self.conv(x, channels, kernel, **options)), act)

    def separable(self, x: str, channels: int, *, stride: int = 1) -> str:
        """Depthwise and pointwise convolution and a batch norm, as Xception has them."""
        inside = self.shape[x][0]
        return self.bn(self.conv(self.conv(x, inside, stride=stride, groups=inside), channels, 1))

    def binary(self, kind: str, a: str, b: str) -> str:
        shape = tuple(np.broadcast_shapes(self.shape[a], self.shape[b]))
        return self.node(kind, a, b, shape=shape)

    def add(self, a: str, b: str) -> str:
        return self.binary("Add", a, b)

    def concat(self, *xs: str) -> str:
        channels = sum(self.shape[x][0] for x in xs)
        return self.node("Concat", *xs, shape=(channels, *self.shape[xs[0]][1:]), axis=1)

    def pool(
        self, x: str, kernel: int = 2, stride: int | None = None, *, pad: int = 0, kind: str = "Max"
    ) -> str:
        channels, *sizes = self.shape[x]
        stride = stride or kernel
        rank = len(sizes)
        return self.node(
            f"{kind}Pool",
            x,
            shape=(channels, *((s + 2 * pad - kernel) // stride + 1 for s in sizes)),
            kernel_shape=[kernel] * rank,
            strides=[stride] * rank,
            pads=[pad] * 2 * rank,
        )

    def global_average(self, x: str) -> str:
        channels, *sizes = self.shape[x]
        return self.node("GlobalAveragePool", x, shape=(channels, *[1] * len(sizes)))

    def flatten(self, x: str) -> str:
        return self.node("Flatten", x, shape=(int(np.prod(self.shape[x])),))

    def upsample(self, x: str, factor: int = 2, mode: str = "nearest") -> str:
        channels, *sizes = self.shape[x]
        scales = self.const([1, 1, *[factor] * len(sizes)])
        if mode == "nearest":
            how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        else:
            how = {"coordinate_transformation_mode": "half_pixel"}
        return self.node(
            "Resize", x, "", scales, shape=(channels, *(s * factor for s in sizes)), mode=mode, **how
        )

    def permute(self, x: str, *perm: int) -> str:
        """Transpose behind the batch axis; `perm` counts it."""
        shape = self.shape[x]
        return self.node("Transpose", x, shape=tuple(shape[p - 1] for p in perm), perm=[0, *perm])

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.const([0, *shape], np.int64), shape=shape)

    def classifier(self, x: str, classes: int) -> str:
        """Global average, one fully connected layer."""
        return self.gemm(self.flatten(self.global_average(x)), classes)

    def model(self, *outputs: str, name: str = "net") -> onnx.ModelProto:
        """The model with these outputs."""

        def info(value: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(value, TensorProto.FLOAT, [self.batch, *self.shape[value]])

        graph = helper.make_graph(
            self.nodes, name, [info(i) for i in self.inputs], [info(o) for o in outputs], self.initializers
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
