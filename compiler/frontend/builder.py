"""The graph under construction: what integers exist, and how waiting steps become nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.load import check_frame
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.products import behind_product, weight_type
from pulsefold.compiler.frontend.quantizing import QUANTIZE, Quantizing
from pulsefold.compiler.frontend.values import Pool, Stream, Taken, canonical
from pulsefold.compiler.frontend.waiting import (
    presented,
)
from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import HostStep, Node, Shape, Tensor, chw_index
from pulsefold.compiler.ir.maxpool import MaxPool
from pulsefold.compiler.ir.reorder import Reorder
from pulsefold.compiler.ir.sumpool import SumPool
from pulsefold.compiler.ir.types import type_for_range
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.surd import Real
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["Builder"]


class Builder(Quantizing):
    """Adds the nodes of the integer graph while the importer walks the ONNX graph."""

    def __init__(self) -> None:
        super().__init__()
        #: Scale and offset that an output shows a tensor with.
        self.shown: dict[str, tuple[tuple[Fraction, ...], tuple[Fraction, ...]]] = {}

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
            weights=np.ascontiguousarray(weights, np.int64),
            weight_type=weight_type(weights),
            stride=stride,
            dilation=dilation,
            pads=pads,
            groups=groups,
            pad_value=self.real_zero(stream, node) if any(pads) else 0,
            sources=(*stream.pending, node.name),
        )
        frame = conv.output_shape(tensor.shape)
        check_frame(frame, node.where)
        lines = behind_product(stream.lines, weights, groups, scale, bias)
        name = self.add(conv, *presented(lines))
        if 0 in shape:
            shape = (*shape[:2], *(frame[4 - len(shape) : 2]))
            _, index = canonical(shape)
        else:
            index = np.arange(frame[0] * frame[1] * frame[2], dtype=np.int32).reshape(shape)
        return Stream(tensor=name, shape=frame, index=index, dtype=stream.dtype, lines=lines)

    def sum_pool(self, stream: Stream, pool: SumPool, shape: tuple[int, ...]) -> Stream:
        """An average pool of plain integers: the divisor goes into the lines behind it."""
        tensor = self.tensors[str(stream.tensor)]
        divisor = pool.divisor(tensor.shape)
        check_frame(pool.output_tensor(tensor).shape, pool.name)
        # An average of lines is the line of the average: the offset stays.
        lines = tuple(replace(line, gain=line.gain / divisor) for line in stream.lines)
        name = self.add(pool, *presented(lines))
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
        check_frame(taken.shape, node.where)
        tensor = self.tensors[str(stream.tensor)]
        index = np.empty(taken.size, np.int32)
        index[target.ravel()] = taken.ravel()
        index = index.reshape(frame)
        if frame == tensor.shape and np.array_equal(index.ravel(), np.arange(index.size)):
            return replace(stream, index=target, shape=frame)
        lines = stream.lines
        if len(lines) > 1:
            rows = index.reshape(-1, frame[2])
            channel = np.where(rows >= 0, rows % tensor.shape[2], -1)
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
            output=self.fresh(node.outputs[0]),
            index=index,
            fill=fill,
            sources=(*stream.pending, node.name),
        )
        name = self.add(moved, *presented(lines))
        if tensor.name in self.quantized:
            self.quantized.add(name)
        return replace(stream, tensor=name, shape=frame, index=target, lines=lines, pending=())

    def early(
        self, stream: Stream, taken: np.ndarray, target: np.ndarray, frame: Shape, fill: Fraction
    ) -> Stream:
        """Elements of an input moved in front of its quantizer, as in :meth:`reorder`.

        The quantizer and the line in front of it go over each element alone, so that they can come first.
        The same stream where the elements have to wait for them.
        """
        line, before = stream.lines[0], stream.taken
        filled = bool(np.any(taken < 0))
        if stream.pools or len(stream.lines) > 1 or (filled and (line.clamped or line.constant)):
            return stream
        number = (fill - line.offset) / line.gain if filled else Fraction(0)
        if not isinstance(number, Fraction):
            return stream
        places = np.arange(stream.index.size, dtype=np.int32) if before is None else before.index.ravel()
        if before is not None and np.any(before.index < 0):
            if filled and number != before.fill:
                return stream
            number = before.fill
        index = np.empty(taken.size, np.int32)
        index[target.ravel()] = np.append(places, np.int32(-1))[taken.ravel()]
        return replace(
            stream, index=target, shape=frame, taken=Taken(index=index.reshape(frame), fill=number)
        )

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
        name = self.add(node, *presented(lines))
        tensor = self.tensors[name]
        check_frame(tensor.shape, node.name)
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
        check_frame(moved.shape, f"{pool.name} (MaxPool)")
        after = replace(stream, shape=moved.shape, index=chw(moved.shape))
        rising = all(line.rising for line in stream.lines)
        if stream.curve is not None:
            rising = all(stream.curve.direction(c) in (0, 1) for c in range(stream.channels))
        if (stream.curve is not None or stream.norm is not None) and not rising:
            msg = f"no quantizer stands between {stream.pending[-1]!r} and this pool"
            todo = "quantize its output: the function becomes an exact table there"
            raise UnsupportedNodeError(msg, where=pool.name, todo=todo)
        if (stream.tensor in self.quantized or stream.curve is not None) and rising and stream.norm is None:
            return replace(after, tensor=self.add_pool(str(stream.tensor), pool, pool.output))
        return replace(
            after, pools=(*stream.pools, pool), lines=(Line(),), pending=(*stream.pending, pool.name)
        )

    def select(self, stream: Stream, kept: np.ndarray, index: np.ndarray, node: OnnxNode) -> Stream | None:
        """Only some output channels, where a Conv has just made them: a Conv with those rows.

        The whole Conv is dropped at the end if nothing else reads it. None where it was no Conv, or an LRN
        behind it reads the other channels too.
        """
        last = next((n for n in self.nodes if n.output == stream.tensor), None)
        if not isinstance(last, Conv) or stream.pools or stream.norm is not None or last.groups > 1:
            return None
        weights = last.weights[kept]
        conv = replace(
            last,
            output=self.fresh(node.outputs[0]),
            weights=weights,
            weight_type=weight_type(weights),
            sources=(*last.sources, node.name),
        )
        lines = tuple(stream.lines[c] for c in kept) if len(stream.lines) > 1 else stream.lines
        curve = stream.curve.picked([int(c) for c in kept]) if stream.curve is not None else None
        name = self.add(conv, *presented(lines))
        return replace(
            stream, tensor=name, shape=self.tensors[name].shape, index=index, lines=lines, curve=curve
        )

    def finish(self, stream: Stream, where: str) -> tuple[str, Stream, tuple[HostStep, ...]]:
        """The tensor that a graph output reads, with the waiting steps as its scale and offset.

        What has no place there, a clamp or another output's scale, is left to the host.
        """
        if stream.tensor is None:
            raise ModelError("no node of the model is quantized", where=where, todo=QUANTIZE)
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
            name = self.add_pool(str(stream.tensor), pool, pool.output)
            stream = replace(stream, tensor=name)
        stream = self.unclamped(replace(stream, pools=(), lines=compose(lines, stream.lines)))
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
                output=self.fresh(f"{name}/shown"),
                index=np.arange(frame[0] * frame[1] * frame[2], dtype=np.int32).reshape(frame),
            )
            name = self.add(copy, scale, offset)
        self.tensors[name] = replace(self.tensors[name], scale=scale, offset=offset)
        return name, stream, steps


def chw(shape: Shape) -> np.ndarray:
    """Stream index of an ONNX value (1, C, H, W), int32."""
    return chw_index(shape)[np.newaxis]


def _rational(limit: Real | None) -> Fraction | None:
    return limit if isinstance(limit, Fraction) else None
