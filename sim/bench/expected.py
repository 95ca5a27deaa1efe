"""What a unit must put out, computed from its parameter object alone: the golden model of one unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pulsefold.compiler.plan.units import (
    BatchMatVec,
    ConcatUnit,
    Convert,
    DepthwiseUnit,
    Fork,
    GlobalPoolUnit,
    LrnUnit,
    MatVec,
    MaxPoolUnit,
    ProductUnit,
    ReorderUnit,
    RequantizeUnit,
    Steps,
    SumPoolUnit,
    SumUnit,
    TableUnit,
    ThresholdUnit,
    Unit,
    Window,
)

__all__ = ["expected_beats", "expected_values", "stepped"]


def stepped(steps: Steps, x: np.ndarray) -> np.ndarray:
    """Step functions of the channels on the last axis of `x`."""
    n = np.zeros(x.shape, np.int64)
    for t in range(steps.count):
        n += x >= steps.thresholds[:, t]
    n = np.where(steps.descending, steps.count - n, n)
    return steps.first + (2 if steps.type.is_bipolar else 1) * n


def windows(unit: Window, x: np.ndarray) -> np.ndarray:
    """Frames [F, H, W, C] to taps [F, beats, pixels * lanes]."""
    top, left, bottom, right = unit.pads
    (oh, ow), (kh, kw), (sy, sx), (dy, dx) = unit.output_shape, unit.kernel, unit.stride, unit.dilation
    frames = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=unit.pad_value)
    rows = np.arange(oh)[:, None] * sy + np.arange(kh) * dy
    columns = np.arange(ow)[:, None] * sx + np.arange(kw) * dx
    # [F, oh, kh, ow, kw, C] to [F, oh, ow, kh, kw, folds, lanes]
    taken = frames[:, rows][:, :, :, columns].transpose(0, 1, 3, 2, 4, 5)
    taken = taken.reshape(len(x), oh, ow, unit.taps, unit.folds, unit.lanes)
    if unit.channels_outer:
        taken = taken.swapaxes(3, 4)
    # Pixels side by side: [F, oh, ow / pixels, taps, folds, pixels, lanes]
    taken = taken.reshape(len(x), oh, ow // unit.pixels, unit.pixels, -1, unit.lanes).swapaxes(3, 4)
    # Steps in turn, all of it several times: [F, oh * groups of steps, repeats, taps, held, pixels, lanes]
    taken = taken.reshape(len(x), -1, 1, unit.held, unit.taps * unit.folds, unit.pixels, unit.lanes)
    if unit.row_taps:
        # [..., held, kh, kw, folds, ...] to [..., kh, folds, held, kw, ...]
        taken = taken.reshape(*taken.shape[:4], kh, kw, unit.folds, *taken.shape[5:]).transpose(
            0, 1, 2, 4, 6, 3, 5, 7, 8
        )
    else:
        taken = taken.swapaxes(3, 4)
    taken = np.repeat(taken, unit.repeats, axis=2)
    return taken.reshape(len(x), -1, unit.pixels * unit.lanes)


def operands(unit: SumUnit | ProductUnit, x: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each input [frames, 1 or pixels, C], tables [1, pixels, C]."""
    frames, streams = len(x[0]) // unit.inputs[0].beats, iter(x)
    return [
        next(streams).reshape(frames, -1, unit.channels) if flows else unit.table(k)[np.newaxis]
        for k, flows in enumerate(unit.flows)
    ]


def expected_values(unit: Unit, *x: np.ndarray) -> np.ndarray:
    """Integers [beats, lanes] at every output for integers [frames * beats, lanes] at each input."""
    if isinstance(unit, Fork):
        return x[0]
    if isinstance(unit, SumUnit):
        frames = len(x[0]) // unit.inputs[0].beats
        terms = (a * g for a, g in zip(operands(unit, x), unit.gains, strict=True))
        return sum(terms, np.zeros((frames, unit.pixels, 1), np.int64)).reshape(-1, unit.lanes)
    if isinstance(unit, ProductUnit):
        a, b = (v - z for v, z in zip(operands(unit, x), unit.zeros, strict=True))
        return (a * b).reshape(-1, unit.lanes)
    if isinstance(unit, ConcatUnit):
        parts = [a.reshape(-1, channels) for a, channels in zip(x, unit.channels, strict=True)]
        return np.concatenate(parts, axis=1).reshape(-1, unit.lanes)
    if isinstance(unit, Convert):
        if unit.groups > 1:
            beats = x[0].reshape(-1, unit.ratio, unit.groups, unit.input_lanes // unit.groups)
            return beats.swapaxes(1, 2).reshape(-1, unit.output_lanes)
        return x[0].reshape(-1, unit.output_lanes)
    if isinstance(unit, Window):
        return windows(unit, x[0].reshape(-1, *unit.shape)).reshape(-1, unit.output.lanes)
    if isinstance(unit, MaxPoolUnit):
        return x[0].reshape(-1, unit.taps, unit.lanes).max(axis=1)
    if isinstance(unit, ThresholdUnit):
        return stepped(unit.steps, x[0].reshape(-1, unit.channels)).reshape(-1, unit.lanes)
    if isinstance(unit, BatchMatVec):
        p = unit.matvec
        y = x[0].reshape(-1, p.columns) @ p.weights.T
        return (stepped(p.steps, y) if p.steps else y).reshape(-1, p.pe)
    if isinstance(unit, MatVec) and unit.held > 1:
        comes = 1 if unit.kept else unit.row_folds
        beats = x[0].reshape(-1, comes, unit.column_folds, unit.held, unit.pixels, unit.simd)
        beats = np.repeat(beats, unit.row_folds // comes, axis=1)
        vectors = beats.transpose(1, 0, 3, 4, 2, 5).reshape(unit.row_folds, -1, unit.columns)
        # [row folds, vectors, PE] to [groups, row folds, held, pixels, PE]
        y = vectors @ unit.weights.reshape(unit.row_folds, unit.pe, unit.columns).swapaxes(1, 2)
        y = y.swapaxes(0, 1).reshape(-1, unit.rows)
        y = stepped(unit.steps, y) if unit.steps else y
        y = y.reshape(-1, unit.held, unit.pixels, unit.row_folds, unit.pe).transpose(0, 3, 1, 2, 4)
        return y.reshape(-1, unit.pixels * unit.pe)
    if isinstance(unit, MatVec):
        # [groups, column folds, pixels, SIMD] to vectors, and back with row folds
        beats = x[0].reshape(-1, unit.column_folds, unit.pixels, unit.simd)
        vectors = beats.swapaxes(1, 2).reshape(-1, unit.turns, unit.columns).swapaxes(0, 1)
        weights = unit.weights.reshape(unit.turns, -1, unit.columns)
        y = (vectors @ weights.swapaxes(1, 2)).swapaxes(0, 1).reshape(-1, len(unit.weights))
        y = stepped(unit.steps, y) if unit.steps else y
        y = y.reshape(-1, unit.pixels, unit.row_folds, unit.pe).swapaxes(1, 2)
        return y.reshape(-1, unit.pixels * unit.pe)
    if isinstance(unit, RequantizeUnit):
        runs = x[0].reshape(-1, unit.folds // unit.run, unit.turns, unit.run * unit.lanes)
        product = runs.swapaxes(1, 2).reshape(-1, unit.channels) * unit.multiplier + unit.addend
        y = product >> unit.shift
        if unit.even:
            y = y - (y & 1) * (product == y << unit.shift)
        y = np.clip(y, unit.low, unit.high).reshape(len(runs), unit.turns, -1, unit.run * unit.lanes)
        return y.swapaxes(1, 2).reshape(-1, unit.lanes)
    if isinstance(unit, TableUnit):
        channel = np.arange(unit.channels) % len(unit.values)
        entry = x[0].reshape(-1, unit.channels) - unit.type.minimum
        return unit.values[channel, entry].reshape(-1, unit.lanes)
    if isinstance(unit, SumPoolUnit):
        total = x[0].reshape(-1, *unit.factors.shape, unit.folds, unit.taps, unit.lanes).sum(axis=4)
        place = (slice(None), slice(None), np.newaxis, np.newaxis)
        return (unit.factors[place] * (total + unit.addends[place])).reshape(-1, unit.lanes)
    if isinstance(unit, GlobalPoolUnit):
        pixels = x[0].reshape(-1, unit.pixels, unit.channels)
        return (pixels.sum(axis=1) if unit.op == "sum" else pixels.max(axis=1)).reshape(-1, unit.lanes)
    if isinstance(unit, DepthwiseUnit):
        channels, each, taps = unit.weights.shape
        taken = x[0].reshape(-1, unit.folds, taps, unit.lanes).swapaxes(2, 3).reshape(-1, channels, 1, taps)
        return (taken * unit.weights).sum(axis=3).reshape(-1, unit.lanes * each)
    if isinstance(unit, ReorderUnit):
        frames = x[0].reshape(-1, unit.elements)
        index = unit.index.ravel()
        return np.where(index < 0, unit.fill, frames[:, index]).reshape(-1, unit.lanes)
    if isinstance(unit, LrnUnit):
        frames = x[0].reshape(-1, unit.channels)
        squares = np.pad((frames - unit.zero) ** 2, ((0, 0), (unit.before, unit.after)))
        energy = np.sum([squares[:, k : k + unit.channels] for k in range(unit.neighbours)], axis=0)
        row = frames - unit.type.minimum
        n = (energy[..., np.newaxis] >= unit.thresholds[row]).sum(axis=2)
        n = np.where(unit.descending[row], unit.thresholds.shape[1] - n, n)
        return (unit.first + (2 if unit.output_type.is_bipolar else 1) * n).reshape(-1, unit.lanes)
    msg = f"no golden function for a {type(unit).__name__}"
    raise TypeError(msg)


def expected_beats(unit: Unit, *beats: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same on bit patterns: an array an output."""
    x = (stream.type.decode(b) for stream, b in zip(unit.inputs, beats, strict=True))
    y = expected_values(unit, *x)
    return tuple(stream.type.encode(y) for stream in unit.outputs)
