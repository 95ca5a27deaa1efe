"""LRN: waits for the quantizer directly behind it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.linear import framed
from pulsefold.compiler.frontend.values import Norm, Stream

__all__ = ["lrn"]


def lrn(call: Call) -> Stream:
    """LRN-13 over the channels of a frame of quantized activations."""
    stream = call.builder.integers(framed(call), call.node)
    size = call.integer("size", 0)
    gain = stream.lines[0].gain
    if len(stream.lines) > 1 or not isinstance(gain, Fraction) or gain <= 0:
        raise call.refuse("it reads activations without one positive scale", "quantize in front of it")
    if not 1 <= size <= 2 * stream.channels:
        raise call.wrong(f"its size is {size} for {stream.channels} channels")
    norm = Norm(
        size=size,
        alpha=call.number("alpha", 1e-4),
        beta=call.number("beta", 0.75),
        bias=call.number("bias", 1.0),
    )
    return replace(stream, norm=norm, pending=(*stream.pending, call.node.name))
