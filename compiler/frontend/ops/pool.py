"""Pools: MaxPool on integers at once or waiting for the next quantizer, averages as sums."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.joins import extremes
from pulsefold.compiler.frontend.ops.linear import framed
from pulsefold.compiler.frontend.ops.moves import moved
from pulsefold.compiler.frontend.ops.windows import window
from pulsefold.compiler.frontend.values import Pool, Rivals, Stream
from pulsefold.compiler.ir.sumpool import SumPool
from pulsefold.compiler.numerics.line import Line

__all__ = [
    "average_pool",
    "averaged",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
    "reduce_max",
    "reduce_mean",
    "reduce_sum",
]


#: Most streams that a ReduceMax over some axis compares.
_MOST_RIVALS = 16


def max_pool(call: Call) -> Stream:
    """MaxPool-22 over one or two spatial axes, without the indices."""
    output, *indices = call.node.outputs
    if any(indices):
        raise call.refuse("it also gives indices", "remove the indices output")
    stream = framed(call)
    axes = stream.index.ndim - 2
    size = _kernel(call, axes)
    shape = window(
        call,
        (stream.shape[0], stream.shape[1]),
        size,
        ceil_mode=bool(call.integer("ceil_mode", 0)),
        axes=axes,
    )
    for axis in range(2):
        reach = shape.dilation[axis] * (size[axis] - 1) + 1
        if shape.pads[axis] >= reach or shape.pads[axis + 2] >= reach:
            raise call.wrong("some of its windows lie in padding alone", "pad by less than the window")
    pool = Pool(
        lines=stream.lines,
        name=call.node.name,
        output=output,
        kernel=size,
        stride=shape.stride,
        dilation=shape.dilation,
        pads=shape.pads,
    )
    return _ranked(call.builder.pool(stream, pool), axes)


def global_max_pool(call: Call) -> Stream:
    """GlobalMaxPool-22."""
    stream = framed(call)
    return _ranked(_greatest(call, stream), stream.index.ndim - 2)


def reduce_max(call: Call) -> Stream | Rivals:
    """ReduceMax-20 over all spatial axes of a frame, over its channels, or over any few elements (maxout)."""
    across = _across(call)
    if across is not None:
        return _best_channel(call, *across)
    stream, rank = call.stream(), call.stream().index.ndim
    axes = [a % rank for a in call.integers("axes", 1) or ()]
    if len(axes) == 1 and rank > 3 and 1 < stream.index.shape[axes[0]] <= _MOST_RIVALS and axes[0] > 0:
        parts = [
            moved(call.part(str(k)), stream, np.take(stream.index, [k], axis=axes[0]))
            for k in range(stream.index.shape[axes[0]])
        ]
        best = extremes(call, parts, greatest=True)
        keep = call.integer("keepdims", 1)
        return best if keep else best.moved(np.squeeze(best.index, axis=axes[0]))
    stream, shape = _spatial(call)
    best = _greatest(call, call.builder.arranged(stream, call.node))
    return best.moved(best.index.reshape(shape))


def _greatest(call: Call, stream: Stream) -> Stream:
    """The greatest of each channel of a frame."""
    pool = Pool(
        lines=stream.lines,
        name=call.node.name,
        output=call.node.outputs[0],
        kernel=stream.shape[:2],
        stride=(1, 1),
        dilation=(1, 1),
        pads=(0, 0, 0, 0),
    )
    return call.builder.pool(stream, pool)


def average_pool(call: Call, *, whole: bool = False) -> Stream:
    """AveragePool-22 over one or two spatial axes.

    `whole`: count_include_pad counts what ceil_mode added too, as ONNX Runtime's QLinearAveragePool does.
    """
    stream = framed(call)
    axes = stream.index.ndim - 2
    size = _kernel(call, axes)
    shape = window(
        call,
        (stream.shape[0], stream.shape[1]),
        size,
        ceil_mode=bool(call.integer("ceil_mode", 0)),
        axes=axes,
    )
    include = bool(call.integer("count_include_pad", 0))
    stream = call.builder.plain(stream, call.node)
    pool = SumPool(
        name=call.node.name,
        input=str(stream.tensor),
        output=call.node.outputs[0],
        kernel=size,
        stride=shape.stride,
        dilation=shape.dilation,
        pads=shape.pads,
        include_pad=include,
        pad_value=call.builder.real_zero(stream, call.node) if include and any(shape.pads) else 0,
        extra=(0, 0) if whole and include else shape.extra,
        sources=(*stream.pending, call.node.name),
    )
    h, w, c = pool.output_tensor(call.builder.tensors[str(stream.tensor)]).shape
    return call.builder.sum_pool(stream, pool, (1, c, h, w) if axes == 2 else (1, c, w))


def global_average_pool(call: Call) -> Stream:
    """GlobalAveragePool-22."""
    stream = framed(call)
    shape = (1, stream.channels, *([1] * (stream.index.ndim - 2)))
    return averaged(call, stream, shape)


def reduce_mean(call: Call) -> Stream:
    """ReduceMean-18 over all spatial axes of a frame, or over its channels."""
    across = _across(call)
    if across is not None:
        return _channels_added(call, *across, Fraction(1, across[0].index.shape[1]))
    stream, shape = _spatial(call)
    first = (1, stream.index.shape[1], *([1] * (stream.index.ndim - 2)))
    mean = averaged(call, call.builder.arranged(stream, call.node), first)
    return mean.moved(mean.index.reshape(shape))


def reduce_sum(call: Call) -> Stream:
    """ReduceSum-13 over all spatial axes of a frame: the average of so many, times their number.

    Over the channels: a product with ones.
    """
    across = _across(call)
    if across is not None:
        return _channels_added(call, *across, Fraction(1))
    stream, shape = _spatial(call)
    arranged = call.builder.arranged(stream, call.node)
    pixels = arranged.shape[0] * arranged.shape[1]
    first = (1, stream.index.shape[1], *([1] * (stream.index.ndim - 2)))
    total = averaged(call, arranged, first).stepped(call.node.name, (Line(gain=Fraction(pixels)),))
    return total.moved(total.index.reshape(shape))


def _across(call: Call) -> tuple[Stream, tuple[int, ...]] | None:
    """What a reduction over the channels of a frame goes over, channels first, and the shape of its result.

    None where it goes over anything else, and over squares: those are added in normalizations.
    """
    stream = call.stream()
    rank, channels = stream.index.ndim, stream.shape[2]
    axes = [a % rank for a in call.integers("axes", 1) or ()]
    if len(axes) != 1 or not 2 <= rank <= 4 or stream.curve is not None:
        return None
    if stream.index.shape[axes[0]] != channels:
        return None
    first = np.moveaxis(stream.index, axes[0], 1)
    if axes[0] == 0 or not np.all(np.diff(first, axis=1) == 1):
        return None
    shape = list(stream.index.shape)
    shape[axes[0] : axes[0] + 1] = [1] if call.integer("keepdims", 1) else []
    return call.builder.arranged(stream.moved(np.ascontiguousarray(first)), call.node), tuple(shape)


def _channels_added(call: Call, stream: Stream, shape: tuple[int, ...], factor: Fraction) -> Stream:
    """The sum of each pixel's channels, times a factor, as a Conv of 1 x 1."""
    stream = call.builder.integers(stream, call.node)
    ones = np.ones((1, 1, 1, stream.channels), np.int64)
    row = call.builder.linear(
        stream, call.node, weights=ones, scale=(factor,), bias=(Fraction(0),), shape=(1, 1, 0, 0)
    )
    return row.moved(row.index.reshape(shape))


def _best_channel(call: Call, stream: Stream, shape: tuple[int, ...]) -> Stream:
    """The greatest of each pixel's channels: they become columns, over which a MaxPool goes."""
    stream = call.builder.plain(stream, call.node)
    if not stream.uniform_gain() or not stream.lines[0].rising:
        raise call.refuse(
            "its channels have a scale each", "quantize in front of it, with one scale a tensor"
        )
    height, width, count = stream.shape
    order = np.arange(stream.index.size, dtype=np.int32)
    places = order.reshape(1, 1, height, width * count)
    columns = call.builder.reorder(stream, call.node, places, places, (height, width * count, 1))
    pool = Pool(
        lines=columns.lines,
        name=call.node.name,
        output=call.node.outputs[0],
        kernel=(1, count),
        stride=(1, count),
        dilation=(1, 1),
        pads=(0, 0, 0, 0),
    )
    best = call.builder.pool(columns, pool)
    return best.moved(best.index.reshape(shape))


def _spatial(call: Call) -> tuple[Stream, tuple[int, ...]]:
    """What a reduction over height and width goes over, channels first, and the shape of its result."""
    stream = call.stream()
    rank = stream.index.ndim
    axes = sorted(a % rank for a in call.integers("axes", 1) or range(rank))
    keep = bool(call.integer("keepdims", 1))
    ones = [1] * (rank - 2)
    if rank in (3, 4) and axes == list(range(2, rank)):
        return stream, (1, -1, *ones) if keep else (1, -1)
    if rank in (3, 4) and axes == list(range(1, rank - 1)):
        first = stream.moved(np.ascontiguousarray(np.moveaxis(stream.index, -1, 1)))
        return first, (1, *ones, -1) if keep else (1, -1)
    why = "what goes over channels is a normalization, whose gains come from each frame"
    msg, todo = f"it reduces axes {axes} of {call.shown(stream)}", "reduce height and width"
    over = bool({1, rank - 1} & set(axes)) and len(axes) < rank - 1
    raise call.refuse(msg, f"{todo}; train with BatchNormalization" if over else todo, why if over else "")


def averaged(call: Call, stream: Stream, shape: tuple[int, ...]) -> Stream:
    """The average of each channel, in an ONNX shape of as many elements."""
    stream = call.builder.plain(stream, call.node)
    pool = SumPool(
        name=call.node.name,
        input=str(stream.tensor),
        output=call.node.outputs[0],
        kernel=stream.shape[:2],
        stride=(1, 1),
        sources=(*stream.pending, call.node.name),
    )
    return call.builder.sum_pool(stream, pool, shape)


def _kernel(call: Call, axes: int) -> tuple[int, int]:
    kernel = call.integers("kernel_shape") or []
    if len(kernel) != axes:
        raise call.refuse(f"kernel_shape is {kernel}", f"use a window over {axes} spatial axes")
    return (1, kernel[0]) if axes == 1 else (kernel[0], kernel[1])


def _ranked(stream: Stream, axes: int) -> Stream:
    """As an ONNX value of one or two spatial axes; :meth:`Builder.pool` makes two."""
    return stream.moved(stream.index[:, :, 0]) if axes == 1 else stream
