"""The first mismatch is the first along the pipeline, at the right element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.compiler.ir.types import ElementType
from pulsefold.sim.trace import Tapped, first_mismatch

INT4 = ElementType.integer(4, signed=True)


def tapped(name: str, values: np.ndarray, lanes: int, kind: ElementType = INT4) -> Tapped:
    return Tapped(
        tap=name, unit=f"unit_{name}", tensor=f"tensor_{name}", values=values, lanes=lanes, type=kind
    )


def recording(item: Tapped) -> tuple[np.ndarray, np.ndarray]:
    beats = item.type.encode(item.values).reshape(-1, item.lanes)
    return beats, np.arange(100, 100 + len(beats), dtype=np.uint64)


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8, 8, shape)


def test_equal_streams() -> None:
    items = [tapped("a", values(0, 2, 4, 4, 6), 3), tapped("b", values(1, 2, 1, 1, 10), 1)]
    assert first_mismatch(items, {item.tap: recording(item) for item in items}) is None


@given(st.integers(0, 2 * 3 * 4 * 6 - 1), st.integers(1, 15), st.sampled_from([1, 2, 3, 6, 12, 72]))
def test_position_and_value(position: int, flip: int, lanes: int) -> None:
    item = tapped("a", values(2, 2, 3, 4, 6), lanes)
    beats, cycles = recording(item)
    beats = beats.copy()
    beats.reshape(-1)[position:] ^= np.uint64(flip)
    found = first_mismatch([item], {"a": (beats, cycles)})
    assert found is not None
    index = np.unravel_index(position, item.values.shape)
    assert (found.frame, *found.index) == tuple(index)
    assert found.expected == item.values[index]
    assert found.got == INT4.decode(INT4.encode(item.values[index]) ^ np.uint64(flip))
    assert found.cycle == 100 + position // lanes


def test_first_along_the_pipeline_wins() -> None:
    items = [tapped(name, values(k, 2, 1, 1, 8), 4) for k, name in enumerate("abc")]
    recorded = {item.tap: recording(item) for item in items}
    # The later unit goes wrong earlier in time, as a pipeline's frames overlap.
    recorded["b"][0][3, 2] ^= np.uint64(1)
    recorded["c"][0][0, 0] ^= np.uint64(1)
    found = first_mismatch(items, recorded)
    assert found is not None
    assert (found.unit, found.frame, found.index, found.cycle) == ("unit_b", 1, (0, 0, 6), 103)
    assert found.message == (
        f"tensor 'tensor_b', frame 1, element (0, 0, 6): expected {found.expected}, got {found.got}, "
        "put out by unit 'unit_b' in cycle 103"
    )


def test_early_end_counts_last() -> None:
    items = [tapped(name, values(k, 2, 1, 1, 8), 4) for k, name in enumerate("ab")]
    recorded = {item.tap: recording(item) for item in items}
    recorded["a"] = tuple(part[:3] for part in recorded["a"])
    found = first_mismatch(items, recorded)
    assert found is not None
    assert (found.tap, found.frame, found.index, found.got, found.cycle) == ("a", 1, (0, 0, 4), None, None)
    assert "no more" in found.message
    recorded["b"][0][1, 0] ^= np.uint64(1)
    found = first_mismatch(items, recorded)
    assert found is not None
    assert found.tap == "b"


def test_surplus_element() -> None:
    item = tapped("a", values(0, 2, 1, 1, 8), 4)
    beats, _ = recording(item)
    found = first_mismatch([item], {"a": (np.concatenate([beats, beats[:1]]), np.arange(5))})
    assert found is not None
    assert (found.frame, found.expected, found.cycle) == (2, None, 4)
    assert "no such element" in found.message


def test_bipolar() -> None:
    item = tapped("a", np.array([[[[1, -1, -1, 1]]]]), 2, ElementType.bipolar())
    found = first_mismatch([item], {"a": (np.array([[1, 0], [1, 1]], np.uint64), np.arange(2))})
    assert found is not None
    assert (found.index, found.expected, found.got) == ((0, 0, 2), -1, 1)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        tapped("a", values(0, 2, 1, 1, 8), 3)
    item = tapped("a", values(0, 2, 1, 1, 8), 4)
    with pytest.raises(ValueError, match="not recorded"):
        first_mismatch([item], {})
    with pytest.raises(ValueError, match="lanes"):
        first_mismatch([item], {"a": (np.zeros((4, 2), np.uint64), np.arange(4))})
