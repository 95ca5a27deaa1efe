"""LRN: waits for the quantizer directly behind it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.linear import framed
from pulsefold.compiler.frontend.values import Norm, Stream

__all__ = ["lrn"]

#: Largest size; the networks that have an LRN use 5.
_MOST_NEIGHBOURS = 1024


def lrn(call: Call) -> Stream:
    """LRN-13 over the channels of a frame of quantized activations."""
    stream = call.builder.integers(framed(call), call.node)
    size = call.integer("size", 0)
    gain = stream.lines[0].gain
    if len(stream.lines) > 1 or not isinstance(gain, Fraction) or gain <= 0:
        raise call.refuse("it reads activations without one positive scale", "quantize in front of it")
    if not 1 <= size <= _MOST_NEIGHBOURS:
        raise call.wrong(f"its size is {size}", f"use one from 1 to {_MOST_NEIGHBOURS}")
    norm = Norm(
        size=size,
        alpha=call.number("alpha", 1e-4),
        beta=call.number("beta", 0.75),
        bias=call.number("bias", 1.0),
    )
    return replace(stream, norm=norm, pending=(*stream.pending, call.node.name))
