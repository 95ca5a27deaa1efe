"""Quant, BipolarQuant and MultiThreshold, on activations and on constants."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.values import Const, Quantized, Stream, exact
from pulsefold.compiler.numerics.constants import quantize_constant
from pulsefold.compiler.numerics.quantizer import (
    WIDEST,
    bipolar,
    multi_threshold,
    uniform,
    uniform_range,
)
from pulsefold.compiler.numerics.rounding import MODES

__all__ = ["bipolar_quant", "multi_threshold_quant", "quant"]

#: Widest constant; biases are often quantized to 32 bits.
_WIDEST_CONSTANT = 48


def quant(call: Call) -> Const | Stream:
    """Quant of qonnx.custom_op.general: scale, zero point and bit width as inputs."""
    bits = _bits(call)
    signed = bool(call.integer("signed", 1))
    narrow = bool(call.integer("narrow", 0))
    mode = MODES.get(call.node.text("rounding_mode", "ROUND").upper())
    if mode is None:
        text = call.node.text("rounding_mode", "")
        raise call.refuse(f"its rounding mode is {text!r}", f"use one of {', '.join(MODES)}")
    scale = _scale(call, call.const(1, "scale"))
    zero = call.const(2, "zero point")
    finite(call, zero, "zero point")
    if isinstance(call.input(0), Const):
        return _constant(call, scale, zero.value, bits=bits, signed=signed, narrow=narrow, mode=mode)
    stream = call.compared()
    if bits > WIDEST:
        todo = f"quantize activations to at most {WIDEST} bits"
        raise call.refuse(f"it makes {bits}-bit activations, wider than {WIDEST} bits", todo)
    zeros = set(call.by_channel(stream, zero, "zero point"))
    if len(zeros) > 1:
        todo = "use one zero point for all channels of the activations"
        raise call.refuse("it has a zero point for each channel", todo)
    if not signed and narrow and bits == 1:
        raise call.wrong("one unsigned narrow bit leaves a single level", "give it more bits")
    quantizer = uniform(
        scale=call.by_channel(stream, scale, "scale"),
        zero=zeros.pop(),
        bits=bits,
        signed=signed,
        narrow=narrow,
        mode=mode,
    )
    return call.builder.quantize(stream, quantizer, call.node)


def bipolar_quant(call: Call) -> Const | Stream:
    """BipolarQuant of qonnx.custom_op.general: x >= 0 is +scale, anything else -scale."""
    scale = _scale(call, call.const(1, "scale"))
    if isinstance(call.input(0), Const):
        x = finite(call, call.const(0, "input"), "input")
        return _quantized(call, x, np.where(x >= 0, 1, -1), scale.value)
    stream = call.compared()
    return call.builder.quantize(stream, bipolar(call.by_channel(stream, scale, "scale")), call.node)


def multi_threshold_quant(call: Call) -> Stream:
    """MultiThreshold of qonnx.custom_op.general: out_scale * count(x >= threshold) + out_bias."""
    stream = call.compared()
    table = finite(call, call.const(1, "thresholds"), "thresholds")
    if table.ndim != 2 or table.size == 0:
        raise call.wrong(f"its thresholds have the shape {list(table.shape)}, and [channels, steps] is meant")
    if table.shape[1] >= 1 << WIDEST:
        msg = f"it has {table.shape[1]} steps, more than {WIDEST} bits hold"
        raise call.refuse(msg, f"quantize activations to at most {WIDEST} bits")
    scale, bias = call.number("out_scale", 1.0), call.number("out_bias", 0.0)
    if scale <= 0:
        raise call.refuse(f"out_scale is {float(scale)}", "use a scale above zero")
    rows = np.zeros(1, np.int64)
    if table.shape[0] > 1:
        layout = call.node.text("data_layout", "NCHW")
        axis = stream.index.ndim - 1 if layout.endswith("C") else 1
        if stream.index.ndim <= axis or stream.index.shape[axis] != table.shape[0]:
            msg = f"it has thresholds for {table.shape[0]} channels, and its input is {call.shown(stream)}"
            raise call.wrong(msg, "check the shapes the model declares, and data_layout")
        positions = np.broadcast_to(
            np.arange(table.shape[0]).reshape(-1, *(1,) * (stream.index.ndim - 1 - axis)), stream.index.shape
        ).ravel()
        rows = call.per_channel(stream, positions, np.arange(table.shape[0]), "row of thresholds")
    quantizer = multi_threshold(
        [[exact(v) for v in np.sort(table[row])] for row in rows], scale=scale, bias=bias
    )
    return call.builder.quantize(stream, quantizer, call.node)


def _bits(call: Call) -> int:
    const = call.const(3, "bit width")
    widths = {float(v) for v in finite(call, const, "bit width").ravel()}
    width = widths.pop() if len(widths) == 1 else 0.0
    if widths or width != int(width) or width < 1 or width > _WIDEST_CONSTANT:
        shown = const.value.ravel()[:4].tolist()
        msg = f"its bit width is {shown}"
        raise call.refuse(msg, f"use one whole number of bits from 1 to {_WIDEST_CONSTANT}")
    return int(width)


def _scale(call: Call, const: Const) -> Const:
    array = finite(call, const, "scale")
    if array.size == 0 or not np.all(array > 0):
        shown = "nothing" if array.size == 0 else float(array.min())
        msg = f"its scale is {shown}, and a scale is above zero"
        raise call.wrong(msg, "train the model again, or remove the bad channel")
    return const


def _constant(
    call: Call, scale: Const, zero: np.ndarray, *, bits: int, signed: bool, narrow: bool, mode: str
) -> Const:
    x = finite(call, call.const(0, "input"), "input")
    # A level q stands for scale * (q - zero): integers where zero is one.
    if not np.all(zero == np.rint(zero)) or np.any(np.abs(zero) > 2.0**_WIDEST_CONSTANT):
        todo = "use whole zero points for weights"
        raise call.refuse("it quantizes constants with a fractional or huge zero point", todo)
    try:
        scales, zeros = np.broadcast_to(scale.value, x.shape), np.broadcast_to(zero, x.shape)
    except ValueError:
        msg = f"its scale of shape {list(scale.value.shape)} does not fit constants of {list(x.shape)}"
        raise call.wrong(msg, "check the shapes the model declares") from None
    if bits == 1 and signed:
        # x / scale + zero >= 0, without a division: exact in float64 for float32 numbers.
        q = np.where(x.astype(np.float64) >= -zeros.astype(np.float64) * scales, 1, -1)
    else:
        low, high = uniform_range(bits, signed=signed, narrow=narrow)
        q = quantize_constant(x, scales, zeros, mode=mode, low=low, high=high)
    return _quantized(call, x, q - np.rint(zeros).astype(np.int64), scale.value)


def _quantized(call: Call, x: np.ndarray, q: np.ndarray, scale: np.ndarray) -> Const:
    if scale.ndim > x.ndim:
        msg = f"its scale of shape {list(scale.shape)} does not fit constants of {list(x.shape)}"
        raise call.wrong(msg, "check the shapes the model declares")
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    return Const(value=(q * scale).astype(kind), quantized=Quantized.make(q.astype(np.int64), scale))
