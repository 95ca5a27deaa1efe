"""Resize and Upsample, nearest ones by moving pixels; ConvTranspose by zeros between pixels."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.ops.interpolate import interpolated, source_place
from pulsefold.compiler.frontend.ops.linear import framed, vector, weights_of
from pulsefold.compiler.frontend.ops.moves import moved
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
    """Resize-19, nearest of any factor and linear of rational ones."""
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
    if call.integer("antialias", 0) and mode != "nearest" and min(given) < 1:
        raise call.refuse("it smooths what it makes smaller (antialias)", "export with antialias off")
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
                _nearest(nearest, source_place(call, coordinate, k, scales[axis], shape[axis], sizes[axis]))
                for k in range(sizes[axis])
            ]
            taken = np.take(taken, np.clip(places, 0, shape[axis] - 1), axis=axis)
        return moved(call, stream, taken)
    if mode not in ("linear", "bilinear"):
        raise call.refuse(f"its mode is {mode!r}", "use nearest or linear")
    return interpolated(call, scales, sizes, coordinate)


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
