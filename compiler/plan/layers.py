"""Layers: what the folding applies to, and the units that each becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from pulsefold.compiler.ir import Conv, ElementType, Graph, MaxPool, Tensor, Threshold
from pulsefold.compiler.plan.units import Convert, MatVec, MaxPoolUnit, Steps, ThresholdUnit, Unit, Window
from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.errors import UnsupportedNodeError

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
    memory
        Weight memory: ``"block"`` or ``"lut"``.
    multiplier
        ``"lut"`` or ``"dsp"``.
    """

    pe: int = 1
    simd: int = 1
    memory: str = "lut"
    multiplier: str = "lut"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One or two nodes of the graph that a run of units computes.

    Parameters
    ----------
    name
        Name of the first node.
    node
        Conv, MaxPool or Threshold.
    threshold
        The Threshold right after a Conv, computed by the same unit.
    x, y
        Tensors in and out.
    """

    name: str
    node: Conv | MaxPool | Threshold
    threshold: Threshold | None
    x: Tensor
    y: Tensor

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return self.node.macs(self.x) if isinstance(self.node, Conv) else 0

    @property
    def windowed(self) -> bool:
        """Whether a sliding window is needed: not for 1 x 1 kernels and kernels as large as the frame."""
        node = self.node
        if isinstance(node, MaxPool):
            return True
        if not isinstance(node, Conv):
            return False
        whole = node.kernel == self.x.shape[:2] and self.y.shape[:2] == (1, 1) and node.dilation == (1, 1)
        pixelwise = node.kernel == (1, 1) and node.stride == (1, 1)
        return node.padded or not (whole or pixelwise)

    @property
    def operand(self) -> ElementType:
        """Element type at the matrix unit: ternary where a bipolar frame is padded."""
        if isinstance(self.node, Conv) and self.node.padded and self.x.type.is_bipolar:
            return ElementType.ternary()
        return self.x.type

    @property
    def matrix(self) -> tuple[int, int]:
        """(rows, columns) of the weight matrix of a Conv."""
        assert isinstance(self.node, Conv)
        w = self.node.weights
        return w.shape[0], int(w.size) // w.shape[0]

    def units(self, fold: Fold, family: str) -> list[Unit]:
        """The units of this layer under a folding on a device family, converters in front not included.

        Raises
        ------
        FoldingError
            If the folding does not divide the layer; the message names the nearest that does.
        """
        if isinstance(self.node, Conv):
            return self.matrix_units(self.node, fold, family)
        if isinstance(self.node, MaxPool):
            return self.pool_units(self.node, fold)
        return [
            ThresholdUnit(
                name=self.name,
                type=self.x.type,
                channels=self.x.shape[2],
                pixels=self.x.shape[0] * self.x.shape[1],
                lanes=fold.simd,
                steps=steps_of(self.node, self.x.shape[2], self.x.type.maximum),
            )
        ]

    def matrix_units(self, node: Conv, fold: Fold, family: str) -> list[Unit]:
        """Window where one is needed, converter to SIMD lanes, matrix unit."""
        rows, columns = self.matrix
        units: list[Unit] = []
        pixels = self.y.shape[0] * self.y.shape[1]
        depth = rows * columns // (fold.pe * fold.simd)
        steps = None
        if self.threshold:
            _, high = node.accumulator_range(self.x.type)
            steps = steps_of(self.threshold, rows, int(high.max()))
        matvec = MatVec(
            name=self.name,
            vectors=pixels,
            weights=node.weights.reshape(rows, columns),
            weight_type=node.weight_type,
            type=self.operand,
            pe=fold.pe,
            simd=fold.simd,
            steps=steps,
            memory=fold.memory,
            memory_width=block_width(family, depth) if fold.memory == "block" else 0,
            multiplier=fold.multiplier,
        )
        if self.windowed:
            lanes = gcd(self.x.shape[2], fold.simd)
            window = Window(
                name=f"{self.name}.window",
                shape=self.x.shape,
                type=self.x.type,
                lanes=lanes,
                kernel=node.kernel,
                stride=node.stride,
                dilation=node.dilation,
                pads=node.pads,
                output_shape=self.y.shape[:2],
            )
            units.append(with_memory(window))
            units += converters(
                f"{self.name}.columns", self.operand, window.output.beats * lanes, lanes, fold.simd
            )
        return [*units, matvec]

    def pool_units(self, node: MaxPool, fold: Fold) -> list[Unit]:
        """Window with outer channels, maximum."""
        kind = self.x.type
        lowest = -1 if kind.is_bipolar else kind.minimum
        window = Window(
            name=f"{self.name}.window",
            shape=self.x.shape,
            type=kind,
            lanes=fold.simd,
            kernel=node.kernel,
            stride=node.stride,
            dilation=node.dilation,
            pads=node.pads,
            output_shape=self.y.shape[:2],
            pad_value=lowest,
            channels_outer=True,
        )
        groups = window.output.beats // window.taps
        pool = MaxPoolUnit(name=self.name, type=kind, lanes=fold.simd, taps=window.taps, groups=groups)
        return [with_memory(window), pool]


def with_memory(window: Window) -> Window:
    """No more rows than throughput asks for; LUT RAM for shallow line buffers, block RAM for the rest."""
    depth = window.lean_rows * window.row_beats
    return replace(
        window,
        rows=window.lean_rows,
        memory="ram" if depth <= 32 or depth * window.input.width <= 512 else "block",
    )


def steps_of(node: Threshold, channels: int, limit: int) -> Steps:
    """Step functions of a Threshold, a row a channel."""
    rows = node.thresholds.shape[0]
    repeat = channels if rows == 1 else 1
    return Steps(
        thresholds=np.repeat(node.thresholds, repeat, axis=0),
        descending=np.broadcast_to(node.descending, (channels,)).copy(),
        first=node.first,
        type=node.type,
        limit=limit,
    )


def converters(name: str, kind: ElementType, elements: int, a: int, b: int) -> Iterator[Convert]:
    """Width converters from `a` to `b` lanes: none, one, or two by way of their common divisor."""
    if a == b:
        return
    common = gcd(a, b)
    hops = [(a, b)] if common in (a, b) else [(a, common), (common, b)]
    for k, (p, q) in enumerate(hops):
        suffix = f".{k}" if len(hops) > 1 else ""
        yield Convert(name=name + suffix, type=kind, elements=elements, input_lanes=p, output_lanes=q)


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """Layers of a straight-line graph, thresholds joined to the Conv before them."""
    layers: list[Layer] = []
    nodes = list(graph.nodes)
    while nodes:
        node = nodes.pop(0)
        if not isinstance(node, Conv | MaxPool | Threshold):
            msg = "no circuit for this operation"
            raise UnsupportedNodeError(msg, where=f"{node.name} ({type(node).__name__})", todo="remove it")
        x = graph.tensors[node.input]
        threshold = None
        if isinstance(node, Conv) and nodes and isinstance(following := nodes[0], Threshold):
            threshold = following
            nodes.pop(0)
        end = threshold or node
        layers.append(Layer(name=node.name, node=node, threshold=threshold, x=x, y=graph.tensors[end.output]))
    return tuple(layers)
