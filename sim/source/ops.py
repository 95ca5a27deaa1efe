"""Operators in float64 where onnx's reference rounds, is slow, or follows another version of the standard.

The rest is onnx's own reference, given float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import erf, prod
from typing import Any

import numpy as np

from pulsefold.sim.source.quantizers import dequantized
from pulsefold.sim.source.resample import resize
from pulsefold.sim.source.windows import average_pool, conv, conv_transpose, max_pool

__all__ = ["BEFORE_13", "OPERATORS"]

Inputs = Sequence[Any]
Attributes = Mapping[str, Any]


def _maybe(inputs: Inputs, i: int) -> Any:
    return inputs[i] if len(inputs) > i else None


def _batch_norm(inputs: Inputs, a: Attributes) -> np.ndarray:
    """BatchNormalization-15: (x - mean) / sqrt(var + epsilon) * scale + bias along axis 1.

    onnx's own takes the statistics of the batch for opset 9 whenever the node has a momentum, as
    exporters always write it.
    """
    x, scale, bias, mean, var = inputs[:5]
    shape = (-1, *(1,) * (x.ndim - 2))
    root = np.sqrt(var + a.get("epsilon", float(np.float32(1e-5)))).reshape(shape)
    return (x - mean.reshape(shape)) / root * scale.reshape(shape) + bias.reshape(shape)


def _gemm(inputs: Inputs, a: Attributes) -> np.ndarray:
    x, w = inputs[0], inputs[1]
    x, w = x.T if a.get("transA", 0) else x, w.T if a.get("transB", 0) else w
    y = a.get("alpha", 1.0) * (x @ w)
    c = _maybe(inputs, 2)
    return y if c is None else y + a.get("beta", 1.0) * c


def _pad(inputs: Inputs, a: Attributes) -> np.ndarray:
    """Pad-24, negative pads cropping first: onnx's own takes none."""
    x, given, value, axes = inputs[0], *(_maybe(inputs, i) for i in (1, 2, 3))
    pads = np.asarray(given if given is not None else a["pads"]).reshape(2, -1).T
    whole = np.zeros((x.ndim, 2), np.int64)
    whole[slice(None) if axes is None else np.asarray(axes)] = pads
    x = x[tuple(slice(max(0, -p), n - max(0, -q)) for n, (p, q) in zip(x.shape, whole, strict=True))]
    mode = a.get("mode", "constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    fill = np.asarray(a.get("value", 0.0) if value is None else value).reshape(())
    options = {"constant_values": fill} if mode == "constant" else {}
    return np.pad(x, np.maximum(whole, 0), mode, **options)  # type: ignore[call-overload]


def _shifted(inputs: Inputs, i: int, j: int, axis: int) -> np.ndarray:
    """Integers less their zero point, int64."""
    whole = np.asarray(inputs[i]).astype(np.int64)
    zero = _maybe(inputs, j)
    if zero is None:
        return whole
    zero = np.asarray(zero).astype(np.int64)
    shape = [1] * whole.ndim
    if zero.size > 1:
        shape[axis] = -1
    return whole - zero.reshape(shape if zero.size > 1 else ())


def _lrn(inputs: Inputs, a: Attributes) -> np.ndarray:
    """LRN-13."""
    x = inputs[0]
    size, channels = a["size"], x.shape[1]
    squares = np.concatenate([np.zeros_like(x[:, :1]), np.cumsum(x * x, axis=1)], axis=1)
    c = np.arange(channels)
    high = np.minimum(c + size // 2 + 1, channels)
    low = np.maximum(c - (size - 1) // 2, 0)
    total = np.take(squares, high, axis=1) - np.take(squares, low, axis=1)
    alpha, beta, bias = a.get("alpha", float(np.float32(1e-4))), a.get("beta", 0.75), a.get("bias", 1.0)
    return x / (bias + alpha / size * total) ** beta


def _clip(inputs: Inputs, a: Attributes) -> np.ndarray:
    low = a.get("min") if "min" in a else _maybe(inputs, 1)
    high = a.get("max") if "max" in a else _maybe(inputs, 2)
    x = inputs[0]
    x = x if low is None else np.maximum(x, np.asarray(low, x.dtype))
    return x if high is None else np.minimum(x, np.asarray(high, x.dtype))


def _elu(inputs: Inputs, a: Attributes) -> np.ndarray:
    x = inputs[0]
    return np.where(x >= 0, x, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(inputs: Inputs, a: Attributes) -> np.ndarray:
    alpha = a.get("alpha", float(np.float32(0.2)))
    return np.clip(alpha * inputs[0] + a.get("beta", 0.5), 0, 1)


def _hard_swish(inputs: Inputs, _: Attributes) -> np.ndarray:
    # HardSwish-14 is x * HardSigmoid(x, 1/6, 1/2) with alpha as float32 writes it.
    return inputs[0] * np.clip(inputs[0] * float(np.float32(1 / 6)) + 0.5, 0, 1)


def _gelu(inputs: Inputs, a: Attributes) -> np.ndarray:
    x = inputs[0]
    if a.get("approximate", b"none") == b"tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(erf, otypes=[np.float64])(x / np.sqrt(2)))


def _prelu(inputs: Inputs, _: Attributes) -> np.ndarray:
    x, slope = inputs
    return np.where(x >= 0, x, x * slope)


def _global(function: Callable) -> Callable[[Inputs, Attributes], np.ndarray]:
    return lambda inputs, _: function(inputs[0], axis=tuple(range(2, inputs[0].ndim)), keepdims=True)


def _dequantize(inputs: Inputs, a: Attributes) -> np.ndarray:
    rank = np.ndim(inputs[0])
    axis = int(a.get("axis", 1))
    return dequantized(inputs[0], inputs[1], _maybe(inputs, 2), axis + rank if axis < 0 else axis)


def _leaky_relu(inputs: Inputs, a: Attributes) -> np.ndarray:
    return np.where(inputs[0] >= 0, inputs[0], inputs[0] * a.get("alpha", float(np.float32(0.01))))


def _softmax(inputs: Inputs, a: Attributes, *, old: bool, log: bool) -> np.ndarray:
    """Softmax-13 along an axis; before version 13 over that axis and all behind it together."""
    x = inputs[0]
    axis = a.get("axis", 1 if old else -1)
    flat = x.reshape(prod(x.shape[: axis % x.ndim]), -1) if old else x
    along = -1 if old else axis
    shifted = flat - flat.max(axis=along, keepdims=True)
    total = np.exp(shifted).sum(axis=along, keepdims=True)
    return (shifted - np.log(total) if log else np.exp(shifted) / total).reshape(x.shape)


#: op_type -> function (inputs, attributes) -> its first output.
OPERATORS: dict[str, Callable[[Inputs, Attributes], np.ndarray]] = {
    "AveragePool": lambda i, a: average_pool(i[0], a),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": lambda i, a: conv(i[0], i[1], _maybe(i, 2), a),
    "ConvInteger": lambda i, a: conv(_shifted(i, 0, 2, 1), _shifted(i, 1, 3, 0), None, a),
    "ConvTranspose": lambda i, a: conv_transpose(i[0], i[1], _maybe(i, 2), a),
    "DequantizeLinear": _dequantize,
    "Elu": _elu,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LRN": _lrn,
    "LeakyRelu": _leaky_relu,
    "MatMul": lambda i, _: i[0] @ i[1],
    "MatMulInteger": lambda i, _: _shifted(i, 0, 2, i[0].ndim - 2) @ _shifted(i, 1, 3, 1),
    "MaxPool": lambda i, a: max_pool(i[0], a),
    "PRelu": _prelu,
    "Pad": _pad,
    "Relu": lambda i, _: np.maximum(i[0], 0),
    "Resize": resize,
    "Sigmoid": lambda i, _: 1 / (1 + np.exp(-i[0])),
    "LogSoftmax": lambda i, a: _softmax(i, a, old=False, log=True),
    "Softmax": lambda i, a: _softmax(i, a, old=False, log=False),
    "Softplus": lambda i, _: np.logaddexp(i[0], 0),
    "Tanh": lambda i, _: np.tanh(i[0]),
    "Upsample": resize,
}

#: Those that meant something else before version 13.
BEFORE_13: dict[str, Callable[[Inputs, Attributes], np.ndarray]] = {
    "LogSoftmax": lambda i, a: _softmax(i, a, old=True, log=True),
    "Softmax": lambda i, a: _softmax(i, a, old=True, log=False),
}
