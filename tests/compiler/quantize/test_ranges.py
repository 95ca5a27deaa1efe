"""Ranges and the quantizers made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pulsefold.compiler.quantize.histogram import Histogram
from pulsefold.compiler.quantize.quantizer import Quantizer, round_scale
from pulsefold.compiler.quantize.ranges import METHODS, choose


def distribution(values) -> Histogram:
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram


def error(quantizer: Quantizer, values: np.ndarray) -> float:
    return float(np.square(quantizer.apply(values).astype(np.float64) - values).mean())


scales = st.floats(2.0**-30, 2.0**30)


@given(a=scales, b=scales)
def test_products_of_two_scales_are_exact(a, b):
    a, b = round_scale(a), round_scale(b)
    assert np.float64(np.float32(a * b)) == np.float64(a) * np.float64(b)


@given(scale=scales)
def test_scales_are_rounded_up_and_little(scale):
    rounded = float(round_scale(scale))
    assert scale <= rounded <= scale * (1 + 2.0**-11)
    assert float(round_scale(rounded)) == rounded


@given(
    values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=30),
    bits=st.integers(2, 8),
    kind=st.sampled_from(["signed", "unsigned", "asymmetric"]),
)
def test_minmax_clips_nothing_and_keeps_zero(values, bits, kind):
    x = np.asarray(values, np.float32)
    if kind == "unsigned":
        x = np.abs(x)
    assume(np.abs(x).max() > 1e-3)
    quantizer = choose(
        distribution(x), method="minmax", bits=bits, signed=kind == "signed", asymmetric=kind == "asymmetric"
    )
    assert quantizer.apply(np.float32([0]))[0] == 0
    assert quantizer.low <= quantizer.zero <= quantizer.high
    # A zero point that is rounded moves the range by up to half a step.
    slack = 1.0 if kind == "asymmetric" else 0.5
    assert np.abs(quantizer.apply(x) - x).max() <= float(quantizer.scale) * slack * (1 + 1e-4)
    if kind != "asymmetric":
        assert quantizer.zero == 0


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_mean_square_is_no_worse_than_any_other(bits, signed):
    x = np.random.default_rng(1).standard_t(3, 50_000).astype(np.float32)
    x = x if signed else np.abs(x)
    options = {"bits": bits, "signed": signed, "asymmetric": False}
    errors = {m: error(choose(distribution(x), method=m, **options), x) for m in METHODS}
    assert errors["mse"] == pytest.approx(min(errors.values()), rel=0.02)
    assert errors["mse"] < errors["minmax"]


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
@pytest.mark.parametrize("signed", [True, False])
def test_an_outlier_is_clipped(method, signed):
    x = np.random.default_rng(2).normal(size=100_000).astype(np.float32)
    x = x if signed else np.abs(x)
    x[0] = 200
    quantizer = choose(distribution(x), method=method, bits=4, signed=signed, asymmetric=False)
    top = quantizer.high * float(quantizer.scale)
    assert 1 < top < 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0], [-3.0, -1.0], [0.0, 1e-30]])
def test_degenerate_distributions(method, values):
    for signed, asymmetric in ((True, False), (False, True)):
        quantizer = choose(distribution(values), method=method, bits=8, signed=signed, asymmetric=asymmetric)
        assert float(quantizer.scale) > 0
        assert np.abs(quantizer.apply(np.float32(values)) - values).max() <= max(quantizer.scale, 0.05)
