"""The numbers of one quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Quantizer", "round_scale"]

#: Bits of a scale's mantissa. The product of two such scales is a float32 without rounding, so the scale of a
#: bias is exactly the input's times the weights'.
_MANTISSA = 12

#: Smallest scale: products of two stay far from float32's subnormal numbers.
_SMALLEST = 2.0**-40


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """``q = clip(round_half_even(x / scale) + zero, low, high)``, which stands for ``(q - zero) * scale``.

    Parameters
    ----------
    bits
        Width of q; 1 with `signed` is bipolar: q is +1 where x >= 0, else -1.
    signed
        Whether q is a signed integer.
    narrow
        Whether the lowest signed level is left out.
    scale
        One number, or one an output channel of weights.
    zero
        Zero point.
    """

    bits: int
    signed: bool
    scale: np.ndarray
    zero: int = 0
    narrow: bool = False

    @property
    def low(self) -> int:
        """Lowest level."""
        if not self.signed:
            return 0
        return -1 if self.bits == 1 else -(1 << (self.bits - 1)) + int(self.narrow)

    @property
    def high(self) -> int:
        """Highest level."""
        if self.bits == 1 and self.signed:
            return 1
        return (1 << (self.bits - int(self.signed))) - 1

    def apply(self, x: np.ndarray) -> np.ndarray:
        """`x` rounded to levels, as float32: what a quantizer and its inverse make of it."""
        q = np.clip(np.rint(x / np.float32(self.scale)) + self.zero, self.low, self.high)
        return ((q - self.zero) * np.float32(self.scale)).astype(np.float32)


def round_scale(scale: np.ndarray | float) -> np.ndarray:
    """Scales with short mantissas, rounded up: a range that fits still does."""
    values = np.maximum(np.asarray(scale, np.float64), _SMALLEST)
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.ceil(mantissa * 2.0**_MANTISSA) / 2.0**_MANTISSA, exponent).astype(np.float32)
