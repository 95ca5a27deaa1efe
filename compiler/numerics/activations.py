"""Activations that are compositions: what each of these ONNX operators makes of a curve."""

from __future__ import annotations

from fractions import Fraction

from pulsefold.compiler.numerics.curve import Curve
from pulsefold.compiler.numerics.functions import Erf, RootTwoOverPi, Sigmoid, Softplus, Tanh
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.surd import sqrt

__all__ = ["gelu", "hard_sigmoid", "hard_swish", "mish", "silu"]

_ZERO, _ONE, _HALF = Fraction(0), Fraction(1), Fraction(1, 2)


def hard_sigmoid(x: Curve, alpha: Fraction, beta: Fraction) -> Curve:
    """max(0, min(1, alpha * x + beta)). ONNX HardSigmoid-22."""
    return x.then_line(Line(gain=alpha, offset=beta, low=_ZERO, high=_ONE))


def hard_swish(x: Curve) -> Curve:
    """x * max(0, min(1, x / 6 + 1/2)). ONNX HardSwish-22."""
    return x.times(hard_sigmoid(x, Fraction(1, 6), _HALF))


def silu(x: Curve, alpha: Fraction = _ONE) -> Curve:
    """x * sigmoid(alpha * x). ONNX Swish-24."""
    return x.times(x.then_line(Line(gain=alpha)).then(Sigmoid()))


def mish(x: Curve) -> Curve:
    """x * tanh(softplus(x)). ONNX Mish-22."""
    return x.times(x.then(Softplus()).then(Tanh()))


def gelu(x: Curve, *, approximate: bool = False) -> Curve:
    """x / 2 * (1 + erf(x / sqrt(2))). ONNX Gelu-20.

    Approximate: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))).
    """
    if approximate:
        cube = x.times(x).times(x).then_line(Line(gain=Fraction("0.044715")))
        inner = x.plus(cube).then(RootTwoOverPi()).then(Tanh())
    else:
        inner = x.then_line(Line(gain=sqrt(_HALF))).then(Erf())
    return x.times(inner.then_line(Line(gain=_HALF, offset=_HALF)))
