"""Choosing channels: Slice behind a matrix product, TopK and ArgMax at the output."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Pick, Stream

__all__ = ["arg_best", "slice_channels", "top_k"]


def slice_channels(call: Call) -> Stream:
    """Slice-13 of channels: the matrix product in front of it loses weight rows."""
    stream = call.stream()
    rank = stream.index.ndim
    starts, ends = call.integers("starts", 1), call.integers("ends", 2)
    if starts is None or ends is None:
        raise call.wrong("it says neither where it starts nor where it ends")
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = call.integers("steps", 4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise call.wrong(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} don't agree")
    picks = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -rank <= axis < rank:
            raise call.wrong(f"it slices axis {axis} of {call.shown(stream)}")
        # Beyond the far end of a falling slice means "through element 0".
        stop = None if step < 0 and end < -stream.index.shape[axis] else end
        picks[axis % rank] = slice(start, stop, step)
    index = stream.index[tuple(picks)]
    if index.shape[0] != 1:
        raise call.refuse("it slices the batch", "keep the whole batch")
    h, w, c = stream.shape
    channels, first, places = np.unique(index % c, return_index=True, return_inverse=True)
    if index.size != h * w * len(channels) or index.size == 0:
        todo = "slice whole channels, and leave height and width whole"
        raise call.refuse("it drops something other than whole channels", todo)
    # In the order of their appearance, so that a backward slice turns the rows around.
    order = np.argsort(first)
    kept = channels[order]
    if np.array_equal(kept, np.arange(c)):
        return stream.moved(index)
    moved = index // c * len(kept) + np.argsort(order)[places].reshape(index.shape)
    return call.builder.select(stream, kept, moved.astype(np.int32), call.node)


def top_k(call: Call) -> tuple[Pick, Pick]:
    """TopK-11 over the channels of a vector: values and indices."""
    stream = call.stream()
    counts = call.integers("k", 1) or [0]
    k, axis = counts[0], call.integer("axis", -1)
    _vector_axis(call, stream, axis)
    if not 1 <= k <= stream.channels:
        raise call.wrong(f"k is {k} of {stream.channels} channels")
    shape = list(stream.index.shape)
    shape[axis] = k
    index = np.arange(k, dtype=np.int32).reshape(shape)
    largest = bool(call.integer("largest", 1))

    def pick(kind: str, dtype: str) -> Pick:
        return Pick(stream=stream, kind=kind, k=k, largest=largest, index=index, dtype=dtype)

    return pick("topk_values", stream.dtype), pick("topk_indices", "int64")


def arg_best(call: Call) -> Pick:
    """ArgMax-13 and ArgMin-13 over the channels of a vector."""
    stream = call.stream()
    axis = call.integer("axis", 0)
    _vector_axis(call, stream, axis)
    if call.integer("select_last_index", 0):
        raise call.refuse("it takes the last of equal channels", "take the first: select_last_index = 0")
    shape = list(stream.index.shape)
    shape[axis] = 1
    index = np.zeros(shape, np.int32)
    if not call.integer("keepdims", 1):
        index = index.squeeze(axis)
    largest = call.node.op_type == "ArgMax"
    return Pick(stream=stream, kind="topk_indices", k=1, largest=largest, index=index, dtype="int64")


def _vector_axis(call: Call, stream: Stream, axis: int) -> None:
    shape = stream.index.shape
    if not -len(shape) <= axis < len(shape):
        raise call.wrong(f"axis is {axis} for {call.shown(stream)}")
    order = np.arange(stream.index.size)
    whole = shape[axis] == stream.index.size == stream.channels and axis % len(shape) != 0
    if not whole or not np.array_equal(stream.index.ravel(), order):
        msg = f"it compares along axis {axis} of {call.shown(stream)}"
        raise call.refuse(msg, "compare the channels of a vector (N, C)")
