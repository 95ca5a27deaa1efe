"""Windows in front of what multiplies, sums or compares taps."""

from __future__ import annotations

from dataclasses import replace

from pulsefold.compiler.ir import Conv, MaxPool, SumPool
from pulsefold.compiler.plan.layers import Layer
from pulsefold.compiler.plan.units import Window
from pulsefold.compiler.plan.units.memory import late_ram_brams

__all__ = ["window_unit"]


def window_unit(
    node: Conv | MaxPool | SumPool,
    layer: Layer,
    family: str,
    *,
    lanes: int,
    pad_value: int,
    pixels: int = 1,
    held: int = 1,
    repeats: int = 1,
    row_taps: bool = False,
    channels_outer: bool = False,
    lines: str = "block",
) -> Window:
    """The windows of a layer's node, with no more rows than throughput asks for.

    Line buffers lie in LUT RAM while they are shallow, else in block RAM, where the last row that is only for
    bursts is left out if it takes blocks of its own; or, with `lines` ``"lut"``, in LUT RAM without that row.
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
        held=held,
        repeats=repeats,
        row_taps=row_taps,
        channels_outer=channels_outer,
    )
    width, rows = window.input.width, window.lean_rows
    depth = rows * window.bank_beats
    if depth <= 32 or depth * width <= 512:
        return replace(window, rows=rows, memory="ram")
    fewest = window.fewest_rows
    if lines == "lut":
        return replace(window, rows=fewest, memory="small")
    if late_ram_brams(family, fewest * window.bank_beats, width) < late_ram_brams(family, depth, width):
        rows = fewest
    return replace(window, rows=rows, memory="block")
