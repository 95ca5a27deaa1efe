"""The graph under construction: what integers exist, and how waiting steps become nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.load import check_elements
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.values import Pool, Stream
from pulsefold.compiler.frontend.waiting import (
    all_lines,
    clip_quantizer,
    pools_in_front,
    presented,
    without_idle_clamps,
)
from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Input, Node, Tensor
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.quantizer import WIDEST, Boundary, Quantizer
from pulsefold.compiler.numerics.surd import Real
from pulsefold.compiler.numerics.thresholds import float_thresholds, integer_thresholds
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["Builder"]

_QUANTIZE = (
    "quantize the activations in front of every matrix product to at most 8 bits, for example by training "
    "with Brevitas or QKeras and exporting QONNX"
)


class Builder:
    """Collects nodes and tensors while the importer walks the ONNX graph.

    Parameters
    ----------
    name, shape, layout, dtype
        The model's input, as in :class:`pulsefold.compiler.ir.Input`.
    """

    def __init__(self, *, name: str, shape: tuple[int, ...], layout: str, dtype: str) -> None:
        self.input_name = name
        self.input_shape = shape
        self.layout = layout
        self.dtype = dtype
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        # Integers a quantizer made, against accumulators; and the least and greatest they can be.
        self._quantized: set[str] = set()
        self._ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def source(self) -> Stream:
        """The model's input as a stream."""
        shape = self.input_shape
        size = int(np.prod(shape))
        frame = (1, 1, size)
        index = np.arange(size, dtype=np.int32).reshape(1, *shape)
        if self.layout == "CHW":
            frame = (shape[1], shape[2], shape[0])
            index = np.ascontiguousarray(chw(frame))
        elif self.layout == "HWC":
            frame = (shape[0], shape[1], shape[2])
        return Stream(tensor=None, shape=frame, index=index, dtype=self.dtype)

    def quantize(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """Everything that waits, and a quantizer, as one Threshold (or as the graph's input)."""
        before = pools_in_front(stream)
        if before is None:
            msg = f"the MaxPool {stream.pools[0].name!r} has negative gains both before and behind it"
            todo = "put the quantizer directly in front of the MaxPool"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        for _ in range(before):
            stream = self._pooled_now(stream)
        lines = all_lines(stream)
        output = node.outputs[0]
        name = self._fresh(f"{output}/unpooled") if stream.pools else output
        if stream.tensor is None:
            self._add_input(name, lines, quantizer)
        else:
            low, high = self._ranges[stream.tensor]
            thresholds, descending = integer_thresholds(lines, quantizer, low, high)
            threshold = Threshold(
                name=node.name,
                input=stream.tensor,
                output=name,
                thresholds=thresholds,
                descending=descending,
                first=quantizer.first,
                type=quantizer.type,
                sources=(*stream.pending, node.name),
            )
            self._add(threshold, quantizer.scale, quantizer.offset)
        channels = self.tensors[name].shape[2]
        self._ranges[name] = np.full(channels, quantizer.first), np.full(channels, quantizer.last)
        self._quantized.add(name)
        for i, pool in enumerate(stream.pools):
            following = output if i == len(stream.pools) - 1 else self._fresh(f"{output}/unpooled")
            self._add_pool(name, pool, following)
            name = following
        lines = tuple(
            Line(
                gain=quantizer.scale[c % len(quantizer.scale)],
                offset=quantizer.offset[c % len(quantizer.offset)],
            )
            for c in range(max(len(quantizer.scale), len(quantizer.offset)))
        )
        return replace(stream, tensor=name, pools=(), lines=lines, pending=())

    def integers(self, stream: Stream, node: OnnxNode) -> Stream:
        """The stream ready for a matrix product: narrow integers behind one gain and no clamp."""
        if stream.tensor is None:
            stream = self._identity(stream, node)
        if stream.pools:
            msg = f"no quantizer stands between the MaxPool {stream.pools[-1].name!r} and this node"
            raise UnsupportedNodeError(msg, where=node.where, todo=_QUANTIZE)
        stream = self._without_idle_clamps(stream)
        if any(line.clamped for line in stream.lines):
            stream = self._clipped(stream, node)
        tensor = self.tensors[str(stream.tensor)]
        if tensor.type.bits > WIDEST:
            msg = f"it reads {tensor.type} activations, and a matrix product takes up to {WIDEST} bits"
            why = "no quantizer stands between two linear nodes" if tensor.name not in self._quantized else ""
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=_QUANTIZE)
        if not stream.uniform_gain():
            msg = "the activations in front of it have a scale for each channel"
            why = "products of channels with different scales do not add up to one integer"
            todo = "quantize activations with one scale a tensor; a scale a channel is for weights"
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=todo)
        return stream

    def linear(
        self,
        stream: Stream,
        node: OnnxNode,
        *,
        weights: np.ndarray,
        scale: Sequence[Fraction],
        bias: Sequence[Real],
        shape: tuple[int, ...],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Stream:
        """A Conv on integers of :meth:`integers`; scales and bias, 1 or O each, wait behind it.

        With x = a * q + b_c and w = s_o * v:
        sum(w x) + bias_o = a s_o * sum(v q) + s_o * sum(v b_c) + bias_o.
        """
        tensor = self.tensors[str(stream.tensor)]
        offsets = [line.offset for line in stream.lines]
        if any(pads) and any(b != 0 for b in offsets):
            msg = "it pads with zeros, and zero is not the integer 0 of the activations it reads"
            todo = "quantize these activations with zero point 0, or pad by 0"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        kind = weight_type(weights)
        conv = Conv(
            name=node.name,
            input=tensor.name,
            output=node.outputs[0],
            weights=weights,
            weight_type=kind,
            stride=stride,
            dilation=dilation,
            pads=pads,
            sources=(*stream.pending, node.name),
        )
        check_elements(conv.output_shape(tensor.shape), node.where)
        outputs, channels = weights.shape[0], weights.shape[3]
        sums = weights.sum(axis=(1, 2)) if any(b != 0 for b in offsets) else None
        gain = stream.lines[0].gain
        lines = []
        for o in range(outputs if max(len(scale), len(bias)) > 1 or sums is not None else 1):
            s = scale[o % len(scale)]
            offset = bias[o % len(bias)]
            if sums is not None:
                if len(offsets) == 1:
                    offset = offset + s * int(sums[o].sum()) * offsets[0]
                else:
                    for c in range(channels):
                        offset = offset + s * int(sums[o, c]) * offsets[c]
            lines.append(Line(gain=gain * s, offset=offset))
        lines = tuple(lines)
        self._add(conv, *presented(lines))
        low, high = conv.accumulator_range(tensor.type)
        self._ranges[conv.output] = low, high
        frame = self.tensors[conv.output].shape
        index = chw(frame) if len(shape) == 4 else np.arange(outputs, dtype=np.int32).reshape(shape)
        return Stream(tensor=conv.output, shape=frame, index=index, dtype=stream.dtype, lines=lines)

    def pool(self, stream: Stream, pool: Pool) -> Stream:
        """A MaxPool: at once on integers of a quantizer, else waiting for the next one."""
        moved = MaxPool(
            name=pool.name,
            input="",
            output=pool.output,
            kernel=pool.kernel,
            stride=pool.stride,
            dilation=pool.dilation,
            pads=pool.pads,
        ).output_tensor(Tensor(name="", shape=stream.shape, type=type_for_range(0, 1)))
        check_elements(moved.shape, f"{pool.name} (MaxPool)")
        after = replace(stream, shape=moved.shape, index=chw(moved.shape))
        if stream.tensor in self._quantized and all(line.rising for line in stream.lines):
            name = self._fresh(pool.output)
            self._add_pool(str(stream.tensor), pool, name)
            return replace(after, tensor=name)
        return replace(
            after, pools=(*stream.pools, pool), lines=(Line(),), pending=(*stream.pending, pool.name)
        )

    def select(self, stream: Stream, kept: np.ndarray, index: np.ndarray, node: OnnxNode) -> Stream:
        """Only some output channels of the Conv that has just been added."""
        last = self.nodes[-1] if self.nodes else None
        if not isinstance(last, Conv) or last.output != stream.tensor or stream.pools:
            msg = "it drops channels of something other than a matrix product"
            raise UnsupportedNodeError(msg, where=node.where, todo="drop the channels in the trained model")
        weights = last.weights[kept]
        conv = replace(
            last, weights=weights, weight_type=weight_type(weights), sources=(*last.sources, node.name)
        )
        lines = tuple(stream.lines[c] for c in kept) if len(stream.lines) > 1 else stream.lines
        self.nodes.pop()
        self._add(conv, *presented(lines))
        self._ranges[conv.output] = conv.accumulator_range(self.tensors[conv.input].type)
        return replace(stream, shape=self.tensors[conv.output].shape, index=index, lines=lines)

    def finish(self, stream: Stream, where: str) -> tuple[str, Stream]:
        """The tensor that a graph output reads, with the waiting steps as its scale and offset."""
        if stream.tensor is None:
            raise ModelError("no node of the model is quantized", where=where, todo=_QUANTIZE)
        lines = (Line(),)
        for pool in stream.pools:
            lines = compose(lines, pool.lines)
            if not all(line.rising for line in lines):
                msg = f"the MaxPool {pool.name!r} follows a negative gain, and no quantizer follows it"
                raise UnsupportedNodeError(msg, where=where, todo="quantize the output of the model")
        for pool in stream.pools:
            name = self._fresh(pool.output)
            self._add_pool(str(stream.tensor), pool, name)
            stream = replace(stream, tensor=name)
        stream = self._without_idle_clamps(replace(stream, pools=(), lines=compose(lines, stream.lines)))
        if any(line.clamped for line in stream.lines):
            msg = "the output of the model is clipped (ReLU or Clip) behind its last quantizer"
            raise UnsupportedNodeError(msg, where=where, todo="put a quantizer behind it, or drop it")
        scale, offset = presented(stream.lines)
        name = str(stream.tensor)
        self.tensors[name] = replace(self.tensors[name], scale=scale, offset=offset)
        return name, stream

    def _add(self, node: Node, scale: tuple[Fraction, ...], offset: tuple[Fraction, ...]) -> None:
        self.nodes.append(node)
        tensor = node.output_tensor(*(self.tensors[name] for name in node.inputs))
        self.tensors[node.output] = replace(tensor, scale=scale, offset=offset)

    def _add_pool(self, tensor: str, pool: Pool, output: str) -> None:
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
        self._add(node, source.scale, source.offset)
        self._ranges[output] = self._ranges[tensor]
        if tensor in self._quantized:
            self._quantized.add(output)

    def _add_input(self, tensor: str, lines: tuple[Line, ...], quantizer: Quantizer) -> None:
        # Integer inputs are narrow, and float32 holds them and the numbers between them exactly.
        kind = np.dtype(self.dtype).type if np.dtype(self.dtype).kind == "f" else np.float32
        thresholds, descending = float_thresholds(lines, quantizer, kind)
        self.inputs.append(
            Input(
                tensor=tensor,
                name=self.input_name,
                index=self.source().index[0],
                frame=self.source().shape,
                dtype=self.dtype,
                thresholds=thresholds,
                descending=descending,
                first=quantizer.first,
            )
        )
        self.tensors[tensor] = Tensor(
            name=tensor,
            shape=self.source().shape,
            type=quantizer.type,
            scale=quantizer.scale,
            offset=quantizer.offset,
        )

    def _pooled_now(self, stream: Stream) -> Stream:
        """The first waiting pool, applied to the integers in front of the steps that wait."""
        pool = stream.pools[0]
        name = self._fresh(pool.output)
        self._add_pool(str(stream.tensor), pool, name)
        rest = stream.pools[1:]
        if rest:
            rest = (replace(rest[0], lines=compose(pool.lines, rest[0].lines)), *rest[1:])
            return replace(stream, tensor=name, pools=rest)
        return replace(stream, tensor=name, pools=(), lines=compose(pool.lines, stream.lines))

    def _identity(self, stream: Stream, node: OnnxNode) -> Stream:
        """A model input of narrow integers needs no quantizer."""
        kind = np.dtype(self.dtype)
        if kind.kind not in "iu" or kind.itemsize > 1 or stream.pools:
            msg = "the activations it reads are not quantized"
            raise UnsupportedNodeError(msg, where=node.where, todo=_QUANTIZE)
        info = np.iinfo(kind)
        marks = tuple(Boundary(value=Fraction(k)) for k in range(info.min + 1, info.max + 1))
        levels = type_for_range(info.min, info.max)
        plain = Quantizer(boundaries=(marks,), first=int(info.min), type=levels, scale=(Fraction(1),))
        self._add_input(self.input_name, (Line(),), plain)
        channels = stream.channels
        self._ranges[self.input_name] = np.full(channels, info.min), np.full(channels, info.max)
        self._quantized.add(self.input_name)
        return replace(stream, tensor=self.input_name)

    def _without_idle_clamps(self, stream: Stream) -> Stream:
        low, high = self._ranges[str(stream.tensor)]
        return replace(stream, lines=without_idle_clamps(stream.lines, low, high))

    def _clipped(self, stream: Stream, node: OnnxNode) -> Stream:
        """A ReLU or Clip on quantized integers whose bounds are levels, as a Threshold of its own."""
        tensor = self.tensors[str(stream.tensor)]
        low, high = (int(v[0]) for v in self._ranges[tensor.name])
        levels = None
        if tensor.name in self._quantized and not tensor.type.is_bipolar:
            levels = clip_quantizer(stream.lines, low, high)
        if levels is None:
            msg = "the activations it reads were clipped (ReLU or Clip) behind their quantizer"
            raise UnsupportedNodeError(
                msg, where=node.where, todo="put the quantizer behind the ReLU or Clip"
            )
        output = self._fresh(f"{tensor.name}/clipped")
        clip = replace(node, name=self._fresh(f"{node.name}/clip"), outputs=(output,))
        return self.quantize(stream, levels, clip)

    def _fresh(self, name: str) -> str:
        while name in self.tensors or any(node.name == name for node in self.nodes):
            name += "_"
        return name


def chw(shape: tuple[int, int, int]) -> np.ndarray:
    """Stream index of an ONNX value (1, C, H, W), int32."""
    size = shape[0] * shape[1] * shape[2]
    return np.arange(size, dtype=np.int32).reshape(shape).transpose(2, 0, 1)[np.newaxis]


def weight_type(weights: np.ndarray) -> ElementType:
    """The narrowest element type of a weight tensor."""
    return type_for_range(int(weights.min()), int(weights.max()), zero=bool(np.any(weights == 0)))
