"""Functions of one element: step functions, requantization, tables, local response normalization."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pulsefold.compiler.ir import ElementType, Lrn, Requantize, Table, Threshold
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.units import (
    LrnUnit,
    RequantizeUnit,
    Steps,
    Stream,
    TableUnit,
    ThresholdUnit,
    Unit,
)

__all__ = [
    "lrn_units",
    "requantize_unit",
    "requantize_units",
    "steps_of",
    "table_units",
    "threshold_unit",
    "threshold_units",
]


def threshold_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """The step functions alone."""
    node = layer.node
    assert isinstance(node, Threshold)
    height, width, channels = layer.x.shape
    return [threshold_unit(node, beats_of(layer, fold), channels, height * width, layer.x.type.maximum)]


def threshold_unit(node: Threshold, x: Stream, channels: int, pixels: int, limit: int) -> Unit:
    """The unit behind a stream of integers up to `limit`."""
    return ThresholdUnit(
        name=node.name,
        type=x.type,
        channels=channels,
        pixels=pixels,
        lanes=x.lanes,
        steps=steps_of(node, channels, limit),
    )


def beats_of(layer: Layer, fold: Fold) -> Stream:
    """Beats of the first tensor in."""
    return Stream(type=layer.x.type, lanes=fold.simd, beats=layer.x.elements // fold.simd)


def steps_of(node: Threshold, channels: int, limit: int) -> Steps:
    """Step functions of a Threshold, a row a channel."""
    rows = node.thresholds.shape[0]
    repeat = channels if rows == 1 else 1
    return Steps(
        thresholds=np.repeat(node.thresholds, repeat, axis=0),
        descending=np.broadcast_to(node.descending, (channels,)).copy(),
        first=node.first,
        type=node.type,
        limit=limit,
    )


def requantize_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Multiply, add, shift, clip."""
    assert isinstance(layer.node, Requantize)
    height, width, channels = layer.x.shape
    return [requantize_unit(layer.node, beats_of(layer, fold), channels, height * width, fold)]


def requantize_unit(node: Requantize, x: Stream, channels: int, pixels: int, fold: Fold) -> Unit:
    """The unit behind a stream."""
    return requantizer(node, x.type, channels, pixels, x.lanes, fold.multiplier)


@lru_cache(maxsize=512)
def requantizer(
    node: Requantize, kind: ElementType, channels: int, pixels: int, lanes: int, multiplies: str
) -> RequantizeUnit:
    """One object for all foldings of the layer that share it: its constants take long to work out."""
    return RequantizeUnit(
        name=node.name,
        type=kind,
        channels=channels,
        pixels=pixels,
        lanes=lanes,
        multiplier=node.multiplier,
        addend=node.addend,
        shift=node.shift,
        low=node.low,
        high=node.high,
        output_type=node.type,
        even=node.even,
        multiplies=multiplies,
    )


def table_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """One memory a lane."""
    node = layer.node
    assert isinstance(node, Table)
    height, width, channels = layer.x.shape
    unit = TableUnit(
        name=layer.name,
        type=layer.x.type,
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        values=node.values,
        output_type=node.type,
    )
    return [unit]


def lrn_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Energies and a search whose row is the element."""
    node = layer.node
    assert isinstance(node, Lrn)
    height, width, channels = layer.x.shape
    unit = LrnUnit(
        name=layer.name,
        type=layer.x.type,
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        before=node.before,
        after=node.after,
        zero=node.zero,
        thresholds=node.thresholds,
        descending=node.descending,
        first=node.first,
        output_type=node.type,
    )
    return [unit]
