"""Operations of several streams: sums, products, concatenations."""

from __future__ import annotations

from pulsefold.compiler.ir import Product, Sum
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower.elements import MOST_LUT_ENTRIES
from pulsefold.compiler.plan.units import ConcatUnit, ProductUnit, SumUnit, Unit

__all__ = ["concat_units", "product_units", "sum_units"]


def sum_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """All terms at once."""
    node = layer.node
    assert isinstance(node, Sum)
    height, width, channels = layer.y.shape
    unit = SumUnit(
        name=layer.name,
        types=tuple(x.type for x in layer.xs),
        gains=node.gains,
        spread=tuple(x.shape[:2] != layer.y.shape[:2] for x in layer.xs),
        tables=layer.tables,
        style=table_style(layer, fold),
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        output_type=layer.y.type,
    )
    return [unit]


def table_style(layer: Layer, fold: Fold) -> str:
    """Style of the memories of tables, a word a beat."""
    return "lut" if fold.memory == "lut" and layer.y.elements // fold.simd <= MOST_LUT_ENTRIES else ""


def concat_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """One input after the other."""
    unit = ConcatUnit(
        name=layer.name,
        types=tuple(x.type for x in layer.xs),
        channels=tuple(x.shape[2] for x in layer.xs),
        pixels=layer.y.shape[0] * layer.y.shape[1],
        lanes=fold.simd,
        output_type=layer.y.type,
    )
    return [unit]


def product_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """One multiplier a lane."""
    node = layer.node
    assert isinstance(node, Product)
    a, b = layer.xs
    height, width, channels = layer.y.shape
    unit = ProductUnit(
        name=layer.name,
        types=(a.type, b.type),
        zeros=node.zeros,
        spread=(a.shape[:2] != layer.y.shape[:2], b.shape[:2] != layer.y.shape[:2]),
        tables=layer.tables,
        style=table_style(layer, fold),
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        output_type=layer.y.type,
        multiplies=fold.multiplier,
    )
    return [unit]
