"""Thresholds of many levels become a multiplication where that is the same function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pulsefold.compiler.ir.graph import Graph
from pulsefold.compiler.ir.requantize import Requantize
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.numerics.ranges import reachable
from pulsefold.compiler.numerics.requantize import affine_steps

__all__ = ["FEW", "products_fit", "requantize"]

#: Thresholds a channel up to which searching them costs less than multiplying.
FEW = 15


def requantize(graph: Graph) -> Graph:
    """Every Threshold of more than 15 levels that a Requantize equals over the whole reachable range.

    A Threshold whose steps are no affine function in some channel stays as it is.
    """
    nodes = list(graph.nodes)
    ranges = reachable(graph)
    for i, node in enumerate(nodes):
        if not isinstance(node, Threshold) or node.count <= FEW or node.type.kind != "int":
            continue
        steps = affine_steps(node.thresholds, node.descending, node.first, *ranges[node.input])
        if steps is not None:
            nodes[i] = Requantize(
                name=node.name,
                input=node.input,
                output=node.output,
                multiplier=steps.multiplier,
                addend=steps.addend,
                shift=steps.shift,
                low=steps.low,
                high=steps.high,
                even=steps.even,
                type=node.type,
                sources=node.sources,
            )
    return replace(graph, nodes=tuple(nodes))


def products_fit(graph: Graph) -> bool:
    """Whether multiplier * x + addend stays within 63 bits wherever a Requantize can be."""
    ranges = reachable(graph)

    def most(node: Requantize) -> int:
        x = max(int(np.abs(v).max()) for v in ranges[node.input])
        return x * int(np.abs(node.multiplier).max()) + int(np.abs(node.addend).max())

    return all(most(node) < 1 << 62 for node in graph.nodes if isinstance(node, Requantize))
