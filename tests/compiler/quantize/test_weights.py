"""Weights as integers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.quantize.hessian import Moments, adapted, round_in_turn
from pulsefold.compiler.quantize.recipe import Format
from pulsefold.compiler.quantize.weights import (
    LayerWeights,
    as_matrix,
    from_matrix,
    integer_bias,
    quantize_weights,
    roomy,
    weight_quantizer,
)


def form(name: str) -> Format:
    return Format.parse(name, "--weights", few=True)


def levels_of(weights: np.ndarray, name: str, axis: int = 0, per_channel: bool = True) -> LayerWeights:
    quantizer = weight_quantizer(weights, axis, form(name), per_channel=per_channel)
    levels = quantize_weights(weights, quantizer, axis)
    return LayerWeights(levels=levels, quantizer=quantizer, axis=axis, bias=None)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("per_channel", [True, False])
def test_eight_bits_keep_the_largest_weight(axis, per_channel):
    w = normal(6, 5, 3, 3) * np.geomspace(0.01, 1, 5 if axis else 6).reshape(
        (1, 5, 1, 1) if axis else (6, 1, 1, 1)
    )
    made = levels_of(w.astype(np.float32), "int8", axis, per_channel)
    assert made.quantizer.scale.shape == ((w.shape[axis],) if per_channel else ())
    assert np.abs(made.values - w).max() <= made.quantizer.scale.max() / 2 * 1.0001
    assert np.abs(made.levels).max() in (126, 127)
    if per_channel:
        assert (np.abs(as_matrix(made.levels, axis)).max(axis=1) >= 126).all()


@pytest.mark.parametrize("name", ["int2", "int3", "int4", "int6", "uint4"])
def test_few_bits_clip_where_that_is_better(name):
    w = normal(4, 200)
    made = levels_of(w, name)
    bits = form(name).bits
    assert made.levels.min() >= -(1 << bits - 1)
    assert made.levels.max() <= (1 << bits - 1) - 1
    top = np.abs(w).max(axis=1, keepdims=True)
    plain = np.rint(w / top * ((1 << bits - 1) - 1)) * top / ((1 << bits - 1) - 1)
    assert np.square(made.values - w).mean() <= np.square(plain - w).mean()


@given(w=st.lists(st.integers(-400, 400), min_size=1, max_size=6).filter(any))
def test_ternary_is_the_best_there_is(w):
    w = np.asarray([w], np.float32) / 100
    made = levels_of(w, "ternary")
    assert set(np.unique(made.levels)) <= {-1, 0, 1}
    best = np.inf
    for signs in product((-1, 0, 1), repeat=w.size):
        t = np.asarray(signs, np.float64)
        scale = max(0.0, t @ w[0] / max(1, t @ t))
        best = min(best, np.square(t * scale - w[0]).sum())
    # The scale's mantissa is short.
    assert np.square(made.values - w).sum() <= best + 1e-3 * np.square(w).sum()


def test_binary_is_the_sign_times_the_mean_magnitude():
    w = normal(3, 4, 2, 2)
    made = levels_of(w, "binary")
    np.testing.assert_array_equal(made.levels, np.where(w >= 0, 1, -1))
    np.testing.assert_allclose(made.quantizer.scale, np.abs(w).mean(axis=(1, 2, 3)), rtol=1e-3)
    assert (made.quantizer.low, made.quantizer.high) == (-1, 1)


def test_a_dead_channel_has_a_scale():
    w = normal(3, 8)
    w[1] = 0
    for name in ("int8", "int3", "ternary", "binary"):
        assert (levels_of(w, name).quantizer.scale > 0).all()


def test_a_bias_that_does_not_fit_widens_its_channel_alone():
    w = normal(3, 8)
    w[1] *= 1e-9
    bias = np.float32([0.5, 3.0, -0.25])
    before = weight_quantizer(w, 0, form("int8"), per_channel=True)
    after = roomy(before, bias, 0.02, 1)
    assert after.scale[1] > before.scale[1]
    np.testing.assert_array_equal(after.scale[[0, 2]], before.scale[[0, 2]])
    whole = integer_bias(bias, after, 0.02, 1)
    assert np.abs(whole).max() <= 1 << 23
    np.testing.assert_allclose(whole * after.scale * 0.02, bias, rtol=1e-3)


@given(st.sampled_from([(4, 3), (4, 3, 2), (4, 3, 2, 5)]), st.sampled_from([0, 1]))
def test_matrix_and_back(shape, axis):
    w = normal(*shape)
    assert as_matrix(w, axis).shape == (shape[axis], w.size // shape[axis])
    np.testing.assert_array_equal(from_matrix(as_matrix(w, axis), axis, shape), w)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("name", ["int3", "int8", "ternary", "binary"])
def test_rounding_in_turn_loses_less_than_rounding_each(groups, name):
    """On inputs that depend on each other, over their own second moments."""
    columns, rows = 70, 2000
    x = normal(rows, 20, seed=1) @ normal(20, groups * columns, seed=2)
    x += 0.5 * normal(rows, groups * columns, seed=4)
    moments = Moments(groups, columns, np.abs(x).max())
    moments.add(x, x)
    w = normal(groups * 4, columns, seed=3)
    quantizer = weight_quantizer(w, 0, form(name), per_channel=True)

    def loss(levels: np.ndarray) -> float:
        e = (levels * quantizer.scale[:, None] - w).reshape(groups, 4, columns)
        return float(np.einsum("goi,gij,goj->", e, moments.matrix, e))

    turned, nearest = round_in_turn(w, quantizer, moments), quantize_weights(w, quantizer, 0)
    assert turned.min() >= quantizer.low
    assert turned.max() <= quantizer.high
    assert loss(turned) < (0.8 if name != "binary" else 1.0) * loss(nearest)


def test_rounding_in_turn_of_independent_inputs_is_rounding_each():
    moments = Moments(1, 5, 3)
    moments.matrix[0] = np.eye(5) * [1, 4, 2, 9, 3]
    w = normal(7, 5)
    quantizer = weight_quantizer(w, 0, form("int4"), per_channel=True)
    np.testing.assert_array_equal(round_in_turn(w, quantizer, moments), quantize_weights(w, quantizer, 0))


def test_adapted_weights_make_up_for_changed_inputs():
    y = normal(4000, 6, seed=1)
    x = 0.5 * y
    moments = Moments(1, 6, np.abs(y).max())
    moments.add(x, y)
    w = normal(3, 6)
    before = np.square(x @ w.T - y @ w.T).mean()
    assert np.square(x @ adapted(w, moments).T - y @ w.T).mean() < 0.2 * before
    same = Moments(1, 6, np.abs(y).max())
    same.add(y, y)
    np.testing.assert_allclose(adapted(w, same), w, atol=1e-5)


def test_adapted_and_rounded_weights_know_no_unit_of_the_inputs():
    """Squares of the largest inputs lie beyond what float32 holds."""
    x, y, w = normal(400, 6, seed=1), normal(400, 6, seed=2), normal(3, 6)
    quantizer = weight_quantizer(w, 0, form("int4"), per_channel=True)

    def made(factor: float) -> tuple[np.ndarray, np.ndarray]:
        moments = Moments(1, 6, factor * max(np.abs(x).max(), np.abs(y).max()))
        moments.add(x * np.float32(factor), y * np.float32(factor))
        return adapted(w, moments), round_in_turn(w, quantizer, moments)

    weights, levels = made(1)
    for factor in (2.0**-80, 2.0**90):
        for now, before in zip(made(factor), (weights, levels), strict=True):
            np.testing.assert_array_equal(now, before)
