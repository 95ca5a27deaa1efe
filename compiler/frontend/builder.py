"""The graph under construction: what integers exist, and how waiting steps become nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.load import check_elements
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.values import Pool, Stream, canonical
from pulsefold.compiler.frontend.waiting import (
    all_lines,
    clip_quantizer,
    pools_in_front,
    presented,
    without_idle_clamps,
)
from pulsefold.compiler.ir.concat import Concat
from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import HostStep, Input, Node, Shape, Tensor, chw_index
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.product import Product
from pulsefold.compiler.ir.reorder import Reorder
from pulsefold.compiler.ir.sum import Sum
from pulsefold.compiler.ir.sumpool import SumPool
from pulsefold.compiler.ir.table import Table
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import ElementType, type_for_range
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer
from pulsefold.compiler.numerics.surd import Real
from pulsefold.compiler.numerics.tables import curve_thresholds, table_values
from pulsefold.compiler.numerics.thresholds import float_thresholds, integer_thresholds
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["Builder"]

#: Widest activations that a product reads: concatenated and added integers may pass a quantizer's 8 bits.
WIDEST_OPERAND = 12

#: Thresholds that cost less than a table.
_FEW = 3

_QUANTIZE = (
    "quantize the activations in front of every matrix product to at most 8 bits, for example by training "
    "with Brevitas or QKeras and exporting QONNX"
)


class Builder:
    """Collects nodes and tensors while the importer walks the ONNX graph."""

    def __init__(self) -> None:
        self.sources: dict[str, Stream] = {}
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        #: Scale and offset that an output shows a tensor with.
        self.shown: dict[str, tuple[tuple[Fraction, ...], tuple[Fraction, ...]]] = {}
        self._plain_inputs: dict[str, str] = {}
        # Integers a quantizer made, against accumulators; and the least and greatest they can be.
        self._quantized: set[str] = set()
        self._ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def source(self, *, name: str, shape: tuple[int, ...], dtype: str, channels_last: bool) -> Stream:
        """An input of the model, its shape without the batch axis, as a stream."""
        frame, index = canonical((1, *shape))
        if channels_last:
            frame = (
                shape[0] if len(shape) == 3 else 1,
                int(np.prod(shape[1 if len(shape) == 3 else 0 : -1])),
                shape[-1],
            )
            index = np.arange(index.size, dtype=np.int32).reshape(1, *shape)
        self.sources[name] = Stream(
            tensor=None, source=name, shape=frame, index=np.ascontiguousarray(index), dtype=dtype
        )
        return self.sources[name]

    def quantize(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """Everything that waits, and a quantizer, as one Threshold (or as the graph's input)."""
        if stream.norm is not None:
            return self._normalized(stream, quantizer, node)
        if stream.curve is not None:
            return self._curved(stream, quantizer, node)
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
            name = self._add_input(name, stream, lines, quantizer)
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
            name = self._add(threshold, quantizer.scale, quantizer.offset)
        behind = self._quantized_as(stream, name, quantizer)
        for i, pool in enumerate(stream.pools):
            following = output if i == len(stream.pools) - 1 else f"{output}/unpooled"
            name = self._add_pool(name, pool, following)
        return replace(behind, tensor=name)

    def _curved(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """A curve and a quantizer: a Table of narrow integers, or a Threshold of wide ones."""
        assert stream.curve is not None
        tensor = self.tensors[str(stream.tensor)]
        low, high = self._ranges[tensor.name]
        directed = all(stream.curve.direction(c) is not None for c in range(stream.curve.channels))
        narrow = tensor.type.bits <= WIDEST_OPERAND and not tensor.type.is_bipolar
        sources = (*stream.pending, node.name)
        output = node.outputs[0]
        try:
            if narrow and not (directed and quantizer.count <= _FEW):
                least, most = int(low.min()), int(high.max())
                values = table_values(stream.curve, quantizer, least, most)
                # Integers of the type that cannot come give what their neighbour gives.
                edges = ((0, 0), (least - tensor.type.minimum, tensor.type.maximum - most))
                table = Table(
                    name=node.name,
                    input=tensor.name,
                    output=output,
                    values=np.pad(values, edges, mode="edge"),
                    least=tensor.type.minimum,
                    type=quantizer.type,
                    sources=sources,
                )
                name = self._add(table, quantizer.scale, quantizer.offset)
            elif directed:
                thresholds, descending = curve_thresholds(stream.curve, quantizer, low, high)
                threshold = Threshold(
                    name=node.name,
                    input=tensor.name,
                    output=output,
                    thresholds=thresholds,
                    descending=descending,
                    first=quantizer.first,
                    type=quantizer.type,
                    sources=sources,
                )
                name = self._add(threshold, quantizer.scale, quantizer.offset)
            else:
                msg = f"{stream.pending[-1]!r} rises and falls, and reads {tensor.type} accumulators"
                todo = "put a quantizer of at most 8 bits in front of it: it becomes a table there"
                raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        except ArithmeticError as error:
            msg = f"{stream.pending[-1]!r} cannot be evaluated on what it reads"
            todo = "check that its input lies where the function is defined"
            raise UnsupportedNodeError(msg, where=node.where, why=str(error), todo=todo) from None
        return self._quantized_as(stream, name, quantizer)

    def _quantized_as(self, stream: Stream, name: str, quantizer: Quantizer) -> Stream:
        """The stream behind a quantizer that has made the tensor `name`."""
        channels = self.tensors[name].shape[2]
        self._ranges[name] = np.full(channels, quantizer.first), np.full(channels, quantizer.last)
        self._quantized.add(name)
        lines = tuple(
            Line(
                gain=quantizer.scale[c % len(quantizer.scale)],
                offset=quantizer.offset[c % len(quantizer.offset)],
            )
            for c in range(max(len(quantizer.scale), len(quantizer.offset)))
        )
        return Stream(tensor=name, shape=stream.shape, index=stream.index, dtype=stream.dtype, lines=lines)

    def narrow(self, stream: Stream, node: OnnxNode) -> Stream:
        """The stream ready for a function: integers of the graph behind lines or a curve."""
        if stream.tensor is None:
            stream = self._identity(stream, node)
        if stream.curve is None:
            while stream.pools:
                if not all(line.rising for line in stream.pools[0].lines):
                    msg = f"the MaxPool {stream.pools[-1].name!r} follows a negative gain"
                    raise UnsupportedNodeError(msg, where=node.where, todo=_QUANTIZE)
                stream = self._pooled_now(stream)
        return stream

    def same_integers(self, a: Stream, b: Stream) -> bool:
        """Whether both are functions of one narrow tensor's integers, element by element."""
        if a.tensor is None or a.tensor != b.tensor or a.pools or b.pools or a.norm or b.norm:
            return False
        return self.tensors[a.tensor].type.bits <= WIDEST_OPERAND and np.array_equal(a.index, b.index)

    def plain(self, stream: Stream, node: OnnxNode) -> Stream:
        """The stream as integers of the graph behind lines without a clamp."""
        if stream.curve is not None or stream.norm is not None:
            msg = f"no quantizer stands between {stream.pending[-1]!r} and this node"
            todo = "quantize its output: the function becomes an exact table there"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        if stream.tensor is None:
            stream = self._identity(stream, node)
        while stream.pools:
            if not all(line.rising for line in stream.pools[0].lines):
                msg = f"no quantizer stands between the MaxPool {stream.pools[-1].name!r} and this node"
                raise UnsupportedNodeError(msg, where=node.where, todo=_QUANTIZE)
            stream = self._pooled_now(stream)
        stream = self._without_idle_clamps(stream)
        if any(line.clamped for line in stream.lines):
            stream = self._clipped(stream, node)
        return stream

    def integers(self, stream: Stream, node: OnnxNode, *, by_channel: bool = False) -> Stream:
        """The stream ready for a matrix product: narrow integers behind one gain and no clamp.

        `by_channel` allows a gain for each channel, for products that never mix channels.
        """
        stream = self.plain(stream, node)
        tensor = self.tensors[str(stream.tensor)]
        if tensor.type.bits > WIDEST_OPERAND:
            msg = f"it reads {tensor.type} activations, and a product takes up to {WIDEST_OPERAND} bits"
            why = "no quantizer stands between two linear nodes" if tensor.name not in self._quantized else ""
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=_QUANTIZE)
        if not by_channel and not stream.uniform_gain():
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
        groups: int = 1,
    ) -> Stream:
        """A Conv on integers of :meth:`integers`; scales and bias, 1 or O each, wait behind it.

        With x = a_c * q + b_c and w = s_o * v, a_c being one number but where no channels mix:
        sum(w x) + bias_o = a s_o * sum(v q) + s_o * sum(v b_c) + bias_o. Taps outside the frame are a real 0.
        `shape` is that of the ONNX value, its channels on axis 1 and its frame's sizes filled in here where
        they are 0.
        """
        tensor = self.tensors[str(stream.tensor)]
        conv = Conv(
            name=node.name,
            input=tensor.name,
            output=node.outputs[0],
            weights=weights,
            weight_type=weight_type(weights),
            stride=stride,
            dilation=dilation,
            pads=pads,
            groups=groups,
            pad_value=self.real_zero(stream, node) if any(pads) else 0,
            sources=(*stream.pending, node.name),
        )
        frame = conv.output_shape(tensor.shape)
        check_elements(frame, node.where)
        lines = _behind_product(stream.lines, weights, groups, scale, bias)
        name = self._add(conv, *presented(lines))
        self._ranges[name] = conv.accumulator_range(tensor.type)
        if 0 in shape:
            shape = (*shape[:2], *(frame[4 - len(shape) : 2]))
            _, index = canonical(shape)
        else:
            index = np.arange(frame[0] * frame[1] * frame[2], dtype=np.int32).reshape(shape)
        return Stream(tensor=name, shape=frame, index=index, dtype=stream.dtype, lines=lines)

    def real_zero(self, stream: Stream, node: OnnxNode) -> int:
        """The integer that stands for the real 0."""
        zeros = {-line.offset / line.gain for line in stream.lines if line.gain != 0}
        zero = zeros.pop() if len(zeros) == 1 else None
        if not isinstance(zero, Fraction) or zero.denominator != 1:
            msg = "it pads with zeros, and zero is no integer of the activations it reads"
            todo = "quantize these activations with a whole zero point, or pad by 0"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        return int(zero)

    def sum_pool(self, stream: Stream, pool: SumPool, shape: tuple[int, ...]) -> Stream:
        """An average pool of plain integers: the divisor goes into the lines behind it."""
        tensor = self.tensors[str(stream.tensor)]
        divisor = pool.divisor(tensor.shape)
        check_elements(pool.output_tensor(tensor).shape, pool.name)
        # An average of lines is the line of the average: the offset stays.
        lines = tuple(replace(line, gain=line.gain / divisor) for line in stream.lines)
        name = self._add(pool, *presented(lines))
        low, high = self._ranges[tensor.name]
        weight = int((pool.factors(tensor.shape) * pool.counts(tensor.shape)).max())
        ends = (np.minimum(low, 0), np.maximum(high, 0))
        if pool.include_pad:
            ends = (np.minimum(ends[0], pool.pad_value), np.maximum(ends[1], pool.pad_value))
        self._ranges[name] = ends[0] * weight, ends[1] * weight
        frame, index = canonical(shape)
        return replace(stream, tensor=name, shape=frame, index=index, lines=lines, pending=())

    def reorder(
        self,
        stream: Stream,
        node: OnnxNode,
        taken: np.ndarray,
        target: np.ndarray,
        frame: Shape,
        fill: int = 0,
    ) -> Stream:
        """Elements moved into another frame.

        Parameters
        ----------
        stream
            Plain integers.
        taken
            int32 in the ONNX shape: where each element lies in the stream now; -1 for `fill`.
        target
            int32 in the same shape: where it is to lie, a permutation of the new frame.
        frame
            (H, W, C) of the new frame.
        fill
            Integer where nothing is moved to.
        """
        check_elements(taken.shape, node.where)
        tensor = self.tensors[str(stream.tensor)]
        index = np.empty(taken.size, np.int32)
        index[target.ravel()] = taken.ravel()
        index = index.reshape(frame)
        if frame == tensor.shape and np.array_equal(index.ravel(), np.arange(index.size)):
            return replace(stream, index=target, shape=frame)
        rows = index.reshape(-1, frame[2])
        channel = np.where(rows >= 0, rows % tensor.shape[2], -1)
        lines = stream.lines
        if len(lines) > 1:
            first = channel.max(axis=0)
            same = (channel == first) | (channel < 0)
            if not np.all(same):
                msg = "it mixes channels that have a scale each"
                todo = "quantize these activations with one scale a tensor"
                raise UnsupportedNodeError(msg, where=node.where, todo=todo)
            lines = tuple(lines[max(c, 0)] for c in first)
        moved = Reorder(
            name=node.name,
            input=tensor.name,
            output=self._fresh(node.outputs[0]),
            index=index,
            fill=fill,
            sources=(*stream.pending, node.name),
        )
        name = self._add(moved, *presented(lines))
        low, high = self._ranges[tensor.name]
        if len({*low.tolist()}) == len({*high.tolist()}) == 1:
            low, high = np.full(frame[2], low[0]), np.full(frame[2], high[0])
            if np.any(index < 0):
                low, high = np.minimum(low, fill), np.maximum(high, fill)
        else:
            padded = np.append(low, fill), np.append(high, fill)
            low, high = padded[0][channel].min(axis=0), padded[1][channel].max(axis=0)
        self._ranges[name] = low, high
        if tensor.name in self._quantized:
            self._quantized.add(name)
        return replace(stream, tensor=name, shape=frame, index=target, lines=lines, pending=())

    def arranged(self, stream: Stream, node: OnnxNode, *, channels_last: bool = False) -> Stream:
        """The stream in the order that its ONNX shape asks for: axis 1 (or the last) being the channels."""
        frame, target = canonical(stream.index.shape)
        if channels_last:
            last = stream.index.shape[-1]
            frame = (1, stream.index.size // last, last)
            target = np.arange(stream.index.size, dtype=np.int32).reshape(stream.index.shape)
        if stream.shape == frame and np.array_equal(stream.index, target):
            return stream
        return self.reorder(self.plain(stream, node), node, stream.index, target, frame)

    def join(self, node: Node, streams: Sequence[Stream], lines: tuple[Line, ...], shape: Stream) -> Stream:
        """A node that reads several streams of plain integers; its result lies as `shape` does."""
        name = self._add(node, *presented(lines))
        tensor = self.tensors[name]
        check_elements(tensor.shape, node.name)
        self._ranges[name] = _joined_range(node, [self._ranges[str(s.tensor)] for s in streams], tensor)
        return replace(shape, tensor=name, shape=tensor.shape, lines=lines, pools=(), pending=())

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
        rising = all(line.rising for line in stream.lines)
        if stream.curve is not None:
            rising = all(stream.curve.direction(c) in (0, 1) for c in range(stream.channels))
        if (stream.curve is not None or stream.norm is not None) and not rising:
            msg = f"no quantizer stands between {stream.pending[-1]!r} and this pool"
            todo = "quantize its output: the function becomes an exact table there"
            raise UnsupportedNodeError(msg, where=pool.name, todo=todo)
        if (stream.tensor in self._quantized or stream.curve is not None) and rising and stream.norm is None:
            return replace(after, tensor=self._add_pool(str(stream.tensor), pool, pool.output))
        return replace(
            after, pools=(*stream.pools, pool), lines=(Line(),), pending=(*stream.pending, pool.name)
        )

    def select(self, stream: Stream, kept: np.ndarray, index: np.ndarray, node: OnnxNode) -> Stream | None:
        """Only some output channels, where a Conv has just made them: a Conv with those rows.

        The whole Conv is dropped at the end if nothing else reads it. None where it was no Conv.
        """
        last = next((n for n in self.nodes if n.output == stream.tensor), None)
        if not isinstance(last, Conv) or stream.pools or last.groups > 1:
            return None
        weights = last.weights[kept]
        conv = replace(
            last,
            output=self._fresh(node.outputs[0]),
            weights=weights,
            weight_type=weight_type(weights),
            sources=(*last.sources, node.name),
        )
        lines = tuple(stream.lines[c] for c in kept) if len(stream.lines) > 1 else stream.lines
        name = self._add(conv, *presented(lines))
        self._ranges[name] = conv.accumulator_range(self.tensors[conv.input].type)
        return replace(stream, tensor=name, shape=self.tensors[name].shape, index=index, lines=lines)

    def finish(self, stream: Stream, where: str) -> tuple[str, Stream, tuple[HostStep, ...]]:
        """The tensor that a graph output reads, with the waiting steps as its scale and offset.

        What has no place there, a clamp or another output's scale, is left to the host.
        """
        if stream.tensor is None:
            raise ModelError("no node of the model is quantized", where=where, todo=_QUANTIZE)
        host = stream.host
        if host is None or stream.norm is not None:
            msg = f"no quantizer stands between {stream.pending[-1]!r} and the output"
            todo = "quantize the output: the function becomes an exact table there"
            raise UnsupportedNodeError(msg, where=where, todo=todo)
        lines = (Line(),)
        for pool in stream.pools:
            lines = compose(lines, pool.lines)
            if not all(line.rising for line in lines):
                msg = f"the MaxPool {pool.name!r} follows a negative gain, and no quantizer follows it"
                raise UnsupportedNodeError(msg, where=where, todo="quantize the output of the model")
        for pool in stream.pools:
            name = self._add_pool(str(stream.tensor), pool, pool.output)
            stream = replace(stream, tensor=name)
        stream = self._without_idle_clamps(replace(stream, pools=(), lines=compose(lines, stream.lines)))
        steps: tuple[HostStep, ...] = ()
        bounds = {(line.low, line.high) for line in stream.lines}
        if bounds != {(None, None)}:
            low, high = bounds.pop()
            limits = [limit for limit in (low, high) if limit is not None]
            if bounds or not all(isinstance(limit, Fraction) for limit in limits):
                msg = "the output of the model is clipped to other bounds in each channel"
                raise UnsupportedNodeError(msg, where=where, todo="put a quantizer behind it, or drop it")
            steps = (HostStep(op="clip", low=_rational(low), high=_rational(high)),)
        steps = (*steps, *host)
        scale, offset = presented(stream.lines)
        name = str(stream.tensor)
        shown = self.shown.setdefault(name, (scale, offset))
        if shown != (scale, offset):
            # Another output shows the same integers at another scale: they go through a tensor of their own.
            frame = self.tensors[name].shape
            copy = Reorder(
                name=f"{name}/shown",
                input=name,
                output=self._fresh(f"{name}/shown"),
                index=np.arange(frame[0] * frame[1] * frame[2], dtype=np.int32).reshape(frame),
            )
            low, high = self._ranges[name]
            name = self._add(copy, scale, offset)
            self._ranges[name] = low, high
        self.tensors[name] = replace(self.tensors[name], scale=scale, offset=offset)
        return name, stream, steps

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

    def _add(self, node: Node, scale: tuple[Fraction, ...], offset: tuple[Fraction, ...]) -> str:
        """The node under names that are free; the name of its tensor."""
        names = {other.name for other in self.nodes}
        name = node.name
        while name in names:
            name += "_"
        node = replace(node, name=name, output=self._fresh(node.output))  # type: ignore[type-var]
        self.nodes.append(node)
        tensor = node.output_tensor(*(self.tensors[name] for name in node.inputs))
        self.tensors[node.output] = replace(tensor, scale=scale, offset=offset)
        return node.output

    def _add_pool(self, tensor: str, pool: Pool, output: str) -> str:
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
        name = self._add(node, source.scale, source.offset)
        self._ranges[name] = self._ranges[tensor]
        if tensor in self._quantized:
            self._quantized.add(name)
        return name

    def _add_input(self, tensor: str, stream: Stream, lines: tuple[Line, ...], quantizer: Quantizer) -> str:
        # Integer inputs are narrow, and float32 holds them and the numbers between them exactly.
        kind = (
            np.dtype(self.sources[stream.source].dtype).type
            if np.dtype(self.sources[stream.source].dtype).kind == "f"
            else np.float32
        )
        thresholds, descending = float_thresholds(lines, quantizer, kind)
        source = self.sources[stream.source]
        tensor = self._fresh(tensor)
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
        self.tensors[tensor] = Tensor(
            name=tensor,
            shape=source.shape,
            type=quantizer.type,
            scale=quantizer.scale,
            offset=quantizer.offset,
        )
        return tensor

    def _normalized(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        raise UnsupportedNodeError("LRN", where=node.where, todo="soon")

    def _pooled_now(self, stream: Stream) -> Stream:
        """The first waiting pool, applied to the integers in front of the steps that wait."""
        pool = stream.pools[0]
        name = self._add_pool(str(stream.tensor), pool, pool.output)
        rest = stream.pools[1:]
        if rest:
            rest = (replace(rest[0], lines=compose(pool.lines, rest[0].lines)), *rest[1:])
            return replace(stream, tensor=name, pools=rest)
        return replace(stream, tensor=name, pools=(), lines=compose(pool.lines, stream.lines))

    def _identity(self, stream: Stream, node: OnnxNode) -> Stream:
        """A model input of narrow integers needs no quantizer."""
        kind = np.dtype(self.sources[stream.source].dtype)
        if kind.kind not in "iu" or kind.itemsize > 1:
            msg = "the activations it reads are not quantized"
            raise UnsupportedNodeError(msg, where=node.where, todo=_QUANTIZE)
        name = self._plain_inputs.get(stream.source)
        if name is None:
            info = np.iinfo(kind)
            marks = tuple(Boundary(value=Fraction(k)) for k in range(info.min + 1, info.max + 1))
            levels = type_for_range(info.min, info.max)
            plain = Quantizer(boundaries=(marks,), first=int(info.min), type=levels, scale=(Fraction(1),))
            name = self._add_input(stream.source, stream, (Line(),), plain)
            channels = self.sources[stream.source].channels
            self._ranges[name] = np.full(channels, info.min), np.full(channels, info.max)
            self._quantized.add(name)
            self._plain_inputs[stream.source] = name
        return replace(stream, tensor=name)

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
        while name in self.tensors:
            name += "_"
        return name


def chw(shape: Shape) -> np.ndarray:
    """Stream index of an ONNX value (1, C, H, W), int32."""
    return chw_index(shape)[np.newaxis]


def weight_type(weights: np.ndarray) -> ElementType:
    """The narrowest element type of a weight tensor."""
    return type_for_range(int(weights.min()), int(weights.max()), zero=bool(np.any(weights == 0)))


def _behind_product(
    before: tuple[Line, ...],
    weights: np.ndarray,
    groups: int,
    scale: Sequence[Fraction],
    bias: Sequence[Real],
) -> tuple[Line, ...]:
    """The lines of a Conv's accumulators, see :meth:`Builder.linear`."""
    outputs, _, _, inside = weights.shape
    offset_any = any(line.offset != 0 for line in before)
    if not offset_any and max(len(scale), len(bias), len(before)) == 1:
        return (Line(gain=before[0].gain * scale[0], offset=bias[0]),)
    sums = weights.sum(axis=(1, 2))
    lines = []
    for o in range(outputs):
        s, offset = scale[o % len(scale)], bias[o % len(bias)]
        first = o // (outputs // groups) * inside
        if len(before) == 1:
            offset = offset + s * int(sums[o].sum()) * before[0].offset
        elif offset_any:
            for c in range(inside):
                offset = offset + s * int(sums[o, c]) * before[first + c].offset
        lines.append(Line(gain=before[first % len(before)].gain * s, offset=offset))
    return tuple(lines)


def _joined_range(
    node: Node, ranges: list[tuple[np.ndarray, np.ndarray]], tensor: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest integer of each channel behind a node with several inputs."""
    if isinstance(node, Sum):
        ends = [
            np.sort([g * low, g * high], axis=0) for g, (low, high) in zip(node.gains, ranges, strict=True)
        ]
        low, high = sum(e[0] for e in ends), sum(e[1] for e in ends)
        return np.asarray(low), np.asarray(high)
    if isinstance(node, Product):
        (a, b), (p, q) = ((low - z, high - z) for z, (low, high) in zip(node.zeros, ranges, strict=True))
        corners = np.array([a * p, a * q, b * p, b * q])
        return corners.min(axis=0), corners.max(axis=0)
    if isinstance(node, Concat):
        return np.concatenate([r[0] for r in ranges]), np.concatenate([r[1] for r in ranges])
    channels = tensor.shape[2]
    return np.full(channels, tensor.type.minimum), np.full(channels, tensor.type.maximum)


def _rational(limit: Real | None) -> Fraction | None:
    return limit if isinstance(limit, Fraction) else None
