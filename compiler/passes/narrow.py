"""Sums with wide gains become sums with small ones where the levels behind them stay."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np

from pulsefold.compiler.ir.graph import Graph, Node
from pulsefold.compiler.ir.requantize import Requantize
from pulsefold.compiler.ir.sum import Sum
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.numerics.narrow import MOST_COMBINATIONS, small_steps, small_thresholds
from pulsefold.compiler.numerics.ranges import Range, reachable
from pulsefold.compiler.numerics.requantize import affine_steps
from pulsefold.compiler.passes.requantize import FEW

__all__ = ["narrow_sums"]


def narrow_sums(graph: Graph) -> Graph:
    """Every Sum of a few narrow integers and the Threshold that alone reads it, with the smallest gains.

    Many levels become a Requantize that does not multiply, where that costs less than multiplying behind the
    exact sum; others, and few levels, stay a Threshold on a narrower sum. Both were compared with the exact
    levels for every combination of reachable integers. What the sum itself stands for is then only
    approximately so, and its scale says that of its first input.
    """
    nodes, tensors = list(graph.nodes), dict(graph.tensors)
    shown = {output.tensor for output in graph.outputs}
    ranges = reachable(graph)
    for i, node in enumerate(nodes):
        if not isinstance(node, Sum) or node.output in shown or max(map(abs, node.gains)) == 1:
            continue
        readers = [j for j, reader in enumerate(nodes) if node.output in reader.inputs]
        reader = nodes[readers[0]]
        if len(readers) > 1 or not isinstance(reader, Threshold) or len(reader.thresholds) > 1:
            continue
        found = _narrowed(node, reader, [ranges[name] for name in node.inputs], ranges[node.output])
        if found is None:
            continue
        nodes[i], nodes[readers[0]] = found
        old = tensors[node.output]
        new = found[0].output_tensor(*(tensors[name] for name in node.inputs))
        factor = Fraction(node.gains[0], found[0].gains[0])
        tensors[node.output] = replace(old, type=new.type, scale=tuple(s * factor for s in old.scale))
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def _narrowed(node: Sum, reader: Threshold, reach: list[Range], total: Range) -> tuple[Sum, Node] | None:
    """Both nodes anew; None where they stay."""
    ends = [(int(low.min()), int(high.max())) for low, high in reach]
    if prod(high - low + 1 for low, high in ends) > MOST_COMBINATIONS:
        return None
    grids = np.meshgrid(*(np.arange(low, high + 1) for low, high in ends), indexing="ij", sparse=True)
    sums = sum((g * x for g, x in zip(node.gains, grids, strict=True)), np.int64(0))
    counts = np.searchsorted(reader.thresholds[0], sums, side="right")
    falls = bool(reader.descending[0])
    if reader.count > FEW and reader.type.kind == "int":
        slope, width = _slope(reader, total)
        levels = reader.first + (reader.count - counts if falls else counts)
        steps = small_steps(ends, [slope * g for g in node.gains], levels)
        if steps is not None and _bits(steps.gains) < _bits(node.gains) + width:
            behind = Requantize(
                name=reader.name,
                input=reader.input,
                output=reader.output,
                multiplier=np.ones(1, np.int64),
                addend=np.array([steps.addend]),
                shift=steps.shift,
                low=np.array([steps.low]),
                high=np.array([steps.high]),
                type=reader.type,
                sources=reader.sources,
            )
            return replace(node, gains=steps.gains), behind
    found = small_thresholds(ends, node.gains, counts, reader.count)
    if found is None or _bits(found.gains) >= _bits(node.gains):
        return None
    return replace(node, gains=found.gains), replace(reader, thresholds=found.thresholds[np.newaxis])


def _slope(reader: Threshold, total: Range) -> tuple[float, float]:
    """Levels a unit of the exact sum, and the bits of a multiplier behind it: infinite without one."""
    steps = affine_steps(reader.thresholds, reader.descending, reader.first, *total)
    if steps is not None and len(steps.multiplier) == 1:
        return int(steps.multiplier[0]) / (1 << steps.shift), int(steps.multiplier[0]).bit_length()
    t = reader.thresholds[0]
    t = t[(t > total[0].min()) & (t <= total[1].max())].astype(np.float64)
    slope = (len(t) - 1) / (t[-1] - t[0]) if len(t) > 1 and t[-1] > t[0] else 2.0**-62
    return -slope if reader.descending[0] else slope, np.inf


def _bits(gains: tuple[int, ...]) -> int:
    return sum(abs(g).bit_length() for g in gains if abs(g) > 1)
