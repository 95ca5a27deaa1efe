"""Convolutions and matrix products: window, matrix unit or depthwise unit, step functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.ir import Conv, Requantize, Threshold, type_for_range
from pulsefold.compiler.plan.layers import Fold, Layer, converters
from pulsefold.compiler.plan.lower.elements import requantize_unit, steps_of, threshold_unit
from pulsefold.compiler.plan.lower.windows import window_unit
from pulsefold.compiler.plan.units import (
    BatchMatVec,
    Convert,
    DepthwiseUnit,
    MatVec,
    ReorderUnit,
    Steps,
    Stream,
    Unit,
)
from pulsefold.compiler.plan.units.integers import divisors
from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.compiler.plan.units.rom import is_too_deep, packed_rows
from pulsefold.errors import FoldingError

__all__ = ["conv_units", "may_hold"]


#: Bits of a ring up to which LUT RAM takes it as it takes line buffers.
MOST_SMALL = 4096


def conv_units(layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window where one is needed, converter to SIMD lanes, matrix unit, what it is requantized by."""
    node = layer.node
    assert isinstance(node, Conv)
    if layer.depthwise:
        return depthwise_units(node, layer, fold, family)
    shared, matvec = product_units(layer, replace(fold, requantizer="lut", constants="lut"), family)
    units = list(shared)
    rows, _ = layer.matrix
    if isinstance(layer.steps, Requantize):
        # [row fold][held][pixel][PE]
        table = np.arange(rows).reshape(matvec.all_folds, matvec.pe)
        copies = matvec.held * matvec.pixels
        units += requantized(layer.steps, matvec.output, matvec.column_folds, table, fold, family, copies)
    if fold.pixels * fold.held > 1 and matvec.row_folds > 1:
        units += by_pixel(layer, matvec, units[-1].outputs[0], fold.lines)
    return units


@lru_cache(maxsize=64)
def product_units(layer: Layer, fold: Fold, family: str) -> tuple[tuple[Unit, ...], MatVec]:
    """All that foldings share which differ in what comes behind the matrix unit, and that unit."""
    node = layer.node
    assert isinstance(node, Conv)
    refuse_lanes(layer, fold)
    # First, as its refusal of a folding is the one that names the nearest.
    matvec = matrix_unit(node, layer, fold, family)
    units: list[Unit] = []
    if layer.windowed or fold.held > 1:
        lanes = window_lanes(layer, fold.simd)
        window = window_unit(
            node,
            layer,
            family,
            lanes=lanes,
            pad_value=node.pad_value,
            pixels=fold.pixels,
            held=fold.held,
            repeats=1 if matvec.takes_once else matvec.row_folds,
            row_taps=matvec.kept,
            channels_outer=layer.turns > 1,
            lines=fold.lines,
        )
        units.append(window)
        if fold.simd > lanes:
            columns = collected(f"{layer.name}.columns", window.output, fold.simd, fold.pixels)
            if matvec.row_folds > 1:
                # What is replayed is taken in a burst, but for what comes meanwhile.
                burst = matvec.kept_beats
                meanwhile = max(0, burst // columns.ratio - 2)
                columns = replace(columns, buffer_depth=max(2, burst - meanwhile))
            units.append(columns)
    units.append(BatchMatVec(matvec=matvec) if fold.batch > 1 else matvec)
    return tuple(units), matvec


def by_pixel(layer: Layer, matvec: MatVec, sent: Stream, lines: str) -> Iterator[Unit]:
    """Sums or outputs of [row fold][held step][pixel][PE] as those of [held step][pixel][row fold][PE].

    In beats of a pixel, where these are no more than cycles; else held steps first, and then beats of whole
    pixels.
    """
    elements, name = layer.y.elements, layer.name
    lanes = gcd(sent.lanes, matvec.pe)
    narrow = matvec.output.lanes // lanes <= matvec.column_folds
    if not narrow:
        lanes = sent.lanes
    for unit in converters(f"{name}.apart", sent.type, elements, sent.lanes, lanes):
        yield unit
        sent = unit.output
    if narrow or matvec.held > 1:
        steps = matvec.held * (matvec.pixels if narrow else 1)
        size = matvec.row_folds, steps, matvec.output.lanes * matvec.held // steps
        order = in_column_order(f"{name}.order", *size, sent)
        if lines == "lut" and order.depth * order.input.width <= MOST_SMALL:
            order = in_column_order(f"{name}.order", *size, sent, "small")
        yield order
        sent = order.output
    if not narrow:
        for unit in converters(f"{name}.beats", sent.type, elements, sent.lanes, matvec.output.lanes):
            yield unit
            sent = unit.output
        yield collected(f"{name}.pixels", sent, matvec.rows, matvec.pixels)


def requantized(
    node: Requantize,
    sums: Stream,
    pause: int,
    table: np.ndarray,
    fold: Fold,
    family: str,
    copies: int = 1,
) -> Iterator[Unit]:
    """Requantization of sums in no more lanes than their pace asks for.

    A lane has a multiplier as wide as the sums. A beat of them comes every `pause` cycles, and goes through
    in so many parts at the most. `table` is the channel of each element, until they repeat; each of its rows
    comes in `copies` one after the other.
    """
    lanes = next(n for n in divisors(sums.lanes) if sums.lanes // n <= pause)
    elements = sums.beats * sums.lanes
    yield from converters(f"{node.name}.sums", sums.type, elements, sums.lanes, lanes)
    each = pause // (sums.lanes // lanes)
    row = table.shape[1]
    beat = lcm(row, lanes)
    if copies * row % beat:
        table, copies, beat = np.tile(table, copies), 1, copies * row
    # As much of a row as makes whole beats, and how often that comes.
    order, turns = np.tile(table, beat // row), copies * row // beat
    yield requantize_unit(
        node,
        sums.type,
        elements,
        lanes,
        fold,
        order.ravel(),
        turns=turns,
        run=beat // lanes,
        pause=each,
        family=family,
    )


@lru_cache(maxsize=512)
def in_column_order(
    name: str, row_folds: int, held: int, lanes: int, sent: Stream, style: str = ""
) -> ReorderUnit:
    """Results of [row fold][held step][lanes] as those of [held step][row fold][lanes]."""
    elements = np.arange(sent.beats * sent.lanes, dtype=np.int32)
    return ReorderUnit(
        name=name,
        type=sent.type,
        elements=elements.size,
        index=elements.reshape(-1, row_folds, held, lanes).swapaxes(1, 2).ravel(),
        fill=0,
        output_type=sent.type,
        lanes=sent.lanes,
        style=style,
    )


def refuse_lanes(layer: Layer, fold: Fold) -> None:
    """Raise where several pixels a cycle or in turn, or several frames a pass, are asked of who cannot."""
    if fold.held > 1:
        columns = layer.y.shape[1] // fold.pixels
        if layer.turns > 1 or fold.batch > 1 or fold.memory == "lut" or columns % fold.held:
            why = "weights stay for as many steps as divide a row's, in block RAM, without groups and batch"
            raise FoldingError(why, where=layer.name, todo="hold them for 1")
        if not may_hold(layer, fold.simd):
            channels = f"{layer.x.shape[2]} channels"
            why = f"weights stay only with a SIMD that divides {channels}, or as many of each tap of a row"
            raise FoldingError(why, where=layer.name, todo="change SIMD, or hold them for 1")
    if fold.pixels > 1 and (not layer.windowed or layer.turns > 1):
        why = "only a layer with a window and without groups takes several pixels"
        raise FoldingError(why, where=layer.name, todo="take 1 pixel a cycle")
    if fold.batch > 1 and not layer.takes_batches:
        why = "only a layer of one vector a frame that is not requantized takes a batch"
        raise FoldingError(why, where=layer.name, todo="take a batch of 1")


def matrix_unit(node: Conv, layer: Layer, fold: Fold, family: str) -> MatVec:
    """The matrix product of a layer, with its step functions where these are thresholds."""
    rows, columns = layer.matrix
    steps = None
    if isinstance(layer.steps, Threshold):
        steps = joined_steps(layer)
    depth = rows * columns // (fold.pe * fold.simd)
    unit = MatVec(
        name=layer.name,
        vectors=layer.y.shape[0] * layer.y.shape[1] * layer.turns * fold.batch,
        turns=layer.turns,
        weights=in_window_order(layer, fold),
        sums=layer.row_sums,
        weight_type=node.weight_type,
        type=layer.operand,
        pe=fold.pe,
        simd=fold.simd,
        pixels=fold.pixels * fold.batch,
        held=fold.held,
        kept=fold.held > 1 and is_kernel_row(layer, fold.simd),
        shared=fold.shared,
        parts=fold.parts,
        waiting="registers" if family == "ice40" else "ram",
        steps=steps,
        memory="lut" if fold.memory == "lut" else "block",
        memory_width=block_width(family, depth) if fold.memory == "block" else 0,
        # Elsewhere a register takes the place of a LUT.
        reach=int(family == "ecp5" and fold.memory != "lut"),
        multiplier=fold.multiplier,
        adder=fold.adder,
    )
    depth = unit.memory_depth
    if fold.memory != "packed" and not (fold.memory == "block" and is_too_deep(family, depth)):
        return replace(unit, memory_width=block_width(family, depth)) if fold.held > 1 else unit
    packed = packed_rows(family, depth, unit.part_width)
    return replace(
        unit, weight_rows=packed, memory_width=block_width(family, packed or depth), buffer_depth=0
    )


@lru_cache(maxsize=64)
def joined_steps(layer: Layer) -> Steps:
    """The step functions that joined a matrix product, the same for all foldings."""
    assert isinstance(layer.steps, Threshold)
    _, high = layer.sum_range
    rows, _ = layer.matrix
    return steps_of(layer.steps, rows, int(high.max()))


def window_lanes(layer: Layer, simd: int) -> int:
    """Channels, all of one group, in a beat of the window in front of a SIMD."""
    return gcd(layer.x.shape[2] // layer.turns, simd)


def is_kernel_row(layer: Layer, simd: int) -> bool:
    """Whether a SIMD is the taps of a kernel row, each of as many channels as the window sends."""
    lanes = window_lanes(layer, simd)
    return simd > lanes and isinstance(layer.node, Conv) and simd == lanes * layer.node.kernel[1]


def may_hold(layer: Layer, simd: int) -> bool:
    """Whether weights of a layer with a SIMD may stay for several steps of pixels."""
    return layer.turns == 1 and (layer.x.shape[2] % simd == 0 or is_kernel_row(layer, simd))


def in_window_order(layer: Layer, fold: Fold) -> np.ndarray:
    """Weights, their columns as the window sends them: of a group's channels each beat's taps in turn."""
    rows, columns = layer.matrix
    channels, lanes = layer.x.shape[2] // layer.turns, window_lanes(layer, fold.simd)
    if fold.held > 1 and lanes < fold.simd:
        taps = layer.weights.reshape(rows, -1, fold.simd // lanes, channels // lanes, lanes)
        return taps.swapaxes(2, 3).reshape(rows, columns)
    if layer.turns == 1:
        return layer.weights
    taps = layer.weights.reshape(rows, columns // channels, channels // lanes, lanes)
    return taps.swapaxes(1, 2).reshape(rows, columns)


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


def depthwise_units(node: Conv, layer: Layer, fold: Fold, family: str) -> list[Unit]:
    """Window with outer channels, a multiplier and a sum for each channel of a beat, step functions."""
    window = window_unit(
        node,
        layer,
        family,
        lanes=fold.simd,
        pad_value=node.pad_value,
        channels_outer=True,
        lines=fold.lines,
    )
    channels, pixels = layer.x.shape[2], layer.y.shape[0] * layer.y.shape[1]
    rows = node.weights.shape[0]
    low, high = layer.sum_range
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
        units += requantized(layer.steps, unit.output, window.taps, np.arange(rows)[np.newaxis], fold, family)
    elif layer.steps:
        units.append(threshold_unit(layer.steps, unit.output, rows, pixels, int(high.max())))
    return units
