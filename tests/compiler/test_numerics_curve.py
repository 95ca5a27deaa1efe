"""Tables and thresholds of curves against 60 digits of decimal arithmetic, level by level."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.numerics.activations import gelu, hard_sigmoid, hard_swish, mish, silu
from pulsefold.compiler.numerics.curve import Curve
from pulsefold.compiler.numerics.functions import (
    Abs,
    Elu,
    Erf,
    Exp,
    Function,
    LeakyRelu,
    Log,
    Reciprocal,
    Sigmoid,
    Softplus,
    Softsign,
    Sqrt,
    Tanh,
)
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import bipolar, multi_threshold, uniform
from pulsefold.compiler.numerics.rounding import MODES, round_exact
from pulsefold.compiler.numerics.surd import sqrt
from pulsefold.compiler.numerics.tables import curve_thresholds, table_values
from pulsefold.compiler.numerics.thresholds import integer_thresholds

D = Context(prec=60)
ONE = Decimal(1)


def dec(x: Fraction) -> Decimal:
    return D.divide(Decimal(x.numerator), Decimal(x.denominator))


def exp(x: Decimal) -> Decimal:
    """Never less than 1e-35, so that what saturates stays on its side of the limit in 60 digits."""
    return max(D.exp(x), Decimal("1e-35"))


def sigmoid(x: Decimal) -> Decimal:
    return D.divide(ONE, D.add(ONE, exp(-x)))


def tanh(x: Decimal) -> Decimal:
    e = exp(-2 * abs(x))
    y = D.divide(ONE - e, ONE + e)
    return y if x >= 0 else -y


def erf(x: Decimal) -> Decimal:
    """The alternating series; beyond 6 just inside of 1."""
    if abs(x) > 6:
        return D.subtract(ONE, Decimal("1e-20")).copy_sign(x)
    wide = Context(prec=110)
    total = term = x
    n = 0
    while abs(term) > Decimal(10) ** -80:
        n += 1
        term = wide.divide(wide.multiply(term, wide.multiply(-x, x)), Decimal(n))
        total = wide.add(total, wide.divide(term, Decimal(2 * n + 1)))
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
    return D.divide(wide.multiply(2, total), wide.sqrt(pi))


def softplus(x: Decimal) -> Decimal:
    return D.add(max(x, Decimal(0)), D.ln(D.add(ONE, exp(-abs(x)))))


def elu(x: Decimal) -> Decimal:
    return x if x >= 0 else D.multiply(Decimal("1.5"), exp(x) - 1)


PLAIN: dict[str, tuple[Function, Callable[[Decimal], Decimal]]] = {
    "sigmoid": (Sigmoid(), sigmoid),
    "tanh": (Tanh(), tanh),
    "exp": (Exp(), exp),
    "erf": (Erf(), erf),
    "softplus": (Softplus(), softplus),
    "elu": (Elu(Fraction(3, 2)), elu),
    "leaky": (LeakyRelu(Fraction(1, 8)), lambda x: x if x >= 0 else x / 8),
    "softsign": (Softsign(), lambda x: D.divide(x, ONE + abs(x))),
}
PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923078164")
COMPOSED: dict[str, tuple[Callable[[Curve], Curve], Callable[[Decimal], Decimal]]] = {
    "silu": (silu, lambda x: D.multiply(x, sigmoid(x))),
    "hard_swish": (
        hard_swish,
        lambda x: D.divide(D.multiply(x, min(max(x + 3, Decimal(0)), Decimal(6))), Decimal(6)),
    ),
    "hard_sigmoid": (
        lambda x: hard_sigmoid(x, Fraction(1, 5), Fraction(1, 2)),
        lambda x: min(max(D.add(D.divide(x, Decimal(5)), Decimal("0.5")), Decimal(0)), ONE),
    ),
    "gelu": (gelu, lambda x: D.multiply(x / 2, ONE + erf(D.divide(x, D.sqrt(Decimal(2)))))),
    "gelu_tanh": (
        lambda x: gelu(x, approximate=True),
        lambda x: D.multiply(
            x / 2, ONE + tanh(D.multiply(D.sqrt(D.divide(Decimal(2), PI)), x + Decimal("0.044715") * x**3))
        ),
    ),
    "mish": (mish, lambda x: D.multiply(x, tanh(softplus(x)))),
    "abs": (lambda x: x.then(Abs()), abs),
    "root": (lambda x: x.then(Abs()).then(Sqrt()), lambda x: D.sqrt(abs(x))),
    "reciprocal": (
        lambda x: x.then(Abs()).then_line(Line(offset=Fraction(1))).then(Reciprocal()),
        lambda x: D.divide(ONE, 1 + abs(x)),
    ),
    "sigmoid, written out": (
        lambda x: (
            x.then_line(Line(gain=Fraction(-1)))
            .then(Exp())
            .then_line(Line(offset=Fraction(1)))
            .then(Reciprocal())
        ),
        sigmoid,
    ),
    "log1p": (
        lambda x: x.then(Abs()).then_line(Line(offset=Fraction(1))).then(Log()),
        lambda x: D.ln(1 + abs(x)),
    ),
}
CASES = {name: (lambda x, f=f: x.then(f), g) for name, (f, g) in PLAIN.items()} | COMPOSED

gains = st.sampled_from([Fraction(1, 8), Fraction(-1, 4), Fraction(float(np.float32(0.1))), Fraction(3, 7)])
offsets = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(float(np.float32(-0.3)))])
scales = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 255), Fraction(float(np.float32(0.07)))])


def near(mode: str, u: Decimal) -> int:
    """Rounding of 60 digits, of which an exact tie keeps all its own."""
    return round_exact(mode, Fraction(D.quantize(u, Decimal(10) ** -40)))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(CASES)),
    gains,
    offsets,
    scales,
    st.integers(2, 8),
    st.booleans(),
    st.sampled_from(sorted(MODES)),
)
def test_tables(
    name: str, gain: Fraction, offset: Fraction, scale: Fraction, bits: int, signed: bool, mode: str
) -> None:
    curve, plain = CASES[name]
    line = Line(gain=gain, offset=offset)
    quantizer = uniform(
        scale=(scale,), zero=Fraction(0), bits=bits, signed=signed, narrow=False, mode=MODES[mode]
    )
    values = table_values(curve(Curve().then_line(line)), quantizer, -32, 31)
    assert values.shape == (1, 64)
    for q in range(-32, 32):
        with localcontext(D):
            y = plain(dec(line.at(Fraction(q)))) / dec(scale)
        want = min(max(near(MODES[mode], y), quantizer.first), quantizer.last)
        assert values[0, q + 32] == want, (q, y)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(PLAIN)),
    st.lists(gains, min_size=1, max_size=3),
    offsets,
    scales,
    st.integers(1, 8),
)
def test_thresholds_are_the_table(
    name: str, slopes: list[Fraction], offset: Fraction, scale: Fraction, bits: int
) -> None:
    lines = [Line(gain=g, offset=offset) for g in slopes]
    curve = Curve().then_line(*lines).then(PLAIN[name][0])
    quantizer = uniform(
        scale=(scale,), zero=Fraction(0), bits=bits, signed=True, narrow=False, mode="HALF_EVEN"
    )
    low, high = np.arange(-50, -50 + len(lines)), np.arange(40, 40 + len(lines))
    thresholds, descending = curve_thresholds(curve, quantizer, low, high)
    for c, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        row, falls = thresholds[c % len(thresholds)], descending[c % len(descending)]
        assert np.all(np.diff(row) >= 0)
        assert row.min() >= low.min()
        n = (np.arange(least, most + 1)[:, np.newaxis] >= row).sum(axis=1)
        got = quantizer.first + quantizer.step * (quantizer.count - n if falls else n)
        table = table_values(curve, quantizer, least, most)
        assert np.array_equal(got, table[c % len(table)])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(gains, offsets), min_size=1, max_size=3),
    st.sampled_from([None, Fraction(0)]),
    scales,
    st.sampled_from(sorted(MODES)),
)
def test_lines_alone_give_the_thresholds_of_lines(
    parts: list[tuple[Fraction, Fraction]], low: Fraction | None, scale: Fraction, mode: str
) -> None:
    lines = [Line(gain=g / sqrt(1 + abs(o)), offset=o, low=low) for g, o in parts]
    quantizer = uniform(scale=(scale,), zero=Fraction(0), bits=5, signed=True, narrow=False, mode=MODES[mode])
    ends = np.full(len(lines), -300), np.full(len(lines), 300)
    for a, b in zip(
        curve_thresholds(Curve().then_line(*lines), quantizer, *ends),
        integer_thresholds(lines, quantizer, *ends),
        strict=True,
    ):
        assert np.array_equal(a, b)


def test_trivial_points_are_exact() -> None:
    """tanh(0) = 0 and sigmoid(0) = 1/2 sit on boundaries; 0 times a transcendental number is 0."""
    at_zero = bipolar((Fraction(1),))
    assert Curve().then(Tanh()).level(at_zero, 0) == 1
    assert Curve().then(Tanh()).level(at_zero, -1) == -1
    half = multi_threshold([[Fraction(1, 2)]], scale=Fraction(1), bias=Fraction(0))
    assert [Curve().then(Sigmoid()).level(half, q) for q in (-1, 0, 1)] == [0, 1, 1]
    product = Curve().times(Curve().then_line(Line(offset=Fraction(3))).then(Tanh()))
    assert product.exact(0, 0) == 0


@pytest.mark.parametrize("function", [Sigmoid(), Tanh(), Erf()])
def test_saturated_values_never_reach_their_limit(function: Function) -> None:
    """At 2000 float64 says 1, the value is less."""
    quantizer = multi_threshold([[Fraction(1)]], scale=Fraction(2), bias=Fraction(0))
    curve = Curve().then(function)
    assert curve.level(quantizer, 2000) == quantizer.first
    assert np.all(table_values(curve, quantizer, 1990, 2000) == quantizer.first)


def test_what_cannot_be_told_is_an_error() -> None:
    huge = Curve().then_line(Line(gain=Fraction(10**9))).then(Exp())
    one = multi_threshold([[Fraction(10) ** 400]], scale=Fraction(1), bias=Fraction(0))
    with pytest.raises(ArithmeticError):
        huge.level(one, 1)
    with pytest.raises(ValueError, match="rises and falls"):
        curve_thresholds(silu(Curve()), one, np.array([0]), np.array([9]))


def test_speed() -> None:
    """512 channels of 255 levels behind a Sigmoid in a second or two."""
    rng = np.random.default_rng(0)
    lines = [
        Line(gain=Fraction(float(g)), offset=Fraction(float(b)))
        for g, b in zip(rng.normal(size=512) / 1000, rng.normal(size=512), strict=True)
    ]
    quantizer = uniform(
        scale=(Fraction(float(np.float32(1 / 255))),),
        zero=Fraction(0),
        bits=8,
        signed=False,
        narrow=False,
        mode="HALF_EVEN",
    )
    start = time.process_time()
    curve = Curve().then_line(*lines).then(Sigmoid())
    thresholds, _ = curve_thresholds(curve, quantizer, np.full(512, -(10**6)), np.full(512, 10**6))
    assert thresholds.shape == (512, 255)
    assert time.process_time() - start < 10
