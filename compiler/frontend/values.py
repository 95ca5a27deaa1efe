"""What an ONNX value is to the importer: a constant, a stream of integers, or a pick of the best channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.numerics.line import Line

__all__ = ["Const", "Pick", "Pool", "Quantized", "Stream", "Value", "exact"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantized:
    """The exact meaning of a constant behind a quantizer: real = scales[group] * q.

    Parameters
    ----------
    q
        int64, in the shape of the ONNX value.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """A value that flows: integers of the graph, and the exact steps that still wait behind them.

    Parameters
    ----------
    tensor
        The integers, by tensor name; None for the model's own input before its quantizer.
    shape
        (H, W, C) behind the waiting pools.
    index
        int32 in the shape of the ONNX value with a batch axis of 1: where each element lies in the
        flattened (H, W, C) stream. Reshapes and transposes only move its entries.
    dtype
        ONNX element type, as a NumPy name.
    pools
        Waiting MaxPools, first to last.
    lines
        Steps behind the last of them; one, or one a channel.
    pending
        Names of the ONNX nodes whose steps wait.
    """

    tensor: str | None
    shape: tuple[int, int, int]
    index: np.ndarray
    dtype: str
    pools: tuple[Pool, ...] = ()
    lines: tuple[Line, ...] = (Line(),)
    pending: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[2]

    def moved(self, index: np.ndarray) -> Stream:
        """The same stream seen through another ONNX shape."""
        return replace(self, index=index)

    def stepped(self, node: str, lines: tuple[Line, ...]) -> Stream:
        """With the steps of one more node."""
        return replace(self, lines=lines, pending=(*self.pending, node))

    def uniform_gain(self) -> bool:
        """Whether all channels share one gain."""
        return all(line.gain == self.lines[0].gain for line in self.lines)


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
        As in :class:`Stream`, over k elements.
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


Value = Const | Stream | Pick


def exact(value: float | np.generic) -> Fraction:
    """A finite number of the model as a rational."""
    return Fraction(int(value)) if isinstance(value, (int, np.integer)) else Fraction(float(value))
