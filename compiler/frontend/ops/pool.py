"""MaxPool: on integers at once, or waiting for the next quantizer."""

from __future__ import annotations

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.ops.linear import framed
from pulsefold.compiler.frontend.ops.windows import window
from pulsefold.compiler.frontend.values import Pool, Stream

__all__ = ["max_pool"]


def max_pool(call: Call) -> Stream:
    """MaxPool-12 over two spatial axes, without the indices."""
    output, *indices = call.node.outputs
    if any(indices):
        raise call.refuse("it also gives indices", "remove the indices output")
    kernel = call.integers("kernel_shape") or []
    if len(kernel) != 2:
        raise call.refuse(f"kernel_shape is {kernel}", "use a window over two spatial axes")
    stream = framed(call)
    size = (kernel[0], kernel[1])
    shape = window(
        call, (stream.shape[0], stream.shape[1]), size, ceil_mode=bool(call.integer("ceil_mode", 0))
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
    return call.builder.pool(stream, pool)
