"""QuantizeLinear and DequantizeLinear, on activations and on constants."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.ops.common import WIDE_TODO, WIDE_WHY, Call, finite
from pulsefold.compiler.frontend.values import Const, Hosted, Quantized, Rivals, Stream, exact
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.compiler.numerics.constants import quantize_constant
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import WIDEST, Boundary, Quantizer
from pulsefold.compiler.numerics.rounding import MODES, boundary

__all__ = [
    "dequantize",
    "dequantize_linear",
    "integer_range",
    "quantize",
    "quantize_linear",
    "quantized_on_host",
    "scale_and_zero",
]

_HALF_EVEN = MODES["ROUND"]

#: What is said of blocked quantization, and why it is not here.
_BLOCKS = (
    "it has a scale for each block of a channel",
    "quantize with one scale a tensor or one a channel (block_size 0)",
    "products with different scales do not add up to one integer",
)

#: Integer element types that have numbers in ONNX and other names in NumPy.
_SMALL = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}


def quantize_linear(call: Call) -> Const | Stream | Hosted:
    """QuantizeLinear-25: q = saturate(round_half_even(x / scale) + zero point); the value is q itself."""
    value = call.input(0)
    scale, zero, name = scale_and_zero(call, 1, 2)
    if isinstance(value, Const):
        return _constant(call, value, scale, zero, *integer_range(call, name))
    if isinstance(value, Hosted):
        return quantized_on_host(call, value, scale, zero, name)
    if name in ("int16", "uint16"):
        # As the last step of a network it is the host's; Call.stream refuses it in front of a layer.
        return quantized_on_host(call, Hosted(stream=call.stream(), steps=()), scale, zero, name)
    return quantize(call, call.compared(), scale, zero, name, axis=call.integer("axis", 1))


def quantized_on_host(call: Call, value: Hosted, scale: np.ndarray, zero: np.ndarray, name: str) -> Hosted:
    """The same as a step of the host, behind those it has already."""
    if scale.size > 1:
        raise call.refuse("it has a scale for each channel behind a host step", "use one scale")
    low, high = integer_range(call, name)
    step = HostStep(
        op="quantize",
        scale=exact(scale.ravel()[0]),
        offset=exact(zero.ravel()[0]),
        low=Fraction(low),
        high=Fraction(high),
    )
    return value.then(step, _numpy_name(name))


def quantize(
    call: Call,
    stream: Stream | Rivals,
    scale: np.ndarray,
    zero: np.ndarray,
    name: str,
    *,
    axis: int = 1,
    mode: str = _HALF_EVEN,
) -> Stream:
    """A stream through q = saturate(round(x / scale) + zero point) to the integer type `name`.

    Ties go to even, if no other `mode` is given.
    """
    low, high = integer_range(call, name)
    if high - low >= 1 << WIDEST:
        raise call.refuse(f"it makes {name} activations", WIDE_TODO, WIDE_WHY)
    scales = _along(call, stream, scale, axis, "scale")
    zeros = _along(call, stream, zero, axis, "zero point")
    count = max(len(scales), len(zeros))
    rows = []
    for c in range(count):
        s, z = scales[c % len(scales)], int(zeros[c % len(zeros)])
        # round(x / s) + z reaches k where x / s reaches the boundary of k - z: ties look at k - z.
        marks = [boundary(mode, k - z) for k in range(low + 1, high + 1)]
        rows.append(tuple(Boundary(value=s * b, strict=strict) for b, strict in marks))
    quantizer = Quantizer(
        boundaries=tuple(rows), first=low, type=type_for_range(low, high), scale=(Fraction(1),)
    )
    return replace(call.builder.quantize(stream, quantizer, call.node), dtype=_numpy_name(name))


def dequantize_linear(call: Call) -> Const | Stream | Hosted:
    """DequantizeLinear-25: (q - zero point) * scale."""
    value = call.input(0)
    scale, zero, _ = scale_and_zero(call, 1, 2)
    if isinstance(value, Const):
        return dequantized_constant(call, value, scale, zero, call.integer("axis", 1))
    if isinstance(value, Hosted):
        if scale.size > 1:
            raise call.refuse("it has a scale for each channel behind a host step", "use one scale")
        s, z = exact(scale.ravel()[0]), exact(zero.ravel()[0])
        return value.then(HostStep(op="affine", scale=s, offset=-s * z), "float32")
    _check_kind(call)
    return dequantize(call, call.stream(), scale, zero, axis=call.integer("axis", 1))


def _check_kind(call: Call) -> None:
    """The integers read and the zero point are of one type."""
    kind = call.stream().dtype
    zero = None if call.input(2) is None else _numpy_name(call.const(2, "zero point").value.dtype.name)
    if np.dtype(kind).kind not in "iu":
        raise call.wrong(f"it reads {kind}, and integers are meant", "quantize them in front of it")
    if zero is not None and zero != kind:
        msg = f"it reads {kind}, and its zero point is {zero}"
        raise call.wrong(msg, "give both one element type")


def dequantize(call: Call, stream: Stream, scale: np.ndarray, zero: np.ndarray, *, axis: int = 1) -> Stream:
    """(q - zero point) * scale as a waiting step."""
    scales = _along(call, stream, scale, axis, "scale")
    zeros = _along(call, stream, zero, axis, "zero point")
    step = tuple(
        Line(gain=scales[c % len(scales)], offset=-scales[c % len(scales)] * zeros[c % len(zeros)])
        for c in range(max(len(scales), len(zeros)))
    )
    kind = scale.dtype.name if scale.dtype.name in ("float16", "float32", "float64") else "float32"
    return replace(stream.stepped(call.node.name, step), dtype=kind)


def dequantized_constant(call: Call, const: Const, scale: np.ndarray, zero: np.ndarray, axis: int) -> Const:
    """A constant (q - zero point) * scale with its exact meaning."""
    # Bytes less a byte: a fully connected layer may have a hundred million of them.
    kind = np.int16 if const.value.dtype.itemsize == 1 else np.int64
    q = const.value.astype(kind)
    scale, zero = (
        _spread(call, a, q.shape, axis, what) for a, what in ((scale, "scale"), (zero, "zero point"))
    )
    whole = q - zero.astype(kind)
    if kind == np.int16 and scale.dtype != np.float64:
        # Both are floats without loss: the product is rounded once.
        value = whole.astype(np.float32)
        value *= scale.astype(np.float32)
    else:
        value = (whole * scale.astype(np.float64)).astype(np.float32)
    return Const(value=value, quantized=Quantized.make(whole, np.asarray(scale)))


def scale_and_zero(call: Call, i: int, j: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Scale, zero point (0 where left out) and the name of the integer type."""
    scale = finite(call, call.const(i, "scale"), "scale")
    if scale.size == 0 or not np.all(scale > 0):
        shown = "nothing" if scale.size == 0 else float(scale.min())
        todo = "calibrate the model again, or remove the bad channel"
        raise call.wrong(f"its scale is {shown}, and a scale is above zero", todo)
    if scale.ndim > 1 and scale.size > 1:
        return _blocks(call, scale, i, j)
    if call.input(j) is None:
        kinds = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4"}
        name = kinds.get(call.integer("output_dtype", 0), "uint8")
        return scale.ravel() if scale.size > 1 else scale.reshape(()), np.zeros((), np.int64), name
    zero = call.const(j, "zero point").value
    name = zero.dtype.name
    if name.startswith("float"):
        raise call.refuse(f"it quantizes to {name}", "quantize to integers of at most 8 bits")
    zero = zero.astype(np.int64)
    if zero.size not in (1, scale.size):
        raise call.wrong(f"it has {scale.size} scales and {zero.size} zero points")
    return (
        scale.ravel() if scale.size > 1 else scale.reshape(()),
        zero.ravel() if zero.size > 1 else zero.reshape(()),
        name,
    )


def _blocks(call: Call, scale: np.ndarray, i: int, j: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Scale and zero point of a blocked quantizer each of whose blocks is a whole channel."""
    wide = [axis for axis, size in enumerate(scale.shape) if size > 1]
    zero = None if call.input(j) is None else call.const(j, "zero point").value
    name = "uint8" if zero is None else zero.dtype.name
    if len(wide) > 1 or (zero is not None and zero.shape != scale.shape):
        raise call.refuse(*_BLOCKS)
    zeros = np.zeros(scale.shape, np.int64) if zero is None else zero.astype(np.int64)
    return scale, zeros, name


def integer_range(call: Call, name: str) -> tuple[int, int]:
    """Least and greatest integer of an ONNX integer type."""
    if name in _SMALL:
        return _SMALL[name]
    try:
        info = np.iinfo(np.dtype(name))
    except (TypeError, ValueError):
        raise call.refuse(f"it quantizes to {name}", "quantize to integers of at most 8 bits") from None
    return int(info.min), int(info.max)


def _constant(call: Call, const: Const, scale: np.ndarray, zero: np.ndarray, low: int, high: int) -> Const:
    x = finite(call, const, "input")
    axis = call.integer("axis", 1)
    scales, zeros = (
        _spread(call, a, x.shape, axis, what) for a, what in ((scale, "scale"), (zero, "zero point"))
    )
    q = quantize_constant(
        x,
        np.broadcast_to(scales, x.shape),
        np.broadcast_to(np.zeros(()), x.shape),
        mode=_HALF_EVEN,
        low=low - int(zero.max()),
        high=high - int(zero.min()),
    )
    q = np.clip(q + zeros.astype(np.int64), low, high)
    return Const(value=q)


def _along(
    call: Call, stream: Stream | Rivals, array: np.ndarray, axis: int, what: str
) -> tuple[Fraction, ...]:
    if array.size == 1:
        return (exact(array.ravel()[0]),)
    rank = stream.index.ndim
    axis = axis + rank if axis < 0 else axis
    if not 0 < axis < rank or stream.index.shape[axis] != array.size:
        msg = f"its {array.size} values of {what} do not fit axis {axis} of {call.shown(stream)}"
        raise call.wrong(msg, "check the shapes the model declares")
    shaped = array.reshape(-1, *(1,) * (rank - 1 - axis))
    return call.by_channel(stream, Const(value=shaped), what)


def _spread(call: Call, array: np.ndarray, shape: tuple[int, ...], axis: int, what: str) -> np.ndarray:
    """An array of one or of one an index of `axis`, shaped to broadcast; blocks have their shape already."""
    if array.ndim > 1:
        if any(a not in (1, n) for a, n in zip(array.shape, shape, strict=False)) or array.ndim != len(shape):
            raise call.refuse(*_BLOCKS)
        return array
    if array.size == 1:
        return array.reshape((1,) * len(shape))
    axis = axis + len(shape) if axis < 0 else axis
    if not 0 <= axis < len(shape) or shape[axis] != array.size:
        msg = f"its {array.size} values of {what} do not fit axis {axis} of constants {list(shape)}"
        raise call.wrong(msg, "check the shapes the model declares")
    sizes = [1] * len(shape)
    sizes[axis] = array.size
    return array.reshape(sizes)


def _numpy_name(name: str) -> str:
    """The NumPy type that holds an ONNX integer type."""
    return {"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}.get(name, name)
