"""Reorders that cost nothing: joined, dropped, or left to the host at both ends of the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pulsefold.compiler.ir.graph import Graph, Input, Node, Output
from pulsefold.compiler.ir.reorder import Reorder

__all__ = ["reading", "reorders", "reorders_are_needed"]


def reorders(graph: Graph) -> Graph:
    """Neighbouring Reorders as one; those that move nothing, or only reorder an input or an output, gone."""
    while (after := _once(graph)) is not None:
        graph = after
    return graph


def reorders_are_needed(graph: Graph) -> bool:
    """Whether none is left that this pass would take away."""
    return _once(graph) is None


def _once(graph: Graph) -> Graph | None:
    """The graph with one Reorder less; None where all are needed."""
    for node in graph.nodes:
        if not isinstance(node, Reorder):
            continue
        for rule in (_moves_nothing, _joined, _at_input, _at_output):
            if (after := rule(graph, node)) is not None:
                return after
    return None


def _moves_nothing(graph: Graph, node: Reorder) -> Graph | None:
    before, behind = graph.tensors[node.input], graph.tensors[node.output]
    same = (before.shape, before.scale, before.offset) == (behind.shape, behind.scale, behind.offset)
    shown = {output.tensor for output in graph.outputs}
    if not np.array_equal(node.index.ravel(), np.arange(node.index.size)):
        return None
    if before.shape != behind.shape or (node.output in shown and not same):
        return None
    return _without(graph, node, node.output, node.input)


def _joined(graph: Graph, node: Reorder) -> Graph | None:
    """Behind another Reorder that nothing else reads: both in one."""
    first = graph.producer(node.input)
    if not isinstance(first, Reorder) or not _private(graph, node.input):
        return None
    filled = node.index < 0
    inner = first.index.ravel()[np.maximum(node.index, 0)]
    if filled.any() and (inner < 0).any() and node.fill != first.fill:
        return None
    index = np.where(filled, -1, inner).astype(np.int32)
    fill = node.fill if filled.any() else first.fill
    sources = (*first.sources, *node.sources)
    both = replace(node, input=first.input, index=index, fill=fill, sources=sources)
    if both.output_tensor(graph.tensors[first.input]).type != graph.tensors[node.output].type:
        return None
    nodes = tuple(both if n is node else n for n in graph.nodes if n is not first)
    tensors = {name: t for name, t in graph.tensors.items() if name != node.input}
    return replace(graph, nodes=nodes, tensors=tensors)


def _at_input(graph: Graph, node: Reorder) -> Graph | None:
    """Directly behind an input, moving every element: the host lays them out like that."""
    source = next((s for s in graph.inputs if s.tensor == node.input), None)
    if source is None or not _private(graph, node.input) or source.thresholds.shape[0] > 1:
        return None
    index = node.index.ravel()
    if index.size != source.index.size or len(np.unique(index)) < index.size or index.min() < 0:
        return None
    place = np.empty(index.size, np.int32)
    place[index] = np.arange(index.size, dtype=np.int32)
    tensor = graph.tensors[node.output]
    moved: Input = replace(source, tensor=tensor.name, index=place[source.index], frame=tensor.shape)
    inputs = tuple(moved if s is source else s for s in graph.inputs)
    nodes = tuple(n for n in graph.nodes if n is not node)
    tensors = {name: t for name, t in graph.tensors.items() if name != node.input}
    return replace(graph, inputs=inputs, nodes=nodes, tensors=tensors)


def _at_output(graph: Graph, node: Reorder) -> Graph | None:
    """Read by outputs alone: the host takes their elements from where they were."""
    tensor, before = graph.tensors[node.output], graph.tensors[node.input]
    outputs = [output for output in graph.outputs if output.tensor == node.output]
    plain = all(output.kind == "values" for output in outputs) and node.index.min() >= 0
    shown = any(output.tensor == node.input for output in graph.outputs)
    if graph.producer(node.input) is None:
        return None
    if graph.readers(node.output) or not plain or shown or len(tensor.scale) + len(tensor.offset) > 2:
        return None

    def moved(output: Output) -> Output:
        if output.tensor != node.output:
            return output
        return replace(output, tensor=node.input, index=node.index.ravel()[output.index])

    nodes = tuple(n for n in graph.nodes if n is not node)
    tensors = {name: t for name, t in graph.tensors.items() if name != node.output}
    tensors[node.input] = replace(before, scale=tensor.scale, offset=tensor.offset)
    return replace(graph, outputs=tuple(map(moved, graph.outputs)), nodes=nodes, tensors=tensors)


def _private(graph: Graph, tensor: str) -> bool:
    """Whether one node alone reads a tensor."""
    shown = any(output.tensor == tensor for output in graph.outputs)
    return len(graph.readers(tensor)) == 1 and not shown


def _without(graph: Graph, node: Reorder, old: str, new: str) -> Graph:
    """The graph without a node; what read `old` reads `new`."""
    nodes = tuple(reading(n, old, new) for n in graph.nodes if n is not node)
    outputs = tuple(replace(o, tensor=new) if o.tensor == old else o for o in graph.outputs)
    tensors = {name: t for name, t in graph.tensors.items() if name != old}
    return replace(graph, nodes=nodes, outputs=outputs, tensors=tensors)


def reading(node: Node, old: str, new: str) -> Node:
    """A node with every input `old` replaced by `new`."""
    names = tuple(new if name == old else name for name in node.inputs)
    if names == node.inputs:
        return node
    if len(names) == 1:
        return replace(node, input=names[0])  # type: ignore[type-var]
    return replace(node, inputs=names)  # type: ignore[type-var]
