"""Windows in front of what multiplies, sums or compares taps."""

from __future__ import annotations

from dataclasses import replace

from pulsefold.compiler.ir import Conv, MaxPool, SumPool
from pulsefold.compiler.plan.layers import Layer
from pulsefold.compiler.plan.units import Window

__all__ = ["window_unit"]


def window_unit(
    node: Conv | MaxPool | SumPool,
    layer: Layer,
    *,
    lanes: int,
    pad_value: int,
    pixels: int = 1,
    channels_outer: bool = False,
) -> Window:
    """The windows of a layer's node, with no more rows than throughput asks for.

    Line buffers lie in LUT RAM while they are shallow, else in block RAM.
    """
    window = Window(
        name=f"{layer.name}.window",
        shape=layer.x.shape,
        type=layer.x.type,
        lanes=lanes,
        kernel=node.kernel,
        stride=node.stride,
        dilation=node.dilation,
        pads=node.pads,
        output_shape=layer.y.shape[:2],
        pad_value=pad_value,
        pixels=pixels,
        channels_outer=channels_outer,
    )
    depth = window.lean_rows * window.bank_beats
    return replace(
        window,
        rows=window.lean_rows,
        memory="ram" if depth <= 32 or depth * window.input.width <= 512 else "block",
    )
