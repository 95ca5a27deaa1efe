"""Multiply, add, shift and clip against the thresholds they stand for, at every reachable integer."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.quantizer import Quantizer, multi_threshold, uniform
from pulsefold.compiler.numerics.requantize import AffineSteps, affine_steps
from pulsefold.compiler.numerics.rounding import MODES
from pulsefold.compiler.numerics.surd import sqrt
from pulsefold.compiler.numerics.thresholds import integer_thresholds

lines = st.builds(
    lambda gain, root, offset, low: Line(gain=gain / sqrt(root), offset=offset, low=low),
    st.fractions(min_value=-3, max_value=3, max_denominator=100),
    st.sampled_from([Fraction(1), Fraction(4), Fraction(3, 7)]),
    st.fractions(min_value=-20, max_value=20, max_denominator=50),
    st.sampled_from([None, None, Fraction(0), Fraction(-3)]),
)
ends = st.tuples(st.integers(-300, 300), st.integers(0, 300))


def levels(thresholds: np.ndarray, descending: np.ndarray, first: int, x: np.ndarray) -> np.ndarray:
    """[C, N]: straight from the definition of Threshold."""
    n = (x[:, :, np.newaxis] >= thresholds[:, np.newaxis]).sum(axis=2)
    return first + np.where(descending[:, np.newaxis], thresholds.shape[1] - n, n)


def affine(steps: AffineSteps, x: np.ndarray) -> np.ndarray:
    """[C, N]: straight from the definition of Requantize."""

    def column(row: np.ndarray) -> np.ndarray:
        return row[:, np.newaxis]

    product = column(steps.multiplier) * x + column(steps.addend)
    y = product >> steps.shift
    if steps.even:
        y = np.where((product % (1 << steps.shift) == 0) & (y % 2 == 1), y - 1, y)
    return np.clip(y, column(steps.low), column(steps.high))


def quantizer_of(bits: int, signed: bool, mode: str, scale: Fraction = Fraction(1)) -> Quantizer:
    return uniform(scale=(scale,), zero=Fraction(0), bits=bits, signed=signed, narrow=False, mode=mode)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(lines, ends), min_size=1, max_size=4),
    st.integers(2, 8),
    st.booleans(),
    st.sampled_from(sorted(MODES)),
)
def test_equal_at_every_reachable_integer(
    parts: list[tuple[Line, tuple[int, int]]], bits: int, signed: bool, mode: str
) -> None:
    quantizer = quantizer_of(bits, signed, MODES[mode])
    low = np.array([a for _, (a, _) in parts])
    high = low + np.array([n for _, (_, n) in parts])
    thresholds, descending = integer_thresholds([line for line, _ in parts], quantizer, low, high)
    steps = affine_steps(thresholds, descending, quantizer.first, low, high)
    if steps is None:
        # Modes that round to and from zero, and ties of gains that no shift expresses, are no such function.
        assert MODES[mode] not in ("FLOOR", "CEIL")
        return
    for c in range(len(parts)):
        x = np.arange(low[c], high[c] + 1)[np.newaxis]
        row = [v[c % len(v)][np.newaxis] for v in (thresholds, descending)]
        one = AffineSteps(
            shift=steps.shift,
            even=steps.even,
            **{
                k: v[[c % len(v)]]
                for k in ("multiplier", "addend", "low", "high")
                for v in (getattr(steps, k),)
            },
        )
        assert np.array_equal(affine(one, x), levels(row[0], row[1], quantizer.first, x))


@settings(max_examples=100, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 20), max_value=2, max_denominator=64),
    st.fractions(min_value=-5, max_value=5, max_denominator=64),
    st.integers(10, 60),
)
def test_the_shift_is_the_least(gain: Fraction, offset: Fraction, reach: int) -> None:
    """No multiplier and addend whatever do with one shift less."""
    quantizer = quantizer_of(4, True, "FLOOR")
    low, high = np.array([-reach]), np.array([reach])
    thresholds, descending = integer_thresholds([Line(gain=gain, offset=offset)], quantizer, low, high)
    steps = affine_steps(thresholds, descending, quantizer.first, low, high)
    assert steps is not None
    if steps.shift == 0:
        return
    shift = steps.shift - 1
    x = np.arange(-reach, reach + 1)[np.newaxis]
    want = levels(thresholds, descending, quantizer.first, x)
    # Shared clamps never say more than the levels that occur.
    assert (want.min(), want.max()) == (steps.low[0], steps.high[0])
    m = np.arange(min(17 << shift, 1 << 16))[:, np.newaxis]
    # Every x bounds the addend from below unless its level is the least, and from above unless the greatest.
    least = np.where(want > want.min(), (want << shift) - m * x, -(1 << 60)).max(axis=1)
    most = np.where(want < want.max(), ((want + 1) << shift) - 1 - m * x, 1 << 60).min(axis=1)
    assert not np.any(least <= most)


def test_unequal_steps_are_refused() -> None:
    quantizer = multi_threshold(
        [[Fraction(v) for v in (0, 1, 2, 30, 31, 32)]], scale=Fraction(1), bias=Fraction(0)
    )
    low, high = np.array([-5]), np.array([50])
    thresholds, descending = integer_thresholds([Line()], quantizer, low, high)
    assert affine_steps(thresholds, descending, 0, low, high) is None
    # Where only the even part of it can be reached it is affine.
    low, high = np.array([-5]), np.array([20])
    thresholds, descending = integer_thresholds([Line()], quantizer, low, high)
    steps = affine_steps(thresholds, descending, 0, low, high)
    assert steps is not None
    x = np.arange(-5, 21)[np.newaxis]
    assert np.array_equal(affine(steps, x), levels(thresholds, descending, 0, x))


def test_constant_channels_and_jumps() -> None:
    thresholds = np.array([[-9] * 20, [10] * 20, [3] * 20])
    low, high = np.full(3, -9), np.full(3, 9)
    steps = affine_steps(thresholds, np.array([False, False, True]), -5, low, high)
    assert steps is not None
    x = np.broadcast_to(np.arange(-9, 10), (3, 19))
    assert np.array_equal(affine(steps, x), levels(thresholds, np.array([False, False, True]), -5, x))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2000, 2000), st.sampled_from([1, -1])), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(2, 8),
)
def test_powers_of_two_only_shift(channels: list[tuple[int, int]], shift: int, bits: int) -> None:
    """Integer biases and gains of one power of two: ties go to even, and nothing is multiplied."""
    quantizer = quantizer_of(bits, True, "HALF_EVEN")
    parts = [Line(gain=Fraction(sign, 1 << shift), offset=Fraction(b, 1 << shift)) for b, sign in channels]
    low, high = np.full(len(parts), -30000), np.full(len(parts), 30000)
    thresholds, descending = integer_thresholds(parts, quantizer, low, high)
    steps = affine_steps(thresholds, descending, quantizer.first, low, high)
    assert steps is not None
    if bits == 8:
        assert steps.even
        assert steps.shift <= shift
        assert np.all(np.abs(steps.multiplier) == 1)
    x = np.broadcast_to(np.arange(-30000, 30001), (len(parts), 60001))
    assert np.array_equal(affine(steps, x), levels(thresholds, descending, quantizer.first, x))


def test_channels_of_one_scale_share_the_multiplier() -> None:
    quantizer = quantizer_of(8, True, "HALF_EVEN")
    parts = [Line(gain=Fraction(float(np.float32(0.013))), offset=Fraction(k, 97)) for k in range(-40, 40)]
    low, high = np.full(80, -20000), np.full(80, 20000)
    thresholds, descending = integer_thresholds(parts, quantizer, low, high)
    steps = affine_steps(thresholds, descending, quantizer.first, low, high)
    assert steps is not None
    assert [len(v) for v in (steps.multiplier, steps.addend, steps.low, steps.high)] == [1, 80, 1, 1]


def test_speed() -> None:
    """The widest layer of ResNet-50 in a second or two: its 27 thousand channels take seconds."""
    rng = np.random.default_rng(0)
    channels, reach = 2048, 1 << 20
    slope = rng.uniform(0.3, 3, channels) / 2000
    marks = np.arange(-127, 128) - 0.5
    t = np.ceil((marks - rng.uniform(-60, 60, (channels, 1))) / slope[:, np.newaxis]).astype(np.int64)
    t = np.clip(t, -reach, reach + 1)
    start = time.process_time()
    steps = affine_steps(
        t, np.zeros(channels, np.bool_), -128, np.full(channels, -reach), np.full(channels, reach)
    )
    assert time.process_time() - start < 5
    assert steps is not None
    # Both sides of every threshold are all there is to check.
    for x in (np.clip(t, -reach, reach), np.clip(t - 1, -reach, reach)):
        assert np.array_equal(affine(steps, x), levels(t, np.zeros(channels, np.bool_), -128, x))
