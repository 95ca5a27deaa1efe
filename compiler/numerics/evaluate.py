"""A slow, plain evaluator of steps and a quantizer at one number. Tests hold the fast path to it.

It shares no code with the fast path but the arithmetic of Fraction: steps are applied forward, one
by one, to an interval of rationals that is refined until both of its ends quantize alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

__all__ = ["Affine", "BatchNorm", "Clamp", "Step", "evaluate"]

Interval = tuple[Fraction, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """y = gain * x + offset."""

    gain: Fraction
    offset: Fraction = Fraction(0)

    def __call__(self, x: Interval, bits: int) -> Interval:
        """The image of an interval."""
        a, b = self.gain * x[0] + self.offset, self.gain * x[1] + self.offset
        return min(a, b), max(a, b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """y = min(max(x, low), high)."""

    low: Fraction | None = None
    high: Fraction | None = None

    def __call__(self, x: Interval, bits: int) -> Interval:
        """The image of an interval."""
        a, b = (v if self.low is None else max(v, self.low) for v in x)
        if self.high is not None:
            a, b = min(a, self.high), min(b, self.high)
        return a, b


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm:
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta."""

    gamma: Fraction
    beta: Fraction
    mean: Fraction
    variance: Fraction
    epsilon: Fraction

    def __call__(self, x: Interval, bits: int) -> Interval:
        """An interval around the image, narrower with more bits."""
        v = self.variance + self.epsilon
        root = isqrt((v.numerator << (2 * bits)) * v.denominator)
        low, high = Fraction(root, v.denominator << bits), Fraction(root + 1, v.denominator << bits)
        if low * low == v:
            high = low
        ends = [(e - self.mean) * self.gamma / r + self.beta for e in x for r in (low, high)]
        return min(ends), max(ends)


Step = Affine | Clamp | BatchNorm


def evaluate(x: Fraction, steps: Sequence[Step], quantize: Callable[[Fraction], int]) -> int:
    """quantize(steps(x)), for a monotone `quantize`."""
    bits = 32
    while True:
        interval = (x, x)
        for step in steps:
            interval = step(interval, bits)
        low, high = quantize(interval[0]), quantize(interval[1])
        if low == high:
            return low
        bits *= 2
        if bits > 1 << 14:
            msg = "an irrational value lies on a boundary as far as 16384 bits can tell"
            raise ArithmeticError(msg)
