"""QOperator: operators that take and give integers, each with its scales and zero points as inputs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.ops.activations import activation
from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.elementwise import add, multiply
from pulsefold.compiler.frontend.ops.host import softmax
from pulsefold.compiler.frontend.ops.joins import concat
from pulsefold.compiler.frontend.ops.linear import convolved, framed, product
from pulsefold.compiler.frontend.ops.pool import average_pool, averaged
from pulsefold.compiler.frontend.ops.qdq import (
    dequantize,
    dequantized_constant,
    quantize,
    quantized_on_host,
    scale_and_zero,
)
from pulsefold.compiler.frontend.values import Const, Hosted, Stream
from pulsefold.compiler.numerics.line import Line

__all__ = [
    "conv_integer",
    "matmul_integer",
    "qgemm",
    "qlinear_average_pool",
    "qlinear_binary",
    "qlinear_concat",
    "qlinear_conv",
    "qlinear_function",
    "qlinear_global_average_pool",
    "qlinear_matmul",
    "qlinear_softmax",
]


def qlinear_conv(call: Call) -> Stream:
    """QLinearConv-10: y = Q(conv(DQ(x), DQ(w)) + B * x_scale * w_scale)."""
    x = framed(_reading(call, 0, 1, 2))
    scale, zero, _ = scale_and_zero(call, 4, 5)
    weights = dequantized_constant(call, call.const(3, "weights"), scale, zero, 0)
    bias = _bias(call, 8, scale_and_zero(call, 1, 2)[0], scale)
    y = convolved(call.inside(), x, weights, bias)
    return _written(call, y, 6, 7)


def qlinear_matmul(call: Call) -> Stream:
    """QLinearMatMul-21 with constant weights."""
    x = _reading(call, 0, 1, 2).stream()
    scale, zero, _ = scale_and_zero(call, 4, 5)
    weights = dequantized_constant(call, call.const(3, "weights"), scale, zero, 1)
    return _written(call, product(call.inside(), weights, transposed=False, stream=x), 6, 7)


def qgemm(call: Call) -> Stream:
    """QGemm of com.microsoft: y = Q(alpha * DQ(A) DQ(B) + C * a_scale * b_scale * alpha)."""
    x = _reading(call, 0, 1, 2).stream()
    scale, zero, _ = scale_and_zero(call, 4, 5)
    transposed = bool(call.integer("transB", 0))
    if call.integer("transA", 0):
        raise call.refuse("it transposes the activations", "export the layer without transA")
    alpha = call.number("alpha", 1.0)
    weights = dequantized_constant(call, call.const(3, "weights"), scale, zero, 0 if transposed else 1)
    bias = tuple(alpha * b for b in _bias(call, 6, scale_and_zero(call, 1, 2)[0], scale))
    y = product(call.inside(), weights, transposed=transposed, gain=alpha, bias=bias, stream=x)
    if call.input(7) is None:
        return y
    return _written(call, y, 7, 8)


def qlinear_binary(call: Call) -> Stream:
    """QLinearAdd and QLinearMul of com.microsoft; a constant operand is allowed."""
    operands = tuple(_read(call, i, i + 1, i + 2) for i in (0, 3))
    inside = replace(call.inside(), inputs=operands)
    return _written(call, add(inside) if call.node.op_type == "QLinearAdd" else multiply(inside), 6, 7)


def qlinear_concat(call: Call) -> Stream:
    """QLinearConcat of com.microsoft: (y_scale, y_zero_point, then x, scale and zero point of each)."""
    parts = tuple(_read(call, i, i + 1, i + 2) for i in range(2, len(call.inputs), 3))
    return _written(call, concat(replace(call.inside(), inputs=parts)), 0, 1)


def qlinear_average_pool(call: Call) -> Stream:
    """QLinearAveragePool of com.microsoft."""
    call = _first_last(call)
    return _written(call, average_pool(_reading(call, 0, 1, 2).inside(), whole=True), 3, 4)


def qlinear_global_average_pool(call: Call) -> Stream:
    """QLinearGlobalAveragePool of com.microsoft."""
    stream = framed(_reading(_first_last(call), 0, 1, 2))
    shape = (1, stream.channels, *([1] * (stream.index.ndim - 2)))
    y = averaged(call.inside(), stream, shape)
    if call.integer("channels_last", 0):
        y = y.moved(np.ascontiguousarray(np.moveaxis(y.index, 1, -1)))
    return _written(call, y, 3, 4)


def qlinear_function(call: Call) -> Stream:
    """QLinearSigmoid and QLinearLeakyRelu of com.microsoft: x and y with scale and zero point each."""
    node = replace(call.node, op_type=call.node.op_type.removeprefix("QLinear"))
    y = activation(replace(_reading(call, 0, 1, 2), node=node))
    assert isinstance(y, Stream)
    return _written(call, y, 3, 4)


def qlinear_softmax(call: Call) -> Hosted:
    """QLinearSoftmax of com.microsoft, left to the host: y = Q(softmax(DQ(x)))."""
    x = _reading(call, 0, 1, 2)
    given = replace(x, opset=call.integer("opset", 13))
    scale, zero, name = scale_and_zero(call, 3, 4)
    return quantized_on_host(call, softmax(given, op="softmax"), scale, zero, name)


def conv_integer(call: Call) -> Stream:
    """ConvInteger-10: the int32 accumulators themselves."""
    x = framed(_shifted(call, 0, 2))
    weights = _integers(call, 1, 3, 0)
    return replace(convolved(call, x, weights, (Fraction(0),)), dtype="int32")


def matmul_integer(call: Call) -> Stream:
    """MatMulInteger-10 with constant weights."""
    x = _shifted(call, 0, 2).stream()
    return replace(product(call, _integers(call, 1, 3, 1), transposed=False, stream=x), dtype="int32")


def _integers(call: Call, i: int, j: int, axis: int) -> Const:
    zero = np.zeros(()) if call.input(j) is None else call.const(j, "zero point").value.astype(np.int64)
    return dequantized_constant(call, call.const(i, "weights"), np.ones((), np.float32), zero, axis)


def _shifted(call: Call, i: int, j: int) -> Call:
    """The call with input `i` less its zero point."""
    stream = call.stream(i)
    if call.input(j) is not None:
        zero = call.by_channel(stream, call.const(j, "zero point"), "zero point")
        step = tuple(Line(offset=-z) for z in zero)
        stream = stream.stepped(call.node.name, step)
    return replace(call, inputs=(stream, *call.inputs[1:]))


def _read(call: Call, i: int, scale: int, zero: int) -> Stream | Const:
    """Input `i` dequantized."""
    s, z, _ = scale_and_zero(call, scale, zero)
    value = call.input(i)
    if isinstance(value, Const):
        return dequantized_constant(call, value, s, z, 1)
    return dequantize(call, call.stream(i), s, z)


def _reading(call: Call, i: int, scale: int, zero: int) -> Call:
    """The call with its first input dequantized."""
    return replace(call, inputs=(_read(call, i, scale, zero), *call.inputs[1:]))


def _first_last(call: Call) -> Call:
    """The call with channels first, where the attribute channels_last says they are not."""
    if not call.integer("channels_last", 0):
        return call
    stream = call.stream(0)
    first = stream.moved(np.ascontiguousarray(np.moveaxis(stream.index, -1, 1)))
    return replace(call, inputs=(first, *call.inputs[1:]))


def _written(call: Call, y: Stream, scale: int, zero: int) -> Stream:
    s, z, name = scale_and_zero(call, scale, zero)
    return quantize(call, y, s, z, name)


def _bias(call: Call, i: int, x_scale: np.ndarray, w_scale: np.ndarray) -> tuple[Fraction, ...]:
    """int32 bias times the exact product of both scales."""
    if call.input(i) is None:
        return (Fraction(0),)
    q = call.const(i, "bias").value.astype(np.int64).ravel()
    x = Fraction(float(x_scale.ravel()[0]))
    scales = [x * Fraction(float(w)) for w in w_scale.ravel()]
    return tuple(int(v) * scales[k % len(scales)] for k, v in enumerate(q))
