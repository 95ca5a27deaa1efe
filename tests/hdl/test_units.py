"""Every unit against its golden function and its promised timing, shapes chosen by hypothesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import BIPOLAR, INT, TERNARY, divisor, few, seeds
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.plan.units import Convert, Fork, MatVec, MaxPoolUnit, Steps, ThresholdUnit, Window
from pulsefold.errors import FoldingError

narrow_types = st.sampled_from(
    [BIPOLAR, TERNARY, INT(2, signed=False), INT(4, signed=True), INT(8, signed=False)]
)


@st.composite
def converts(draw) -> Convert:
    small, ratio, beats = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    small *= groups
    lanes = [small, small * ratio]
    if groups == 1 and draw(st.booleans()):
        lanes.reverse()
    return Convert(
        name="convert",
        type=draw(narrow_types),
        elements=small * ratio * beats,
        input_lanes=lanes[0],
        output_lanes=lanes[1],
        groups=groups,
        buffer_depth=draw(st.integers(2, 9)),
    )


@st.composite
def windows(draw) -> Window:
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    shape = [max(1, r - pads[a] - pads[a + 2] + draw(st.integers(0, 5))) for a, r in enumerate(reach)]
    channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
    output = [(n + pads[a] + pads[a + 2] - reach[a]) // stride[a] + 1 for a, n in enumerate(shape)]
    kind = draw(narrow_types)
    pool = draw(st.booleans())
    several = [n for n in range(1, output[1] + 1) if output[1] % n == 0 and np.gcd(n, stride[1]) == 1]
    pixels = draw(st.sampled_from(several))
    held = 1 if pool else divisor(draw, output[1] // pixels)
    return Window(
        name="window",
        shape=(shape[0], shape[1], channels),
        type=kind,
        lanes=divisor(draw, channels),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        pads=(pads[0], pads[1], pads[2], pads[3]),
        output_shape=(output[0], output[1]),
        pad_value=kind.minimum if pool else 0,
        channels_outer=pool,
        pixels=pixels,
        held=held,
        repeats=1 if pool else draw(st.integers(1, 3)),
        row_taps=held > 1 and draw(st.booleans()),
        memory=draw(st.sampled_from(["block", "ram"])),
    )


@st.composite
def step_functions(draw, channels: int, low: int, high: int) -> Steps:
    kind = draw(st.sampled_from([BIPOLAR, TERNARY, INT(2, signed=False), INT(3, signed=True)]))
    count = 1 if kind.is_bipolar else draw(st.integers(1, kind.maximum - kind.minimum))
    rng = np.random.default_rng(draw(seeds))
    # From "always reached" to "never reached", equal ones included.
    thresholds = np.sort(rng.integers(low, high + 2, (channels, count)), axis=1)
    descending = rng.random(channels) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    first = kind.minimum if kind.is_bipolar else draw(st.integers(kind.minimum, kind.maximum - count))
    return Steps(thresholds=thresholds, descending=descending, first=first, type=kind, limit=high)


@st.composite
def threshold_units(draw) -> ThresholdUnit:
    kind = draw(st.sampled_from([BIPOLAR, INT(6, signed=True), INT(5, signed=False)]))
    # With 80 channels and few lanes the later stages lie in block RAM.
    channels = draw(st.sampled_from([1, 3, 4, 6, 80]))
    return ThresholdUnit(
        name="threshold",
        type=kind,
        channels=channels,
        pixels=draw(st.integers(1, 5)),
        lanes=divisor(draw, channels),
        # A row a channel, or one that is stored once.
        steps=draw(step_functions(draw(st.sampled_from([1, channels])), kind.minimum, kind.maximum)),
    )


TREE = st.just("tree")
ONCE = st.just(1)


@st.composite
def matvecs(draw, weight_types, types, adders=TREE, pair=False, whole=False, helds=ONCE) -> MatVec:
    weight_type, kind = draw(weight_types), draw(types)
    rows, columns = (
        draw(st.sampled_from([4, 6, 10] if pair else [1, 4, 6, 10])),
        draw(st.sampled_from([3, 8, 12, 27])),
    )
    rng = np.random.default_rng(draw(seeds))
    pixels, held = draw(st.sampled_from([1, 1, 2, 3])), draw(helds)
    turns = draw(st.sampled_from([1, 1, 2, 3])) if pixels * held == 1 and not whole else 1
    size = turns * rows, columns
    if weight_type.is_bipolar:
        weights = rng.choice([-1, 1], size)
    else:
        weights = rng.integers(weight_type.minimum, weight_type.maximum + 1, size)
    pe, simd = divisor(draw, rows), divisor(draw, columns)
    corners = [weights * kind.minimum, weights * kind.maximum]
    low, high = np.minimum(*corners).sum(axis=1).min(), np.maximum(*corners).sum(axis=1).max()
    steps = draw(step_functions(len(weights), int(low), int(high))) if draw(st.booleans()) else None
    hop = divisor(draw, pe)
    multipliers = ["lut", "dsp"] if min(weight_type.bits, kind.bits) >= 4 else ["lut"]
    if pair:
        pe = max(d for d in range(2, rows + 1, 2) if rows % d == 0 and d <= max(pe, 2))
        hop, multipliers = draw(st.sampled_from([h for h in range(2, pe + 1, 2) if pe % h == 0])), ["pair"]
    if whole:
        pe, simd, hop, multipliers = rows, columns, divisor(draw, rows), ["constant"]
    depth = len(weights) * columns // (pe * simd)
    shared = draw(st.integers(1, held))
    memory = "block" if held > 1 else draw(st.sampled_from(["lut", "block"]))
    parts = draw(st.sampled_from([n for n in range(1, held // shared + 1) if hop * simd % n == 0]))
    side_by_side = [0, *(n for n in (2, 4, 8) if n < depth * min(shared, pe // hop) * parts)]
    return MatVec(
        name="matvec",
        vectors=draw(st.integers(1, 3)) * pixels * turns * held,
        weights=weights,
        turns=turns,
        weight_type=weight_type,
        type=kind,
        pe=pe,
        simd=simd,
        pixels=pixels,
        held=held,
        kept=held > 1 and draw(st.booleans()),
        shared=shared,
        parts=parts,
        waiting=draw(st.sampled_from(["registers", "ram"])),
        steps=steps,
        memory=memory,
        memory_width=draw(st.sampled_from([0, 9])),
        weight_rows=draw(st.sampled_from(side_by_side)) if memory == "block" else 0,
        reach=draw(st.integers(0, 1)),
        multiplier=draw(st.sampled_from(multipliers)),
        adder=draw(adders),
        hop=hop,
    )


@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize(
    ("memory", "columns", "simd"), [("lut", 140, 2), ("block", 140, 2), ("block", 1700, 34)]
)
def test_a_long_vector_is_replayed_from_block_ram(
    check_unit, memory: str, columns: int, simd: int, reach: int
):
    rng = np.random.default_rng(reach)
    unit = MatVec(
        name="matvec",
        vectors=2,
        weights=rng.choice([-1, 1], (6, columns)),
        weight_type=BIPOLAR,
        type=BIPOLAR,
        pe=2,
        simd=simd,
        memory=memory,
        reach=reach,
        adder="carry",
        steps=Steps(
            thresholds=rng.integers(-9, 9, (6, 1)),
            descending=np.zeros(6, bool),
            first=-1,
            type=BIPOLAR,
            limit=columns,
        ),
    )
    assert unit.replay_style == "block"
    assert unit.decided
    check_unit(unit, 5)


@few(4)
@given(converts(), seeds)
def test_convert(check_unit, unit, seed):
    check_unit(unit, seed)


@few(20)
@given(windows(), seeds)
def test_window_with_the_fewest_rows(check_unit_quickly, window, seed):
    unit = replace(window, rows=window.fewest_rows)
    check_unit_quickly(unit, seed, frames=5, bound=True)
    assert window.least_rows <= unit.rows <= window.lean_rows


def test_padded_window_does_with_a_row_more_than_its_kernel():
    shape = (16, 16, 8)
    same = Window(
        name="w",
        shape=shape,
        type=BIPOLAR,
        lanes=8,
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        pads=(1, 1, 1, 1),
        output_shape=(16, 16),
    )
    assert (same.fewest_rows, same.lean_rows) == (4, 5)
    # Without padding frames end with three rows at once, and then wait for as many.
    valid = replace(same, pads=(0, 0, 0, 0), output_shape=(14, 14), rows=0)
    assert valid.fewest_rows == valid.lean_rows == 6


@few(8)
@given(windows(), seeds)
def test_window(check_unit, unit, seed):
    check_unit(unit, seed)


@few(3)
@given(
    narrow_types,
    st.integers(1, 4),
    st.integers(1, 9),
    st.lists(st.integers(2, 9), min_size=2, max_size=4),
    seeds,
)
def test_fork(check_unit, kind, lanes, beats, depths, seed):
    check_unit(Fork(name="fork", type=kind, lanes=lanes, beats=beats, buffer_depths=tuple(depths)), seed)


@few(3)
@given(narrow_types, st.integers(1, 4), st.integers(1, 9), st.integers(1, 5), seeds)
def test_maxpool(check_unit, kind, lanes, taps, groups, seed):
    check_unit(MaxPoolUnit(name="pool", type=kind, lanes=lanes, taps=taps, groups=groups), seed)


@few(5)
@given(threshold_units(), seeds)
def test_threshold(check_unit, unit, seed):
    check_unit(unit, seed)


@few(6)
@given(matvecs(st.just(BIPOLAR), st.just(BIPOLAR)), seeds)
def test_matvec_bipolar(check_unit, unit, seed):
    assert unit.dot.form == "xnor"
    check_unit(unit, seed)


@few(8)
@given(matvecs(st.just(BIPOLAR), st.just(BIPOLAR), st.just("carry")), seeds)
def test_matvec_bipolar_in_carry_cells(check_unit, unit, seed):
    check_unit(unit, seed)


bits = st.sampled_from(
    [TERNARY, INT(1, signed=False), INT(2, signed=False), INT(3, signed=True), INT(4, signed=False)]
)


@few(8)
@given(matvecs(st.just(BIPOLAR), bits, st.just("carry")) | matvecs(bits, bits, st.just("carry")), seeds)
def test_matvec_few_bits_in_carry_cells(check_unit, unit, seed):
    assert unit.dot.form in ("bits", "dsp")
    check_unit(unit, seed)


few_bits = st.sampled_from([BIPOLAR, TERNARY])
more_bits = st.sampled_from(
    [TERNARY, INT(1, signed=False), INT(3, signed=True), INT(5, signed=False), INT(8, signed=True)]
)


@few(5)
@given(matvecs(few_bits, more_bits) | matvecs(more_bits, few_bits), seeds)
def test_matvec_bipolar_or_ternary_with_integers(check_unit, unit, seed):
    check_unit(unit, seed)


adders = st.sampled_from(["tree", "carry"])
integers = st.builds(INT, st.integers(2, 8), signed=st.booleans())


@few(5)
@given(matvecs(integers, integers), seeds)
def test_matvec_integers(check_unit, unit, seed):
    assert unit.dot.form in ("planes", "dsp")
    check_unit(unit, seed)


helds = st.sampled_from([2, 3, 4, 6, 7])
held_units = (
    matvecs(st.just(BIPOLAR), st.just(BIPOLAR), adders, helds=helds)
    | matvecs(st.just(BIPOLAR), bits, st.just("carry"), helds=helds)
    | matvecs(integers, integers, helds=helds)
)


@few(4)
@given(held_units, seeds)
def test_matvec_whose_weights_are_held(check_unit, unit, seed):
    check_unit(unit, seed)


@few(25)
@given(held_units, seeds)
def test_matvec_whose_weights_are_held_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@pytest.mark.parametrize(("parts", "reach", "rows"), [(2, 0, 0), (2, 1, 8), (3, 1, 0)])
def test_parts_from_memories_of_several_groups_and_of_fewer(check_unit, parts: int, reach: int, rows: int):
    rng = np.random.default_rng(parts)
    unit = MatVec(
        name="matvec",
        vectors=2 * 3 * parts,
        weights=rng.integers(-8, 8, (10, 12)),
        weight_type=INT(4, signed=True),
        type=INT(5, signed=True),
        pe=5,
        simd=6,
        held=3 * parts,
        shared=3,
        parts=parts,
        memory="block",
        weight_rows=rows,
        reach=reach,
    )
    assert unit.sharers == (3, 2)
    assert unit.memory_depth == 2 * 2 * 3 * parts
    whole = replace(unit, parts=1)
    assert unit.latency_cycles == whole.latency_cycles + 3 * (parts - 1)
    check_unit(unit, 7)


@pytest.mark.parametrize(("memory", "turns", "steps"), [("lut", 1, 2), ("block", 2, 2), ("block", 1, 3)])
def test_weights_that_cannot_be_held(memory: str, turns: int, steps: int):
    with pytest.raises(FoldingError, match=r"held|stay"):
        MatVec(
            name="matvec",
            vectors=steps * turns,
            weights=np.ones((4 * turns, 6), np.int64),
            weight_type=BIPOLAR,
            type=BIPOLAR,
            pe=4,
            simd=3,
            turns=turns,
            held=2,
            memory=memory,
        )


signed = st.builds(INT, st.integers(2, 8), signed=st.just(True))


@few(3)
@given(matvecs(signed, integers, pair=True), seeds)
def test_matvec_of_two_rows_a_multiplier(check_unit, unit, seed):
    assert unit.dot.form == "pair"
    check_unit(unit, seed)


@few(15)
@given(matvecs(signed, integers, pair=True), seeds)
def test_matvec_of_two_rows_a_multiplier_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(10)
@given(matvecs(signed, integers, st.just("gated")), seeds)
def test_matvec_gated_quickly(check_unit_quickly, unit, seed):
    assert unit.dot.form in ("planes", "dsp")
    check_unit_quickly(unit, seed)


@few(15)
@given(
    st.one_of(
        matvecs(st.just(BIPOLAR), st.one_of(integers, st.just(TERNARY)), st.just("gated")),
        matvecs(signed, st.just(BIPOLAR), st.just("gated")),
    ),
    seeds,
)
def test_matvec_of_gated_signs_quickly(check_unit_quickly, unit, seed):
    assert unit.dot.form == "negate"
    check_unit_quickly(unit, seed)


@few(15)
@given(
    matvecs(
        st.sampled_from([BIPOLAR, TERNARY, INT(4, signed=True), INT(8, signed=True)]), integers, whole=True
    ),
    seeds,
)
def test_matvec_of_constants(check_unit_quickly, unit, seed):
    assert unit.dot.form == "constant"
    check_unit_quickly(unit, seed)


@pytest.mark.slow
@few(40, same=False)
@given(st.one_of(windows(), threshold_units(), matvecs(narrow_types, narrow_types, adders)), seeds)
def test_units_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


@few(1000)
@given(st.one_of(windows(), threshold_units(), matvecs(narrow_types, narrow_types, adders)))
def test_frames_end_as_often_as_a_unit_promises(unit):
    frames = unit.schedule(*(np.arange(4 * stream.beats) for stream in unit.inputs))
    (out,) = unit.outputs
    np.testing.assert_array_equal(np.diff(frames[out.beats - 1 :: out.beats]), unit.cycles)


def test_folding_that_does_not_divide_names_the_nearest():
    weights = np.ones((6, 12), np.int64)
    common = {"name": "fc", "vectors": 1, "weights": weights, "weight_type": BIPOLAR, "type": BIPOLAR}
    with pytest.raises(FoldingError, match=r"(?s)PE 4 does not divide 6.*nearest PE that does is 3"):
        MatVec(**common, pe=4, simd=1)
    with pytest.raises(FoldingError, match=r"(?s)SIMD 5 does not divide 12.*nearest SIMD that does is 4"):
        MatVec(**common, pe=1, simd=5)
