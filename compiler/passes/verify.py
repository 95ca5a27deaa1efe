"""What holds of every graph between two passes."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph
from pulsefold.compiler.ir.requantize import Requantize
from pulsefold.compiler.ir.threshold import Threshold

__all__ = ["verify"]


def verify(graph: Graph) -> None:
    """Raise RuntimeError, naming the node, where a graph contradicts itself: that is a bug, not bad input.

    Checked: one producer a tensor, nodes in topological order, unique names, shapes and types as the
    node's own rule gives them, one scale or one a channel, weights within their type, thresholds in
    order, levels and bounds within their type.
    """
    known = {source.tensor for source in graph.inputs}
    _check(known <= set(graph.tensors), "inputs", "feed a tensor that does not exist")
    names = [node.name for node in graph.nodes]
    _check(len(set(names)) == len(names), graph.name, "has two nodes of one name")
    for source in graph.inputs:
        tensor = graph.tensors[source.tensor]
        _check(source.frame == tensor.shape, source.name, "has another frame than its tensor")
        places = np.sort(source.index.ravel())
        _check(
            np.array_equal(places, np.arange(tensor.elements)), source.name, "is no permutation of its frame"
        )
        step = 2 if tensor.type.is_bipolar else 1
        rows, count = source.thresholds.shape
        last = source.first + step * count
        _check(
            rows in (1, tensor.shape[2]), source.name, "has neither one row of thresholds nor one a channel"
        )
        _check(
            bool(np.all(source.thresholds[:, :-1] <= source.thresholds[:, 1:])), source.name, "is not sorted"
        )
        _check(tensor.type.contains(np.array([source.first, last])), source.name, "leaves its type")
    for node in graph.nodes:
        _check(known.issuperset(node.inputs), node.name, "reads a tensor that no node before it writes")
        _check(node.output not in known, node.name, "writes a tensor that has a producer")
        known.add(node.output)
        tensor = graph.tensors[node.output]
        want = node.output_tensor(*(graph.tensors[name] for name in node.inputs))
        _check((tensor.name, tensor.shape) == (node.output, want.shape), node.name, "has another shape")
        _check(tensor.type == want.type, node.name, f"has the type {tensor.type}, not {want.type}")
        for part in (tensor.scale, tensor.offset):
            _check(len(part) in (1, tensor.shape[2]), node.name, "has neither one scale nor one a channel")
        if isinstance(node, Conv):
            _check(node.weight_type.contains(node.weights), node.name, "has weights beyond their type")
        if isinstance(node, Threshold):
            _check_threshold(node)
        if isinstance(node, Requantize):
            _check(node.even <= node.shift < 63, node.name, f"shifts by {node.shift}")
            _check(bool(np.all(node.low <= node.high)), node.name, "has bounds that cross")
            _check(
                node.type.contains(np.concatenate([node.low, node.high])),
                node.name,
                "has bounds beyond its type",
            )
    _check(set(graph.tensors) == known, graph.name, "has tensors that nothing writes")
    for output in graph.outputs:
        _check(output.tensor in known, output.name, "reads a tensor that does not exist")
    read = {name for node in graph.nodes for name in node.inputs} | {
        output.tensor for output in graph.outputs
    }
    _check(known <= read, graph.name, "has tensors that nothing reads")


def _check_threshold(node: Threshold) -> None:
    rows = node.thresholds
    _check(bool(np.all(rows[:, :-1] <= rows[:, 1:])), node.name, "has thresholds out of order")
    _check(node.descending.shape == (rows.shape[0],), node.name, "has not one direction a row")
    ends = np.array([node.first, node.first + node.step * node.count])
    _check(node.type.contains(ends), node.name, "has levels beyond its type")


def _check(holds: bool, where: str, what: str) -> None:
    if not holds:
        msg = f"{where} {what}"
        raise RuntimeError(msg)
