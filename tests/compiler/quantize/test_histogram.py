"""Histograms lose nothing but where in its bin a value was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.quantize.histogram import BINS, Histogram

#: Zero, or large enough beside the largest that float64 tells it from zero.
numbers = st.floats(-1e6, 1e6, width=32).map(lambda v: v if abs(v) > 1e-6 else 0.0)
values = st.lists(numbers, min_size=1, max_size=20)


@given(parts=st.lists(values, min_size=1, max_size=5))
def test_every_value_is_in_its_bin(parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    every = np.concatenate([np.asarray(p, np.float32) for p in parts]).astype(np.float64)
    assert (histogram.low, histogram.high) == (every.min(), every.max())
    assert histogram.counts.sum() == every.size
    bins = np.floor((every / 2.0**histogram.exponent + 1) * BINS / 2).astype(int)
    assert np.array_equal(histogram.counts, np.bincount(bins, minlength=BINS))


@given(a=values, b=values)
def test_merging_is_counting_both(a, b):
    one, other, both = Histogram(), Histogram(), Histogram()
    one.add(np.asarray(a, np.float32))
    other.add(np.asarray(b, np.float32))
    both.add(np.asarray(a + b, np.float32))
    merged = one.merged(other)
    assert (merged.low, merged.high, merged.exponent) == (both.low, both.high, both.exponent)
    assert np.array_equal(merged.counts, both.counts)


def test_range_doubles_around_zero():
    histogram = Histogram()
    histogram.add(np.float32([-0.9, 0.1, 0.9]))
    assert histogram.exponent == 0
    histogram.add(np.float32([300]))
    assert histogram.exponent == 9
    assert histogram.counts.sum() == 4
    centers = histogram.centers[np.flatnonzero(histogram.counts)]
    assert centers == pytest.approx([-0.9, 0.1, 0.9, 300], abs=2 * 512 / BINS)


def test_large_batches_are_sampled_evenly():
    histogram = Histogram()
    histogram.add(np.linspace(-1, 1, 5_000_001, dtype=np.float32))
    assert 900_000 < histogram.counts.sum() <= 1 << 20
    assert (histogram.low, histogram.high) == (-1, 1)
    assert histogram.counts[: BINS // 2].sum() == pytest.approx(histogram.counts.sum() / 2, rel=0.01)
