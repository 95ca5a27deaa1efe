"""What the importer has made so far: nodes, tensors, and what is known of their integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.values import Pool, Stream
from pulsefold.compiler.ir.graph import Input, Node, Tensor
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Quantizer
from pulsefold.compiler.numerics.ranges import input_range, node_range
from pulsefold.compiler.numerics.thresholds import float_thresholds

__all__ = ["Store"]


class Store:
    """Nodes and tensors under names of their own.

    Attributes
    ----------
    sources
        The model's inputs as streams, by ONNX name.
    inputs, nodes, tensors
        As in :class:`pulsefold.compiler.ir.Graph`.
    ranges
        Least and greatest integer of each channel of a tensor, int64 [C] each.
    quantized
        Tensors that a quantizer made, against accumulators.
    plain_inputs
        Tensor of each input of integers that is read as it is.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Stream] = {}
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.quantized: set[str] = set()
        self.plain_inputs: dict[str, str] = {}

    def add(self, node: Node, scale: tuple[Fraction, ...], offset: tuple[Fraction, ...]) -> str:
        """The node under names that are free; the name of its tensor."""
        names = {other.name for other in self.nodes}
        name = node.name
        while name in names:
            name += "_"
        node = replace(node, name=name, output=self.fresh(node.output))  # type: ignore[type-var]
        self.nodes.append(node)
        read = [self.tensors[name] for name in node.inputs]
        self.tensors[node.output] = replace(node.output_tensor(*read), scale=scale, offset=offset)
        self.ranges[node.output] = node_range(node, read, [self.ranges[name] for name in node.inputs])
        return node.output

    def add_pool(self, tensor: str, pool: Pool, output: str) -> str:
        """A MaxPool of a tensor: scale and range stay as they are. The name of its tensor."""
        node = MaxPool(
            name=pool.name,
            input=tensor,
            output=output,
            kernel=pool.kernel,
            stride=pool.stride,
            dilation=pool.dilation,
            pads=pool.pads,
            sources=(pool.name,),
        )
        source = self.tensors[tensor]
        name = self.add(node, source.scale, source.offset)
        if tensor in self.quantized:
            self.quantized.add(name)
        return name

    def add_input(self, tensor: str, stream: Stream, lines: tuple[Line, ...], quantizer: Quantizer) -> str:
        """A quantizer on the host in front of a tensor; the tensor's name."""
        # Integer inputs are narrow, and float32 holds them and the numbers between them exactly.
        kind = (
            np.dtype(self.sources[stream.source].dtype).type
            if np.dtype(self.sources[stream.source].dtype).kind == "f"
            else np.float32
        )
        thresholds, descending = float_thresholds(lines, quantizer, kind)
        source = self.sources[stream.source]
        tensor = self.fresh(tensor)
        self.inputs.append(
            Input(
                tensor=tensor,
                name=stream.source,
                index=source.index[0],
                frame=source.shape,
                dtype=source.dtype,
                thresholds=thresholds,
                descending=descending,
                first=quantizer.first,
            )
        )
        self.ranges[tensor] = input_range(self.inputs[-1])
        self.tensors[tensor] = Tensor(
            name=tensor,
            shape=source.shape,
            type=quantizer.type,
            scale=quantizer.scale,
            offset=quantizer.offset,
        )
        return tensor

    def reached(self, tensor: str) -> tuple[np.ndarray, np.ndarray]:
        """What a tensor's channels can reach; :attr:`ranges` tells all levels of its quantizer."""
        found = {source.tensor: input_range(source) for source in self.inputs}
        for node in self.nodes:
            if tensor not in found:
                read = [self.tensors[name] for name in node.inputs]
                found[node.output] = node_range(node, read, [found[name] for name in node.inputs])
        return found[tensor]

    def pruned(self, outputs: Iterable[str]) -> tuple[tuple[Node, ...], dict[str, Tensor]]:
        """Nodes and tensors that the outputs depend on."""
        wanted = set(outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if node.output in wanted:
                kept.append(node)
                wanted.update(node.inputs)
        self.inputs = [source for source in self.inputs if source.tensor in wanted]
        return tuple(reversed(kept)), {n: t for n, t in self.tensors.items() if n in wanted}

    def fresh(self, name: str) -> str:
        """The name, or one like it that no tensor has."""
        while name in self.tensors:
            name += "_"
        return name
