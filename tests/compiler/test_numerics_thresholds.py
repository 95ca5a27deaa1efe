"""Thresholds of random chains against a plain evaluation at every reachable integer."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir.types import ElementType
from pulsefold.compiler.numerics.evaluate import Affine, BatchNorm, Clamp, Step, evaluate
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Quantizer, bipolar, multi_threshold, uniform, uniform_range
from pulsefold.compiler.numerics.rounding import MODES, round_exact
from pulsefold.compiler.numerics.surd import sqrt
from pulsefold.compiler.numerics.thresholds import float_thresholds, integer_thresholds

LOW, HIGH = -40, 40

numbers = st.fractions(min_value=-4, max_value=4, max_denominator=16)
scales = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(float(np.float32(0.1))), Fraction(7, 3)])
affine = st.builds(lambda g, o: Affine(gain=g, offset=o), numbers, numbers)
clamp = st.builds(
    lambda a, b, low, high: Clamp(low=min(a, b) if low else None, high=max(a, b) if high else None),
    numbers,
    numbers,
    st.booleans(),
    st.booleans(),
)
norm = st.builds(
    lambda g, b, m, v, e: BatchNorm(gamma=g, beta=b, mean=m, variance=v, epsilon=e),
    numbers,
    numbers,
    numbers,
    st.fractions(min_value=Fraction(1, 16), max_value=9, max_denominator=16),
    st.sampled_from([Fraction(0), Fraction(float(np.float32(1e-5)))]),
)
chains = st.lists(st.one_of(affine, clamp, norm), max_size=4)


def line_of(steps: list[Step]) -> Line:
    line = Line()
    for step in steps:
        match step:
            case Affine():
                line = line.then_affine(step.gain, step.offset)
            case Clamp():
                line = line.then_clamp(step.low, step.high)
            case BatchNorm():
                gain = step.gamma / sqrt(step.variance + step.epsilon)
                line = line.then_affine(gain, step.beta - gain * step.mean)
    return line


def levels(x: int, thresholds: np.ndarray, descending: np.ndarray, quantizer: Quantizer) -> int:
    n = int(np.sum(x >= thresholds[0]))
    return quantizer.first + quantizer.step * (len(thresholds[0]) - n if descending[0] else n)


def wanted(x: Fraction, steps: list[Step], definition: object) -> int | None:
    """The definition by intervals; None where two roots make a rational, which these cannot tell."""
    try:
        return evaluate(x, steps, definition)  # type: ignore[arg-type]
    except ArithmeticError:
        assert sum(isinstance(step, BatchNorm) for step in steps) > 1
        return None


def check(steps: list[Step], quantizer: Quantizer, definition: object) -> None:
    line = line_of(steps)
    thresholds, descending = integer_thresholds((line,), quantizer, np.array([LOW]), np.array([HIGH]))
    assert thresholds.min() >= LOW
    assert thresholds.max() <= HIGH + 1
    assert np.all(np.diff(thresholds[0]) >= 0)
    for x in range(LOW, HIGH + 1):
        assert wanted(Fraction(x), steps, definition) in (
            levels(x, thresholds, descending, quantizer),
            None,
        ), x
    marks, falling = float_thresholds((line,), quantizer, np.float32)
    for x in marks[0][np.isfinite(marks[0])]:
        for y in (x, np.nextafter(x, np.float32(-np.inf))):
            if np.isfinite(y):
                want = wanted(Fraction(float(y)), steps, definition)
                assert want in (levels(y, marks, falling, quantizer), None)


@settings(max_examples=150, deadline=None)
@given(
    chains,
    scales,
    st.sampled_from([Fraction(0), Fraction(3), Fraction(1, 2)]),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(MODES)),
)
def test_quant(
    steps: list[Step], scale: Fraction, zero: Fraction, bits: int, signed: bool, narrow: bool, mode: str
) -> None:
    narrow = narrow and bits > 1
    quantizer = uniform(scale=(scale,), zero=zero, bits=bits, signed=signed, narrow=narrow, mode=MODES[mode])
    low, high = uniform_range(bits, signed=signed, narrow=narrow)

    def real(y: Fraction) -> Fraction:
        """From the operator's definition."""
        u = y / scale + zero
        if bits == 1 and signed:
            q = 1 if u >= 0 else -1
        else:
            q = round_exact(MODES[mode], min(max(u, Fraction(low)), Fraction(high)))
        return scale * (q - zero)

    def level(y: Fraction) -> int:
        q = (real(y) - quantizer.offset[0]) / quantizer.scale[0]
        assert q.denominator == 1
        return int(q)

    check(steps, quantizer, level)


@settings(max_examples=60, deadline=None)
@given(chains, st.lists(numbers, min_size=1, max_size=6), scales, st.sampled_from([-1, 0, 2]))
def test_multi_threshold(steps: list[Step], row: list[Fraction], scale: Fraction, start: int) -> None:
    quantizer = multi_threshold([row], scale=scale, bias=scale * start)

    def level(y: Fraction) -> int:
        real = scale * sum(y >= t for t in row) + scale * start
        q = (real - quantizer.offset[0]) / quantizer.scale[0]
        assert q.denominator == 1
        return int(q)

    check(steps, quantizer, level)


def test_negative_gain_descends_and_zero_gain_is_constant() -> None:
    quantizer = uniform(
        scale=(Fraction(1),), zero=Fraction(0), bits=2, signed=True, narrow=False, mode="FLOOR"
    )
    lines = (Line(gain=Fraction(1)), Line(gain=Fraction(-1)), Line(gain=Fraction(0), offset=Fraction(5)))
    thresholds, descending = integer_thresholds(lines, quantizer, np.full(3, -9), np.full(3, 9))
    assert thresholds.tolist() == [[-1, 0, 1], [0, 1, 2], [-9, -9, -9]]
    assert descending.tolist() == [False, True, False]


def test_levels_count_from_zero_point() -> None:
    shifted = uniform(
        scale=(Fraction(1),), zero=Fraction(128), bits=8, signed=False, narrow=False, mode="FLOOR"
    )
    assert (shifted.first, shifted.last, shifted.offset) == (-128, 127, (0,))
    assert shifted.type == ElementType.integer(8, signed=True)
    # 83 levels below zero and 172 above would take 9 bits: the offset stays.
    wide = uniform(scale=(Fraction(2),), zero=Fraction(83), bits=8, signed=False, narrow=False, mode="FLOOR")
    assert (wide.first, wide.last, wide.offset) == (0, 255, (-166,))
    half = uniform(
        scale=(Fraction(2),), zero=Fraction(1, 2), bits=2, signed=False, narrow=False, mode="FLOOR"
    )
    assert (half.first, half.offset) == (0, (-1,))


def test_two_opposite_levels_are_bipolar() -> None:
    assert bipolar((Fraction(3),)).type.is_bipolar
    two = multi_threshold([[Fraction(0)]], scale=Fraction(2), bias=Fraction(-1))
    assert (two.type, two.first, two.scale, two.offset) == (ElementType.bipolar(), -1, (1,), (0,))
    plain = multi_threshold([[Fraction(0)]], scale=Fraction(2), bias=Fraction(0))
    assert (str(plain.type), plain.first, plain.scale, plain.offset) == ("uint1", 0, (2,), (0,))


@settings(max_examples=60, deadline=None)
@given(
    st.fractions(min_value=Fraction(-1, 100), max_value=Fraction(1, 100), max_denominator=1 << 20).filter(
        bool
    ),
    st.sampled_from([Fraction(1), Fraction(2), Fraction(3, 1 << 20), Fraction(10) ** -300]),
    st.fractions(min_value=-9, max_value=9, max_denominator=64),
    st.sampled_from([20, 40, 60]),
    st.sampled_from(sorted(MODES)),
)
def test_both_sides_of_every_threshold(
    gain: Fraction, root: Fraction, offset: Fraction, width: int, mode: str
) -> None:
    """Accumulators of any width, gains that float64 barely holds, and boundaries that integers hit."""
    line = Line(gain=gain * sqrt(root), offset=offset)
    quantizer = uniform(
        scale=(Fraction(1, 4),), zero=Fraction(0), bits=8, signed=True, narrow=False, mode=MODES[mode]
    )
    low, high = -(1 << width), 1 << width
    thresholds, descending = integer_thresholds((line,), quantizer, np.array([low]), np.array([high]))
    marks = quantizer.boundaries[0][:: -1 if descending[0] else 1]
    for t, mark in zip(thresholds[0].tolist(), marks, strict=True):
        if t <= high:
            assert mark.reached(line.at(Fraction(t))) != descending[0]
        if t > low:
            assert mark.reached(line.at(Fraction(t - 1))) == descending[0]


def test_speed() -> None:
    """2048 irrational channels of 255 levels in a fraction of a second."""
    rng = np.random.default_rng(0)
    lines = tuple(
        Line(gain=Fraction(float(g)) / sqrt(Fraction(float(v))), offset=Fraction(float(b)))
        for g, v, b in zip(
            rng.normal(size=2048), rng.uniform(0.1, 3, 2048), rng.normal(size=2048), strict=True
        )
    )
    quantizer = uniform(
        scale=(Fraction(float(np.float32(0.037))),),
        zero=Fraction(0),
        bits=8,
        signed=True,
        narrow=False,
        mode="HALF_EVEN",
    )
    start = time.process_time()
    thresholds, _ = integer_thresholds(lines, quantizer, np.full(2048, -100000), np.full(2048, 100000))
    assert thresholds.shape == (2048, 255)
    assert time.process_time() - start < 3
