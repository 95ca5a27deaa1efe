"""Thresholds of the energy against the formula of LRN in 60 digits, for every integer and level."""

from __future__ import annotations

import time
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import ElementType, Lrn, Tensor
from pulsefold.compiler.numerics.lrn import Normalization, compare_power, lrn_thresholds
from pulsefold.compiler.numerics.quantizer import uniform
from pulsefold.compiler.numerics.rounding import MODES, round_exact
from pulsefold.sim.golden.lrn import lrn

D = Context(prec=60)


def dec(x: Fraction) -> Decimal:
    return D.divide(Decimal(x.numerator), Decimal(x.denominator))


def f32(x: float) -> Fraction:
    return Fraction(float(np.float32(x)))


#: (alpha, beta, bias): AlexNet's and GoogLeNet's, exponents that give ties, one of 24 bits.
KINDS = [
    (f32(1e-4), Fraction(3, 4), Fraction(1)),
    (f32(2e-5), Fraction(3, 4), Fraction(2)),
    (Fraction(1), Fraction(1, 2), Fraction(1)),
    (Fraction(3), Fraction(1), Fraction(1, 2)),
    (Fraction(1, 8), Fraction(2), Fraction(1)),
    (Fraction(1, 2), f32(0.6), Fraction(1)),
]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from([Fraction(1), Fraction(1, 8), f32(0.3)]),
    st.integers(-8, 7),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([Fraction(1), Fraction(1, 4), f32(0.07)]),
    st.integers(2, 5),
    st.booleans(),
    st.sampled_from(sorted(MODES)),
)
def test_every_integer_and_energy(
    kind: tuple[Fraction, Fraction, Fraction],
    scale: Fraction,
    zero: int,
    size: int,
    step: Fraction,
    bits: int,
    signed: bool,
    mode: str,
) -> None:
    alpha, beta, bias = kind
    norm = Normalization(scale=scale, zero=zero, size=size, alpha=alpha, beta=beta, bias=bias)
    quantizer = uniform(
        scale=(step,), zero=Fraction(0), bits=bits, signed=signed, narrow=False, mode=MODES[mode]
    )
    thresholds, descending = lrn_thresholds(norm, quantizer, -8, 7)
    assert thresholds.shape == (16, quantizer.count)
    assert np.all(np.diff(thresholds, axis=1) >= 0)
    most = size * max((-8 - zero) ** 2, (7 - zero) ** 2)
    for row, x in enumerate(range(-8, 8)):
        own = (x - zero) ** 2
        for energy in {*range(own, own + 30), *range(own, most + 1, 37), most} & set(range(most + 1)):
            with localcontext(D):
                root = dec(bias + alpha / size * scale**2 * energy) ** dec(beta)
                y = dec(scale * (x - zero)) / root / dec(step)
                y = round_exact(MODES[mode], Fraction(D.quantize(y, Decimal(10) ** -40)))
            n = int((energy >= thresholds[row]).sum())
            got = quantizer.first + (quantizer.count - n if descending[row] else n)
            assert got == min(max(y, quantizer.first), quantizer.last), (x, energy)


def test_the_node() -> None:
    """As a node of the graph, on random frames, in float64 where that is sure."""
    norm = Normalization(
        scale=f32(0.05), zero=0, size=5, alpha=Fraction(1), beta=Fraction(3, 4), bias=Fraction(1)
    )
    quantizer = uniform(
        scale=(f32(0.021),), zero=Fraction(0), bits=8, signed=False, narrow=False, mode="HALF_EVEN"
    )
    thresholds, descending = lrn_thresholds(norm, quantizer, 0, 255)
    node = Lrn(
        name="n",
        input="x",
        output="y",
        before=2,
        after=2,
        zero=0,
        least=0,
        thresholds=thresholds,
        descending=descending,
        first=quantizer.first,
        type=quantizer.type,
    )
    x = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 9))
    node.output_tensor(Tensor(name="x", shape=(6, 6, 9), type=ElementType.integer(8, signed=False)))
    real = x * float(norm.scale)
    padded = np.pad(real**2, ((0, 0), (0, 0), (0, 0), (2, 2)))
    total = sum(padded[..., k : k + 9] for k in range(5))
    y = real / (1 + total / 5) ** 0.75 / float(np.float32(0.021))
    sure = np.abs(y - np.floor(y) - 0.5) > 1e-9
    assert sure.mean() > 0.99
    want = np.clip(np.rint(y), 0, 255)
    assert np.array_equal(lrn(node, x)[sure], want[sure])


@settings(max_examples=200, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50),
    st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50),
    st.sampled_from([Fraction(3, 4), Fraction(0), f32(0.6), f32(0.1), Fraction(5, 2)]),
)
def test_compare_power(ratio: Fraction, base: Fraction, exponent: Fraction) -> None:
    with localcontext(D):
        gap = dec(base) ** dec(exponent) - dec(ratio)
    want = 0 if abs(gap) < Decimal(10) ** -50 else 1 if gap > 0 else -1
    assert compare_power(ratio, base, exponent) == want


def test_ties_are_exact() -> None:
    assert compare_power(Fraction(27, 8), Fraction(81, 16), Fraction(3, 4)) == 0
    assert compare_power(Fraction(27, 8) + Fraction(1, 10**30), Fraction(81, 16), Fraction(3, 4)) == -1
    assert compare_power(Fraction(1), Fraction(1), f32(0.6)) == 0


def test_what_grows_is_refused() -> None:
    with pytest.raises(ValueError, match="fall"):
        Normalization(
            scale=Fraction(1), zero=0, size=5, alpha=Fraction(-1), beta=Fraction(1), bias=Fraction(1)
        )


def test_speed() -> None:
    """The table of bytes to bytes in a second or two."""
    norm = Normalization(
        scale=f32(0.31), zero=0, size=5, alpha=f32(1e-4), beta=Fraction(3, 4), bias=Fraction(1)
    )
    quantizer = uniform(
        scale=(f32(0.21),), zero=Fraction(0), bits=8, signed=True, narrow=False, mode="HALF_EVEN"
    )
    start = time.process_time()
    thresholds, _ = lrn_thresholds(norm, quantizer, -128, 127)
    assert thresholds.shape == (256, 255)
    assert time.process_time() - start < 5
