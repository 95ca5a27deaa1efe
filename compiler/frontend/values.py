"""What an ONNX value is to the importer: a constant, a stream of integers, or a pick of the best channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.ir.graph import HostStep
from pulsefold.compiler.numerics.curve import Curve
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.surd import approximate
from pulsefold.errors import UnsupportedNodeError

#: Precision of irrational numbers that only the host computes with, in float64.
_HOST_BITS = 128

__all__ = [
    "Const",
    "Hosted",
    "Pick",
    "Pool",
    "Quantized",
    "Rivals",
    "Stream",
    "Taken",
    "Value",
    "canonical",
    "exact",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantized:
    """The exact meaning of a constant behind a quantizer: real = scales[group] * q.

    Parameters
    ----------
    q
        int64 or int16, in the shape of the ONNX value.
    group
        int32, the same rank, broadcastable to `q`: which scale an element has.
    scales
        The scales that occur.
    """

    q: np.ndarray
    group: np.ndarray
    scales: tuple[Fraction, ...]

    @classmethod
    def make(cls, q: np.ndarray, scale: np.ndarray) -> Quantized:
        """From integers and a float scale broadcastable to them."""
        values, group = np.unique(scale, return_inverse=True)
        shape = (1,) * (q.ndim - scale.ndim) + scale.shape
        return cls(q=q, group=group.reshape(shape).astype(np.int32), scales=tuple(map(exact, values)))

    def taken(self, positions: np.ndarray) -> Quantized:
        """Elements moved: `positions` holds indices into the flattened constant."""
        group = np.broadcast_to(self.group, self.q.shape).ravel()[positions]
        return Quantized(q=self.q.ravel()[positions], group=group, scales=self.scales)

    def times(self, factor: Fraction) -> Quantized:
        """Every scale multiplied."""
        return replace(self, scales=tuple(s * factor for s in self.scales))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Const:
    """A value known at import.

    Parameters
    ----------
    value
        In its ONNX element type.
    quantized
        Its exact meaning where a quantizer made it.
    symbolic
        Whether it holds the size of a batch axis that the model leaves open; such a value may only
        say what shape to give.
    """

    value: np.ndarray
    quantized: Quantized | None = None
    symbolic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """A MaxPool that still waits for its place, and the lines in front of it.

    Parameters
    ----------
    lines
        Steps between the previous pool (or the integers) and this one.
    name
        ONNX node.
    output
        ONNX value it writes.
    kernel, stride, dilation, pads
        As in :class:`pulsefold.compiler.ir.MaxPool`.
    """

    lines: tuple[Line, ...]
    name: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """An LRN-13 as the file has it: numbers are those of its float32 attributes, exactly."""

    size: int
    alpha: Fraction
    beta: Fraction
    bias: Fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """Elements of a model's input that were moved in front of its quantizer.

    Parameters
    ----------
    index
        int32 (H, W, C): where each lies in the input's own frame; -1 for `fill`.
    fill
        Number that was filled in, as one of the input's own.
    """

    index: np.ndarray
    fill: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """A value that flows: integers of the graph, and the exact steps that still wait behind them.

    Parameters
    ----------
    tensor
        The integers, by tensor name; None for an input of the model before its quantizer.
    source
        Name of that input.
    shape
        (H, W, C) behind the waiting pools.
    index
        int32 in the shape of the ONNX value with a batch axis of 1: where each element lies in the
        flattened (H, W, C) stream. Reshapes and transposes only move its entries; it is a permutation.
    dtype
        ONNX element type, as a NumPy name.
    pools
        Waiting MaxPools, first to last.
    lines
        Steps behind the last of them; one, or one a channel.
    pending
        Names of the ONNX nodes whose steps wait.
    curve
        Where a function (Sigmoid, say) waits: all that waits, as a function of the tensor's integers. The
        lines are then those in front of the first function.
    host
        The steps behind the lines as the host can compute them; None where it cannot.
    norm
        An LRN that waits in front of everything else but the lines.
    taken
        For an input before its quantizer: which of its elements, where not all as they are.
    """

    tensor: str | None
    shape: tuple[int, int, int]
    index: np.ndarray
    dtype: str
    source: str = ""
    pools: tuple[Pool, ...] = ()
    lines: tuple[Line, ...] = (Line(),)
    pending: tuple[str, ...] = ()
    curve: Curve | None = None
    host: tuple[HostStep, ...] | None = ()
    norm: Norm | None = None
    taken: Taken | None = None

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[2]

    def moved(self, index: np.ndarray) -> Stream:
        """The same stream seen through another ONNX shape."""
        return replace(self, index=index)

    def stepped(self, node: str, lines: tuple[Line, ...]) -> Stream:
        """With the steps of one more node."""
        pending = (*self.pending, node)
        if self.norm is not None:
            msg = f"it changes what {self.pending[-1]!r} gives before a quantizer reads it"
            todo = "quantize the output of the LRN directly behind it"
            raise UnsupportedNodeError(msg, where=node, todo=todo)
        if self.curve is None:
            return replace(self, lines=compose(self.lines, lines), pending=pending)
        host = None
        if self.host is not None and len(lines) == 1:
            host = (*self.host, *_host_steps(lines[0]))
        return replace(self, curve=self.curve.then_line(*lines), host=host, pending=pending)

    def as_curve(self) -> Curve:
        """All that waits, as a function of the integers."""
        return self.curve if self.curve is not None else Curve().then_line(*self.lines)

    def curved(self, node: str, curve: Curve, *steps: HostStep) -> Stream:
        """With a curve in place of all that waits; `steps` are what the node adds to it on the host."""
        host = None if self.host is None or not steps else (*self.host, *steps)
        return replace(self, curve=curve, host=host, pending=(*self.pending, node))

    def uniform_gain(self) -> bool:
        """Whether all channels share one gain."""
        return all(line.gain == self.lines[0].gain for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hosted:
    """A value that only the host computes, in floating point, from the last integers of a stream.

    Parameters
    ----------
    stream
        The values before the host's steps; its index is that of the result.
    steps
        First to last.
    """

    stream: Stream
    steps: tuple[HostStep, ...]

    @property
    def index(self) -> np.ndarray:
        """As in :class:`Stream`."""
        return self.stream.index

    def reshaped(self, index: np.ndarray) -> Hosted:
        """With axes of one element added or dropped behind the steps: each step's axis is found again."""
        old, new = self.index.shape, index.shape
        wide = [i for i, n in enumerate(new) if n > 1]

        def found(axis: int) -> int | None:
            place = axis % len(old)
            return wide[sum(n > 1 for n in old[:place])] if old[place] > 1 else None

        steps = []
        for step in self.steps:
            axes = tuple(axis for axis in map(found, step.axes) if axis is not None)
            # Over axes of one element alone: any other such axis will do.
            steps.append(
                replace(step, axes=axes or (next(i for i in (*range(1, len(new)), 0) if new[i] == 1),))
            )
        return Hosted(stream=self.stream.moved(index), steps=tuple(steps))

    def then(self, step: HostStep, dtype: str | None = None) -> Hosted:
        """With one step more."""
        stream = replace(self.stream, dtype=dtype) if dtype else self.stream
        return Hosted(stream=stream, steps=(*self.steps, step))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pick:
    """Values or indices of the k best channels of a stream, as TopK and ArgMax give them.

    Parameters
    ----------
    stream
        What is compared.
    kind, k, largest
        As in :class:`pulsefold.compiler.ir.Output`.
    index
        int32 in the shape of the ONNX value: positions among the picks [H, W, k].
    dtype
        ONNX element type, as a NumPy name.
    """

    stream: Stream
    kind: str
    k: int
    largest: bool
    index: np.ndarray
    dtype: str

    def moved(self, index: np.ndarray) -> Pick:
        """The same pick seen through another ONNX shape."""
        return replace(self, index=index)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rivals:
    """The greatest or the least of several streams, element by element, until a quantizer takes each of them.

    Quantizers never fall: the level of the greatest is the greatest of the levels.

    Parameters
    ----------
    streams
        Two or more of one shape, their elements at the same places.
    greatest
        False for the least.
    node
        The ONNX node that compares them.
    """

    streams: tuple[Stream, ...]
    greatest: bool
    node: str

    @property
    def index(self) -> np.ndarray:
        """As in :class:`Stream`."""
        return self.streams[0].index

    @property
    def channels(self) -> int:
        """C."""
        return self.streams[0].channels

    def moved(self, index: np.ndarray) -> Rivals:
        """The same seen through another ONNX shape."""
        return replace(self, streams=tuple(s.moved(index) for s in self.streams))

    def stepped(self, node: str, line: Line) -> Rivals:
        """With a step that never falls."""
        return replace(self, streams=tuple(s.stepped(node, (line,)) for s in self.streams))


Value = Const | Stream | Pick | Hosted | Rivals


def exact(value: float | np.generic) -> Fraction:
    """A finite number of the model as a rational."""
    return Fraction(int(value)) if isinstance(value, (int, np.integer)) else Fraction(float(value))


def canonical(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], np.ndarray]:
    """Frame and index of an ONNX value (1, ...) in stream order, channels being axis 1.

    (1, C, H, W) lies in a frame (H, W, C), (1, C, L) in (1, L, C), (1, C) in (1, 1, C); of more axes all
    behind the channels are columns.
    """
    size = int(np.prod(shape))
    channels = shape[1] if len(shape) > 1 else size
    rows = shape[2] if len(shape) == 4 else 1
    frame = (rows, size // (rows * channels), channels)
    index = np.arange(size, dtype=np.int32).reshape(frame).transpose(2, 0, 1).reshape(shape)
    return frame, index


def _host_steps(line: Line) -> tuple[HostStep, ...]:
    """A line as the host computes it."""
    steps = []
    if (line.gain, line.offset) != (1, 0):
        scale, offset = (approximate(n, _HOST_BITS) for n in (line.gain, line.offset))
        steps.append(HostStep(op="affine", scale=scale, offset=offset))
    if line.clamped:
        low, high = (None if n is None else approximate(n, _HOST_BITS) for n in (line.low, line.high))
        steps.append(HostStep(op="clip", low=low, high=high))
    return tuple(steps)
