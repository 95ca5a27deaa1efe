"""Any composition of lines, functions, products and sums of one integer, exactly.

What waits behind a tensor of integers q is a :class:`Curve`: q itself, then lines and functions applied to
it, then products and sums of such curves. Sigmoid behind a scale is
``Curve().then_line(line).then(Sigmoid())``; SiLU is ``x.times(x.then(Sigmoid()))``. A curve answers in three
ways: exactly where the value is algebraic, as a rational interval of any width, and as a float64 interval of
whole arrays, which decides nearly every level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import TypeVar

import numpy as np

from pulsefold.compiler.numerics.enclose import Interval, enclose_real, multiply
from pulsefold.compiler.numerics.functions import Function
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Boundary, Quantizer
from pulsefold.compiler.numerics.surd import Real

__all__ = ["Curve", "FloatInterval", "decide"]

FloatInterval = tuple[np.ndarray, np.ndarray]
_T = TypeVar("_T")

#: Precision at which a value that is still undecided is given up.
_MOST_BITS = 1 << 13
#: Relative error allowed to float64 steps, generously; and what stands for it near 0.
_RELATIVE, _ABSOLUTE = 2.0**-44, 1e-290


@dataclass(frozen=True, slots=True)
class Curve:
    """A real function of an integer q, one or one a channel. This class itself is q."""

    @property
    def channels(self) -> int:
        """1, or C where channels differ."""
        return 1

    def then_line(self, *lines: Line) -> Curve:
        """This curve followed by a line, the same for all channels or one a channel."""
        return _Lined(self, lines)

    def then(self, *functions: Function) -> Curve:
        """This curve followed by a function, the same for all channels or one a channel."""
        return _Applied(self, functions)

    def times(self, other: Curve) -> Curve:
        """The product with another curve of the same integers."""
        return _Product(self, other)

    def plus(self, other: Curve) -> Curve:
        """The sum with another curve of the same integers."""
        return _Total(self, other)

    def picked(self, channels: Sequence[int]) -> Curve:
        """This curve for some of its channels, in their order; itself where channels do not differ."""
        return self

    def exact(self, q: int, channel: int) -> Real | None:
        """The value where it is rational or a sum of square roots, else None."""
        return Fraction(q)

    def enclose(self, q: int, channel: int, bits: int) -> Interval:
        """Rationals around the value, about 2**-bits apart."""
        value = self.exact(q, channel)
        return self._enclose(q, channel, bits) if value is None else enclose_real(value, bits)

    def estimate(self, q: np.ndarray) -> FloatInterval:
        """float64 [1 or C, N] around the values at the integers `q`, [1 or C, N]; NaN where unsure."""
        x = q.astype(np.float64)
        if np.all(np.abs(x) < 1 << 53):
            return x, x
        return np.nextafter(x, -inf), np.nextafter(x, inf)

    def direction(self, channel: int) -> int | None:
        """1: it never falls; -1: it never rises; 0: it is constant; None: that is not known."""
        return 1

    def level(self, quantizer: Quantizer, q: int, channel: int = 0) -> int:
        """The exact integer of the quantizer at the integer `q`.

        Raises
        ------
        ArithmeticError
            The value lies on a boundary as far as 8192 bits can tell, or is out of a function's domain.
        """
        row = quantizer.boundaries[channel % len(quantizer.boundaries)]
        low, high = 0, len(row)
        while low < high:
            middle = (low + high) // 2
            if self.reached(row[middle], q, channel):
                low = middle + 1
            else:
                high = middle
        return quantizer.first + quantizer.step * low

    def reached(self, mark: Boundary, q: int, channel: int = 0) -> bool:
        """Whether the exact value at `q` reaches a boundary; ArithmeticError as for :meth:`level`."""
        value = self.exact(q, channel)
        if value is not None:
            return mark.reached(value)
        return decide(mark, lambda bits: self._enclose(q, channel, bits))

    def _enclose(self, q: int, channel: int, bits: int) -> Interval:
        """As :meth:`enclose`, where there is no exact value."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Lined(Curve):
    source: Curve
    lines: tuple[Line, ...]

    @property
    def channels(self) -> int:
        return max(self.source.channels, len(self.lines))

    def picked(self, channels: Sequence[int]) -> Curve:
        return _Lined(self.source.picked(channels), _picked(self.lines, channels))

    def exact(self, q: int, channel: int) -> Real | None:
        line = self.lines[channel % len(self.lines)]
        if line.constant:
            return line.at(Fraction(0))
        value = self.source.exact(q, channel)
        if value is None:
            return None
        value = line.gain * value + line.offset
        if line.low is not None and value < line.low:
            value = line.low
        return line.high if line.high is not None and value > line.high else value

    def _enclose(self, q: int, channel: int, bits: int) -> Interval:
        line = self.lines[channel % len(self.lines)]
        gain, offset = enclose_real(line.gain, bits), enclose_real(line.offset, bits)
        low, high = multiply(gain, self.source.enclose(q, channel, bits))
        ends = (low + offset[0], high + offset[1])
        if line.low is not None:
            bound = enclose_real(line.low, bits)
            ends = (max(ends[0], bound[0]), max(ends[1], bound[1]))
        if line.high is not None:
            bound = enclose_real(line.high, bits)
            ends = (min(ends[0], bound[0]), min(ends[1], bound[1]))
        return ends

    def estimate(self, q: np.ndarray) -> FloatInterval:
        low, high = self.source.estimate(q)
        gain = _column([line.gain for line in self.lines])
        offset = _column([line.offset for line in self.lines])
        a, b = gain * low, gain * high
        error = _RELATIVE * (np.maximum(np.abs(a), np.abs(b)) + np.abs(offset))
        ends = _widened(np.minimum(a, b) + offset, np.maximum(a, b) + offset, error)
        for limits, cut in (
            ([-inf if line.low is None else line.low for line in self.lines], np.maximum),
            ([inf if line.high is None else line.high for line in self.lines], np.minimum),
        ):
            bound = _column(limits)
            margin = np.where(np.isfinite(bound), _RELATIVE * np.abs(bound), 0)
            ends = cut(ends[0], bound - margin), cut(ends[1], bound + margin)
        return ends

    def direction(self, channel: int) -> int | None:
        line = self.lines[channel % len(self.lines)]
        before = self.source.direction(channel)
        return 0 if line.constant else before if line.rising or before is None else -before


@dataclass(frozen=True, slots=True)
class _Applied(Curve):
    source: Curve
    functions: tuple[Function, ...]

    @property
    def channels(self) -> int:
        return max(self.source.channels, len(self.functions))

    def picked(self, channels: Sequence[int]) -> Curve:
        return _Applied(self.source.picked(channels), _picked(self.functions, channels))

    def exact(self, q: int, channel: int) -> Real | None:
        value = self.source.exact(q, channel)
        return None if value is None else self.functions[channel % len(self.functions)].exact(value)

    def _enclose(self, q: int, channel: int, bits: int) -> Interval:
        return self.functions[channel % len(self.functions)].enclose(
            self.source.enclose(q, channel, bits), bits
        )

    def estimate(self, q: np.ndarray) -> FloatInterval:
        low, high = self.source.estimate(q)
        rows = max(len(self.functions), len(low))
        results = []
        for c in range(len(self.functions)):
            # One function for all rows, or one for each of them.
            part = slice(None) if len(self.functions) == 1 else slice(c % len(low), c % len(low) + 1)
            function = self.functions[c]
            a, b = function.estimate(low[part]), function.estimate(high[part])
            if function.rising is None:
                # Between two ends that differ it may pass 0, where functions turn.
                turns = (low[part] <= 0) & (high[part] >= 0)
                a, b = np.where(turns, np.nan, a), np.where(turns, np.nan, b)
            error = _RELATIVE * np.maximum(np.abs(a), np.abs(b))
            results.append(_widened(np.minimum(a, b), np.maximum(a, b), error))
        if len(results) == 1:
            return results[0]
        return np.concatenate([r[0] for r in results])[:rows], np.concatenate([r[1] for r in results])[:rows]

    def direction(self, channel: int) -> int | None:
        before, rising = self.source.direction(channel), self.functions[channel % len(self.functions)].rising
        if before == 0:
            return 0
        return None if before is None or rising is None else before if rising else -before


@dataclass(frozen=True, slots=True)
class _Pair(Curve):
    a: Curve
    b: Curve

    @property
    def channels(self) -> int:
        return max(self.a.channels, self.b.channels)

    def picked(self, channels: Sequence[int]) -> Curve:
        return type(self)(self.a.picked(channels), self.b.picked(channels))


@dataclass(frozen=True, slots=True)
class _Product(_Pair):
    def exact(self, q: int, channel: int) -> Real | None:
        a, b = self.a.exact(q, channel), self.b.exact(q, channel)
        # 0 times a transcendental number is exact too.
        if (a is not None and a == 0) or (b is not None and b == 0):
            return Fraction(0)
        return None if a is None or b is None else a * b

    def _enclose(self, q: int, channel: int, bits: int) -> Interval:
        return multiply(self.a.enclose(q, channel, bits), self.b.enclose(q, channel, bits))

    def estimate(self, q: np.ndarray) -> FloatInterval:
        a, b = self.a.estimate(q), self.b.estimate(q)
        corners = np.stack(np.broadcast_arrays(*(x * y for x in a for y in b)))
        return _widened(corners.min(axis=0), corners.max(axis=0), _RELATIVE * np.abs(corners).max(axis=0))

    def direction(self, channel: int) -> int | None:
        return 0 if self.a.direction(channel) == 0 and self.b.direction(channel) == 0 else None


@dataclass(frozen=True, slots=True)
class _Total(_Pair):
    def exact(self, q: int, channel: int) -> Real | None:
        a, b = self.a.exact(q, channel), self.b.exact(q, channel)
        return None if a is None or b is None else a + b

    def _enclose(self, q: int, channel: int, bits: int) -> Interval:
        a, b = self.a.enclose(q, channel, bits), self.b.enclose(q, channel, bits)
        return a[0] + b[0], a[1] + b[1]

    def estimate(self, q: np.ndarray) -> FloatInterval:
        (a, b), (c, d) = self.a.estimate(q), self.b.estimate(q)
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.maximum(np.abs(c), np.abs(d)))
        return _widened(a + c, b + d, _RELATIVE * size)

    def direction(self, channel: int) -> int | None:
        a, b = self.a.direction(channel), self.b.direction(channel)
        if a is None or b is None:
            return None
        return None if a * b < 0 else a or b


def decide(mark: Boundary, enclose: Callable[[int], Interval]) -> bool:
    """Whether a number, given by an enclosure for any number of bits, reaches a boundary.

    Raises
    ------
    ArithmeticError
        It lies on the boundary as far as 8192 bits can tell.
    """
    bits = 64
    while bits <= _MOST_BITS:
        low, high = (mark.reached(end) for end in enclose(bits))
        if low == high:
            return low
        bits *= 2
    msg = f"a value lies on the boundary {float(mark.value)} as far as {_MOST_BITS} bits can tell"
    raise ArithmeticError(msg)


def _widened(low: np.ndarray, high: np.ndarray, error: np.ndarray) -> FloatInterval:
    """NaN at both ends where either overflowed: an infinite lower end would be no bound."""
    ends = low - error - _ABSOLUTE, high + error + _ABSOLUTE
    lost = ~(np.isfinite(ends[0]) & np.isfinite(ends[1]))
    return np.where(lost, np.nan, ends[0]), np.where(lost, np.nan, ends[1])


def _picked(row: tuple[_T, ...], channels: Sequence[int]) -> tuple[_T, ...]:
    return tuple(row[c] for c in channels) if len(row) > 1 else row


def _column(values: list) -> np.ndarray:
    """float64 [n, 1]; NaN for what float64 cannot hold."""
    return np.array([_float(v) for v in values])[:, np.newaxis]


def _float(value: Real | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.nan
