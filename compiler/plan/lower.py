"""Lowering: the units that each layer becomes under a folding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd
from types import MappingProxyType

import numpy as np

from pulsefold.compiler.ir import (
    Concat,
    Conv,
    ElementType,
    Lrn,
    MaxPool,
    Product,
    Reorder,
    Requantize,
    Sum,
    SumPool,
    Table,
    Threshold,
    type_for_range,
)
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.units import (
    ConcatUnit,
    Convert,
    DepthwiseUnit,
    GlobalPoolUnit,
    LrnUnit,
    MatVec,
    MaxPoolUnit,
    ProductUnit,
    ReorderUnit,
    RequantizeUnit,
    Steps,
    Stream,
    SumPoolUnit,
    SumUnit,
    TableUnit,
    ThresholdUnit,
    Unit,
    Window,
)
from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.compiler.plan.units.reorder import reorder_lanes
from pulsefold.errors import FoldingError, UnsupportedNodeError

__all__ = ["RULES", "Rule", "lanes_of", "units_of"]


def units_of(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """The units of a layer for a device family, of which the first reads its inputs and each the one before.

    Raises
    ------
    FoldingError
        If the folding does not divide the layer; the message names the nearest that does.
    UnsupportedNodeError
        If there is no circuit for the operation.
    """
    return rule_of(layer).units(layer, fold, family)


def lanes_of(layer: Layer) -> list[int]:
    """The SIMD that a layer without weights can have, ascending."""
    return rule_of(layer).lanes(layer)


def rule_of(layer: Layer) -> Rule:
    """How to lower a layer."""
    kind = type(layer.node)
    if kind not in RULES:
        where = f"{layer.node.name} ({kind.__name__})"
        raise UnsupportedNodeError("no circuit for this operation", where=where, todo="remove it")
    return RULES[kind]


def divisors(n: int) -> list[int]:
    """Divisors of `n`, ascending."""
    low = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


def channel_lanes(layer: Layer) -> list[int]:
    """Divisors of the channels that all inputs have in common."""
    return divisors(gcd(*(x.shape[2] for x in layer.xs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an operation becomes units.

    Parameters
    ----------
    units
        From a layer, its folding and the device family to its units.
    lanes
        The SIMD it can have; a Conv has PE and SIMD of its own.
    """

    units: Callable[[Layer, Fold, str], list[Unit]]
    lanes: Callable[[Layer], list[int]] = channel_lanes


def conv_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window where one is needed, converter to SIMD lanes, matrix unit."""
    node = layer.node
    assert isinstance(node, Conv)
    if layer.depthwise:
        return depthwise_units(node, layer, fold)
    rows, columns = layer.matrix
    units: list[Unit] = []
    pixels = layer.y.shape[0] * layer.y.shape[1]
    depth = rows * columns // (fold.pe * fold.simd)
    steps = None
    if isinstance(layer.steps, Threshold):
        _, high = node.accumulator_range(layer.x.type)
        steps = steps_of(layer.steps, rows, int(high.max()))
    matvec = MatVec(
        name=layer.name,
        vectors=pixels,
        weights=layer.weights,
        weight_type=node.weight_type,
        type=layer.operand,
        pe=fold.pe,
        simd=fold.simd,
        pixels=fold.pixels,
        steps=steps,
        memory=fold.memory,
        memory_width=block_width(family, depth) if fold.memory == "block" else 0,
        multiplier=fold.multiplier,
        adder=fold.adder,
    )
    if layer.windowed:
        lanes = gcd(layer.x.shape[2], fold.simd)
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
            pad_value=node.pad_value,
            pixels=fold.pixels,
        )
        units.append(with_memory(window))
        if fold.simd > lanes:
            units.append(collected(f"{layer.name}.columns", window.output, fold.simd, fold.pixels))
    elif fold.pixels > 1:
        todo = "take 1 pixel a cycle"
        raise FoldingError("only a layer with a window takes several pixels", where=layer.name, todo=todo)
    units.append(matvec)
    if fold.pixels > 1 and matvec.row_folds > 1:
        units.append(collected(f"{layer.name}.pixels", matvec.output, rows, fold.pixels))
    if isinstance(layer.steps, Requantize):
        if fold.pixels > 1:
            todo = "take 1 pixel a cycle"
            raise FoldingError(
                "a layer that is requantized takes no several pixels", where=layer.name, todo=todo
            )
        units.append(requantize_unit(layer.steps, matvec.output, rows, pixels, fold))
    return units


def collected(name: str, stream: Stream, lanes: int, pixels: int) -> Convert:
    """Beats of a few lanes of each of some pixels, made wider until they hold `lanes` of each."""
    return Convert(
        name=name,
        type=stream.type,
        elements=stream.beats * stream.lanes,
        input_lanes=stream.lanes,
        output_lanes=pixels * lanes,
        groups=pixels,
    )


def depthwise_units(node: Conv, layer: Layer, fold: Fold) -> list[Unit]:
    """Window with outer channels, a multiplier and a sum for each channel of a beat, step functions."""
    window = taps_window(node, layer, fold, node.pad_value)
    channels, pixels = layer.x.shape[2], layer.y.shape[0] * layer.y.shape[1]
    rows = node.weights.shape[0]
    low, high = node.accumulator_range(layer.operand)
    unit = DepthwiseUnit(
        name=layer.name,
        type=layer.operand,
        pixels=pixels,
        lanes=fold.simd,
        weights=node.weights.reshape(channels, rows // channels, window.taps),
        output_type=type_for_range(min(0, int(low.min())), max(0, int(high.max()))),
        multiplies=fold.multiplier,
        memory=fold.memory,
    )
    units: list[Unit] = [window, unit]
    if isinstance(layer.steps, Requantize):
        units.append(requantize_unit(layer.steps, unit.output, rows, pixels, fold))
    elif layer.steps:
        steps = steps_of(layer.steps, rows, int(high.max()))
        units.append(
            ThresholdUnit(
                name=layer.steps.name,
                type=unit.output_type,
                channels=rows,
                pixels=pixels,
                lanes=unit.output.lanes,
                steps=steps,
            )
        )
    return units


def taps_window(node: Conv | MaxPool | SumPool, layer: Layer, fold: Fold, pad_value: int) -> Window:
    """A Window that sends the taps of one fold of channels after the other."""
    return with_memory(
        Window(
            name=f"{layer.name}.window",
            shape=layer.x.shape,
            type=layer.x.type,
            lanes=fold.simd,
            kernel=node.kernel,
            stride=node.stride,
            dilation=node.dilation,
            pads=node.pads,
            output_shape=layer.y.shape[:2],
            pad_value=pad_value,
            channels_outer=True,
        )
    )


def whole_frame(node: MaxPool | SumPool, layer: Layer) -> bool:
    """Whether the one window of a pool is the frame."""
    return layer.y.shape[:2] == (1, 1) and node.kernel == layer.x.shape[:2] and not any(node.pads)


def globalpool_unit(layer: Layer, fold: Fold, op: str) -> Unit:
    """A pool of the whole frame needs no window."""
    return GlobalPoolUnit(
        name=layer.name,
        type=layer.x.type,
        channels=layer.x.shape[2],
        pixels=layer.x.shape[0] * layer.x.shape[1],
        lanes=fold.simd,
        op=op,
        output_type=layer.y.type,
    )


def sumpool_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window with outer channels, sum."""
    node = layer.node
    assert isinstance(node, SumPool)
    if whole_frame(node, layer) and node.factors(layer.x.shape).item() == 1:
        return [globalpool_unit(layer, fold, "sum")]
    window = taps_window(node, layer, fold, node.pad_value if node.include_pad else 0)
    return [window, SumPoolUnit.of_node(node, layer.x, fold.simd)]


def maxpool_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window with outer channels, maximum."""
    node, kind = layer.node, layer.x.type
    assert isinstance(node, MaxPool)
    if whole_frame(node, layer):
        return [globalpool_unit(layer, fold, "max")]
    window = taps_window(node, layer, fold, -1 if kind.is_bipolar else kind.minimum)
    groups = window.output.beats // window.taps
    pool = MaxPoolUnit(name=layer.name, type=kind, lanes=fold.simd, taps=window.taps, groups=groups)
    return [window, pool]


def threshold_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """The step functions alone."""
    node = layer.node
    assert isinstance(node, Threshold)
    return [
        ThresholdUnit(
            name=layer.name,
            type=layer.x.type,
            channels=layer.x.shape[2],
            pixels=layer.x.shape[0] * layer.x.shape[1],
            lanes=fold.simd,
            steps=steps_of(node, layer.x.shape[2], layer.x.type.maximum),
        )
    ]


def requantize_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Multiply, add, shift, clip."""
    assert isinstance(layer.node, Requantize)
    stream = Stream(type=layer.x.type, lanes=fold.simd, beats=layer.x.elements // fold.simd)
    height, width, channels = layer.x.shape
    return [requantize_unit(layer.node, stream, channels, height * width, fold)]


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
    unit = TableUnit(
        name=layer.name,
        type=layer.x.type,
        channels=layer.x.shape[2],
        pixels=layer.x.shape[0] * layer.x.shape[1],
        lanes=fold.simd,
        values=node.values,
        output_type=node.type,
    )
    return [unit]


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
    return [unit]


def moved_lanes(layer: Layer) -> list[int]:
    """Lanes of beats that are moved as a whole."""
    assert isinstance(layer.node, Reorder)
    return reorder_lanes(layer.node.index, layer.x.elements)


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
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        output_type=layer.y.type,
    )
    return [unit]


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
        channels=channels,
        pixels=height * width,
        lanes=fold.simd,
        output_type=layer.y.type,
        multiplies=fold.multiplier,
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


def with_memory(window: Window) -> Window:
    """No more rows than throughput asks for; LUT RAM for shallow line buffers, block RAM for the rest."""
    depth = window.lean_rows * window.bank_beats
    return replace(
        window,
        rows=window.lean_rows,
        memory="ram" if depth <= 32 or depth * window.input.width <= 512 else "block",
    )


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
