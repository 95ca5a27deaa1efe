"""Functions of one element: step functions, requantization, tables, local response normalization."""

from __future__ import annotations

from dataclasses import replace
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
from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.compiler.plan.units.rom import rom_cost

__all__ = [
    "LEAST_CONSTANTS",
    "MOST_LUT_ENTRIES",
    "lrn_units",
    "requantize_unit",
    "requantize_units",
    "steps_of",
    "table_units",
    "threshold_unit",
    "threshold_units",
]


#: Channels from which constants may lie in block RAM.
LEAST_CONSTANTS = 32

#: Entries up to which tables may lie in LUTs.
MOST_LUT_ENTRIES = 1024

#: Parts that constants in block RAM may be read in.
_PARTS = (1, 2, 4, 8, 16)


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
        steps=steps_of(node, max(len(node.thresholds), len(node.descending)), limit),
    )


def beats_of(layer: Layer, fold: Fold) -> Stream:
    """Beats of the first tensor in."""
    return Stream(type=layer.x.type, lanes=fold.simd, beats=layer.x.elements // fold.simd)


def steps_of(node: Threshold, rows: int, limit: int) -> Steps:
    """Step functions of a Threshold, in so many rows."""
    return Steps(
        thresholds=np.broadcast_to(node.thresholds, (rows, node.thresholds.shape[1])).copy(),
        descending=np.broadcast_to(node.descending, (rows,)).copy(),
        first=node.first,
        type=node.type,
        limit=limit,
    )


def requantize_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Multiply, add, shift, clip."""
    assert isinstance(layer.node, Requantize)
    order = np.arange(layer.x.shape[2])
    fold = replace(fold, requantizer=fold.multiplier, constants=fold.memory)
    return [requantize_unit(layer.node, layer.x.type, layer.x.elements, fold.simd, fold, order)]


def requantize_unit(
    node: Requantize,
    kind: ElementType,
    elements: int,
    lanes: int,
    fold: Fold,
    order: np.ndarray,
    *,
    turns: int = 1,
    run: int = 1,
    pause: int = 1,
    family: str = "",
) -> RequantizeUnit:
    """The unit behind a stream, whose elements belong to the channels of `order` over and over.

    Each `run` beats of them come in `turns` one after the other.
    Beats come every `pause` cycles: constants in block RAM may be read in so many parts, and are where that
    takes fewer blocks.
    """
    deep = len(order) // lanes >= LEAST_CONSTANTS
    constants = "block" if deep and fold.constants == "block" else ""
    key = (node, kind, elements, lanes, fold.requantizer, constants, tuple(order.tolist()), turns, run)
    unit = requantizer(*key)
    if not family or unit.memory != "block" or not unit.word_width:
        return unit

    def blocks(parts: int) -> float:
        return rom_cost(family, unit.folds * parts, ceil_div(unit.word_width, parts), "block").brams

    parts = min((n for n in _PARTS if n <= pause), key=blocks)
    return requantizer(*key, parts) if parts > 1 else unit


@lru_cache(maxsize=512)
def requantizer(
    node: Requantize,
    kind: ElementType,
    elements: int,
    lanes: int,
    multiplies: str,
    constants: str,
    order: tuple[int, ...],
    turns: int,
    run: int,
    parts: int = 1,
) -> RequantizeUnit:
    """One object for all foldings of the layer that share it: its constants take long to work out."""

    def ordered(row: np.ndarray) -> np.ndarray:
        return row if len(row) == 1 else row[list(order)]

    # To the unit all that comes before the order repeats is one pixel.
    return RequantizeUnit(
        name=node.name,
        type=kind,
        channels=len(order),
        pixels=elements // len(order),
        lanes=lanes,
        multiplier=ordered(node.multiplier),
        addend=ordered(node.addend),
        shift=node.shift,
        low=ordered(node.low),
        high=ordered(node.high),
        output_type=node.type,
        even=node.even,
        multiplies=multiplies,
        constants=constants,
        turns=turns,
        run=run,
        parts=parts,
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
    if fold.memory == "lut" and unit.deepest <= MOST_LUT_ENTRIES:
        unit = replace(unit, style="lut")
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
