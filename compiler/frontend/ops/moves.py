"""Operators that move, drop, repeat or fill in elements."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Const, Stream, canonical, exact
from pulsefold.compiler.numerics.line import Line

__all__ = [
    "depth_to_space",
    "expand",
    "gather",
    "moved",
    "pad",
    "slice_",
    "space_to_depth",
    "split",
    "tile",
]


def moved(call: Call, stream: Stream, taken: np.ndarray, fill: Fraction | None = None) -> Stream:
    """The elements `taken` of a stream (int32 in the new ONNX shape; -1: the real number `fill`)."""
    if taken.size == 0 or taken.shape[0] != 1:
        raise call.refuse("it leaves nothing, or part of a batch", "keep the batch axis whole")
    frame, target = canonical(taken.shape)
    if taken.size == stream.index.size and np.all(
        np.bincount(taken.ravel() + 1, minlength=taken.size + 1)[1:] == 1
    ):
        return stream.moved(np.ascontiguousarray(taken, np.int32))
    kept = _channels(stream, taken)
    if kept is not None:
        place, index = kept
        chosen = call.builder.select(stream, place, index, call.node)
        if chosen is not None:
            return chosen
    if stream.curve is not None and stream.curve.channels == 1 and fill is None:
        # A function goes over each element alone: it may as well wait behind the move.
        bare = moved(call, replace(stream, curve=None, lines=(Line(),), host=()), taken)
        return replace(bare, curve=stream.curve, lines=stream.lines, host=stream.host, pending=stream.pending)
    if stream.tensor is None and np.dtype(call.builder.sources[stream.source].dtype).kind == "f":
        early = call.builder.early(stream, taken, target, frame, fill or Fraction(0))
        if early is not stream:
            return early
    plain = call.builder.plain(stream, call.node)
    integer = 0
    if fill is not None:
        line = plain.lines[0]
        level = (fill - line.offset) / line.gain if len(plain.lines) == 1 and line.gain else None
        if not isinstance(level, Fraction) or level.denominator != 1:
            msg = f"it fills in {float(fill)}, which is no integer of the activations it pads"
            raise call.refuse(msg, "pad quantized activations with a level of theirs, such as 0")
        integer = int(level)
    return call.builder.reorder(
        plain, call.node, np.ascontiguousarray(taken, np.int32), target, frame, integer
    )


def slice_(call: Call) -> Stream:
    """Slice-13 with constant bounds."""
    stream = call.stream()
    rank = stream.index.ndim
    starts, ends = call.integers("starts", 1), call.integers("ends", 2)
    if starts is None or ends is None:
        raise call.wrong("it says neither where it starts nor where it ends")
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = call.integers("steps", 4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise call.wrong(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} don't agree")
    picks = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -rank <= axis < rank:
            raise call.wrong(f"it slices axis {axis} of {call.shown(stream)}")
        # Beyond the far end of a falling slice means "through element 0".
        stop = None if step < 0 and end < -stream.index.shape[axis] else end
        picks[axis % rank] = slice(start, stop, step)
    taken = stream.index[tuple(picks)]
    if taken.shape[0] != 1:
        raise call.refuse("it slices the batch", "keep the whole batch")
    return moved(call, stream, taken)


def split(call: Call) -> tuple[Stream, ...]:
    """Split-18 behind the batch axis."""
    stream = call.stream()
    rank = stream.index.ndim
    axis = call.integer("axis", 0)
    axis = axis + rank if axis < 0 else axis
    if not 0 < axis < rank:
        raise call.refuse(f"it splits axis {axis} of {call.shown(stream)}", "keep the whole batch")
    count, size = len(call.node.outputs), stream.index.shape[axis]
    sizes = call.integers("split", 1)
    if sizes is None:
        part = -(-size // count)
        sizes = [min(part, size - k * part) for k in range(count)]
    if sum(sizes) != size or len(sizes) != count or min(sizes) < 1:
        raise call.wrong(f"it splits {size} elements into {sizes}")
    ends = np.cumsum(sizes)
    parts = np.split(stream.index, ends[:-1], axis=axis)
    return tuple(
        moved(_named(call, name), stream, part) for name, part in zip(call.node.outputs, parts, strict=True)
    )


def gather(call: Call) -> Stream:
    """Gather-13 of constant indices along an axis behind the batch."""
    stream = call.stream()
    rank = stream.index.ndim
    indices = call.const(1, "indices").value
    axis = call.integer("axis", 0)
    axis = axis + rank if axis < 0 else axis
    if not 0 < axis < rank or indices.dtype.kind not in "iu":
        raise call.refuse(f"it gathers along axis {axis}", "gather behind the batch axis")
    size = stream.index.shape[axis]
    if indices.size and (indices.min() < -size or indices.max() >= size):
        raise call.wrong(f"it gathers element {indices.max()} of {size}")
    call.check(stream.index.size // size * indices.size)
    return moved(call, stream, np.take(stream.index, indices, axis=axis))


def tile(call: Call) -> Stream:
    """Tile-13 behind the batch axis."""
    stream = call.stream()
    repeats = call.integers("repeats", 1) or []
    if len(repeats) != stream.index.ndim or min(repeats, default=0) < 1:
        raise call.wrong(f"its repeats are {repeats} for {call.shown(stream)}")
    call.check(prod(repeats) * stream.index.size)
    return moved(call, stream, np.tile(stream.index, repeats))


def expand(call: Call) -> Stream:
    """Expand-13 behind the batch axis."""
    stream = call.stream()
    sizes = call.integers("shape", 1) or []
    if len(sizes) == stream.index.ndim and sizes[0] in (-1, call.batch or 1):
        # The batch, which every stream has.
        sizes = [1, *sizes[1:]]
    try:
        shape = np.broadcast_shapes(stream.index.shape, sizes)
    except ValueError:
        raise call.wrong(f"it expands {call.shown(stream)} to {sizes}") from None
    if len(shape) != stream.index.ndim:
        raise call.refuse(f"it expands {call.shown(stream)} to {sizes}", "keep the number of axes")
    call.check(prod(shape))
    return moved(call, stream, np.broadcast_to(stream.index, shape))


def pad(call: Call) -> Stream:
    """Pad-24: constant, edge, reflect and wrap; negative pads crop."""
    stream = call.stream()
    rank = stream.index.ndim
    mode = call.node.text("mode", "constant")
    pads = call.integers("pads", 1) or call.integers("paddings") or []
    axes = call.integers("axes", 3)
    if axes is not None:
        whole = [0] * (2 * rank)
        for i, axis in enumerate(axes):
            whole[axis % rank], whole[axis % rank + rank] = pads[i], pads[i + len(axes)]
        pads = whole
    if len(pads) != 2 * rank or mode not in ("constant", "edge", "reflect", "wrap"):
        raise call.wrong(f"mode is {mode!r} and pads are {pads} for {rank} axes")
    if max(map(abs, pads)) > 1 << 16:
        raise call.refuse(f"pads are {pads}", "pad by less than 65536")
    fill = Fraction(0)
    if "value" in call.node.attributes:
        fill = call.number("value", 0.0)
    elif isinstance(const := call.input(2), Const) and const.value.size:
        fill = exact(const.value.ravel()[0])
    index = stream.index
    crop = tuple(
        slice(max(0, -a), n - max(0, -b)) for a, b, n in zip(pads, pads[rank:], index.shape, strict=False)
    )
    index = index[crop]
    widths = [(max(0, a), max(0, b)) for a, b in zip(pads[:rank], pads[rank:], strict=True)]
    call.check(int(np.prod([n + a + b for n, (a, b) in zip(index.shape, widths, strict=True)])))
    if mode == "constant":
        return moved(call, stream, np.pad(index, widths, constant_values=-1), fill)
    try:
        return moved(call, stream, np.pad(index, widths, mode=mode))  # type: ignore[call-overload]
    except ValueError as error:
        raise call.wrong(f"it cannot pad {call.shown(stream)} by {pads}: {error}") from None


def depth_to_space(call: Call) -> Stream:
    """DepthToSpace-13, DCR and CRD."""
    stream = call.stream()
    _, c, h, w = _four(call, stream)
    b = call.integer("blocksize", 0)
    if b < 1 or c % (b * b):
        raise call.wrong(f"blocksize is {b} for {c} channels")
    index = stream.index
    if call.node.text("mode", "DCR") == "DCR":
        index = index.reshape(1, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        index = index.reshape(1, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return stream.moved(index.reshape(1, c // (b * b), h * b, w * b))


def space_to_depth(call: Call) -> Stream:
    """SpaceToDepth-13."""
    stream = call.stream()
    _, c, h, w = _four(call, stream)
    b = call.integer("blocksize", 0)
    if b < 1 or h % b or w % b:
        raise call.wrong(f"blocksize is {b} for a frame of {h} x {w}")
    index = stream.index.reshape(1, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return stream.moved(index.reshape(1, c * b * b, h // b, w // b))


def _four(call: Call, stream: Stream) -> tuple[int, ...]:
    if stream.index.ndim != 4:
        raise call.wrong(f"it takes (N, C, H, W), and its input is {call.shown(stream)}")
    return stream.index.shape


def _named(call: Call, output: str) -> Call:
    """The call of a node with several outputs, for one of them."""
    return replace(call, node=replace(call.node, outputs=(output,)))


def _channels(stream: Stream, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Whole channels that are taken, in the order of their appearance, and the index among them."""
    h, w, c = stream.shape
    if taken.min() < 0:
        return None
    channels, first, places = np.unique(taken % c, return_index=True, return_inverse=True)
    if taken.size != h * w * len(channels):
        return None
    order = np.argsort(first)
    index = taken // c * len(channels) + np.argsort(order)[places].reshape(taken.shape)
    return channels[order], index.astype(np.int32)
