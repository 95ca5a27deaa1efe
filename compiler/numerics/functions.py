"""Scalar functions of networks: exact where they are, enclosed where they are not, and estimated in float64.

At an algebraic x other than 0, exp(x) is transcendental (Lindemann 1882), and so is every value below
that is not given exactly: it never lies on a quantizer's boundary, and a narrow enough enclosure decides.
The one exception is erf, of which this is not known; :func:`pulsefold.compiler.numerics.curve.Curve.level`
gives up at a precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from pulsefold.compiler.numerics.enclose import (
    Interval,
    enclose_erf,
    enclose_exp,
    enclose_log,
    enclose_pi,
    multiply,
)
from pulsefold.compiler.numerics.surd import Real, approximate, sqrt

__all__ = [
    "Abs",
    "Elu",
    "Erf",
    "Exp",
    "Function",
    "LeakyRelu",
    "Log",
    "Reciprocal",
    "RootTwoOverPi",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
]

_ZERO, _ONE = Fraction(0), Fraction(1)


class Function(Protocol):
    """A function of one real number."""

    @property
    def rising(self) -> bool | None:
        """True: it never falls. False: it never rises. None: it does both."""
        ...

    def exact(self, x: Real) -> Real | None:
        """The value where it is rational or a sum of square roots, else None."""
        ...

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Rationals around the values of an interval, about 2**-bits beyond them."""
        ...

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """float64, to a relative error of 2**-44 at the most."""
        ...


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """1 / (1 + exp(-x)). ONNX Sigmoid-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """1/2 at 0."""
        return Fraction(1, 2) if x == 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Through exp(-|x|)."""

        def at(v: Fraction) -> Interval:
            low, high = enclose_exp(-abs(v), bits)
            below, above = 1 / (1 + high), 1 / (1 + low)
            return (1 - above, 1 - below) if v < 0 else (below, above)

        return _ends(at, x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return 1 / (1 + np.exp(-x))


@dataclass(frozen=True, slots=True)
class Tanh:
    """(exp(2x) - 1) / (exp(2x) + 1). ONNX Tanh-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """0 at 0."""
        return _ZERO if x == 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Through exp(-2|x|)."""

        def at(v: Fraction) -> Interval:
            low, high = enclose_exp(-2 * abs(v), bits)
            below, above = (1 - high) / (1 + high), (1 - low) / (1 + low)
            return (-above, -below) if v < 0 else (below, above)

        return _ends(at, x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.tanh(x)


@dataclass(frozen=True, slots=True)
class Exp:
    """exp(x). ONNX Exp-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """1 at 0."""
        return _ONE if x == 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """At both ends."""
        return _ends(lambda v: enclose_exp(v, bits), x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.exp(x)


@dataclass(frozen=True, slots=True)
class Log:
    """log(x) for x > 0. ONNX Log-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """0 at 1."""
        return _ZERO if x == 1 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """At both ends; ArithmeticError where they are not positive."""
        return _ends(lambda v: enclose_log(v, bits), x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.log(x)


@dataclass(frozen=True, slots=True)
class Sqrt:
    """sqrt(x) for x >= 0. ONNX Sqrt-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """At rationals; ArithmeticError below 0."""
        if x < 0:
            msg = f"the square root of {float(x)}"
            raise ArithmeticError(msg)
        return sqrt(x) if isinstance(x, Fraction) else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """At both ends; ArithmeticError where both are below 0."""
        if x[1] < 0:
            msg = f"the square root of {float(x[1])}"
            raise ArithmeticError(msg)
        low, high = (approximate(sqrt(max(v, _ZERO)), bits + 2) for v in x)
        near = Fraction(1, 1 << bits)
        return low * (1 - near), high * (1 + near)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.sqrt(x)


@dataclass(frozen=True, slots=True)
class Reciprocal:
    """1 / x for x other than 0. ONNX Reciprocal-13."""

    rising = None

    def exact(self, x: Real) -> Real | None:
        """At rationals; ArithmeticError at 0."""
        if x == 0:
            msg = "a division by 0"
            raise ArithmeticError(msg)
        return 1 / x if isinstance(x, Fraction) else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Exact at both ends; ArithmeticError where 0 is not beyond them."""
        if x[0] <= 0 <= x[1]:
            msg = f"a division by what is 0 as far as {bits} bits can tell"
            raise ArithmeticError(msg)
        return 1 / x[1], 1 / x[0]

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return 1 / x


@dataclass(frozen=True, slots=True)
class Erf:
    """2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x. ONNX Erf-13."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """0 at 0."""
        return _ZERO if x == 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """At both ends."""
        return _ends(lambda v: enclose_erf(v, bits), x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), np.float64)


@dataclass(frozen=True, slots=True)
class Softplus:
    """log(1 + exp(x)). ONNX Softplus-22."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """Nowhere."""
        return None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """max(x, 0) + log(1 + exp(-|x|))."""

        def at(v: Fraction) -> Interval:
            low, high = enclose_exp(-abs(v), bits)
            if high < Fraction(1, 1 << (bits // 2)):
                # e - e**2 / 2 < log(1 + e) < e keeps a tiny value away from 0.
                low -= low * low / 2
            else:
                low, high = enclose_log(1 + low, bits)[0], enclose_log(1 + high, bits)[1]
            return max(v, _ZERO) + low, max(v, _ZERO) + high

        return _ends(at, x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.logaddexp(0, x)


@dataclass(frozen=True, slots=True)
class LeakyRelu:
    """x, times `slope` below 0. ONNX LeakyRelu-16 and, with a slope a channel, PRelu-16."""

    slope: Fraction

    @property
    def rising(self) -> bool | None:
        """Unless the slope is negative."""
        return True if self.slope >= 0 else None

    def exact(self, x: Real) -> Real | None:
        """Everywhere."""
        return x if x >= 0 else x * self.slope

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Exact at both ends, and 0 between them."""
        return _corners(lambda v: v if v >= 0 else v * self.slope, x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.where(x < 0, float(self.slope) * x, x)


@dataclass(frozen=True, slots=True)
class Elu:
    """x, below 0 alpha * (exp(x) - 1). ONNX Elu-22; Selu and Celu with a line before or behind."""

    alpha: Fraction = _ONE

    @property
    def rising(self) -> bool | None:
        """Unless alpha is negative."""
        return True if self.alpha >= 0 else None

    def exact(self, x: Real) -> Real | None:
        """From 0 upwards."""
        return x if x >= 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """At both ends, and 0 between them."""

        def at(v: Fraction) -> Interval:
            if v >= 0:
                return v, v
            low, high = enclose_exp(v, bits)
            return multiply((self.alpha, self.alpha), (low - 1, high - 1))

        ends = [at(v) for v in x] + ([(_ZERO, _ZERO)] if x[0] < 0 < x[1] else [])
        return min(e[0] for e in ends), max(e[1] for e in ends)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.where(x < 0, float(self.alpha) * np.expm1(np.minimum(x, 0)), x)


@dataclass(frozen=True, slots=True)
class Softsign:
    """x / (1 + |x|). ONNX Softsign-22."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """At rationals."""
        return x / (1 + abs(x)) if isinstance(x, Fraction) else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Exact at both ends."""
        return _corners(lambda v: v / (1 + abs(v)), x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return x / (1 + np.abs(x))


@dataclass(frozen=True, slots=True)
class Abs:
    """|x|. ONNX Abs-13."""

    rising = None

    def exact(self, x: Real) -> Real | None:
        """Everywhere."""
        return x if x >= 0 else -x

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Exact at both ends, and 0 between them."""
        return _corners(abs, x)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return np.abs(x)


@dataclass(frozen=True, slots=True)
class RootTwoOverPi:
    """sqrt(2 / pi) * x, the constant of the GELU that goes through tanh."""

    rising = True

    def exact(self, x: Real) -> Real | None:
        """0 at 0."""
        return _ZERO if x == 0 else None

    def enclose(self, x: Interval, bits: int) -> Interval:
        """Both ends times the constant's enclosure."""
        low, high = enclose_pi(bits)
        width = 1 << bits
        root = (
            Fraction(math.isqrt(math.floor(2 * width * width / high)), width),
            Fraction(math.isqrt(math.floor(2 * width * width / low)) + 1, width),
        )
        return multiply(x, root)

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """In float64."""
        return math.sqrt(2 / math.pi) * x


def _ends(at: Callable[[Fraction], Interval], x: Interval) -> Interval:
    """The image of an interval under a rising function."""
    if x[0] == x[1]:
        return at(x[0])
    return at(x[0])[0], at(x[1])[1]


def _corners(at: Callable[[Fraction], Fraction], x: Interval) -> Interval:
    """The image of an interval under a function that is monotone on either side of 0, where it is 0."""
    ends = [at(x[0]), at(x[1])] + ([_ZERO] if x[0] < 0 < x[1] else [])
    return min(ends), max(ends)
