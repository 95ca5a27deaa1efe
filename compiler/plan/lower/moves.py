"""Elements moved to other places."""

from __future__ import annotations

from dataclasses import replace

from pulsefold.compiler.ir import Reorder
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.units import ReorderUnit, Unit
from pulsefold.compiler.plan.units.reorder import reorder_lanes

__all__ = ["moved_lanes", "reorder_units"]


def reorder_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """A ring that is written in one order and read in another."""
    node = layer.node
    assert isinstance(node, Reorder)
    unit = ReorderUnit(
        name=layer.name,
        type=layer.x.type,
        elements=layer.x.elements,
        index=node.index,
        fill=node.fill,
        output_type=layer.y.type,
        lanes=fold.simd,
    )
    if fold.lines == "lut" and unit.memory == "block":
        unit = replace(unit, style="small")
    return [unit]


def moved_lanes(layer: Layer) -> list[int]:
    """Lanes of beats that are moved as a whole."""
    assert isinstance(layer.node, Reorder)
    return reorder_lanes(layer.node.index, layer.x.elements)
