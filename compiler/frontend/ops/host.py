"""Softmax and its like at the end of a network: left to the host."""

from __future__ import annotations

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Hosted, Stream
from pulsefold.compiler.ir.graph import HostStep

__all__ = ["softmax"]


def softmax(call: Call, op: str | None = None) -> Hosted:
    """Softmax-13 and LogSoftmax-13, and before operator set 13 over all axes from `axis` on.

    `op`: the step, where the node's type does not say it.
    """
    value = call.input(0)
    hosted = value if isinstance(value, Hosted) else Hosted(stream=call.stream(), steps=())
    stream: Stream = hosted.stream
    shape = stream.index.shape
    axis = call.integer("axis", -1 if call.opset >= 13 else 1) % len(shape)
    if axis == 0:
        raise call.refuse("it goes over the batch", "give an axis behind the batch")
    axes = (axis,) if call.opset >= 13 else tuple(range(axis, len(shape)))
    op = op or ("softmax" if call.node.op_type == "Softmax" else "log_softmax")
    return hosted.then(HostStep(op=op, axes=axes))
