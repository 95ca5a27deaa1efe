"""What joins streams: Add, Sub, Sum and Mul of activations, and Concat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.frontend.greatest import greatest as greatest_of
from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.moves import moved
from pulsefold.compiler.frontend.ops.tables import Elements, beside, elements
from pulsefold.compiler.frontend.values import Const, Rivals, Stream, Value, canonical
from pulsefold.compiler.ir.concat import Concat
from pulsefold.compiler.ir.product import Product
from pulsefold.compiler.ir.sum import Sum
from pulsefold.compiler.numerics.line import Line

__all__ = ["added", "concat", "concatenated", "extremes", "multiplied", "turned"]


def concat(call: Call) -> Stream:
    """Concat-13 of streams behind the batch axis; constants are filled in, several numbers added to 0."""
    constants = [value for value in call.inputs if isinstance(value, Const)]
    streams = [call.stream(i) for i, value in enumerate(call.inputs) if not isinstance(value, Const)]
    axis = call.integer("axis", 1)
    if not constants:
        return concatenated(call, streams, axis)
    joined = concatenated(call.inside(), streams, axis) if len(streams) > 1 else streams[0]
    numbers, places, tables, left = set[Fraction](), [], [], joined.index
    for value in call.inputs:
        if isinstance(value, Const):
            tables.append(elements(call, value))
            numbers.update(tables[-1].values)
            places.append(np.full(value.value.shape, -1, np.int32))
        elif isinstance(value, Stream):
            place, left = np.split(left, [value.index.shape[axis]], axis=axis)
            places.append(place)
            tables.append(Elements.zeros(place.shape))
    one = len(numbers) == 1
    outside = call if one else call.inside()
    filled = moved(outside, joined, np.concatenate(places, axis=axis), numbers.pop() if one else Fraction(0))
    if one:
        return filled
    return added(call, [filled, beside(call, filled, Elements.joined(tables, axis))], (1, 1))


def added(call: Call, streams: Sequence[Stream], signs: Sequence[int]) -> Stream:
    """sum of signs[i] * x_i: integers weighted by their scales over the greatest common one, added."""
    streams, shape = _aligned(call, streams)
    gains = [_gain(call, stream) * sign for stream, sign in zip(streams, signs, strict=True)]
    # x_i = g_i q_i + o_i; u is the greatest rational of which every g_i is a multiple: u * sum(g_i / u q_i).
    below = lcm(*(g.denominator for g in gains))
    unit = Fraction(gcd(*(int(g * below) for g in gains)), below)
    node = Sum(
        name=call.node.name,
        inputs=tuple(str(s.tensor) for s in streams),
        output=call.node.outputs[0],
        gains=tuple(int(g / unit) for g in gains),
        sources=(*(p for s in streams for p in s.pending), call.node.name),
    )
    count = max(len(s.lines) for s in streams)
    lines = tuple(
        Line(
            gain=unit,
            offset=sum(
                (sign * s.lines[c % len(s.lines)].offset for s, sign in zip(streams, signs, strict=True)),
                Fraction(0),
            ),
        )
        for c in range(count)
    )
    return call.builder.join(node, streams, lines, shape)


def multiplied(call: Call, streams: Sequence[Stream]) -> Stream:
    """a * b: integers less their zero points, multiplied."""
    streams, shape = _aligned(call, streams)
    gains = [_gain(call, stream) for stream in streams]
    a, b = streams
    node = Product(
        name=call.node.name,
        inputs=(str(a.tensor), str(b.tensor)),
        output=call.node.outputs[0],
        zeros=(call.builder.real_zero(a, call.node), call.builder.real_zero(b, call.node)),
        sources=(*a.pending, *b.pending, call.node.name),
    )
    return call.builder.join(node, streams, (Line(gain=gains[0] * gains[1]),), shape)


def concatenated(call: Call, streams: Sequence[Stream], axis: int) -> Stream:
    """Streams side by side along an ONNX axis; each keeps its scale for its channels."""
    rank = streams[0].index.ndim
    axis = axis + rank if axis < 0 else axis
    if any(s.index.ndim != rank for s in streams) or not 0 < axis < rank:
        raise call.refuse(f"it joins along axis {axis}", "concatenate behind the batch axis")
    streams = [call.builder.plain(s, call.node) for s in streams]
    size = sum(s.index.shape[axis] for s in streams)
    shape = list(streams[0].index.shape)
    shape[axis] = size
    sources = (*(p for s in streams for p in s.pending), call.node.name)
    if axis == 1:
        streams = [call.builder.arranged(s, call.node) for s in streams]
        frame, target = canonical(tuple(shape))
        return _side_by_side(call, streams, sources, replace(streams[0], shape=frame, index=target))
    if axis == rank - 1 and all(_channels_last(s) and s.shape[:2] == streams[0].shape[:2] for s in streams):
        target = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        frame = (*streams[0].shape[:2], size)
        return _side_by_side(call, streams, sources, replace(streams[0], shape=frame, index=target))
    # Along another axis: that of the channels for now, so that each of several scales is that of channels.
    rows = [call.builder.reorder(s, call.node, s.index, *turned(s.index.shape, axis)) for s in streams]
    target, frame = turned(tuple(shape), axis)
    return _side_by_side(call, rows, sources, replace(rows[0], shape=frame, index=target))


def turned(shape: tuple[int, ...], axis: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Index and frame of an ONNX value one of whose axes is that of the channels, all others pixels."""
    size, channels = int(np.prod(shape)), shape[axis]
    order = [n for i, n in enumerate(shape) if i != axis]
    index = np.arange(size, dtype=np.int32).reshape(*order, channels)
    return np.moveaxis(index, -1, axis), (1, size // channels, channels)


def _channels_last(stream: Stream) -> bool:
    """Whether the ONNX value lies in the stream as it is, its last axis being the channels."""
    whole = np.array_equal(stream.index.ravel(), np.arange(stream.index.size))
    return whole and stream.shape[2] == stream.index.shape[-1]


def _side_by_side(call: Call, streams: Sequence[Stream], sources: tuple[str, ...], shape: Stream) -> Stream:
    if all(s.lines == streams[0].lines and len(s.lines) == 1 for s in streams):
        lines = streams[0].lines
    else:
        lines = tuple(s.lines[c % len(s.lines)] for s in streams for c in range(s.channels))
    node = Concat(
        name=call.node.name,
        inputs=tuple(str(s.tensor) for s in streams),
        output=call.node.outputs[0],
        sources=sources,
    )
    return call.builder.join(node, streams, lines, shape)


def _gain(call: Call, stream: Stream) -> Fraction:
    """The one rational gain of a stream that is joined with another."""
    gain = stream.lines[0].gain
    if not stream.uniform_gain() or not isinstance(gain, Fraction) or gain == 0:
        todo = "quantize both sides in front of it, with one scale a tensor each"
        raise call.refuse("one of the streams it joins has a scale for each channel", todo)
    return gain


def extremes(call: Call, values: Sequence[Value | None], *, greatest: bool) -> Stream | Rivals:
    """The greatest or least of streams, element by element."""
    streams: list[Stream] = []
    for i, value in enumerate(values):
        # max(max(a, b), c) compares three.
        if isinstance(value, Rivals) and value.greatest == greatest:
            streams += value.streams
        else:
            streams.append(replace(call, inputs=tuple(values)).stream(i))
    # An input of bytes comes once, whatever is made of it.
    streams = [call.builder.narrow(s, call.node) if call.builder.is_bytes(s) else s for s in streams]
    first = streams[0]
    if any(s.shape != first.shape or not np.array_equal(s.index, first.index) for s in streams):
        streams, _ = _aligned(call, streams, vectors=False)
    first = streams[0]
    levels = all(s.tensor in call.builder.quantized and not s.pools and s.curve is None for s in streams)
    rising = all(line.rising and not line.clamped for line in first.lines)
    if greatest and levels and rising and all(s.lines == first.lines for s in streams):
        return greatest_of(call.builder, streams, call.node)
    return Rivals(streams=tuple(streams), greatest=greatest, node=call.node.name)


def _aligned(call: Call, streams: Sequence[Stream], *, vectors: bool = True) -> tuple[list[Stream], Stream]:
    """Plain integers that lie alike, and the stream whose place the result takes.

    A vector (1, C, 1, 1) beside a frame (1, C, H, W) stays one, if `vectors` may; other broadcasts repeat
    elements.
    """
    plain = [call.builder.plain(s, call.node) for s in streams]
    try:
        shape = np.broadcast_shapes(*(s.index.shape for s in plain))
    except ValueError:
        shown = " and ".join(call.shown(s) for s in plain)
        raise call.wrong(
            f"activations of {shown} do not go together", "check the shapes the model declares"
        ) from None
    first = next((s for s in plain if s.index.shape == shape), None)
    if first is None:
        frame, target = canonical(shape)
    else:
        frame, target = first.shape, first.index
    result = []
    for s in plain:
        vector = s.shape == (1, 1, frame[2]) and s.index.size < np.prod(shape)
        spread = np.broadcast_to(s.index, shape).ravel()
        if vectors and vector and np.array_equal(spread, target.ravel() % frame[2]):
            result.append(s)
            continue
        taken = np.ascontiguousarray(np.broadcast_to(s.index, shape))
        result.append(call.builder.reorder(s, call.node, taken, target, frame))
    place = replace(result[0], shape=frame, index=target)
    return result, place
