"""Every operation of the integer graph in standard ONNX operators; values are (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from types import MappingProxyType
from typing import Any

import numpy as np

from pulsefold.compiler.ir import (
    Concat,
    Constant,
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
from pulsefold.compiler.ir.conv import Conv
from pulsefold.sim.golden.onnx_conv import write_conv
from pulsefold.sim.golden.onnx_writer import Writer, working_type

__all__ = ["WRITERS"]

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)


def _wider(*kinds: np.dtype) -> np.dtype:
    return _INT64 if _INT64 in kinds else _INT32


def write_sum(writer: Writer, node: Sum) -> None:
    """Mul by the gains and a chain of Add."""
    ends = [
        (abs(g) * max(-t.minimum, t.maximum))
        for g, t in zip(node.gains, (writer.tensor(x).type for x in node.inputs), strict=True)
    ]
    kind = working_type(-sum(ends), sum(ends))
    parts = []
    for gain, name in zip(node.gains, node.inputs, strict=True):
        part = writer.read(name, kind)
        parts.append(part if gain == 1 else writer.emit("Mul", [part, writer.constant(gain, kind)]))
    writer.write(_total(writer, parts), kind, node.output)


def _total(writer: Writer, values: Sequence[str]) -> str:
    return reduce(lambda a, b: writer.emit("Add", [a, b]), values)


def write_product(writer: Writer, node: Product) -> None:
    """Sub of the zeros and a Mul."""
    kind = _wider(writer.carried(node.output), *(writer.carried(name) for name in node.inputs))
    parts = [
        writer.emit("Sub", [writer.read(name, kind), writer.constant(zero, kind)])
        for name, zero in zip(node.inputs, node.zeros, strict=True)
    ]
    writer.write(writer.emit("Mul", parts), kind, node.output)


def write_constant(writer: Writer, node: Constant) -> None:
    """An initializer [1, C, H, W]."""
    kind = writer.carried(node.output)
    value = writer.constant(node.values.transpose(2, 0, 1)[np.newaxis], kind)
    writer.write(value, kind, node.output)


def write_concat(writer: Writer, node: Concat) -> None:
    """Concat along the channels."""
    kind = writer.carried(node.output)
    value = writer.emit("Concat", [writer.read(name, kind) for name in node.inputs], axis=1)
    writer.write(value, kind, node.output)


def write_maxpool(writer: Writer, node: MaxPool) -> None:
    """The greatest of strided slices, along the rows and then along the columns."""
    kind = writer.carried(node.input)
    top, left, bottom, right = node.pads
    value = writer.pad(node.input, (0, top, left, 0, bottom, right), int(np.iinfo(kind).min), kind)
    value = _windows(writer, partial(writer.bound, "Max"), value, node)
    writer.write(value, kind, node.output)


def write_sumpool(writer: Writer, node: SumPool) -> None:
    """Sums of strided slices, along the rows and then along the columns, times the factors."""
    shape = writer.tensor(node.input).shape
    kind = _wider(writer.carried(node.input), writer.carried(node.output))
    (top, left, bottom, right), (below, beside) = node.pads, node.extra
    value = writer.read(node.input, kind)
    fill = node.pad_value if node.include_pad else 0
    value = writer.pad(value, (0, top, left, 0, bottom - below, right - beside), fill, kind)
    value = writer.pad(value, (0, 0, 0, 0, below, beside), 0, kind)
    value = _windows(writer, lambda a, b: writer.emit("Add", [a, b]), value, node)
    factors = node.factors(shape)
    if np.any(factors != 1):
        value = writer.emit("Mul", [value, writer.constant(factors[None, None], kind)])
    writer.write(value, kind, node.output)


def _windows(writer: Writer, join: Callable[[str, str], str], value: str, node: MaxPool | SumPool) -> str:
    """All taps of each window joined."""
    size = writer.tensor(node.output).shape
    for axis in range(2):
        taps = (
            writer.slice(value, axis + 2, k * node.dilation[axis], size[axis], node.stride[axis])
            for k in range(node.kernel[axis])
        )
        value = reduce(join, taps)
    return value


def write_threshold(writer: Writer, node: Threshold) -> None:
    """Thresholds reached, found by :func:`_search`."""
    kind = writer.carried(node.input)
    rows, count = node.thresholds.shape
    start = writer.row(np.arange(rows) << count.bit_length(), _INT32)
    n = _search(writer, node.input, kind, _spread(writer, node.input, start), node.thresholds)
    falling = np.asarray(node.descending)
    # What comes of it has few levels: int32 holds them.
    slope = writer.row(np.where(falling, -node.step, node.step), _INT32)
    first = writer.row(np.where(falling, node.first + node.step * count, node.first), _INT32)
    value = writer.emit("Add", [writer.emit("Mul", [n, slope]), first])
    writer.write(value, _INT32, node.output)


def _spread(writer: Writer, like: str, row: str) -> str:
    """Constants of channels, int32, in the shape of a tensor of the graph."""
    nothing = writer.emit("Mul", [writer.read(like, _INT32), writer.constant(0, _INT32)])
    return writer.emit("Add", [nothing, row])


def _search(writer: Writer, value: str, kind: np.dtype, start: str, table: np.ndarray) -> str:
    """How many of a row's sorted entries `value` has reached: int32.

    Binary search without branches in rows of 2**bits entries, one behind the other; `start` is where each
    element's row begins, and the position grows by 2**b where value >= table[position + 2**b - 1].
    """
    rows, count = table.shape
    bits = count.bit_length()
    limits = np.iinfo(kind)
    # Above every value: the working type holds one integer more than the tensor's.
    padded = np.full((rows, 1 << bits), limits.max, np.int64)
    padded[:, :count] = np.clip(table, limits.min, limits.max)
    flat = writer.constant(padded.ravel(), kind)
    position = start
    for b in reversed(range(bits)):
        probe = writer.emit("Add", [position, writer.constant((1 << b) - 1, _INT32)])
        mark = writer.emit("Gather", [flat, probe], axis=0)
        reached = writer.emit("GreaterOrEqual", [value, mark])
        further = writer.emit("Add", [position, writer.constant(1 << b, _INT32)])
        position = writer.emit("Where", [reached, further, position])
    return writer.emit("Sub", [position, start])


def write_requantize(writer: Writer, node: Requantize) -> None:
    """Mul, Add, a division that rounds down, and two bounds, in int64."""
    value = writer.emit("Mul", [writer.read(node.input, _INT64), writer.row(node.multiplier, _INT64)])
    value = writer.emit("Add", [value, writer.row(node.addend, _INT64)])
    # Div rounds towards zero: what Mod leaves (it is never negative) is taken off first.
    size = writer.constant(1 << node.shift, _INT64)
    rest = writer.emit("Mod", [value, size])
    value = writer.emit("Div", [writer.emit("Sub", [value, rest]), size])
    if node.even:
        # What is shifted out is 0 on a tie: 1 less the smaller of it and 1.
        one = writer.constant(1, _INT64)
        tie = writer.emit("Sub", [one, writer.emit("Min", [rest, one])])
        odd = writer.emit("Mod", [value, writer.constant(2, _INT64)])
        value = writer.emit("Sub", [value, writer.emit("Mul", [odd, tie])])
    value = writer.bound("Max", value, writer.row(node.low, _INT64))
    value = writer.bound("Min", value, writer.row(node.high, _INT64))
    writer.write(value, _INT64, node.output)


def write_table(writer: Writer, node: Table) -> None:
    """A Gather from all rows, one behind the other."""
    rows, entries = node.values.shape
    kind = writer.carried(node.output)
    place = writer.emit(
        "Add", [writer.read(node.input, _INT32), writer.row(np.arange(rows) * entries - node.least, _INT32)]
    )
    value = writer.emit("Gather", [writer.constant(node.values.ravel(), kind), place], axis=0)
    writer.write(value, kind, node.output)


def write_reorder(writer: Writer, node: Reorder) -> None:
    """A Gather from the flattened frame, with the fill as one element more."""
    height, width, channels = writer.tensor(node.input).shape
    kind = _wider(writer.carried(node.input), writer.carried(node.output))
    index = node.index.transpose(2, 0, 1).ravel().astype(np.int64)
    pixel, channel = np.divmod(index, channels)
    places = np.where(index < 0, height * width * channels, channel * height * width + pixel)
    flat = writer.emit("Flatten", [writer.read(node.input, kind)], axis=1)
    if np.any(index < 0):
        amounts = writer.constant([0, 0, 0, 1], np.int64)
        flat = writer.emit("Pad", [flat, amounts, writer.constant(node.fill, kind)], mode="constant")
    moved = writer.emit("Gather", [flat, writer.constant(places, _INT64)], axis=1)
    oh, ow, outputs = node.index.shape
    value = writer.emit("Reshape", [moved, writer.constant([0, outputs, oh, ow], _INT64)])
    writer.write(value, kind, node.output)


def write_lrn(writer: Writer, node: Lrn) -> None:
    """Squares, their sums along the channels, and a search in the row of each element."""
    channels = writer.tensor(node.input).shape[2]
    centred = writer.emit("Sub", [writer.read(node.input, _INT64), writer.constant(node.zero, _INT64)])
    squares = writer.emit("Mul", [centred, centred])
    padded = writer.pad(squares, (node.before, 0, 0, node.after, 0, 0), 0, _INT64)
    taps = [writer.slice(padded, 1, k, channels, 1) for k in range(node.before + node.after + 1)]
    energy = _total(writer, taps)
    row = writer.emit("Sub", [writer.read(node.input, _INT32), writer.constant(node.least, _INT32)])
    count = node.thresholds.shape[1]
    start = writer.emit("Mul", [row, writer.constant(1 << count.bit_length(), _INT32)])
    n = _search(writer, energy, _INT64, start, node.thresholds)
    falling = writer.emit("Gather", [writer.constant(node.descending, np.bool_), row], axis=0)
    rest = writer.emit("Sub", [writer.constant(count, _INT32), n])
    value = writer.emit("Where", [falling, rest, n])
    value = writer.emit("Add", [value, writer.constant(node.first, _INT32)])
    writer.write(value, _INT32, node.output)


#: Node class -> what writes it.
WRITERS: Mapping[type, Callable[[Writer, Any], None]] = MappingProxyType(
    {
        Concat: write_concat,
        Constant: write_constant,
        Conv: write_conv,
        Lrn: write_lrn,
        MaxPool: write_maxpool,
        Product: write_product,
        Reorder: write_reorder,
        Requantize: write_requantize,
        Sum: write_sum,
        SumPool: write_sumpool,
        Table: write_table,
        Threshold: write_threshold,
    }
)
