"""A number times constants chosen beat by beat, plus constants: the multiplier of several units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from pulsefold.compiler.plan.resources import Resources

__all__ = [
    "PRODUCT_LATENCY",
    "Affine",
    "as_slow",
    "binary_digits",
    "quaternary_digits",
    "tree_cost",
    "word_bits",
]

#: Bits of a limb without sign of an 18-bit signed multiplier.
LIMB = 17
#: Cycles in a multiplier: its input registers and its output register.
PRODUCT_LATENCY = 2


def binary_digits(n: int) -> list[tuple[int, int]]:
    """The fewest (sign, shift) with n = sum of sign * 2**shift: canonical signed digits.

    Source: Reitwiesner 1960.
    """
    digits, shift = [], 0
    while n:
        if n & 1:
            sign = 2 - (n & 3)
            digits.append((sign, shift))
            n -= sign
        n >>= 1
        shift += 1
    return digits


def quaternary_digits(n: int) -> list[int]:
    """Digits -1, 0, 1 and 2 with n = sum over k of digit[k] * 4**k, lowest first.

    Two bits a digit, and digit * x is one 4-input LUT a bit, as -x is ~x but for a constant.
    """
    digits = []
    while n:
        digit = (0, 1, 2, -1)[n & 3]
        digits.append(digit)
        n = (n - digit) >> 2
    return digits


def word_bits(low: int, high: int) -> int:
    """Bits of the narrowest integer that holds low..high: signed where any is negative."""
    if low < 0:
        return max((-low - 1).bit_length(), max(high, 0).bit_length()) + 1
    return max(1, high.bit_length())


def zeros(low: int, high: int) -> int:
    """Low bits that are 0 in every multiple of a power of two between bounds that are such multiples."""
    both = abs(low) | abs(high)
    return (both & -both).bit_length() - 1 if both else 0


@lru_cache(maxsize=4096)
def tree_cost(ranges: tuple[tuple[int, int], ...]) -> Resources:
    """Of an adder tree over terms of these ranges, a register a level."""
    total = Resources()
    while len(ranges) > 1:
        following = []
        for k in range(0, len(ranges), 2):
            pair = ranges[k : k + 2]
            ends = sum(p[0] for p in pair), sum(p[1] for p in pair)
            bits = word_bits(*ends)
            # Bits below a term are not added; a carry chain takes both halves of its last cell.
            added = (bits - max(zeros(*p) for p in pair)) * (len(pair) == 2)
            total += Resources(luts=added + added % 2, ffs=bits - min(zeros(*p) for p in pair))
            following.append(ends)
        ranges = tuple(following)
    return total


@dataclass(frozen=True, kw_only=True)
class Affine:
    """y = multiplier[r] * x + addend[r], with r the row that a word read beside x belongs to.

    ``"shift"``: every row has the same multiplier, a sum of shifted copies of x. ``"digits"``: the word holds
    the multiplier in digits -1, 0, 1, 2 of base 4, each choosing a copy of x. ``"dsp"``: products of limbs of
    17 bits in multipliers.

    Parameters
    ----------
    multiplier, addend
        One integer a row.
    low, high
        Least and greatest x.
    multiplies
        ``"lut"`` or ``"dsp"``: what makes products that are no shifts.
    slack
        Cycles to wait at the end, so that it takes as long as another.
    """

    multiplier: tuple[int, ...]
    addend: tuple[int, ...]
    low: int
    high: int
    multiplies: str = "lut"
    slack: int = 0

    @cached_property
    def form(self) -> str:
        """How the product is made."""
        if len(set(self.multiplier)) == 1:
            terms = len(binary_digits(self.multiplier[0]))
            return "shift" if self.multiplies == "lut" or terms <= 2 else "dsp"
        return "dsp" if self.multiplies == "dsp" else "digits"

    @property
    def x_bits(self) -> int:
        """Bits of x."""
        return word_bits(self.low, self.high)

    @cached_property
    def shifts(self) -> list[tuple[int, int]]:
        """(sign, shift) of the copies of x, for ``"shift"``."""
        return binary_digits(self.multiplier[0])

    @cached_property
    def digits(self) -> int:
        """Digits of a word, for ``"digits"``."""
        return max(len(quaternary_digits(m)) for m in set(self.multiplier))

    @cached_property
    def addends(self) -> tuple[int, ...]:
        """What the adder tree adds: the addends, and 1 for each inverted copy that should be negated."""
        if self.form == "shift":
            fix = sum(1 << shift for sign, shift in self.shifts if sign < 0)
            return tuple(a + fix for a in self.addend)
        if self.form == "digits":
            return tuple(
                a + sum(4**k for k, d in enumerate(quaternary_digits(m)) if d < 0)
                for m, a in zip(self.multiplier, self.addend, strict=True)
            )
        return self.addend

    @property
    def carries(self) -> bool:
        """Whether the addends are no more than the bits of the digits -1, and need no place in the word."""
        return self.form == "digits" and not any(self.addend)

    @property
    def addend_range(self) -> tuple[int, int]:
        """Least and greatest of :attr:`addends`, 0 among them."""
        return min(0, *self.addends), max(0, *self.addends)

    def limbs(self, low: int, high: int) -> list[tuple[int, int, int]]:
        """(shift, low, high) of the limbs of a number: 17 bits without sign, the last with the sign."""
        found, shift = [], 0
        while not -(1 << LIMB) <= low <= high < 1 << LIMB:
            found.append((shift, 0, (1 << LIMB) - 1))
            low, high, shift = low >> LIMB, high >> LIMB, shift + LIMB
        return [*found, (shift, low, high)]

    @cached_property
    def terms(self) -> list[tuple[int, int]]:
        """Ranges of the terms of the adder tree, the addend last where there is one."""
        low, high = self.low, self.high
        if self.form == "shift":
            found = [
                (low << k, high << k) if sign > 0 else ((-high - 1) << k, (-low - 1) << k)
                for sign, k in self.shifts
            ]
        elif self.form == "digits":
            least = min(0, low, 2 * low, -high - 1)
            most = max(0, high, 2 * high, -low - 1)
            found = [(least << 2 * k, most << 2 * k) for k in range(self.digits)]
        else:
            found = []
            for shift, a, b in self.limbs(low, high):
                for other, c, d in self.limbs(min(self.multiplier), max(self.multiplier)):
                    corners = [p * q for p in (a, b) for q in (c, d)]
                    found.append((min(corners) << shift + other, max(corners) << shift + other))
        if any(self.addends) or not found:
            found.append(self.addend_range)
        return found

    @property
    def levels(self) -> int:
        """Registered levels of the adder tree."""
        return (len(self.terms) - 1).bit_length()

    @property
    def latency(self) -> int:
        """Cycles from x and its word to y: the multipliers, the tree, and what it waits."""
        return PRODUCT_LATENCY * (self.form == "dsp") + self.levels + self.slack

    @cached_property
    def range(self) -> tuple[int, int]:
        """Least and greatest y."""
        ends = [m * x + a for m, a in self.rows for x in (self.low, self.high)]
        return min(ends), max(ends)

    @property
    def rows(self) -> Iterator[tuple[int, int]]:
        """Each (multiplier, addend) once."""
        return iter(dict.fromkeys(zip(self.multiplier, self.addend, strict=True)))

    @property
    def fields(self) -> tuple[int, int]:
        """Bits of multiplier and addend in a word, 0 for what every row has in common."""
        multiplier = addend = 0
        if self.form == "digits":
            multiplier = 2 * self.digits
        elif len(set(self.multiplier)) > 1:
            multiplier = word_bits(min(self.multiplier), max(self.multiplier))
        if len(set(self.addends)) > 1 and not self.carries:
            addend = word_bits(*self.addend_range)
        return multiplier, addend

    @property
    def words(self) -> list[int]:
        """For each row the word: multiplier in the low bits, addend above."""
        bits, addend_bits = self.fields
        words = []
        for m, a in zip(self.multiplier, self.addends, strict=True):
            low = m
            if self.form == "digits":
                low = sum((d & 3) << 2 * k for k, d in enumerate(quaternary_digits(m)))
            words.append((low & ((1 << bits) - 1)) | (a & ((1 << addend_bits) - 1)) << bits)
        return words

    def cost(self, family: str) -> Resources:
        """Of the arithmetic, without the memory of the words."""
        total = tree_cost(tuple(self.terms))
        bits = word_bits(*self.range)
        total += Resources(ffs=bits * self.slack)
        if self.form == "digits":
            total += Resources(luts=self.digits * (self.x_bits + 1) + self.digits * self.carries)
        elif self.form == "dsp":
            ranges = self.terms[: -1 if any(self.addends) else None]
            # On ECP5 the registers are the multipliers' own.
            held = 0 if family == "ecp5" else sum(word_bits(*r) for r in ranges)
            total += Resources(ffs=held, dsps=len(ranges))
        elif len(self.terms) == 1:
            total += Resources(luts=self.x_bits * any(s < 0 for s, _ in self.shifts))
        if family == "ice40":
            # No wide functions: what chooses a copy does not fit beside the adder.
            total += Resources(luts=0.2 * total.luts)
        return total


def as_slow(parts: list[Affine]) -> list[Affine]:
    """The same, all of one latency."""
    slowest = max(p.latency for p in parts)
    return [replace(p, slack=slowest - p.latency) for p in parts]
