"""Constants that differ within a channel, as an operand beside a stream: grids, anchors, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.ops.moves import moved
from pulsefold.compiler.frontend.values import Const, Stream, exact
from pulsefold.compiler.ir.constant import Constant
from pulsefold.compiler.numerics.line import Line

__all__ = ["Elements", "beside", "differs", "elements", "with_table"]

#: Widest integers of a table: with those of a stream they still make sums and products of 62 bits.
_WIDEST = 48


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elements:
    """The exact numbers of a constant: element i is values[place[i]].

    Parameters
    ----------
    values
        Those that occur.
    place
        int64 in the ONNX shape.
    """

    values: tuple[Fraction, ...]
    place: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Elements], axis: int) -> Elements:
        """Side by side along an axis."""
        starts = np.cumsum([0, *(len(part.values) for part in parts)])
        places = [part.place + start for part, start in zip(parts, starts, strict=False)]
        values = tuple(v for part in parts for v in part.values)
        return cls(values=values, place=np.concatenate(places, axis=axis))

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> Elements:
        """Nothing but 0."""
        return cls(values=(Fraction(0),), place=np.zeros(shape, np.int64))

    def inverted(self) -> Elements:
        """1 / x of each, none of which is 0."""
        return replace(self, values=tuple(1 / v for v in self.values))


def elements(call: Call, const: Const, what: str = "constant") -> Elements:
    """The exact numbers of a constant."""
    array = finite(call, const, what)
    if const.quantized is None:
        values, place = np.unique(array, return_inverse=True)
        return Elements(values=tuple(map(exact, values)), place=place.reshape(array.shape))
    q, group = np.broadcast_arrays(const.quantized.q, const.quantized.group)
    pairs, place = np.unique(np.stack([q.ravel(), group.ravel()]), axis=1, return_inverse=True)
    values = tuple(const.quantized.scales[g] * int(v) for v, g in pairs.T)
    return Elements(values=values, place=place.reshape(array.shape))


def differs(call: Call, stream: Stream, const: Const) -> bool:
    """Whether a constant has more than one number for a channel of a stream, or more elements than it."""
    if const.value.size == 1 or const.symbolic:
        return False
    try:
        shape = np.broadcast_shapes(const.value.shape, stream.index.shape)
    except ValueError:
        return False
    if len(shape) != stream.index.ndim or shape[0] != 1:
        return False
    if shape != stream.index.shape:
        return True
    array = np.broadcast_to(finite(call, const, "constant"), shape).ravel()
    channel = stream.index.ravel() % stream.channels
    one = np.zeros(stream.channels, array.dtype)
    one[channel] = array
    return not np.array_equal(one[channel], array)


def with_table(call: Call, stream: Stream, const: Const, *, inverted: bool = False) -> list[Stream]:
    """A stream, spread over the shape of both, and a constant (or one over it) as another that lies alike."""
    table = elements(call, const)
    stream = call.builder.plain(stream, call.node)
    if inverted:
        if not all(table.values):
            raise call.wrong("it divides by zero", "train the model again, or remove the bad channel")
        table = table.inverted()
    shape = np.broadcast_shapes(table.place.shape, stream.index.shape)
    if shape != stream.index.shape:
        call.check(int(np.prod(shape)))
        stream = moved(call.inside(), stream, np.broadcast_to(stream.index, shape))
    return [stream, beside(call, stream, table)]


def beside(call: Call, stream: Stream, table: Elements) -> Stream:
    """A table as a Constant whose elements lie as those of a stream do: real = u * q.

    u is the greatest rational of which every element is a multiple.
    """
    below = lcm(*(v.denominator for v in table.values))
    unit = Fraction(gcd(*(int(v * below) for v in table.values)), below)
    levels = [int(v / unit) for v in table.values]
    bits = max(abs(v) for v in levels).bit_length()
    if bits > _WIDEST:
        msg = f"its constant differs within a channel, and as multiples of one number takes {bits} bits"
        raise call.refuse(msg, "quantize the constant (QuantizeLinear or Quant), with one scale")
    frame = np.empty(stream.index.size, np.int64)
    places = np.broadcast_to(table.place, stream.index.shape).ravel()
    frame[stream.index.ravel()] = np.array(levels)[places]
    node = Constant(
        name=f"{call.node.name}/constant",
        output=call.builder.fresh(f"{call.node.outputs[0]}/constant"),
        values=frame.reshape(stream.shape),
        sources=(call.node.name,),
    )
    return call.builder.join(node, [], (Line(gain=unit),), replace(stream, pending=(), curve=None, host=()))
