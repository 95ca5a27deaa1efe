"""Every quantizer in two halves: the real level, and the integer or grid value it settles to.

After qonnx.custom_op.general (quant.py, bipolar_quant.py, multithreshold.py), QuantizeLinear-25,
QLinearConv-10, QLinearMatMul-21 and the contrib operators of ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulsefold.sim.source.windows import average_pool, conv

__all__ = ["QUANTIZERS", "Quantizer", "dequantized"]

Inputs = Sequence[Any]
Attributes = Mapping[str, Any]
Errors = Sequence[np.ndarray | None]

#: Roundings on the way from exact integers to the level in an operator that computes on integers.
_STEPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """One operator that makes levels.

    Parameters
    ----------
    level
        From inputs and attributes to the real level, float64: what is compared with the boundaries.
    error
        From the same, the level and the inputs' errors (units of the last place) to the level's error.
    settle
        From the level, inputs and attributes to the output.
    """

    level: Callable[[Inputs, Attributes], np.ndarray]
    error: Callable[[Inputs, Attributes, np.ndarray, Errors], np.ndarray]
    settle: Callable[[np.ndarray, Inputs, Attributes], np.ndarray]


def dequantized(q: Any, scale: Any, zero: Any, axis: int = 1) -> np.ndarray:
    """(q - zero point) * scale in float64; vectors lie along `axis`."""
    whole = np.asarray(q).astype(np.int64)
    if zero is not None:
        whole = whole - _along(np.asarray(zero).astype(np.int64), whole.ndim, axis)
    return whole * _along(np.asarray(scale, np.float64), whole.ndim, axis)


def _along(array: np.ndarray, rank: int, axis: int) -> np.ndarray:
    if array.size == 1:
        return array.reshape(())
    if array.ndim == rank > 1:
        # Blocks, each of them a whole axis or one element of it.
        return array
    shape = [1] * rank
    shape[axis] = -1
    return array.reshape(shape)


def _text(a: Attributes, name: str, default: str) -> str:
    value = a.get(name, default)
    return value.decode() if isinstance(value, bytes) else value


# QONNX.


def _rounded(mode: str, u: np.ndarray) -> np.ndarray:
    match mode.upper():
        case "ROUND" | "HALF_EVEN":
            return np.round(u)
        case "CEIL":
            return np.ceil(u)
        case "FLOOR":
            return np.floor(u)
        case "UP":
            return np.sign(u) * np.ceil(np.abs(u))
        case "DOWN":
            return np.sign(u) * np.floor(np.abs(u))
        case "HALF_UP":
            return np.sign(u) * np.floor(np.abs(u) + 0.5)
        case "HALF_DOWN":
            return np.sign(u) * np.ceil(np.abs(u) - 0.5)
    msg = f"unknown rounding mode {mode!r}"
    raise ValueError(msg)


def _quant_level(inputs: Inputs, _: Attributes) -> np.ndarray:
    x, scale, zero, *_bits = inputs
    return x / scale + zero


def _quant_settle(level: np.ndarray, inputs: Inputs, a: Attributes) -> np.ndarray:
    """(round(clamp(x / scale + zero point)) - zero point) * scale."""
    _, scale, zero, bitwidth = inputs
    signed, narrow = a.get("signed", 1), a.get("narrow", 0)
    bits = float(np.max(bitwidth))
    if bits == 1 and signed:
        q = np.where(level >= 0, 1.0, -1.0)
    else:
        low = -(2.0 ** (bits - 1)) + bool(narrow) if signed else 0.0
        high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - bool(narrow)
        q = _rounded(_text(a, "rounding_mode", "ROUND"), np.clip(level, low, high))
    return (q - zero) * scale


def _scaled_error(inputs: Inputs, _: Attributes, level: np.ndarray, errors: Errors) -> np.ndarray:
    """Of x / scale + zero point."""
    return np.asarray(errors[0]) / np.asarray(inputs[1], np.float64) + 2 * np.abs(level)


def _bipolar_settle(level: np.ndarray, inputs: Inputs, _: Attributes) -> np.ndarray:
    return np.where(level >= 0, 1.0, -1.0) * inputs[1]


def _multi_settle(level: np.ndarray, inputs: Inputs, a: Attributes) -> np.ndarray:
    """out_scale * (thresholds that x has reached) + out_bias."""
    table = inputs[1]
    last = _text(a, "data_layout", "NCHW").endswith("C") and level.ndim != 2
    axis = level.ndim - 1 if last else 1
    count = np.zeros(level.shape)
    for step in table.T:
        count += level >= _along(step, level.ndim, axis)
    return a.get("out_scale", 1.0) * count + a.get("out_bias", 0.0)


def _own_error(_inputs: Inputs, _: Attributes, _level: np.ndarray, errors: Errors) -> np.ndarray:
    return np.asarray(errors[0])


# QuantizeLinear.

_RANGES = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}


def _saturated(level: np.ndarray, zero: Any, axis: int, default: Any = np.uint8) -> np.ndarray:
    """round half to even, plus the zero point, within the zero point's type."""
    zero = np.zeros((), default) if zero is None else np.asarray(zero)
    low, high = _RANGES.get(zero.dtype.name) or (np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max)
    whole = np.rint(level) + _along(zero.astype(np.float64), level.ndim, axis)
    return np.clip(whole, low, high).astype(zero.dtype)


def _axis(a: Attributes, rank: int) -> int:
    axis = int(a.get("axis", 1))
    return axis + rank if axis < 0 else axis


def _linear_level(inputs: Inputs, a: Attributes) -> np.ndarray:
    x = np.asarray(inputs[0]).astype(np.float64)
    return x / _along(np.asarray(inputs[1], np.float64), x.ndim, _axis(a, x.ndim))


def _linear_settle(level: np.ndarray, inputs: Inputs, a: Attributes) -> np.ndarray:
    names = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}
    zero = inputs[2] if len(inputs) > 2 else None
    return _saturated(level, zero, _axis(a, level.ndim), names.get(a.get("output_dtype", 0), np.uint8))


def _linear_error(inputs: Inputs, a: Attributes, level: np.ndarray, errors: Errors) -> np.ndarray:
    scale = _along(np.asarray(inputs[1], np.float64), level.ndim, _axis(a, level.ndim))
    return np.asarray(errors[0]) / scale + 2 * np.abs(level)


# Operators on integers: inputs are exact, so all error comes from within.


def _operator(real: Callable[[Inputs, Attributes, Callable], np.ndarray], scale: int, zero: int) -> Quantizer:
    """From the real output: `real(inputs, attributes, dq)`, where dq(i, axis) dequantizes input i, i+1, i+2.

    `scale` and `zero` are the places of the output's.
    """

    def reader(inputs: Inputs, magnitude: bool) -> Callable:
        def read(i: int, axis: int = 1) -> np.ndarray:
            q, s, z = inputs[i], inputs[i + 1], inputs[i + 2]
            if not magnitude:
                return dequantized(q, s, z, axis)
            # Engines take zero points off late: what is rounded may be as large as integer and zero point.
            whole = np.abs(np.asarray(q).astype(np.int64))
            whole = whole + np.abs(_along(np.asarray(z).astype(np.int64), whole.ndim, axis))
            return whole * _along(np.asarray(s, np.float64), whole.ndim, axis)

        return read

    def level(inputs: Inputs, a: Attributes) -> np.ndarray:
        return real(inputs, a, reader(inputs, magnitude=False)) / np.asarray(inputs[scale], np.float64)

    def error(inputs: Inputs, a: Attributes, _: np.ndarray, _errors: Errors) -> np.ndarray:
        size = np.abs(real(inputs, a, reader(inputs, magnitude=True)))
        return _STEPS * (size / np.asarray(inputs[scale], np.float64) + 256)

    def settle(u: np.ndarray, inputs: Inputs, _: Attributes) -> np.ndarray:
        return _saturated(u, inputs[zero], 1)

    return Quantizer(level=level, error=error, settle=settle)


def _qlinear_conv(inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    bias = inputs[8] if len(inputs) > 8 else None
    if bias is not None:
        scale = np.asarray(inputs[1], np.float64) * np.asarray(inputs[4], np.float64)
        bias = np.asarray(bias).astype(np.float64) * scale.reshape(-1 if scale.size > 1 else ())
    return conv(dq(0), dq(3, 0), bias, a)


def _qlinear_matmul(_inputs: Inputs, _: Attributes, dq: Callable) -> np.ndarray:
    return dq(0) @ dq(3, 1)


def _qgemm(inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    x, w = dq(0), dq(3, 0 if a.get("transB", 0) else 1)
    y = a.get("alpha", 1.0) * (x @ (w.T if a.get("transB", 0) else w))
    if inputs[6] is not None:
        scale = np.asarray(inputs[1], np.float64) * np.asarray(inputs[4], np.float64)
        y = y + np.asarray(inputs[6]).astype(np.float64) * scale * a.get("alpha", 1.0)
    return y


def _first_last(function: Callable[[np.ndarray], np.ndarray], a: Attributes, x: np.ndarray) -> np.ndarray:
    if not a.get("channels_last", 0):
        return function(x)
    return np.moveaxis(function(np.moveaxis(x, -1, 1)), 1, -1)


def _qlinear_pool(_inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    return _first_last(lambda x: average_pool(x, a, whole=True), a, dq(0))


def _qlinear_global(_inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    return _first_last(lambda x: x.mean(axis=tuple(range(2, x.ndim)), keepdims=True), a, dq(0))


def _qlinear_concat(inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    return np.concatenate([dq(i) for i in range(2, len(inputs), 3)], axis=a["axis"])


def _leaky(_inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    x = dq(0)
    return np.where(x >= 0, x, x * a.get("alpha", 0.01))


def _qlinear_softmax(_inputs: Inputs, a: Attributes, dq: Callable) -> np.ndarray:
    x = dq(0)
    axis = int(a.get("axis", -1)) % x.ndim
    axes = tuple(range(axis, x.ndim)) if a.get("opset", 13) < 13 else (axis,)
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


#: op_type -> quantizer. Values are compared behind each.
QUANTIZERS: dict[str, Quantizer] = {
    "Quant": Quantizer(level=_quant_level, error=_scaled_error, settle=_quant_settle),
    "BipolarQuant": Quantizer(level=lambda i, _: i[0], error=_own_error, settle=_bipolar_settle),
    "MultiThreshold": Quantizer(level=lambda i, _: i[0], error=_own_error, settle=_multi_settle),
    "QuantizeLinear": Quantizer(level=_linear_level, error=_linear_error, settle=_linear_settle),
    "QLinearConv": _operator(_qlinear_conv, 6, 7),
    "QLinearMatMul": _operator(_qlinear_matmul, 6, 7),
    "QGemm": _operator(_qgemm, 7, 8),
    "QLinearAdd": _operator(lambda _i, _a, dq: dq(0) + dq(3), 6, 7),
    "QLinearMul": _operator(lambda _i, _a, dq: dq(0) * dq(3), 6, 7),
    "QLinearConcat": _operator(_qlinear_concat, 0, 1),
    "QLinearAveragePool": _operator(_qlinear_pool, 3, 4),
    "QLinearGlobalAveragePool": _operator(_qlinear_global, 3, 4),
    "QLinearSigmoid": _operator(lambda _i, _a, dq: 1 / (1 + np.exp(-dq(0))), 3, 4),
    "QLinearLeakyRelu": _operator(_leaky, 3, 4),
    "QLinearSoftmax": _operator(_qlinear_softmax, 3, 4),
}
