"""Pools: of windows, and of the whole frame."""

from __future__ import annotations

from dataclasses import replace

from pulsefold.compiler.ir import MaxPool, SumPool
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower.windows import window_unit
from pulsefold.compiler.plan.units import GlobalPoolUnit, MaxPoolUnit, SumPoolUnit, Unit

__all__ = ["maxpool_units", "sumpool_units"]


def sumpool_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window with outer channels, sum."""
    node = layer.node
    assert isinstance(node, SumPool)
    if whole_frame(node, layer) and node.factors(layer.x.shape).item() == 1:
        return [globalpool_unit(layer, fold, "sum")]
    pad = node.pad_value if node.include_pad else 0
    window = window_unit(
        node, layer, family, lanes=fold.simd, pad_value=pad, channels_outer=True, lines=fold.lines
    )
    return [window, SumPoolUnit.of_node(node, layer.x, fold.simd)]


def maxpool_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window with outer channels, maximum."""
    node, kind = layer.node, layer.x.type
    assert isinstance(node, MaxPool)
    if whole_frame(node, layer):
        return [globalpool_unit(layer, fold, "max")]
    pad = -1 if kind.is_bipolar else kind.minimum
    window = window_unit(
        node, layer, family, lanes=fold.simd, pad_value=pad, channels_outer=True, lines=fold.lines
    )
    groups = window.output.beats // window.taps
    pool = MaxPoolUnit(name=layer.name, type=kind, lanes=fold.simd, taps=window.taps, groups=groups)
    return [window, pool]


def whole_frame(node: MaxPool | SumPool, layer: Layer) -> bool:
    """Whether the one window of a pool is the frame."""
    return layer.y.shape[:2] == (1, 1) and node.kernel == layer.x.shape[:2] and not any(node.pads)


def globalpool_unit(layer: Layer, fold: Fold, op: str) -> Unit:
    """A pool of the whole frame needs no window."""
    unit = GlobalPoolUnit(
        name=layer.name,
        type=layer.x.type,
        channels=layer.x.shape[2],
        pixels=layer.x.shape[0] * layer.x.shape[1],
        lanes=fold.simd,
        op=op,
        output_type=layer.y.type,
    )
    return replace(unit, style="small") if fold.lines == "lut" and unit.memory == "block" else unit
