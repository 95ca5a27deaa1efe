"""From real values to integers: quantizers, and what a stream must be for the nodes that read it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.greatest import greatest
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.store import Store
from pulsefold.compiler.frontend.values import Rivals, Stream
from pulsefold.compiler.frontend.waiting import (
    all_lines,
    clip_quantizer,
    pools_in_front,
    without_idle_clamps,
)
from pulsefold.compiler.ir.lrn import Lrn
from pulsefold.compiler.ir.reorder import Reorder
from pulsefold.compiler.ir.table import Table
from pulsefold.compiler.ir.threshold import Threshold
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.lrn import Normalization, lrn_thresholds
from pulsefold.compiler.numerics.quantizer import WIDEST, Boundary, Quantizer
from pulsefold.compiler.numerics.tables import curve_thresholds, table_values
from pulsefold.compiler.numerics.thresholds import integer_thresholds
from pulsefold.errors import UnsupportedNodeError

__all__ = ["QUANTIZE", "Quantizing"]

#: Widest activations that a product reads: concatenated and added integers may pass a quantizer's 8 bits.
WIDEST_OPERAND = 12

#: Thresholds that cost less than a table.
_FEW = 3

_ALL = "quantize the float model anew: pulsefold quantize MODEL.onnx --calibration X.npy -o Q.onnx"

QUANTIZE = (
    "quantize the activations in front of every matrix product to at most 8 bits; from the float model: "
    "pulsefold quantize MODEL.onnx --calibration X.npy -o Q.onnx"
)


class Quantizing(Store):
    """The part of the importer's state that waiting steps become nodes in."""

    def quantize(self, stream: Stream | Rivals, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """Everything that waits, and a quantizer, as one Threshold (or as the graph's input)."""
        if isinstance(stream, Rivals):
            return self._each(stream, quantizer, node)
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
            stream = self.pooled_now(stream)
        lines = all_lines(stream)
        output = node.outputs[0]
        name = self.fresh(f"{output}/unpooled") if stream.pools else output
        if stream.tensor is None:
            name = self._from_outside(name, stream, lines, quantizer, node)
        else:
            low, high = self.ranges[stream.tensor]
            found = integer_thresholds(lines, quantizer, low, high)
            name = self._threshold(name, stream, found, quantizer, node)
        return self._then_pooled(stream, self._quantized_as(stream, name, quantizer), output)

    def _threshold(
        self,
        output: str,
        stream: Stream,
        found: tuple[np.ndarray, np.ndarray],
        quantizer: Quantizer,
        node: OnnxNode,
    ) -> str:
        """Thresholds, and the channels in which they descend, as a node on the stream's integers."""
        thresholds, descending = found
        threshold = Threshold(
            name=node.name,
            input=str(stream.tensor),
            output=output,
            thresholds=thresholds,
            descending=descending,
            first=quantizer.first,
            type=quantizer.type,
            sources=(*stream.pending, node.name),
        )
        return self.add(threshold, quantizer.scale, quantizer.offset)

    def _each(self, rivals: Rivals, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """A quantizer of each stream; then the greatest of the levels, or of those of -x for the least."""
        minus = (Line(gain=Fraction(-1)),)
        levels = []
        for i, stream in enumerate(rivals.streams):
            part = replace(node, outputs=(self.fresh(f"{node.outputs[0]}/{i}"),))
            if rivals.greatest:
                levels.append(self.quantize(stream, quantizer, part))
            else:
                levels.append(self.quantize(stream.stepped(node.name, minus), quantizer.mirrored(), part))
        best = greatest(self, levels, node)
        return best if rivals.greatest else best.stepped(node.name, minus)

    def _from_outside(
        self, name: str, stream: Stream, lines: tuple[Line, ...], quantizer: Quantizer, node: OnnxNode
    ) -> str:
        """The graph's input of a quantizer, and what was moved in front of it."""
        taken = stream.taken
        if taken is None:
            return self.add_input(name, stream, lines, quantizer)
        if max(map(len, (lines, quantizer.boundaries, quantizer.scale))) > 1:
            msg = "it quantizes an input by channels, elements of which were moved"
            raise UnsupportedNodeError(msg, where=node.where, todo="use one scale for the whole input")
        whole = self.add_input(f"{name}/whole", stream, lines, quantizer)
        moved = Reorder(
            name=node.name,
            input=whole,
            output=name,
            index=taken.index,
            fill=quantizer.level(lines[0].at(taken.fill)),
            sources=(*stream.pending, node.name),
        )
        return self.add(moved, quantizer.scale, quantizer.offset)

    def narrow(self, stream: Stream, node: OnnxNode) -> Stream:
        """The stream ready for a function: integers of the graph behind lines or a curve."""
        if stream.tensor is None:
            stream = self._identity(stream, node)
        if stream.curve is None:
            while stream.pools:
                if not all(line.rising for line in stream.pools[0].lines):
                    msg = f"the MaxPool {stream.pools[-1].name!r} follows a negative gain"
                    raise UnsupportedNodeError(msg, where=node.where, todo=QUANTIZE)
                stream = self.pooled_now(stream)
        return stream

    def is_wide(self, stream: Stream) -> bool:
        """Whether its integers are too many for a table."""
        return self.tensors[str(stream.tensor)].type.bits > WIDEST_OPERAND

    def same_integers(self, a: Stream, b: Stream) -> bool:
        """Whether both are functions of one narrow tensor's integers, element by element."""
        if a.tensor is None or a.tensor != b.tensor or a.pools or b.pools or a.norm or b.norm:
            return False
        return self.tensors[a.tensor].type.bits <= WIDEST_OPERAND and np.array_equal(a.index, b.index)

    def plain(self, stream: Stream, node: OnnxNode) -> Stream:
        """The stream as integers of the graph behind lines without a clamp."""
        if stream.curve is not None or stream.norm is not None:
            msg = f"no quantizer stands between {stream.pending[-1]!r} and this node"
            todo = f"quantize its output: the function becomes an exact table there; or {_ALL}"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        if stream.tensor is None:
            stream = self._identity(stream, node)
        while stream.pools:
            if not all(line.rising for line in stream.pools[0].lines):
                msg = f"no quantizer stands between the MaxPool {stream.pools[-1].name!r} and this node"
                raise UnsupportedNodeError(msg, where=node.where, todo=QUANTIZE)
            stream = self.pooled_now(stream)
        stream = self.unclamped(stream)
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
            why = "no quantizer stands between two linear nodes" if tensor.name not in self.quantized else ""
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=QUANTIZE)
        if not by_channel and not stream.uniform_gain():
            msg = "the activations in front of it have a scale for each channel"
            why = "products of channels with different scales do not add up to one integer"
            todo = "quantize activations with one scale a tensor; a scale a channel is for weights"
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=todo)
        return stream

    def real_zero(self, stream: Stream, node: OnnxNode) -> int:
        """The integer that stands for the real 0."""
        zeros = {-line.offset / line.gain for line in stream.lines if line.gain != 0}
        zero = zeros.pop() if len(zeros) == 1 else None
        if not isinstance(zero, Fraction) or zero.denominator != 1:
            msg = "it pads with zeros, and zero is no integer of the activations it reads"
            todo = "quantize these activations with a whole zero point, or pad by 0"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        return int(zero)

    def _curved(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """A curve and a quantizer: a Table of narrow integers, or a Threshold of wide ones."""
        assert stream.curve is not None
        try:
            return self._evaluated(stream, quantizer, node, self.ranges[str(stream.tensor)])
        except ArithmeticError:
            # Not on all levels of the quantizer in front; perhaps on those that what it reads can reach.
            reached = self.reached(str(stream.tensor))
        try:
            return self._evaluated(stream, quantizer, node, reached)
        except ArithmeticError as error:
            msg = f"{stream.pending[-1]!r} cannot be evaluated on what it reads"
            todo = "check that its input lies where the function is defined"
            raise UnsupportedNodeError(msg, where=node.where, why=str(error), todo=todo) from None

    def _evaluated(
        self, stream: Stream, quantizer: Quantizer, node: OnnxNode, reach: tuple[np.ndarray, np.ndarray]
    ) -> Stream:
        """The curve on the integers of a range; those of the type that cannot come give what others give."""
        assert stream.curve is not None
        tensor, (low, high) = self.tensors[str(stream.tensor)], reach
        directed = all(stream.curve.direction(c) is not None for c in range(stream.curve.channels))
        narrow = tensor.type.bits <= WIDEST_OPERAND and not tensor.type.is_bipolar
        sources = (*stream.pending, node.name)
        output = node.outputs[0]
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
            name = self.add(table, quantizer.scale, quantizer.offset)
        elif directed:
            found = curve_thresholds(stream.curve, quantizer, low, high)
            name = self._threshold(output, stream, found, quantizer, node)
        else:
            msg = f"{stream.pending[-1]!r} rises and falls, and reads {tensor.type} accumulators"
            todo = "put a quantizer of at most 8 bits in front of it: it becomes a table there"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        return self._quantized_as(stream, name, quantizer)

    def _then_pooled(self, stream: Stream, behind: Stream, output: str) -> Stream:
        """The pools that waited in front of a quantizer, behind it."""
        name = str(behind.tensor)
        for i, pool in enumerate(stream.pools):
            following = output if i == len(stream.pools) - 1 else f"{output}/unpooled"
            name = self.add_pool(name, pool, following)
        return replace(behind, tensor=name)

    def _normalized(self, stream: Stream, quantizer: Quantizer, node: OnnxNode) -> Stream:
        """An LRN and a quantizer: an Lrn of narrow integers. Pools that follow the LRN go behind both."""
        norm = stream.norm
        assert norm is not None
        tensor = self.tensors[str(stream.tensor)]
        (line,) = stream.pools[0].lines if stream.pools else stream.lines
        zero = self.real_zero(replace(stream, lines=(line,)), node)
        if len(quantizer.boundaries) > 1 or tensor.type.bits > WIDEST:
            msg = f"{stream.pending[-1]!r} reads {tensor.type} or is quantized with a scale for each channel"
            todo = "quantize in front of it and behind it, with at most 8 bits and one scale a tensor"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        if quantizer.type.is_bipolar:
            # An Lrn counts in steps of 1: -s and +s are 0 and 1 behind a scale of 2 s.
            bit, scale = type_for_range(0, 1), quantizer.scale
            doubled, below = tuple(2 * s for s in scale), tuple(-s for s in scale)
            quantizer = replace(quantizer, first=0, type=bit, scale=doubled, offset=below)
        low, high = tensor.type.minimum, tensor.type.maximum
        try:
            meaning = Normalization(
                scale=Fraction(line.gain),  # type: ignore[arg-type]
                zero=zero,
                size=norm.size,
                alpha=norm.alpha,
                beta=norm.beta,
                bias=norm.bias,
            )
        except ValueError as error:
            todo = "use the numbers of AlexNet: alpha 0.0001, beta 0.75, bias 1"
            raise UnsupportedNodeError(str(error), where=node.where, todo=todo) from None
        thresholds, descending = lrn_thresholds(meaning, quantizer, low, high)
        output = node.outputs[0]
        lrn = Lrn(
            name=node.name,
            input=tensor.name,
            output=self.fresh(f"{output}/unpooled") if stream.pools else output,
            before=min((norm.size - 1) // 2, tensor.shape[2] - 1),
            after=min(norm.size // 2, tensor.shape[2] - 1),
            zero=zero,
            least=low,
            thresholds=thresholds,
            descending=descending,
            first=quantizer.first,
            type=quantizer.type,
            sources=(*stream.pending, node.name),
        )
        name = self.add(lrn, quantizer.scale, quantizer.offset)
        return self._then_pooled(stream, self._quantized_as(stream, name, quantizer), output)

    def _quantized_as(self, stream: Stream, name: str, quantizer: Quantizer) -> Stream:
        """The stream behind a quantizer that has made the tensor `name`."""
        channels = self.tensors[name].shape[2]
        # All its levels, reached or not: channels then share the thresholds of what follows.
        self.ranges[name] = np.full(channels, quantizer.first), np.full(channels, quantizer.last)
        self.quantized.add(name)
        lines = tuple(
            Line(
                gain=quantizer.scale[c % len(quantizer.scale)],
                offset=quantizer.offset[c % len(quantizer.offset)],
            )
            for c in range(max(len(quantizer.scale), len(quantizer.offset)))
        )
        return Stream(tensor=name, shape=stream.shape, index=stream.index, dtype=stream.dtype, lines=lines)

    def pooled_now(self, stream: Stream) -> Stream:
        """The first waiting pool, applied to the integers in front of the steps that wait."""
        pool = stream.pools[0]
        name = self.add_pool(str(stream.tensor), pool, pool.output)
        rest = stream.pools[1:]
        if rest:
            rest = (replace(rest[0], lines=compose(pool.lines, rest[0].lines)), *rest[1:])
            return replace(stream, tensor=name, pools=rest)
        return replace(stream, tensor=name, pools=(), lines=compose(pool.lines, stream.lines))

    def is_bytes(self, stream: Stream) -> bool:
        """Whether it is an input of the model that needs no quantizer."""
        kind = np.dtype(self.sources[stream.source].dtype) if stream.tensor is None else None
        return kind is not None and kind.kind in "iu" and kind.itemsize == 1

    def _identity(self, stream: Stream, node: OnnxNode) -> Stream:
        """A model input of narrow integers needs no quantizer."""
        kind = np.dtype(self.sources[stream.source].dtype)
        if not self.is_bytes(stream):
            msg = "the activations it reads are not quantized"
            if kind.kind in "iu":
                msg = f"it reads {kind.name} activations"
            raise UnsupportedNodeError(msg, where=node.where, todo=QUANTIZE)
        name = self.plain_inputs.get(stream.source)
        if name is None:
            info = np.iinfo(kind)
            marks = tuple(Boundary(value=Fraction(k)) for k in range(info.min + 1, info.max + 1))
            levels = type_for_range(info.min, info.max)
            plain = Quantizer(boundaries=(marks,), first=int(info.min), type=levels, scale=(Fraction(1),))
            name = self.add_input(stream.source, stream, (Line(),), plain)
            self.quantized.add(name)
            self.plain_inputs[stream.source] = name
        return replace(stream, tensor=name)

    def unclamped(self, stream: Stream) -> Stream:
        """Without bounds that no integer of the tensor meets."""
        low, high = self.ranges[str(stream.tensor)]
        return replace(stream, lines=without_idle_clamps(stream.lines, low, high))

    def _clipped(self, stream: Stream, node: OnnxNode) -> Stream:
        """A ReLU or Clip on quantized integers whose bounds are levels, as a Threshold of its own."""
        tensor = self.tensors[str(stream.tensor)]
        low, high = self.ranges[tensor.name]
        low, high = int(low.min()), int(high.max())
        levels = None
        if tensor.name in self.quantized and not tensor.type.is_bipolar:
            levels = clip_quantizer(stream.lines, low, high)
        if levels is None:
            msg = "the activations it reads were clipped (ReLU or Clip) behind their quantizer"
            raise UnsupportedNodeError(
                msg, where=node.where, todo="put the quantizer behind the ReLU or Clip"
            )
        output = self.fresh(f"{tensor.name}/clipped")
        clip = replace(node, name=self.fresh(f"{node.name}/clip"), outputs=(output,))
        return self.quantize(stream, levels, clip)
