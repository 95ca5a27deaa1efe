"""Conv, MatMul and Gemm: integer weights, and a scale a channel that waits behind them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.ops.windows import window
from pulsefold.compiler.frontend.values import Const, Quantized, Stream
from pulsefold.compiler.numerics.constants import common_scale
from pulsefold.compiler.numerics.surd import Real

__all__ = ["conv", "convolved", "framed", "gemm", "matmul", "product", "vector", "weights_of"]

#: Widest weights: 8 bits, less a zero point of 8 bits.
_LOWEST, _HIGHEST = -255, 255

_TODO = (
    "quantize the weights to at most 8 bits; where the quantizer left this layer in floating point, take the "
    "float model: pulsefold quantize MODEL.onnx --calibration X.npy -o Q.onnx"
)


def conv(call: Call) -> Stream:
    """Conv-22 over one or two spatial axes, in any number of groups."""
    const = call.const(1, "weights")
    stream = framed(call)
    bias: tuple[Real, ...] = (Fraction(0),)
    if call.input(2) is not None:
        bias = vector(call, call.const(2, "bias"), const.value.shape[0] if const.value.ndim else 0)
    return convolved(call, stream, const, bias)


def convolved(call: Call, stream: Stream, const: Const, bias: tuple[Real, ...]) -> Stream:
    """A framed stream through the weights (O, C/g, kernel) of a Conv, with the node's own attributes."""
    axes = stream.index.ndim - 2
    if const.value.ndim != axes + 2:
        msg = f"its kernel has {const.value.ndim - 2} spatial axes, and its input {call.shown(stream)} {axes}"
        raise call.refuse(msg, "use 1-D or 2-D convolutions")
    group = call.integer("group", 1)
    q, scale = weights_of(call, const, 0)
    if axes == 1:
        q = q[:, :, np.newaxis]
    if group < 1 or q.shape[1] * group != stream.channels or q.shape[0] % group:
        msg = f"its weights take {q.shape[1]} channels in {group} groups, and its input has {stream.channels}"
        raise call.wrong(msg, "check the shapes the model declares")
    shape = window(call, stream.shape[:2], (q.shape[2], q.shape[3]), axes=axes)
    stream = call.builder.integers(stream, call.node, by_channel=group == stream.channels)
    return call.builder.linear(
        stream,
        call.node,
        weights=np.ascontiguousarray(q.transpose(0, 2, 3, 1)),
        scale=scale,
        bias=bias,
        shape=(1, q.shape[0], *([0] * axes)),
        stride=shape.stride,
        dilation=shape.dilation,
        pads=shape.pads,
        groups=group,
    )


def matmul(call: Call) -> Stream:
    """MatMul-13 of one row of activations with a constant matrix."""
    if not isinstance(call.input(0), Stream):
        if isinstance(call.input(1), Stream):
            todo = "give the activations first and the weights second, transposed"
            raise call.refuse("its weights come before the activations", todo)
        call.stream(0)
    const = call.const(1, "weights")
    return product(call, const, transposed=False)


def gemm(call: Call) -> Stream:
    """Gemm-13: alpha * x * W + beta * C."""
    if call.integer("transA", 0):
        raise call.refuse("it transposes the activations", "export the layer without transA")
    stream = call.stream()
    const = call.const(1, "weights")
    transposed = bool(call.integer("transB", 0))
    bias: tuple[Real, ...] = (Fraction(0),)
    if stream.index.ndim != 2:
        raise call.wrong(f"it takes a matrix, and its input is {call.shown(stream)}")
    if call.input(2) is not None and const.value.ndim == 2:
        beta = call.number("beta", 1.0)
        outputs = const.value.shape[0 if transposed else 1]
        bias = tuple(beta * Fraction(v) for v in vector(call, call.const(2, "bias"), outputs))
    return product(call, const, transposed=transposed, gain=call.number("alpha", 1.0), bias=bias)


def framed(call: Call, i: int = 0) -> Stream:
    """Input `i` as a frame (N, C, H, W) or (N, C, L), moved there if it lies otherwise."""
    stream = call.stream(i)
    if stream.index.ndim not in (3, 4):
        todo = "use 1-D or 2-D layers on (N, C, L) or (N, C, H, W) activations"
        raise call.refuse(f"it works on {call.shown(stream)} activations", todo)
    return call.builder.arranged(stream, call.node)


def weights_of(call: Call, const: Const, axis: int) -> tuple[np.ndarray, tuple[Fraction, ...]]:
    """Integer weights and their scale, one or one an index of the output axis."""
    finite(call, const, "weights")
    if const.value.size == 0:
        raise call.wrong("its weights are empty")
    quantized = const.quantized or _integral(call, const, axis)
    q = quantized.q
    if q.min() < _LOWEST or q.max() > _HIGHEST:
        msg = f"its weights reach from {q.min()} to {q.max()}, more than 8 bits hold"
        raise call.refuse(msg, _TODO)
    group = quantized.group
    if group.size == 1:
        return q, (quantized.scales[int(group.ravel()[0])],)
    others = tuple(i for i in range(q.ndim) if i != axis)
    first = np.take(group, [0], axis=others[0])
    for i in others[1:]:
        first = np.take(first, [0], axis=i)
    if not np.all(group == first):
        todo = "quantize weights with one scale a tensor or one an output channel"
        raise call.refuse("its weights have different scales within an output channel", todo)
    scales = [quantized.scales[int(g)] for g in first.ravel()]
    return q, tuple(scales)


def _integral(call: Call, const: Const, axis: int) -> Quantized:
    """Weights without a quantizer that are integers times a scale all the same."""
    x = const.value
    found = common_scale(x, 128)
    if found is not None:
        return Quantized(q=found[0], group=np.zeros((1,) * x.ndim, np.int32), scales=(found[1],))
    q = np.zeros(x.shape, np.int64)
    scales = []
    for o in range(x.shape[axis]):
        part: list[slice | int] = [slice(None)] * x.ndim
        part[axis] = o
        found = common_scale(x[tuple(part)], 128)
        if found is None:
            why = "they are not integers times a scale, and no quantizer is in front of them"
            raise call.refuse("its weights are not quantized", _TODO, why)
        q[tuple(part)] = found[0]
        scales.append(found[1])
    shape = [1] * x.ndim
    shape[axis] = len(scales)
    return Quantized(q=q, group=np.arange(len(scales), dtype=np.int32).reshape(shape), scales=tuple(scales))


def product(
    call: Call,
    const: Const,
    *,
    transposed: bool,
    gain: Fraction = Fraction(1),
    bias: tuple[Real, ...] = (Fraction(0),),
    stream: Stream | None = None,
) -> Stream:
    """Rows of activations times a matrix of weights: gain * x * W + bias."""
    stream = stream or call.stream()
    if const.value.ndim != 2:
        msg = f"its weights have {const.value.ndim} axes, and a matrix has 2"
        raise call.refuse(msg, "use a fully connected layer with a matrix of weights")
    q, scale = weights_of(call, const, 0 if transposed else 1)
    q = q if transposed else np.ascontiguousarray(q.T)
    if q.shape[1] != stream.index.shape[-1]:
        msg = f"its weights take {q.shape[1]} inputs, and its input is {call.shown(stream)}"
        raise call.wrong(msg, "check the shapes the model declares")
    shape = (*stream.index.shape[:-1], q.shape[0])
    if stream.index.size != stream.index.shape[-1]:
        # Every row is a pixel of a 1 x 1 convolution.
        stream = call.builder.arranged(stream, call.node, channels_last=True)
        weights = q.reshape(q.shape[0], 1, 1, -1)
    else:
        # Streams are (H, W, C): the columns follow, whatever flatten or transpose came between.
        h, w, c = stream.shape
        order = np.argsort(stream.index.ravel())
        moved = not np.array_equal(order, np.arange(order.size))
        weights = (np.take(q, order, axis=1) if moved else q).reshape(-1, h, w, c)
    stream = call.builder.integers(stream, call.node)
    scale = tuple(gain * s for s in scale)
    return call.builder.linear(stream, call.node, weights=weights, scale=scale, bias=bias, shape=shape)


def vector(call: Call, const: Const, outputs: int) -> tuple[Fraction, ...]:
    """A bias as one number, or one an output."""
    index = np.arange(outputs, dtype=np.int32).reshape(1, outputs)
    frame = Stream(tensor=None, shape=(1, 1, outputs), index=index, dtype="float32")
    return call.by_channel(frame, const, "bias")
