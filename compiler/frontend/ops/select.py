"""Choosing the best channels at the output: TopK and ArgMax."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.joins import turned
from pulsefold.compiler.frontend.values import Hosted, Pick, Stream

__all__ = ["arg_best", "top_k"]


def top_k(call: Call) -> tuple[Pick, Pick]:
    """TopK-11 over the channels: values and indices."""
    counts, axis = call.integers("k", 1) or [0], call.integer("axis", -1)
    stream, pixels = _compared(call, axis)
    k = counts[0]
    if not 1 <= k <= stream.channels:
        raise call.wrong(f"k is {k} of {stream.channels} channels")
    best = pixels[..., np.newaxis] * k + np.arange(k, dtype=np.int32)
    index = np.ascontiguousarray(np.moveaxis(best, -1, axis))
    largest = bool(call.integer("largest", 1))

    def pick(kind: str, dtype: str) -> Pick:
        return Pick(stream=stream, kind=kind, k=k, largest=largest, index=index, dtype=dtype)

    return pick("topk_values", stream.dtype), pick("topk_indices", "int64")


def arg_best(call: Call) -> Pick:
    """ArgMax-13 and ArgMin-13 over the channels."""
    axis = call.integer("axis", 0)
    stream, pixels = _compared(call, axis)
    if call.integer("select_last_index", 0):
        raise call.refuse("it takes the last of equal channels", "take the first: select_last_index = 0")
    index = np.expand_dims(pixels, axis) if call.integer("keepdims", 1) else pixels
    largest = call.node.op_type == "ArgMax"
    return Pick(stream=stream, kind="topk_indices", k=1, largest=largest, index=index, dtype="int64")


def _compared(call: Call, axis: int) -> tuple[Stream, np.ndarray]:
    """What is compared, and int32 in its shape without `axis`: of which pixel of the frame the channels are.

    A softmax on the host keeps the order of what it goes over.
    """
    value = call.input(0)
    softmax = isinstance(value, Hosted) and all(s.op in ("softmax", "log_softmax") for s in value.steps)
    stream = value.stream if isinstance(value, Hosted) and softmax else call.stream()
    shape = stream.index.shape
    if not -len(shape) <= axis < len(shape):
        raise call.wrong(f"axis is {axis} for {call.shown(stream)}")
    if isinstance(value, Hosted):
        if call.node.op_type == "TopK" and call.node.outputs[0]:
            msg = "it gives the values behind a softmax, which only the host has"
            raise call.refuse(msg, "take the indices alone, or drop the softmax")
        if not all(axis % len(shape) in (a % len(shape) for a in step.axes) for step in value.steps):
            msg = f"it compares along axis {axis} behind a softmax over another"
            raise call.refuse(msg, "compare what the softmax goes over")
    if axis % len(shape) == 0:
        raise call.refuse("it compares the images of a batch", "compare the channels: axis 1 of (N, C, H, W)")
    if not _are_channels(stream, axis):
        plain = call.builder.plain(stream, call.node)
        stream = call.builder.reorder(plain, call.node, plain.index, *turned(shape, axis % len(shape)))
    return stream, np.moveaxis(stream.index, axis, -1)[..., 0] // stream.channels


def _are_channels(stream: Stream, axis: int) -> bool:
    """Whether all channels of each pixel stand along an axis, in their order."""
    pixels, channels = np.divmod(np.moveaxis(stream.index, axis, -1), stream.channels)
    same = channels.shape[-1] == stream.channels and bool(np.all(pixels == pixels[..., :1]))
    return same and bool(np.all(channels == np.arange(stream.channels)))
