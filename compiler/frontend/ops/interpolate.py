"""Resize and Upsample in the mode linear: fixed weights of the pixels around each place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import floor, lcm, prod

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.elementwise import multiply
from pulsefold.compiler.frontend.ops.joins import added
from pulsefold.compiler.frontend.ops.linear import framed
from pulsefold.compiler.frontend.ops.moves import moved
from pulsefold.compiler.frontend.ops.qdq import quantize
from pulsefold.compiler.frontend.values import Const, Stream
from pulsefold.compiler.numerics.line import Line

__all__ = ["interpolated", "source_place"]

#: Most places between two pixels.
_FINEST = 1024


def source_place(call: Call, mode: str, k: int, scale: Fraction, n: int, size: int) -> Fraction:
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


def interpolated(call: Call, scales: list[Fraction], sizes: list[int], coordinate: str) -> Stream:
    """Resize-19 in the mode linear.

    Where the places that pixels come from repeat with a whole number of pixels, a depthwise convolution makes
    them. Others are a sum of shifted frames, each times a frame of weights.
    """
    shape = call.stream().index.shape
    if scales[1] != 1:
        raise call.refuse("it interpolates between channels", "resize height and width")
    if call.stream().index.ndim not in (3, 4):
        raise call.refuse(f"it resizes {call.shown(call.stream())} linearly", "use frames of one or two axes")
    if all(n == 1 for n in shape[2:]):
        return moved(call, call.stream(), np.broadcast_to(call.stream().index, (1, *sizes[1:])))
    whole = all(s.denominator == 1 for s in scales)
    if whole and coordinate in ("half_pixel", "pytorch_half_pixel", "asymmetric"):
        return _by_phases(call, [int(s) for s in scales[2:]], coordinate)
    if coordinate == "align_corners" and all(
        n > 1 and size > 1 and (size - 1) % (n - 1) == 0 for n, size in zip(shape[2:], sizes[2:], strict=True)
    ):
        # As many steps between two pixels everywhere: asymmetric, without what lies behind the last one.
        factors = [(size - 1) // (n - 1) for n, size in zip(shape[2:], sizes[2:], strict=True)]
        grown = _by_phases(call.inside(), factors, "asymmetric")
        return moved(call, grown, grown.index[tuple(slice(size) for size in (1, *sizes[1:]))])
    places = [
        [
            min(
                max(source_place(call, coordinate, k, scales[axis], shape[axis], sizes[axis]), Fraction(0)),
                Fraction(shape[axis] - 1),
            )
            for k in range(sizes[axis])
        ]
        for axis in range(2, len(shape))
    ]
    return _blended(call, places)


def _blended(call: Call, places: list[list[Fraction]]) -> Stream:
    """The pixels around each place, times how near they are, added: a term for each way to round."""
    stream, outside = call.stream(), call
    below = [lcm(*(p.denominator for p in line)) for line in places]
    if whole := np.dtype(stream.dtype).kind in "iu":
        _check_fractions(call, below)
        call = call.inside()
    if max(below) > _FINEST:
        shown = " and ".join(map(str, below))
        msg = f"it resizes linearly to places that are multiples of 1/{shown} of a pixel"
        raise call.refuse(msg, "use whole factors, align_corners with (n - 1) f + 1 pixels, or nearest")
    terms = []
    for corner in product((0, 1), repeat=len(places)):
        taken, weights = stream.index, np.ones(1, np.int64)
        for axis, (line, unit, up) in enumerate(zip(places, below, corner, strict=True), start=2):
            first = np.array([floor(p) for p in line])
            above = np.array([int((p - floor(p)) * unit) for p in line])
            taken = np.take(taken, np.minimum(first + up, taken.shape[axis] - 1), axis=axis)
            weights = np.multiply.outer(weights, above if up else unit - above)
        if not weights.any():
            continue
        part = call.part("/".join(map(str, corner)))
        # The exact factor comes with the weights: they are whole, and float32 holds them.
        weighted = Const(value=weights.reshape(1, 1, *weights.shape[1:]).astype(np.float64))
        near = moved(part, stream, taken)
        terms.append(multiply(replace(part.part("weighted"), inputs=(near, weighted))))
    total = added(call, terms, (1,) * len(terms)) if len(terms) > 1 else terms[0]
    total = total.stepped(call.node.name, (Line(gain=Fraction(1, prod(below))),))
    return _dropped(outside, total, stream.dtype) if whole else total


def _check_fractions(call: Call, below: list[int]) -> None:
    if any(n & (n - 1) for n in below):
        msg = f"it resizes integers linearly to places of 1/{' and 1/'.join(map(str, below))} of a pixel"
        todo = "use factors of two, four and so on, or dequantize in front of it"
        raise call.refuse(msg, todo, "where float32 is not exact it drops too much of a fraction")


def _dropped(call: Call, stream: Stream, dtype: str) -> Stream:
    """Integers without their fractions.

    ONNX does not say what becomes of the fraction where the elements are integers. It is dropped, as by ONNX
    Runtime, whose quantizer writes such files.
    """
    return quantize(call, stream, np.ones(()), np.zeros((), np.int64), dtype, mode="DOWN")


def _by_phases(call: Call, factors: list[int], coordinate: str) -> Stream:
    """Each pixel becomes factor x factor of them: a depthwise convolution, then depth to space.

    With half_pixel a pixel of phase r lies at (r + 1/2) / f - 1/2 from its source, so that the weights of the
    pixels around it are multiples of 1 / (2f); with asymmetric at r / f.
    """
    stream = framed(call)
    outside, whole = call, np.dtype(stream.dtype).kind in "iu"
    if whole:
        call = call.inside()
    axes = stream.index.ndim - 2
    if whole:
        _check_fractions(call, factors)
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
        return _dropped(outside, grown, stream.dtype)
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
