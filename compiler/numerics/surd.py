"""Exact real numbers: rationals, and sums of rational multiples of square roots.

A batch norm divides by sqrt(var + eps), which is irrational for nearly every network. Sums of square
roots with rational coefficients are closed under what a chain of scalar steps needs (add, multiply,
divide by a single root), and their sign is decidable: square roots of integers that differ by more
than a rational square are linearly independent over the rationals (Besicovitch 1940), so a sum with
a non-zero coefficient is not zero and refining its enclosure ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

__all__ = ["Real", "Surd", "approximate", "sqrt"]


@dataclass(frozen=True, slots=True, eq=False)
class Surd:
    """An irrational sum of coefficient * sqrt(radicand).

    Make one with :func:`sqrt` and arithmetic; results that are rational come back as Fraction.

    Parameters
    ----------
    terms
        (radicand, coefficient) pairs: positive integers, no two differing by a rational square
        factor, and non-zero rationals. The rational part has radicand 1.
    """

    terms: tuple[tuple[int, Fraction], ...]

    def __add__(self, other: Real | int) -> Real:
        return _sum((*self.terms, *_terms(other)))

    __radd__ = __add__

    def __neg__(self) -> Surd:
        return Surd(tuple((n, -c) for n, c in self.terms))

    def __sub__(self, other: Real | int) -> Real:
        return self + -other

    def __rsub__(self, other: Real | int) -> Real:
        return -self + other

    def __mul__(self, other: Real | int) -> Real:
        products = []
        for n, c in self.terms:
            for m, d in _terms(other):
                products.append((1, c * d * n) if n == m else (n * m, c * d))
        return _sum(products)

    __rmul__ = __mul__

    def __truediv__(self, other: Real | int) -> Real:
        return self * _inverse(other)

    def __rtruediv__(self, other: Real | int) -> Real:
        return _inverse(self) * other

    def __lt__(self, other: Real | int) -> bool:
        return _sign(self - other) < 0

    def __gt__(self, other: Real | int) -> bool:
        return _sign(self - other) > 0

    def __le__(self, other: Real | int) -> bool:
        return _sign(self - other) <= 0

    def __ge__(self, other: Real | int) -> bool:
        return _sign(self - other) >= 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Surd, Fraction, int)) and _sign(self - other) == 0

    def __hash__(self) -> int:
        return hash(round(self.__float__(), 6))

    def __float__(self) -> float:
        return float(approximate(self, 64))

    def __floor__(self) -> int:
        bits = 64
        while True:
            low, high = self.enclosure(bits)
            if low >> bits == high >> bits:
                return low >> bits
            bits *= 2

    def __ceil__(self) -> int:
        return self.__floor__() + 1

    def enclosure(self, bits: int) -> tuple[int, int]:
        """Integers low and high with low <= self * 2**bits <= high."""
        low = high = 0
        for n, c in self.terms:
            p, q = c.numerator, c.denominator
            if n == 1:
                a, b = (p << bits) // q, -((-p << bits) // q)
            else:
                root = isqrt(p * p * n << (2 * bits))
                a, b = root // q, -(-(root + 1) // q)
                if p < 0:
                    a, b = -b, -a
            low, high = low + a, high + b
        return low, high


Real = Fraction | Surd


def sqrt(value: Fraction) -> Real:
    """The exact square root of a rational that is not negative."""
    product = value.numerator * value.denominator
    root = isqrt(product)
    if root * root == product:
        return Fraction(root, value.denominator)
    return Surd(((product, Fraction(1, value.denominator)),))


def approximate(value: Real, bits: int) -> Fraction:
    """`value` to a relative error below 2**-bits; a rational as it is."""
    if isinstance(value, Fraction):
        return value
    shift = bits + 8
    while True:
        low, high = value.enclosure(shift)
        if (high - low) << bits < min(abs(low), abs(high)):
            return Fraction(low + high, 2 << shift)
        shift *= 2


def _terms(value: Real | int) -> tuple[tuple[int, Fraction], ...]:
    return value.terms if isinstance(value, Surd) else ((1, Fraction(value)),)


def _sum(terms: Iterable[tuple[int, Fraction]]) -> Real:
    """Collect equal roots: sqrt(n) = isqrt(m n) / m * sqrt(m) where m n is a square."""
    found: dict[int, Fraction] = {}
    for n, c in terms:
        for m in found:
            root = n if m == n else isqrt(m * n)
            if root * root == m * n:
                found[m] += c * Fraction(root, m)
                break
        else:
            # A square joins the rational part even where no rational part is there yet.
            root = isqrt(n)
            if root * root == n:
                found[1] = c * root
            else:
                found[n] = c
    kept = tuple((n, c) for n, c in found.items() if c)
    if all(n == 1 for n, _ in kept):
        return kept[0][1] if kept else Fraction(0)
    return Surd(kept)


def _inverse(value: Real | int) -> Real:
    if not isinstance(value, Surd):
        return 1 / Fraction(value)
    if len(value.terms) != 1:
        msg = "only single roots are divided by: the gain of a chain is a product of them"
        raise ArithmeticError(msg)
    ((n, c),) = value.terms
    return Surd(((n, 1 / (c * n)),))


def _sign(value: Real) -> int:
    if isinstance(value, Fraction):
        return (value > 0) - (value < 0)
    bits = 64
    while True:
        low, high = value.enclosure(bits)
        if low > 0 or high < 0:
            return 1 if low > 0 else -1
        bits *= 2
