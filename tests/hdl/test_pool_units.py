"""Pools and depthwise convolutions against their golden functions and promised timing."""

from __future__ import annotations

import numpy as np
import pytest
from draws import BIPOLAR, INT, TERNARY, divisor, few, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import Conv, SumPool, Tensor, type_for_range
from pulsefold.compiler.plan.units import DepthwiseUnit, GlobalPoolUnit, SumPoolUnit, Window
from pulsefold.errors import FoldingError
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden.conv import conv
from pulsefold.sim.golden.sumpool import sumpool

types = st.sampled_from([BIPOLAR, TERNARY, INT(3, signed=False), INT(6, signed=True), INT(8, signed=False)])


@st.composite
def sumpools(draw) -> SumPoolUnit:
    kind, rng = draw(types), np.random.default_rng(draw(seeds))
    size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    taps, varies = draw(st.integers(1, 9)), draw(st.booleans())
    factors = rng.integers(1, 9, (size[0], 1)) * rng.integers(1, 3, (1, size[1]))
    factors = factors if varies else np.full(size, int(factors[0, 0]))
    addends = rng.integers(-5, 6, size) * (varies and draw(st.integers(0, 1)))
    most = int(factors.max())
    low, high = taps * min(0, kind.minimum) - 5, taps * max(0, kind.maximum) + 5
    return SumPoolUnit(
        name="sum",
        type=kind,
        lanes=draw(st.integers(1, 3)),
        folds=draw(st.integers(1, 3)),
        taps=taps,
        factors=factors,
        addends=addends,
        output_type=type_for_range(low * most, high * most),
    )


@st.composite
def globalpools(draw) -> GlobalPoolUnit:
    kind, channels, pixels = draw(types), draw(st.sampled_from([1, 2, 3, 6, 70])), draw(st.integers(1, 8))
    op = draw(st.sampled_from(["sum", "max"]))
    total = type_for_range(pixels * min(0, kind.minimum), pixels * kind.maximum)
    return GlobalPoolUnit(
        name="pool",
        type=kind,
        channels=channels,
        pixels=pixels,
        lanes=divisor(draw, channels),
        op=op,
        output_type=total if op == "sum" else kind,
        style=draw(st.sampled_from(["", "small"])),
    )


@st.composite
def depthwises(draw) -> DepthwiseUnit:
    kind, weight, channels = draw(types), draw(types), draw(st.sampled_from([1, 3, 4, 6]))
    size = channels, draw(st.integers(1, 2)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(seeds))
    if weight.is_bipolar:
        weights = rng.choice([-1, 1], size)
    else:
        weights = rng.integers(weight.minimum, weight.maximum + 1, size)
    ends = np.stack([weights * kind.minimum, weights * kind.maximum])
    low, high = ends.min(axis=0).sum(axis=2).min(), ends.max(axis=0).sum(axis=2).max()
    return DepthwiseUnit(
        name="depthwise",
        type=kind,
        pixels=draw(st.integers(1, 3)),
        lanes=divisor(draw, channels),
        weights=weights,
        output_type=type_for_range(min(0, int(low)), max(0, int(high))),
        multiplies=draw(st.sampled_from(["lut", "dsp"])),
        memory=draw(st.sampled_from(["lut", "block"])),
    )


@few(20)
@given(sumpools(), seeds)
def test_sumpool_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(20)
@given(globalpools(), seeds)
def test_globalpool_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@pytest.mark.parametrize("op", ["sum", "max"])
def test_many_channels_of_a_globalpool_wait_in_block_ram(check_unit_quickly, op):
    kind = INT(8, signed=False)
    unit = GlobalPoolUnit(
        name="pool",
        type=kind,
        channels=300,
        pixels=3,
        lanes=1,
        op=op,
        output_type=INT(10, signed=False) if op == "sum" else kind,
    )
    assert unit.memory == "block"
    assert unit.cost("ecp5").brams == 1
    check_unit_quickly(unit, 1)


@few(20)
@given(depthwises(), seeds)
def test_depthwise_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(2)
@given(sumpools(), seeds)
def test_sumpool(check_unit, unit, seed):
    check_unit(unit, seed)


@few(2)
@given(globalpools(), seeds)
def test_globalpool(check_unit, unit, seed):
    check_unit(unit, seed)


@few(3)
@given(depthwises(), seeds)
def test_depthwise(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.slow
@few(12, same=False)
@given(sumpools() | globalpools() | depthwises(), seeds)
def test_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


def window_of(node: Conv | SumPool, x: Tensor, size: tuple[int, int], lanes: int) -> Window:
    return Window(
        name="window",
        shape=x.shape,
        type=x.type,
        lanes=lanes,
        kernel=node.kernel,
        stride=node.stride,
        dilation=node.dilation,
        pads=node.pads,
        output_shape=size,
        pad_value=node.pad_value,
        channels_outer=True,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(0, 1)] * 6),
    st.booleans(),
    st.sampled_from([0, 3]),
    st.sampled_from([1, 2]),
    seeds,
)
def test_window_and_sumpool_are_the_pool_of_the_graph(edges, include, pad, lanes, seed):
    """Pads that count and pads that do not, and those that ceil_mode added."""
    extra = edges[4] * edges[2], edges[5] * edges[3]
    node = SumPool(
        name="p", input="x", output="y", kernel=(2, 3), stride=(1, 2), pads=edges[:4], include_pad=include,
        pad_value=pad if include else 0, extra=extra,
    )  # fmt: skip
    tensor = Tensor(name="x", shape=(4, 5, 2), type=INT(4, signed=False))
    x = np.random.default_rng(seed).integers(0, 16, (2, *tensor.shape))
    unit = SumPoolUnit.of_node(node, tensor, lanes)
    window = window_of(node, tensor, unit.factors.shape, lanes)
    assert window.output == unit.input
    y = expected_values(unit, expected_values(window, x.reshape(-1, lanes)))
    assert np.array_equal(y.ravel(), sumpool(node, x).ravel())
    assert unit.output_type == node.output_tensor(tensor).type


@settings(max_examples=20, deadline=None)
@given(depthwises(), seeds)
def test_window_and_depthwise_are_the_convolution_of_the_graph(unit, seed):
    channels, each, taps = unit.weights.shape
    weights = unit.weights.reshape(channels * each, 1, taps, 1)
    node = Conv(
        name="c", input="x", output="y", weights=weights, weight_type=INT(8, signed=True), groups=channels
    )
    tensor = Tensor(name="x", shape=(unit.pixels, taps, channels), type=unit.type)
    rng = np.random.default_rng(seed)
    x = rng.choice([unit.type.minimum, unit.type.maximum], (2, *tensor.shape))
    window = window_of(node, tensor, (unit.pixels, 1), unit.lanes)
    y = expected_values(unit, expected_values(window, x.reshape(-1, unit.lanes)))
    assert np.array_equal(y.ravel(), conv(node, x).ravel())


def test_lanes_that_do_not_divide_are_refused():
    weights = np.ones((6, 1, 9), np.int64)
    with pytest.raises(FoldingError, match=r"(?s)4 lanes do not divide 6.*fewer lanes that do are 3"):
        DepthwiseUnit(
            name="d", type=TERNARY, pixels=1, lanes=4, weights=weights, output_type=INT(5, signed=True)
        )
    with pytest.raises(FoldingError, match="4 lanes do not divide 6 channels"):
        GlobalPoolUnit(
            name="g", type=TERNARY, channels=6, pixels=1, lanes=4, op="max", output_type=TERNARY
        )  # fmt: skip
