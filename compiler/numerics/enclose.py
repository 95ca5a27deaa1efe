"""Rational enclosures of exp, log, erf and pi, as narrow as asked for.

Every function returns rationals (low, high) with low <= value <= high, low < value < high where the value is
irrational. Sums run twice, once rounding down and once rounding up, on integers; nothing here is a float.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt, log2

from pulsefold.compiler.numerics.surd import Real, Surd

__all__ = ["Interval", "enclose_erf", "enclose_exp", "enclose_log", "enclose_pi", "enclose_real", "multiply"]

Interval = tuple[Fraction, Fraction]

#: Largest |x| of exp(x): beyond it the enclosure of a negative x reaches down to 0, a positive x is refused.
_FAR = 1 << 24


def enclose_real(value: Real, bits: int) -> Interval:
    """A rational as it is, a surd within 2**-bits."""
    if isinstance(value, Surd):
        low, high = value.enclosure(bits)
        return Fraction(low, 1 << bits), Fraction(high, 1 << bits)
    return value, value


def multiply(a: Interval, b: Interval) -> Interval:
    """Products of a number in `a` and one in `b`."""
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def enclose_exp(x: Fraction, bits: int) -> Interval:
    """exp(x) to a relative error of about 2**-bits.

    x = k * ln 2 + r with 0 <= r, and exp(r) by its Taylor series.

    Raises
    ------
    ArithmeticError
        For x above 2**24.
    """
    if x == 0:
        return Fraction(1), Fraction(1)
    if x < -_FAR:
        return Fraction(0), Fraction(1, 1 << _FAR)
    if x > _FAR:
        msg = f"exp(x) for x above {_FAR} is too large to be told apart"
        raise ArithmeticError(msg)
    width = bits + 40
    one = 1 << width
    ln2 = _ln2(width)
    fixed = (x.numerator << width) // x.denominator
    k = fixed // ln2[1] if fixed >= 0 else -(-fixed // ln2[0]) - 1
    low = fixed - k * ln2[k >= 0]
    high = fixed + 1 - k * ln2[k < 0]
    total = one + low
    term, n = low, 2
    while term:
        term = term * low // (n << width)
        total += term
        n += 1
    upper = one + high
    term, n = high, 2
    while term > 1:
        term = -(-term * high // (n << width))
        upper += term
        n += 1
    # The terms that are left halve at least, from at most one unit.
    upper += 2
    return _shifted(total, width - k), _shifted(upper, width - k)


def enclose_log(y: Fraction, bits: int) -> Interval:
    """log(y) within 2**-bits: a float's guess, improved by Newton steps, then proved by two exponentials.

    Raises
    ------
    ArithmeticError
        For y <= 0.
    """
    if y <= 0:
        msg = f"the logarithm of {float(y)}"
        raise ArithmeticError(msg)
    if y == 1:
        return Fraction(0), Fraction(0)
    # log2 takes integers of any size.
    x = Fraction((log2(y.numerator) - log2(y.denominator)) * 0.6931471805599453)
    precision = 40
    while True:
        precision = min(2 * precision, bits + 8)
        e = sum(enclose_exp(-x, precision + 16)) / 2
        z = y * e - 1
        x += z - z * z / 2
        x = Fraction(round(x * (1 << (precision + 16))), 1 << (precision + 16))
        if precision == bits + 8:
            break
    reach = Fraction(1, 1 << (bits + 1))
    while True:
        low, high = x - reach, x + reach
        if enclose_exp(low, bits + 16)[1] <= y <= enclose_exp(high, bits + 16)[0]:
            return low, high
        reach *= 2


def enclose_erf(x: Fraction, bits: int) -> Interval:
    """erf(x) within about 2**-bits.

    erf(x) = 2 / sqrt(pi) * exp(-x**2) * (sum over n of 2**n * x**(2n + 1) / (1 * 3 * ... * (2n + 1))), all
    terms positive; above 16 from exp(-x**2) / (sqrt(pi) * (x + 1)) < 1 - erf(x) < exp(-x**2)
    (Abramowitz and Stegun 7.1.6, 7.1.13).
    """
    if x == 0:
        return x, x
    if x < 0:
        low, high = enclose_erf(-x, bits)
        return -high, -low
    e = enclose_exp(-x * x, bits)
    pi = enclose_pi(bits)
    if x > 16:
        # 2 is more than sqrt(pi).
        return 1 - e[1], 1 - e[0] / (2 * (x + 1))
    width = bits + 40
    one = 1 << width
    down = (x.numerator << width) // x.denominator
    up = down + 1
    low = term = down
    n = 3
    while term:
        term = 2 * term * down * down // (n << (2 * width))
        low += term
        n += 2
    high = term = up
    n = 3
    # Behind n = 4 * x**2 + 1 each term is less than half of the one before.
    while term > 1 or n << (2 * width) < 4 * up * up + one:
        term = -(-2 * term * up * up // (n << (2 * width)))
        high += term
        n += 2
    high += 2
    root = (_root(pi[0], width, up=False), _root(pi[1], width, up=True))
    return 2 * e[0] * Fraction(low, one) / root[1], 2 * e[1] * Fraction(high, one) / root[0]


@lru_cache(maxsize=64)
def enclose_pi(bits: int) -> Interval:
    """pi within 2**-bits: 16 atan(1/5) - 4 atan(1/239) (Machin 1706)."""
    width = bits + 16
    a, b = _inverse_series(5, width, -1), _inverse_series(239, width, -1)
    return _shifted(16 * a[0] - 4 * b[1], width), _shifted(16 * a[1] - 4 * b[0], width)


@lru_cache(maxsize=64)
def _ln2(width: int) -> tuple[int, int]:
    """ln 2 = 2 atanh(1/3), times 2**width, rounded down and up."""
    low, high = _inverse_series(3, width + 16, 1)
    return 2 * low >> 16, (2 * high >> 16) + 1


def _inverse_series(n: int, width: int, sign: int) -> tuple[int, int]:
    """Sum over k of sign**k / ((2k + 1) * n**(2k + 1)), times 2**width: atanh(1/n), or atan(1/n)."""
    total, power, k = 0, (1 << width) // n, 0
    while power:
        total += sign**k * (power // (2 * k + 1))
        power //= n * n
        k += 1
    # Each term is off by less than 2 units, and so is everything that is left out.
    return total - 2 * k - 2, total + 2 * k + 2


def _root(value: Fraction, width: int, *, up: bool) -> Fraction:
    """The square root on `width` bits, rounded down or up."""
    root = isqrt((value.numerator << (2 * width)) // value.denominator)
    return Fraction(root + up, 1 << width)


def _shifted(value: int, right: int) -> Fraction:
    return Fraction(value, 1 << right) if right >= 0 else Fraction(value << -right)
