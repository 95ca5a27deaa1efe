"""Negating weight rows so that every threshold behind a matrix product ascends.

A negative batch norm gain makes a channel descend: count(x >= t) falls where the output rises.
With x' = -x, x >= t is x' <= -t, so T - count(x >= t) = count(x' > -t) = count(x' >= 1 - t).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph, Tensor
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType, type_for_range

__all__ = ["all_ascend", "ascend"]

#: Widest weights that negating may make: -(-128) needs a ninth bit.
_WIDEST = 8


def ascend(graph: Graph) -> Graph:
    """Rows of every Conv whose Threshold descends there, negated.

    A row that holds the least value of the widest weights stays, and its channel descending.
    """
    nodes = list(graph.nodes)
    tensors = dict(graph.tensors)
    for i, j in _pairs(graph):
        conv, threshold = nodes[i], nodes[j]
        rows = _negatable(conv, threshold)
        if rows is None or not isinstance(conv, Conv) or not isinstance(threshold, Threshold):
            continue
        channels = conv.weights.shape[0]
        weights = np.where(rows[:, None, None, None], -conv.weights, conv.weights)
        nodes[i] = replace(conv, weights=weights, weight_type=_type(weights))
        thresholds = np.broadcast_to(threshold.thresholds, (channels, threshold.count))
        thresholds = np.where(rows[:, None], 1 - thresholds[:, ::-1], thresholds)
        descending = np.broadcast_to(threshold.descending, channels) & ~rows
        if np.all(thresholds == thresholds[0]) and np.all(descending == descending[0]):
            thresholds, descending = thresholds[:1], descending[:1]
        nodes[j] = replace(threshold, thresholds=thresholds, descending=descending)
        source, old = tensors[conv.input], tensors[conv.output]
        new = nodes[i].output_tensor(source)
        tensors[conv.output] = _negated(replace(old, type=new.type), rows)
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def all_ascend(graph: Graph) -> bool:
    """Whether no Threshold behind a Conv descends where negating can help."""
    return all(_negatable(graph.nodes[i], graph.nodes[j]) is None for i, j in _pairs(graph))


def _pairs(graph: Graph) -> list[tuple[int, int]]:
    """Places of every Conv and the Threshold that alone reads it."""
    shown = {output.tensor for output in graph.outputs}
    writers = {node.output: i for i, node in enumerate(graph.nodes) if isinstance(node, Conv)}
    readers: dict[str, list[int]] = {name: [] for name in writers}
    for j, node in enumerate(graph.nodes):
        for name in node.inputs:
            if name in readers:
                readers[name].append(j)
    return [
        (writers[name], places[0])
        for name, places in readers.items()
        if len(places) == 1 and name not in shown and isinstance(graph.nodes[places[0]], Threshold)
    ]


def _negatable(conv: object, threshold: object) -> np.ndarray | None:
    """bool [O]: the rows to negate; None where there are none."""
    if not isinstance(conv, Conv) or not isinstance(threshold, Threshold) or threshold.input != conv.output:
        return None
    rows = np.broadcast_to(threshold.descending, conv.weights.shape[0]).copy()
    if not rows.any():
        return None
    flat = conv.weights.reshape(len(rows), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    least, most = np.where(rows, -high, low).min(), np.where(rows, -low, high).max()
    if type_for_range(int(least), int(most), zero=bool(np.any(flat == 0))).bits > _WIDEST:
        rows &= (low > -(1 << (_WIDEST - 1))) & (high < 1 << (_WIDEST - 1))
    return rows if rows.any() else None


def _type(weights: np.ndarray) -> ElementType:
    return type_for_range(int(weights.min()), int(weights.max()), zero=bool(np.any(weights == 0)))


def _negated(tensor: Tensor, rows: np.ndarray) -> Tensor:
    scale = tuple(
        -s if rows[c] else s for c in range(len(rows)) for s in (tensor.scale[c % len(tensor.scale)],)
    )
    return replace(tensor, scale=scale)
