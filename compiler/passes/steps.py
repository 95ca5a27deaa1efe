"""Thresholds that change nothing disappear, and two in a row become one where that costs less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pulsefold.compiler.ir.graph import Graph, Tensor
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.numerics.ranges import Range, reachable
from pulsefold.compiler.numerics.requantize import affine_steps
from pulsefold.compiler.passes.reorders import reading
from pulsefold.compiler.passes.requantize import FEW

__all__ = ["join_steps", "steps_are_needed"]


def join_steps(graph: Graph) -> Graph:
    """Idle Thresholds dropped, pairs joined.

    Idle is one that gives every reachable integer back in its own type, as between two quantizers of one
    scale with a MaxPool or a Reshape between them. A Threshold and the Threshold that alone reads it are one
    step function of the first one's input; they become one Threshold where it has few levels, or where it can
    be multiplied, for two multiplications are cheaper than many thresholds that are no multiplication.
    """
    # Neither changes what any other tensor can reach.
    ranges = reachable(graph)
    while (pair := _pair(graph, ranges)) is not None:
        graph = _without(graph, *pair)
    while (idle := _idle(graph, ranges)) is not None:
        graph = _without(graph, idle, None)
    return graph


def steps_are_needed(graph: Graph) -> bool:
    """Whether no idle Threshold is left."""
    return _idle(graph, reachable(graph)) is None


def _idle(graph: Graph, ranges: Mapping[str, Range]) -> Threshold | None:
    shown = {output.tensor for output in graph.outputs}
    for node in graph.nodes:
        if not isinstance(node, Threshold):
            continue
        x, y = graph.tensors[node.input], graph.tensors[node.output]
        same = (x.scale, x.offset) == (y.scale, y.offset)
        if x.type == y.type and (same or node.output not in shown) and _keeps(node, ranges[node.input]):
            return node
    return None


def _keeps(node: Threshold, reach: Range) -> bool:
    """Whether every reachable integer comes out as it went in."""
    low, high = int(reach[0].min()), int(reach[1].max())
    if node.descending.any() or high - low > node.step * node.count:
        return False
    x = np.arange(low, high + 1, node.step)
    levels = (node.first + node.step * np.searchsorted(row, x, side="right") for row in node.thresholds)
    return all(np.array_equal(y, x) for y in levels)


def _pair(graph: Graph, ranges: Mapping[str, Range]) -> tuple[Threshold, Threshold] | None:
    """A Threshold to drop, and its reader as it is without."""
    writers = {node.output: node for node in graph.nodes if isinstance(node, Threshold)}
    shown = {output.tensor for output in graph.outputs}
    for second in graph.nodes:
        first = writers.get(second.input) if isinstance(second, Threshold) else None
        if first is None or not isinstance(second, Threshold):
            continue
        if first.output in shown or len(graph.readers(first.output)) > 1:
            continue
        reach = ranges[first.input]
        joined = _joined(first, second, reach)
        if joined.count <= FEW or affine_steps(joined.thresholds, joined.descending, joined.first, *reach):
            return first, joined
    return None


def _joined(first: Threshold, second: Threshold, reach: Range) -> Threshold:
    """second(first(x)).

    On a channel where the first rises, first(x) >= u is x >= its threshold k for the level first + step * k
    that reaches u; where it falls, it is x < its threshold T - k + 1.
    """
    low, high = (v[:, np.newaxis] for v in reach)
    channels, count = len(low), first.count
    k = -((first.first - np.broadcast_to(second.thresholds, (channels, second.count))) // first.step)
    rows = np.broadcast_to(first.thresholds, (channels, count))
    falls = np.broadcast_to(first.descending, channels)[:, np.newaxis]
    found = np.take_along_axis(rows, np.clip(np.where(falls, count - k, k - 1), 0, count - 1), axis=1)
    always, never = np.where(falls, high + 1, low), np.where(falls, low, high + 1)
    found = np.where(k <= 0, always, np.where(k > count, never, np.clip(found, low, high + 1)))
    found = np.where(falls, found[:, ::-1], found)
    descending = falls[:, 0] ^ second.descending
    if np.all(found == found[0]) and np.all(descending == descending[0]):
        found, descending = found[:1], descending[:1]
    return replace(
        second,
        input=first.input,
        thresholds=found,
        descending=descending,
        sources=(*first.sources, *second.sources),
    )


def _without(graph: Graph, dropped: Threshold, joined: Threshold | None) -> Graph:
    """The graph without a node: its reader is `joined`, or its readers read what it read."""
    nodes = []
    for node in graph.nodes:
        if node is dropped:
            continue
        if joined is not None and node.output == joined.output:
            nodes.append(joined)
        elif dropped.output in node.inputs:
            nodes.append(reading(node, dropped.output, dropped.input))
        else:
            nodes.append(node)
    outputs = tuple(
        replace(o, tensor=dropped.input) if o.tensor == dropped.output else o for o in graph.outputs
    )
    tensors: dict[str, Tensor] = {k: v for k, v in graph.tensors.items() if k != dropped.output}
    return replace(graph, nodes=tuple(nodes), outputs=outputs, tensors=tensors)
