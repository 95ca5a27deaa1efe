"""The stream buffer and the memories with two registers."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data

from pulsefold.compiler.plan.units.memory import buffer_style
from pulsefold.hdl.memory.buffer import StreamBuffer
from pulsefold.sim.bench.unit import Stimulus, run_unit_many


@pytest.mark.parametrize(("depth", "width", "style"), [(5, 8, "ram"), (70, 40, "block"), (129, 17, "block")])
def test_buffer_keeps_order_and_every_place(depth: int, width: int, style: str) -> None:
    assert buffer_style("ecp5", depth, width) == style
    rng = np.random.default_rng(depth)
    beats = rng.integers(0, 1 << width, (2000, 1))
    rates = [(0.0, 0.0), (0.0, 0.6), (0.6, 0.0), (0.4, 0.4), (0.1, 0.1), (0.0, 0.97)]
    stimuli = [
        Stimulus(beats=beats, expected=beats, stall_in=i, stall_out=o, seed=k)
        for k, (i, o) in enumerate(rates)
    ]
    free, *stalled = run_unit_many(StreamBuffer(data.ArrayLayout(unsigned(width), 1), depth), stimuli)
    np.testing.assert_array_equal(np.asarray(free.produced) - np.asarray(free.accepted), 2)
    assert np.all(np.diff(free.produced) == 1)
    # Under a slow reader the buffer runs full: its every place has been used.
    slow = stalled[-1]
    waiting = [np.searchsorted(slow.accepted, t) - k for k, t in enumerate(slow.produced)]
    assert max(waiting) >= depth
