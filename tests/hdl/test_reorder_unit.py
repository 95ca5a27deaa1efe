"""The reorder unit against its golden function and promised timing, for every map that the graph knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from draws import BIPOLAR, INT, few
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import ElementType, Reorder
from pulsefold.compiler.plan.units import ReorderUnit
from pulsefold.compiler.plan.units.program import folded, start_of
from pulsefold.compiler.plan.units.reorder import reorder_lanes
from pulsefold.errors import FoldingError
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.golden.reorder import reorder


def zeros_between(frame: np.ndarray) -> np.ndarray:
    spread = np.full((2 * frame.shape[0] - 1, 2 * frame.shape[1] - 1, frame.shape[2]), -1)
    spread[::2, ::2] = frame
    return spread


def depth_to_space(a: np.ndarray) -> np.ndarray:
    h, w, c = a.shape
    return a.reshape(h, w, 2, 2, c // 4).transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, c // 4)


def space_to_depth(a: np.ndarray) -> np.ndarray:
    h, w, c = a.shape
    return a.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 1, 3, 4).reshape(h // 2, w // 2, 4 * c)


#: Maps of a frame of even height and width and a multiple of four channels.
MAPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "same": lambda a: a,
    "crop": lambda a: a[1:, :-1],
    "last row": lambda a: a[-1:],
    "some channels": lambda a: a[:, :, a.shape[2] // 2 :],
    "pad": lambda a: np.pad(a, ((1, 2), (2, 1), (0, 0)), constant_values=-1),
    "edge": lambda a: np.pad(a, ((1, 2), (2, 1), (0, 0)), mode="edge"),
    "reflect": lambda a: np.pad(a, ((1, 1), (1, 1), (0, 0)), mode="reflect"),
    "nearest": lambda a: a.repeat(2, axis=0).repeat(2, axis=1),
    "depth to space": depth_to_space,
    "space to depth": space_to_depth,
    "shuffle": lambda a: a.reshape(*a.shape[:2], 2, -1).swapaxes(2, 3).reshape(a.shape),
    "channels first": lambda a: a.transpose(2, 0, 1),
    "transpose": lambda a: a.transpose(1, 0, 2),
    "mirror": lambda a: a[:, ::-1],
    "zeros between": zeros_between,
    "fill alone": lambda a: np.full((1, 2, a.shape[2]), -1),
    "permutation": lambda a: np.random.default_rng(0).permutation(a.ravel()).reshape(a.shape),
    "any": lambda a: np.random.default_rng(1).integers(-1, a.size, (3, 3, a.shape[2])),
}


def unit_of(index: np.ndarray, elements: int, kind: ElementType, lanes: int, fill: int = 0, depth: int = 0):
    node = Reorder(name="r", input="x", output="y", index=index, fill=fill)
    return ReorderUnit(
        name="r",
        type=kind,
        elements=elements,
        index=index,
        fill=fill,
        output_type=node.output_type(kind),
        lanes=lanes,
        depth=depth,
    )


@st.composite
def reorders(draw) -> ReorderUnit:
    frame = draw(st.sampled_from([(2, 2, 4), (4, 6, 4), (2, 8, 8), (6, 4, 4), (4, 4, 16)]))
    elements = int(np.prod(frame))
    index = MAPS[draw(st.sampled_from(sorted(MAPS)))](np.arange(elements).reshape(frame))
    lanes = draw(st.sampled_from(reorder_lanes(index, elements)[-2:]))
    kind = draw(st.sampled_from([BIPOLAR, INT(3, signed=True), INT(4, signed=False)]))
    return unit_of(index, elements, kind, lanes, fill=draw(st.sampled_from([0, 1])))


@pytest.mark.parametrize("name", MAPS)
def test_each_map(check_unit_quickly, name):
    index = MAPS[name](np.arange(4 * 6 * 4).reshape(4, 6, 4))
    lanes = reorder_lanes(index, 96)[-1]
    check_unit_quickly(unit_of(index, 96, BIPOLAR, lanes), 1)


@few(20)
@given(reorders(), st.integers(0, 2**31))
def test_quickly(check_unit_quickly, unit, seed):
    check_unit_quickly(unit, seed)


@few(3)
@given(reorders(), st.integers(0, 2**31))
def test_reorder(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.slow
@few(12, same=False)
@given(reorders(), st.integers(0, 2**31))
def test_at_random(check_unit, unit, seed):
    check_unit(unit, seed)


@pytest.mark.parametrize("name", MAPS)
def test_it_is_that_of_the_graph(name):
    index = MAPS[name](np.arange(2 * 4 * 8).reshape(2, 4, 8))
    node = Reorder(name="r", input="x", output="y", index=index, fill=5)
    x = np.random.default_rng(0).integers(0, 16, (2, 2, 4, 8))
    want = reorder(node, x).ravel()
    for lanes in reorder_lanes(index, 64):
        unit = unit_of(index, 64, INT(4, signed=False), lanes, fill=5)
        assert np.array_equal(expected_values(unit, x.reshape(-1, lanes)).ravel(), want)


def test_the_ring_is_no_deeper_than_the_map_needs():
    a = np.arange(16 * 16 * 8).reshape(16, 16, 8)
    depths = {}
    for name, move in MAPS.items():
        lanes = min(4, reorder_lanes(move(a), a.size)[-1])
        depths[name] = unit_of(move(a), a.size, INT(4, signed=False), lanes).depth
    # Beats of four channels: a row has 32. What moves a beat or two needs no rows.
    assert max(depths[name] for name in ("same", "crop", "last row", "some channels")) <= 4
    assert depths["shuffle"] <= 32
    # A row is read twice, and the next one comes meanwhile.
    assert depths["nearest"] <= 40
    assert 32 <= depths["depth to space"] <= 72
    assert depths["channels first"] <= 2 * a.size


def test_a_shallower_ring_still_gives_the_frame(check_unit_quickly):
    index = MAPS["transpose"](np.arange(4 * 6 * 4).reshape(4, 6, 4))
    deep = unit_of(index, 96, INT(4, signed=False), 4)
    lean = unit_of(index, 96, INT(4, signed=False), 4, depth=deep.least_depth)
    assert lean.depth < deep.depth
    assert lean.cycles > deep.cycles
    with pytest.raises(FoldingError, match=f"give it at least {deep.least_depth} beats"):
        unit_of(index, 96, INT(4, signed=False), 4, depth=deep.least_depth - 1)


def test_lanes_that_tear_beats_apart_are_refused():
    index = MAPS["shuffle"](np.arange(2 * 2 * 8).reshape(2, 2, 8))
    with pytest.raises(FoldingError, match=r"(?s)beats of 2 lanes are not moved as a whole.*have 1 lanes"):
        unit_of(index, 32, INT(4, signed=False), 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 9),
)
def test_folded_words_come_out_again(words, inner, outer, odd):
    """Walk the tables as the circuit does, three times round."""
    sequence = np.tile(np.repeat(words, inner), outer)
    sequence[-1] += odd
    levels = folded(sequence, 4)
    word, states = start_of(levels)
    position = [list(s) for s in states]
    seen = []
    for _ in range(3 * len(sequence)):
        seen.append(word)
        carry = True
        for k, level in enumerate(levels):
            if not carry:
                break
            symbol, child = position[k]
            loaded = int(level.table[symbol, child])
            if k == 0:
                word = loaded
            else:
                position[k - 1][0] = loaded
            position[k][1] = (child + 1) % level.children
            carry = position[k][1] == 0
    assert seen == sequence.tolist() * 3


def test_regular_programs_are_small():
    a = np.arange(56 * 56 * 64).reshape(56, 56, 64)
    for name in ("pad", "edge", "nearest", "depth to space", "crop", "transpose", "zeros between"):
        unit = unit_of(MAPS[name](a), a.size, INT(4, signed=False), 8)
        entries = sum(level.table.size * level.child_bits for level in unit.program)
        assert unit.output.beats > 10_000
        assert entries < 4000, (name, entries)
