"""The integers that every tensor can reach, channel by channel: what thresholds must be right for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from pulsefold.compiler.ir import (
    Concat,
    Constant,
    Conv,
    Graph,
    Input,
    Lrn,
    MaxPool,
    Node,
    Product,
    Reorder,
    Requantize,
    Sum,
    SumPool,
    Table,
    Tensor,
    Threshold,
)

__all__ = ["Range", "input_range", "node_range", "reachable"]

#: Least and greatest integer of each channel, int64 [C] both.
Range = tuple[np.ndarray, np.ndarray]


def reachable(graph: Graph) -> dict[str, Range]:
    """The range of every tensor of a graph, by name.

    It holds every integer that the channel can have; it is exact where what is read varies independently.
    """
    ranges = {source.tensor: input_range(source) for source in graph.inputs}
    for node in graph.nodes:
        tensors = [graph.tensors[name] for name in node.inputs]
        ranges[node.output] = node_range(node, tensors, [ranges[name] for name in node.inputs])
    return ranges


def input_range(source: Input) -> Range:
    """From the first to the last level of a graph input that some number reaches."""
    count = source.thresholds.shape[1]
    step = 2 if (source.first, count) == (-1, 1) else 1
    always, never = (np.sum(source.thresholds == end, axis=1) for end in (-np.inf, np.inf))
    least = np.where(source.descending, never, always)
    most = count - np.where(source.descending, always, never)
    channels = source.frame[2]
    low, high = (np.broadcast_to(source.first + step * n, channels).copy() for n in (least, most))
    return low, high


def node_range(node: Node, tensors: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    """The range of a node's output, given its input tensors and their ranges."""
    return _RULES[type(node)](node, tensors, ranges)


def _conv(node: Conv, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    return node.reach(*ranges[0])


def _threshold(node: Threshold, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    low, high = ranges[0]
    counts = [(x[:, np.newaxis] >= node.thresholds).sum(axis=1) for x in (low, high)]
    a, b = (node.first + node.step * np.where(node.descending, node.count - n, n) for n in counts)
    return np.minimum(a, b), np.maximum(a, b)


def _requantize(node: Requantize, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    products = [x.astype(object) * node.multiplier + node.addend for x in ranges[0]]
    levels = [p >> node.shift for p in products]
    if node.even:
        levels = [y - (y & 1) * (p == y << node.shift) for p, y in zip(products, levels, strict=True)]
    a, b = (np.clip(y, node.low, node.high).astype(np.int64) for y in levels)
    return np.minimum(a, b), np.maximum(a, b)


def _table(node: Table, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    low, high = (x[:, np.newaxis] - node.least for x in ranges[0])
    place = np.arange(node.values.shape[1])
    inside = (place >= low) & (place <= high)
    limits = np.iinfo(np.int64)
    least = np.where(inside, node.values, limits.max).min(axis=1)
    return least, np.where(inside, node.values, limits.min).max(axis=1)


def _lrn(node: Lrn, tensors: Sequence[Tensor], _: Sequence[Range]) -> Range:
    channels = tensors[0].shape[2]
    return np.full(channels, node.first), np.full(channels, node.first + node.thresholds.shape[1])


def _same(_: MaxPool, __: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    return ranges[0]


def _sumpool(node: SumPool, tensors: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    low, high = ranges[0]
    shape = tensors[0].shape
    if node.include_pad and any(node.pads):
        low, high = np.minimum(low, node.pad_value), np.maximum(high, node.pad_value)
    # Taps times factor is the divisor everywhere, but 0 where a window has no tap.
    empty = bool(np.any(node.counts(shape) == 0))
    low, high = low * node.divisor(shape), high * node.divisor(shape)
    return (np.minimum(low, 0), np.maximum(high, 0)) if empty else (low, high)


def _sum(node: Sum, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    ends = [(g * r[0], g * r[1]) for g, r in zip(node.gains, ranges, strict=True)]
    return np.sum([np.minimum(a, b) for a, b in ends], axis=0), np.sum(
        [np.maximum(a, b) for a, b in ends], axis=0
    )


def _product(node: Product, _: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    (a, b), (c, d) = ((r[0] - z, r[1] - z) for r, z in zip(ranges, node.zeros, strict=True))
    corners = np.stack([a * c, a * d, b * c, b * d])
    return corners.min(axis=0), corners.max(axis=0)


def _concat(_: Concat, __: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    return np.concatenate([r[0] for r in ranges]), np.concatenate([r[1] for r in ranges])


def _constant(node: Constant, _: Sequence[Tensor], __: Sequence[Range]) -> Range:
    return node.values.min(axis=(0, 1)), node.values.max(axis=(0, 1))


def _reorder(node: Reorder, tensors: Sequence[Tensor], ranges: Sequence[Range]) -> Range:
    filled = node.index < 0
    if all(x.min() == x.max() for x in ranges[0]):
        some, every = filled.any(axis=(0, 1)), filled.all(axis=(0, 1))
        low, high = (np.where(every, node.fill, x[0]) for x in ranges[0])
        return (
            np.where(some, np.minimum(low, node.fill), low),
            np.where(some, np.maximum(high, node.fill), high),
        )
    source = node.index % tensors[0].shape[2]
    low, high = (np.where(filled, node.fill, x[source]) for x in ranges[0])
    return low.min(axis=(0, 1)), high.max(axis=(0, 1))


_RULES: Mapping[type, Callable[..., Range]] = MappingProxyType(
    {
        Concat: _concat,
        Constant: _constant,
        Conv: _conv,
        Lrn: _lrn,
        MaxPool: _same,
        Product: _product,
        Reorder: _reorder,
        Requantize: _requantize,
        Sum: _sum,
        SumPool: _sumpool,
        Table: _table,
        Threshold: _threshold,
    }
)
