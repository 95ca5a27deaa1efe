"""Layers: what the folding applies to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.ir import (
    Constant,
    Conv,
    ElementType,
    Graph,
    MaxPool,
    Node,
    Product,
    Requantize,
    SumPool,
    Tensor,
    Threshold,
)
from pulsefold.compiler.plan.units import Convert, RowSums

__all__ = ["Fold", "Layer", "converters", "layers_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """How much of a layer works in one cycle.

    Parameters
    ----------
    pe
        Output channels a cycle (matrix layers).
    simd
        Inputs a cycle; channels a cycle for pools and thresholds.
    pixels
        Output pixels a cycle, which share weights (matrix layers with a window).
    held
        Steps of output pixels for which weights stay, one after the other (matrix layers, weights in block
        RAM).
    shared
        Groups of PEs that then share a memory of them; at most `held`.
    parts
        Parts that their words come in, one after the other; with `shared` as a factor at most `held`.
    batch
        Frames that share weights, a power of two (matrix layers of one vector a frame), see
        :class:`~pulsefold.compiler.plan.units.batchmatvec.BatchMatVec`.
    memory
        Memory of weights, or of the constants of a layer without: ``"block"`` or ``"lut"``; of a matrix layer
        also ``"packed"``, for block RAM with several words in a row where that claims less of it.
    lines
        Memory of a window's rows, of a ring that moves elements, of the results of a pool of the whole frame:
        ``"block"``, for block RAM unless shallow, or ``"lut"`` for LUT RAM, which iCE40 has none of.
    buffers
        Memory of deep stream buffers behind the layer: ``"block"``, or ``"lut"`` for LUT RAM where these fill
        no block.
    multiplier
        ``"lut"``, ``"dsp"``, ``"pair"`` for two rows a multiplier, ``"constant"`` for weights that are wired
        (the last two for matrix layers).
    adder
        ``"tree"``, ``"carry"`` or ``"gated"``, see :class:`~pulsefold.compiler.plan.units.matvec.MatVec`.
    requantizer
        ``"lut"`` or ``"dsp"``: what multiplies in the Requantize that joined a matrix layer.
    constants
        Memory of its constants: ``"lut"`` or ``"block"``.
    """

    pe: int = 1
    simd: int = 1
    pixels: int = 1
    held: int = 1
    shared: int = 1
    parts: int = 1
    batch: int = 1
    memory: str = "lut"
    lines: str = "block"
    buffers: str = "block"
    multiplier: str = "lut"
    adder: str = "tree"
    requantizer: str = "lut"
    constants: str = "lut"


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One or two nodes of the graph that a run of units computes.

    What follows from the weights is kept: the planner asks for it with every folding.

    Parameters
    ----------
    name
        Name of the first node.
    node
        The operation.
    steps
        The Threshold or Requantize that alone reads a Conv, at the Conv's folding.
    xs
        Tensors in, in the order of the node's inputs.
    y
        Tensor out.
    tables
        The integers, int64 (H, W, C), of each input that is a :class:`~pulsefold.compiler.ir.Constant`.
    """

    name: str
    node: Node
    steps: Threshold | Requantize | None
    xs: tuple[Tensor, ...]
    y: Tensor
    tables: tuple[np.ndarray | None, ...] = ()

    @property
    def streams(self) -> tuple[Tensor, ...]:
        """Tensors in that flow: all but tables."""
        tables = self.tables or (None,) * len(self.xs)
        return tuple(x for x, table in zip(self.xs, tables, strict=True) if table is None)

    @property
    def x(self) -> Tensor:
        """The first tensor in."""
        return self.xs[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return self.node.macs(self.x) if isinstance(self.node, Conv) else 0

    @property
    def weight_bits(self) -> int:
        """Bits of its weights."""
        return int(self.node.weights.size) * self.node.weight_type.bits if isinstance(self.node, Conv) else 0

    @cached_property
    def windowed(self) -> bool:
        """Whether a sliding window is needed: not for 1 x 1 kernels and kernels as large as the frame."""
        node = self.node
        if isinstance(node, MaxPool | SumPool):
            return True
        if not isinstance(node, Conv):
            return False
        whole = node.kernel == self.x.shape[:2] and self.y.shape[:2] == (1, 1) and node.dilation == (1, 1)
        pixelwise = node.kernel == (1, 1) and node.stride == (1, 1)
        return node.padded or not (whole or pixelwise)

    @property
    def turns(self) -> int:
        """Groups of a Conv that are multiplied one after the other, a matrix each.

        1 where all are one matrix with zeros: where each is one channel, which a depthwise unit takes, and
        where there is no window to put the channels of a group side by side.
        """
        node = self.node
        if not isinstance(node, Conv) or self.depthwise or not (self.windowed or node.kernel == (1, 1)):
            return 1
        return node.groups

    @property
    def takes_batches(self) -> bool:
        """Whether frames may share its weights: one vector a frame, and thresholds or nothing behind it."""
        if self.turns > 1:
            return False
        return self.y.shape[:2] == (1, 1) and not self.windowed and not isinstance(self.steps, Requantize)

    @property
    def operand(self) -> ElementType:
        """Element type at the matrix unit: ternary where a bipolar frame is padded with 0."""
        if isinstance(self.node, Conv) and self.node.padded and not self.node.pad_value:
            return ElementType.ternary() if self.x.type.is_bipolar else self.x.type
        return self.x.type

    @property
    def multiplies(self) -> bool:
        """Whether a layer without a matrix unit has products that multipliers can make."""
        return isinstance(self.node, Requantize | Product) or self.depthwise

    @property
    def matrix(self) -> tuple[int, int]:
        """(rows, columns) of the weight matrix of a Conv, or of those of all turns, one below the other."""
        assert isinstance(self.node, Conv)
        rows, height, width, channels = self.node.weights.shape
        return rows, height * width * channels * (self.node.groups // self.turns)

    @property
    def depthwise(self) -> bool:
        """Whether it is a Conv whose every output channel reads one input channel of several."""
        return isinstance(self.node, Conv) and self.node.groups == self.x.shape[2] > 1

    @cached_property
    def weights(self) -> np.ndarray:
        """int64 [rows, columns] of :attr:`matrix`; 0 where an output's group does not read a channel."""
        assert isinstance(self.node, Conv)
        w, groups = self.node.weights, self.node.groups
        rows, height, width, channels = w.shape
        if self.turns > 1:
            return w.reshape(self.matrix)
        dense = np.zeros((groups, rows // groups, height * width, groups, channels), w.dtype)
        for group in range(groups):
            dense[group, :, :, group] = w.reshape(groups, -1, height * width, channels)[group]
        return dense.reshape(self.matrix)

    @cached_property
    def sum_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest sum of each row that can occur, int64 [rows] each."""
        assert isinstance(self.node, Conv)
        return self.node.accumulator_range(self.operand)

    @cached_property
    def row_sums(self) -> RowSums:
        """Of :attr:`weights`."""
        return RowSums.of(self.weights)


def converters(
    name: str, kind: ElementType, elements: int, a: int, b: int, pace: int | None = None
) -> Iterator[Convert]:
    """Width converters from `a` to `b` lanes: none, one, or two by way of their common divisor.

    Or by way of their common multiple, where the divisor takes more than `pace` cycles for the elements.
    """
    if a == b:
        return
    between = gcd(a, b)
    if pace is not None and elements // between > pace:
        between = lcm(a, b)
    hops = [(a, b)] if between in (a, b) else [(a, between), (between, b)]
    for k, (p, q) in enumerate(hops):
        suffix = f".{k}" if len(hops) > 1 else ""
        yield Convert(name=name + suffix, type=kind, elements=elements, input_lanes=p, output_lanes=q)


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """Layers of a graph in its order; a Threshold or Requantize that alone reads a Conv joins it.

    A Constant is no layer: it is in what reads it.
    """
    tables = {node.output: node.values for node in graph.nodes if isinstance(node, Constant)}
    exits = {output.tensor for output in graph.outputs}
    layers: list[Layer] = []
    joined: set[str] = set()
    for node in graph.nodes:
        if node.name in joined or isinstance(node, Constant):
            continue
        steps = None
        readers = graph.readers(node.output)
        if isinstance(node, Conv) and len(readers) == 1 and node.output not in exits:
            (reader,) = readers
            if isinstance(reader, Threshold | Requantize):
                steps = reader
                joined.add(reader.name)
        layers.append(
            Layer(
                name=node.name,
                node=node,
                steps=steps,
                xs=tuple(graph.tensors[name] for name in node.inputs),
                y=graph.tensors[(steps or node).output],
                tables=tuple(tables.get(name) for name in node.inputs),
            )
        )
    return tuple(layers)
