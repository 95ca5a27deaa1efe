"""Element types of tensors: what integers a lane may hold and how it stores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ElementType", "type_for_range"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementType:
    """Integers of one lane, and their bit pattern.

    Parameters
    ----------
    kind
        ``"bipolar"``: -1 and +1, stored as one bit, 0 and 1. ``"ternary"``: -1, 0 and +1, stored
        in two's complement. ``"int"``: two's complement where signed, plain binary otherwise.
    bits
        Width in bits of a stored element.
    signed
        Whether negative values occur.
    """

    kind: str
    bits: int
    signed: bool

    def __post_init__(self) -> None:
        want = {"bipolar": (1, True), "ternary": (2, True)}.get(self.kind, (self.bits, self.signed))
        if self.kind not in ("bipolar", "ternary", "int") or (self.bits, self.signed) != want:
            msg = f"element type must be bipolar, ternary or int, not {self!r}"
            raise ValueError(msg)
        if not 1 <= self.bits <= 64:
            msg = f"bits must be between 1 and 64, not {self.bits}"
            raise ValueError(msg)

    @classmethod
    def bipolar(cls) -> ElementType:
        """-1 and +1."""
        return cls(kind="bipolar", bits=1, signed=True)

    @classmethod
    def ternary(cls) -> ElementType:
        """-1, 0 and +1."""
        return cls(kind="ternary", bits=2, signed=True)

    @classmethod
    def integer(cls, bits: int, *, signed: bool) -> ElementType:
        """Binary integers of a width."""
        return cls(kind="int", bits=bits, signed=signed)

    @property
    def is_bipolar(self) -> bool:
        """Whether elements are -1 and +1 alone, stored in one bit."""
        return self.kind == "bipolar"

    @property
    def minimum(self) -> int:
        """Least value."""
        if self.kind != "int":
            return -1
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Greatest value."""
        if self.kind != "int":
            return 1
        return (1 << (self.bits - self.signed)) - 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Bit patterns of `values`, as uint64: (v + 1) / 2 for bipolar, v mod 2**bits otherwise."""
        v = np.asarray(values, np.int64)
        if self.is_bipolar:
            return ((v + 1) >> 1).astype(np.uint64)
        # As unsigned numbers: the mask of 64 bits is no int64.
        return v.astype(np.uint64) & np.uint64((1 << self.bits) - 1)

    def decode(self, patterns: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`encode`, as int64."""
        p = np.asarray(patterns).astype(np.int64)
        if self.is_bipolar:
            return 2 * p - 1
        if self.signed:
            half = np.int64(1) << (self.bits - 1)
            return (p ^ half) - half
        return p

    def contains(self, values: np.ndarray) -> bool:
        """Whether every value can be stored."""
        v = np.asarray(values)
        if v.size == 0:
            return True
        if self.is_bipolar:
            return bool(np.all(np.abs(v) == 1))
        return int(v.min()) >= self.minimum and int(v.max()) <= self.maximum

    def __str__(self) -> str:
        if self.kind != "int":
            return self.kind
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def type_for_range(minimum: int, maximum: int, *, zero: bool = True) -> ElementType:
    """The narrowest type that holds every integer of a range.

    Parameters
    ----------
    minimum, maximum
        Least and greatest value.
    zero
        Whether 0 occurs; -1 to +1 without it is bipolar, with it ternary.
    """
    if (minimum, maximum) == (-1, 1):
        return ElementType.ternary() if zero else ElementType.bipolar()
    if minimum >= 0:
        return ElementType.integer(max(1, int(maximum).bit_length()), signed=False)
    bits = max((-int(minimum) - 1).bit_length(), int(max(maximum, 0)).bit_length()) + 1
    return ElementType.integer(bits, signed=True)
