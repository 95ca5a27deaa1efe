"""Choosing the best channels at the output: TopK and ArgMax."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Hosted, Pick, Stream

__all__ = ["arg_best", "top_k"]


def top_k(call: Call) -> tuple[Pick, Pick]:
    """TopK-11 over the channels of a vector: values and indices."""
    stream = _compared(call)
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
    stream = _compared(call)
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


def _compared(call: Call) -> Stream:
    """What is compared: softmax and sigmoid on the host keep the order of their inputs."""
    value = call.input(0)
    if isinstance(value, Hosted) and all(s.op in ("softmax", "log_softmax") for s in value.steps):
        if call.node.op_type == "TopK" and call.node.outputs[0]:
            msg = "it gives the values behind a softmax, which only the host has"
            raise call.refuse(msg, "take the indices alone, or drop the softmax")
        return value.stream
    return call.stream()
