"""Lowering: how each operation becomes units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pulsefold.compiler.ir import (
    Concat,
    Constant,
    Conv,
    Lrn,
    MaxPool,
    Product,
    Reorder,
    Requantize,
    Sum,
    SumPool,
    Table,
    Threshold,
)
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower.conv import conv_units
from pulsefold.compiler.plan.lower.elements import lrn_units, requantize_units, table_units, threshold_units
from pulsefold.compiler.plan.lower.joins import concat_units, product_units, sum_units
from pulsefold.compiler.plan.lower.moves import moved_lanes, reorder_units
from pulsefold.compiler.plan.lower.pools import maxpool_units, sumpool_units
from pulsefold.compiler.plan.lower.rule import Rule
from pulsefold.compiler.plan.units import Unit
from pulsefold.errors import FoldingError, UnsupportedNodeError

__all__ = ["RULES", "WITHIN", "lanes_of", "units_of"]


#: How each operation becomes units.
RULES: Mapping[type, Rule] = MappingProxyType(
    {
        Concat: Rule(units=concat_units),
        Conv: Rule(units=conv_units),
        Lrn: Rule(units=lrn_units),
        MaxPool: Rule(units=maxpool_units),
        Product: Rule(units=product_units),
        Reorder: Rule(units=reorder_units, lanes=moved_lanes),
        Requantize: Rule(units=requantize_units),
        Sum: Rule(units=sum_units),
        SumPool: Rule(units=sumpool_units),
        Table: Rule(units=table_units),
        Threshold: Rule(units=threshold_units),
    }
)

#: Operations without units of their own: they lie in the memory of what reads them.
WITHIN = frozenset({Constant})


def units_of(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """The units of a layer for a device family, of which the first reads its inputs and each the one before.

    Raises
    ------
    FoldingError
        If the folding does not divide the layer; the message names the nearest that does.
    UnsupportedNodeError
        If there is no circuit for the operation.
    """
    if fold.memory == "packed" and (not isinstance(layer.node, Conv) or layer.depthwise):
        why = "only weights of matrix layers lie side by side in rows of block RAM"
        raise FoldingError(why, where=layer.name, todo="take memory block or lut")
    if family == "ice40":
        for name, memory in (("lines", fold.lines), ("buffers", fold.buffers)):
            if memory == "lut":
                why = "iCE40 has no LUT RAM for lines and buffers"
                raise FoldingError(why, where=layer.name, todo=f"take {name} block")
    return rule_of(layer).units(layer, fold, family)


def lanes_of(layer: Layer) -> list[int]:
    """The SIMD that a layer without weights can have, ascending."""
    return rule_of(layer).lanes(layer)


def rule_of(layer: Layer) -> Rule:
    """How to lower a layer."""
    kind = type(layer.node)
    where = f"{layer.node.name} ({kind.__name__})"
    if len(layer.streams) < len(layer.xs) and kind not in (Sum, Product):
        todo = "add or multiply the constant"
        raise UnsupportedNodeError("no circuit for this operation on a constant", where=where, todo=todo)
    if kind not in RULES:
        raise UnsupportedNodeError("no circuit for this operation", where=where, todo="remove it")
    return RULES[kind]
