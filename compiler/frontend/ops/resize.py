"""Resize and Upsample: nearest by moving pixels, linear by fixed weights; ConvTranspose by zeros between."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.ops.linear import framed, vector, weights_of
from pulsefold.compiler.frontend.ops.moves import moved
from pulsefold.compiler.frontend.ops.qdq import quantize
from pulsefold.compiler.frontend.ops.windows import pair
from pulsefold.compiler.frontend.values import Const, Stream, canonical, exact
from pulsefold.compiler.numerics.surd import Real

__all__ = ["conv_transpose", "resize", "upsample"]


def upsample(call: Call) -> Stream:
    """Upsample-9 (scales as an input) and Upsample-7 (as an attribute)."""
    stream = call.stream()
    if "scales" in call.node.attributes:
        scales = [exact(np.float32(v)) for v in call.node.attributes["scales"]]
    else:
        scales = [exact(v) for v in finite(call, call.const(1, "scales"), "scales").ravel()]
    return _resized(call, stream, scales, None, call.node.text("mode", "nearest"), "asymmetric", "floor")


def resize(call: Call) -> Stream:
    """Resize-19, nearest of any factor and linear of whole ones."""
    stream = call.stream()
    rank = stream.index.ndim
    place = 1 if call.opset < 11 else 2
    scales, sizes = call.input(place), call.input(place + 1)
    axes = call.integers("axes") or list(range(rank))
    given: list[Fraction] | None = None
    target: list[int] | None = None
    if isinstance(scales, Const) and scales.value.size:
        given = [Fraction(1)] * rank
        for axis, v in zip(axes, finite(call, scales, "scales").ravel(), strict=True):
            given[axis % rank] = exact(v)
    elif isinstance(sizes, Const) and sizes.value.size:
        if call.node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise call.refuse("it keeps the aspect ratio", "give the sizes it comes to")
        target = list(stream.index.shape)
        for axis, v in zip(axes, sizes.value.ravel(), strict=True):
            target[axis % rank] = int(v) if axis % rank else 1
        given = [Fraction(t, n) for t, n in zip(target, stream.index.shape, strict=True)]
    if given is None:
        raise call.refuse("its scales are not constant", "export with fixed sizes")
    default = "half_pixel" if call.opset >= 11 else "asymmetric"
    coordinate = call.node.text("coordinate_transformation_mode", default)
    nearest = call.node.text("nearest_mode", "round_prefer_floor" if call.opset >= 11 else "floor")
    mode = call.node.text("mode", "nearest")
    return _resized(call, stream, given, target, mode, coordinate, nearest)


def _resized(
    call: Call,
    stream: Stream,
    scales: list[Fraction],
    target: list[int] | None,
    mode: str,
    coordinate: str,
    nearest: str,
) -> Stream:
    shape = stream.index.shape
    if len(scales) != len(shape) or any(s <= 0 for s in scales) or max(scales) > 1 << 10:
        raise call.wrong(f"its scales are {[float(s) for s in scales]} for {call.shown(stream)}")
    if scales[0] != 1:
        raise call.refuse("it resizes the batch", "resize height and width")
    sizes = target or [floor(s * n) for s, n in zip(scales, shape, strict=True)]
    if min(sizes) < 1:
        raise call.wrong(f"it resizes {call.shown(stream)} to {sizes}")
    call.check(int(np.prod(sizes)))
    if mode == "nearest":
        taken = stream.index
        for axis in range(1, len(shape)):
            places = [
                _nearest(nearest, _source(call, coordinate, k, scales[axis], shape[axis], sizes[axis]))
                for k in range(sizes[axis])
            ]
            taken = np.take(taken, np.clip(places, 0, shape[axis] - 1), axis=axis)
        return moved(call, stream, taken)
    if mode not in ("linear", "bilinear"):
        raise call.refuse(f"its mode is {mode!r}", "use nearest or linear")
    return _linear(call, scales, coordinate)


def _source(call: Call, mode: str, k: int, scale: Fraction, n: int, size: int) -> Fraction:
    """The place in the input, along one axis, that element `k` of the output comes from."""
    match mode:
        case "half_pixel":
            return (k + Fraction(1, 2)) / scale - Fraction(1, 2)
        case "pytorch_half_pixel":
            return (k + Fraction(1, 2)) / scale - Fraction(1, 2) if size > 1 else Fraction(0)
        case "half_pixel_symmetric":
            centre = Fraction(n, 2) * (1 - Fraction(size) / (scale * n))
            return centre + (k + Fraction(1, 2)) / scale - Fraction(1, 2)
        case "asymmetric":
            return k / scale
        case "align_corners":
            return Fraction(k * (n - 1), size - 1) if size > 1 else Fraction(0)
        case "tf_half_pixel_for_nn":
            return (k + Fraction(1, 2)) / scale
    raise call.refuse(f"coordinate_transformation_mode is {mode!r}", "use half_pixel or asymmetric")


def _nearest(mode: str, place: Fraction) -> int:
    half = Fraction(1, 2)
    match mode:
        case "floor":
            return floor(place)
        case "ceil":
            return -floor(-place)
        case "round_prefer_ceil":
            return floor(place + half)
    # Halves go down.
    return -floor(half - place)


def _linear(call: Call, scales: list[Fraction], coordinate: str) -> Stream:
    """Each pixel becomes factor x factor of them: a depthwise convolution, then depth to space.

    With half_pixel a pixel of phase r lies at (r + 1/2) / f - 1/2 from its source, so that the weights of the
    pixels around it are multiples of 1 / (2f); with asymmetric at r / f.

    ONNX does not say what becomes of the fraction where the elements are integers. It is dropped, as by ONNX
    Runtime, whose quantizer writes such files.
    """
    stream = framed(call)
    outside, whole = call, np.dtype(stream.dtype).kind in "iu"
    if whole:
        call = call.inside()
    axes = stream.index.ndim - 2
    factors = [int(s) for s in scales[2:]]
    exact_factors = all(s.denominator == 1 for s in scales) and scales[1] == 1
    if not exact_factors or coordinate not in ("half_pixel", "pytorch_half_pixel", "asymmetric"):
        shown = [float(s) for s in scales]
        msg = f"it resizes linearly by {shown} with {coordinate}"
        raise call.refuse(msg, "use whole factors with half_pixel or asymmetric, or nearest")
    if whole and any(f & (f - 1) for f in factors):
        msg = f"it resizes integers linearly by {factors}"
        todo = "use factors of two, four and so on, or dequantize in front of it"
        raise call.refuse(msg, todo, "where float32 is not exact it drops too much of a fraction")
    fy, fx = (1, factors[0]) if axes == 1 else (factors[0], factors[1])
    h, w, c = stream.shape
    # Pixels beyond the edge repeat it.
    y, x = np.clip(np.arange(-1, h + 1), 0, h - 1), np.clip(np.arange(-1, w + 1), 0, w - 1)
    taken = stream.index.reshape(1, c, h, w)[:, :, y][:, :, :, x]
    edged = moved(call, stream, taken)
    ky, kx = (_phases(f, coordinate) for f in (fy, fx))
    kernel = np.einsum("ai,bj->abij", ky[0], kx[0]).reshape(fy * fx, 3, 3)
    weights = np.tile(kernel, (c, 1, 1)).reshape(c * fy * fx, 3, 3, 1)
    edged = call.builder.integers(edged, call.node, by_channel=True)
    scale = Fraction(1, ky[1] * kx[1])
    grown = call.builder.linear(
        edged,
        call.node,
        weights=weights,
        scale=(scale,),
        bias=(Fraction(0),),
        shape=(1, c * fy * fx, 0, 0),
        groups=c,
    )
    index = grown.index.reshape(1, c, fy, fx, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(1, c, h * fy, w * fx)
    grown = grown.moved(index.reshape(1, c, w * fx) if axes == 1 else index)
    if whole:
        return quantize(outside, grown, np.ones(()), np.zeros((), np.int64), stream.dtype, mode="DOWN")
    return grown


def _phases(factor: int, coordinate: str) -> tuple[np.ndarray, int]:
    """Weights of the pixels before, at and behind, int64 [factor, 3], and what they add up to."""
    below = 2 * factor
    rows = np.zeros((factor, 3), np.int64)
    for r in range(factor):
        place = (
            Fraction(2 * r + 1, 2 * factor) - Fraction(1, 2)
            if coordinate != "asymmetric"
            else Fraction(r, factor)
        )
        first = floor(place)
        rest = place - first
        rows[r, first + 1] += int((1 - rest) * below)
        if rest:
            rows[r, first + 2] += int(rest * below)
    return rows, below


def conv_transpose(call: Call) -> Stream:
    """ConvTranspose-22: zeros between the pixels and around them, then the kernel turned around."""
    const = call.const(1, "weights")
    stream = framed(call)
    axes = stream.index.ndim - 2
    if const.value.ndim != axes + 2:
        raise call.refuse("its kernel and its input have different axes", "use 1-D or 2-D convolutions")
    group = call.integer("group", 1)
    channels, inside = const.value.shape[0], const.value.shape[1]
    if group < 1 or channels != stream.channels or channels % group:
        msg = f"its weights take {channels} channels in {group} groups, and its input has {stream.channels}"
        raise call.wrong(msg, "check the shapes the model declares")
    turned = _turned(const, group)
    q, scale = weights_of(call, turned, 0)
    q = q[:, :, np.newaxis] if axes == 1 else q
    outputs = inside * group
    bias: tuple[Real, ...] = (Fraction(0),)
    if call.input(2) is not None:
        bias = vector(call, call.const(2, "bias"), outputs)
    stride, dilation = pair(call, "strides", 1, axes), pair(call, "dilations", 1, axes)
    places = _transposed_places(call, stream, (q.shape[2], q.shape[3]), stride, dilation, axes)
    plain = call.builder.integers(stream, call.node, by_channel=group == stream.channels and inside == 1)
    h, w, c = plain.shape
    canvas = np.full((1, c, len(places[0]), len(places[1])), -1, np.int32)
    call.check(canvas.size)
    ys, xs = np.flatnonzero(places[0] >= 0), np.flatnonzero(places[1] >= 0)
    image = plain.index.reshape(1, c, h, w)
    canvas[:, :, ys[:, None], xs] = image[:, :, places[0][ys][:, None], places[1][xs]]
    frame, target = canonical(canvas.shape)
    spread = call.builder.reorder(
        plain, call.node, canvas, target, frame, call.builder.real_zero(plain, call.node)
    )
    return call.builder.linear(
        spread,
        call.node,
        weights=np.ascontiguousarray(q.transpose(0, 2, 3, 1)),
        scale=scale,
        bias=bias,
        shape=(1, outputs, *([0] * axes)),
        dilation=dilation,
        groups=group,
    )


def _turned(const: Const, group: int) -> Const:
    """Weights (C, O/g, kernel) as those of a Conv, (O, C/g, kernel) and the kernel turned around."""
    positions = np.arange(const.value.size, dtype=np.int64).reshape(const.value.shape)
    c, inside, *kernel = list(const.value.shape)
    split = positions.reshape(group, c // group, inside, *kernel).swapaxes(1, 2)
    taken = split.reshape(group * inside, c // group, *kernel)
    taken = np.flip(taken, axis=tuple(range(2, taken.ndim)))
    quantized = const.quantized.taken(taken) if const.quantized is not None else None
    return Const(value=const.value.ravel()[taken], quantized=quantized)


def _transposed_places(
    call: Call,
    stream: Stream,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    axes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """For each row and column of the frame that the turned kernel slides over: the input's, -1 for zeros."""
    extra = call.integers("output_padding") or [0] * axes
    pads = call.integers("pads") or [0] * (2 * axes)
    wanted = call.integers("output_shape")
    auto = call.node.text("auto_pad", "NOTSET")
    if axes == 1:
        extra, pads = [0, extra[0]], [0, pads[0], 0, pads[1]]
        wanted = [1, wanted[-1]] if wanted else None
    elif wanted:
        wanted = wanted[-2:]
    result = []
    for axis in range(2):
        n, k, s, d = stream.shape[axis], kernel[axis], stride[axis], dilation[axis]
        reach = d * (k - 1)
        full = (n - 1) * s + reach + 1
        before, after = pads[axis], pads[axis + 2]
        if auto.startswith("SAME") or wanted:
            size = wanted[axis] if wanted else n * s
            total = full + extra[axis] - size
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        elif auto == "VALID":
            before = after = 0
        call.check(full + reach + max(0, extra[axis]) + max(0, -before) + max(0, -after))
        line = np.full(reach + (n - 1) * s + 1 + reach + extra[axis], -1, np.int64)
        line[reach : reach + (n - 1) * s + 1 : s] = np.arange(n)
        low, high = before, len(line) - after
        if low < 0 or after < 0:
            line = np.pad(line, (max(0, -low), max(0, -after)), constant_values=-1)
            low, high = max(0, low), len(line) - max(0, after)
        line = line[low:high]
        if len(line) <= reach:
            raise call.wrong("its padding leaves nothing", "check the shapes the model declares")
        result.append(line)
    return result[0], result[1]
