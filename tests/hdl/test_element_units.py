"""Units that compute element by element against their golden functions and promised timing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import BIPOLAR, INT, TERNARY, divisor, few, foldings, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import Requantize, Table
from pulsefold.compiler.plan.units import RequantizeUnit, TableUnit
from pulsefold.compiler.plan.units.affine import binary_digits, quaternary_digits
from pulsefold.errors import FoldingError
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden.requantize import requantize
from pulsefold.sim.golden.table import table


@st.composite
def requantizes(draw) -> RequantizeUnit:
    fold = draw(foldings())
    rng = np.random.default_rng(draw(seeds))
    kind = draw(
        st.sampled_from([BIPOLAR, TERNARY, INT(9, signed=False), INT(24, signed=True), INT(36, signed=True)])
    )
    out = INT(draw(st.integers(2, 9)), signed=draw(st.booleans()))
    bits = draw(st.sampled_from([1, 3, 8, 16, 18, 20]))
    rows = [1, fold["channels"]]
    low, high = np.array([out.minimum]), np.array([out.maximum])
    if draw(st.booleans()):
        low = rng.integers(out.minimum, out.maximum + 1, fold["channels"])
        high = np.minimum(out.maximum, low + rng.integers(0, 9, fold["channels"]))
    shift = max(0, kind.bits + bits - out.bits + draw(st.integers(-3, 2)))
    even = draw(st.booleans())
    if even:
        # Few bits are shifted out, so that ties occur.
        kind, bits = draw(st.sampled_from([TERNARY, INT(9, signed=False), INT(7, signed=True)])), 2
        shift = draw(st.integers(1, 3))
    constants = draw(st.sampled_from(["", "lut", "block"]))
    turns, run = draw(st.integers(1, 3)), divisor(draw, fold["channels"] // fold["lanes"])
    unit = RequantizeUnit(
        name="requantize",
        type=kind,
        **(fold | {"pixels": fold["pixels"] * turns}),
        turns=turns,
        run=run,
        multiplier=rng.integers(-(1 << bits), 1 << bits, draw(st.sampled_from(rows))),
        addend=rng.integers(-(1 << 30), 1 << 30, draw(st.sampled_from(rows))) * draw(st.integers(0, 1)),
        shift=shift,
        even=even,
        low=low,
        high=high,
        output_type=out,
        multiplies=draw(st.sampled_from(["lut", "dsp"])),
        constants=constants,
    )
    if constants != "block" or not unit.word_width:
        return unit
    return replace(unit, parts=draw(st.sampled_from([1, 2, 3, 8])), buffer_depth=0)


@st.composite
def tables(draw) -> TableUnit:
    fold = draw(foldings())
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from([TERNARY, INT(3, signed=False), INT(6, signed=True), INT(9, signed=False)]))
    out = draw(st.sampled_from([BIPOLAR, TERNARY, INT(6, signed=True), INT(3, signed=False)]))
    rows = draw(st.sampled_from([1, fold["channels"]]))
    size = (rows, kind.maximum - kind.minimum + 1)
    entries = (
        rng.choice([-1, 1], size) if out.is_bipolar else rng.integers(out.minimum, out.maximum + 1, size)
    )
    style = draw(st.sampled_from(["", "lut"]))
    return TableUnit(name="table", type=kind, **fold, values=entries, output_type=out, style=style)


@few(25)
@given(requantizes(), seeds)
def test_requantize_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(25)
@given(tables(), seeds)
def test_table_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(4)
@given(requantizes(), seeds)
def test_requantize(check_unit, unit, seed):
    check_unit(unit, seed)


@few(2)
@given(tables(), seeds)
def test_table(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.slow
@few(12, same=False)
@given(requantizes() | tables(), seeds)
def test_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


@settings(max_examples=30, deadline=None)
@given(requantizes(), seeds)
def test_requantize_is_that_of_the_graph(unit, seed):
    unit = replace(unit, turns=1)
    x = np.random.default_rng(seed).integers(-100, 100, (2, 1, unit.pixels, unit.channels))
    node = Requantize(
        name="r",
        input="x",
        output="y",
        multiplier=unit.multiplier,
        addend=unit.addend,
        shift=unit.shift,
        low=unit.low,
        high=unit.high,
        even=unit.even,
        type=unit.output_type,
    )
    assert np.array_equal(
        expected_values(unit, x.reshape(-1, unit.lanes)).ravel(), requantize(node, x).ravel()
    )


@settings(max_examples=30, deadline=None)
@given(tables(), seeds)
def test_table_is_that_of_the_graph(unit, seed):
    rng, least = np.random.default_rng(seed), unit.type.minimum
    x = rng.integers(least, unit.type.maximum + 1, (2, 1, unit.pixels, unit.channels))
    node = Table(name="t", input="x", output="y", values=unit.values, least=least, type=unit.output_type)
    assert np.array_equal(expected_values(unit, x.reshape(-1, unit.lanes)).ravel(), table(node, x).ravel())


@given(st.integers(-(2**40), 2**40))
def test_digits_add_up(n):
    assert sum(sign << shift for sign, shift in binary_digits(n)) == n
    assert sum(d * 4**k for k, d in enumerate(quaternary_digits(n))) == n
    assert len(binary_digits(n)) <= n.bit_length() // 2 + 1


def test_lanes_that_do_not_divide_are_refused():
    one = np.ones(1, np.int64)
    with pytest.raises(FoldingError, match="4 lanes do not divide 6 channels"):
        RequantizeUnit(
            name="r", type=TERNARY, channels=6, pixels=1, lanes=4, multiplier=one, addend=one, shift=0,
            low=one, high=one, output_type=INT(2, signed=False),
        )  # fmt: skip
    with pytest.raises(FoldingError, match="4 lanes do not divide 6 channels"):
        TableUnit(
            name="t", type=TERNARY, channels=6, pixels=1, lanes=4, values=np.ones((1, 3)), output_type=TERNARY
        )
