"""Several tensors over one link: none waits for another for good, and each gets its own bytes."""

import numpy as np
import pytest

from pulsefold.firmware.board import Board
from pulsefold.sim.virtual import VirtualBoard


@pytest.mark.parametrize("flips", [0.0, 1e-4])
def test_two_in_and_two_out(joined, flips):
    # More results than there are numbers for them.
    a, b = np.random.default_rng(2).integers(0, 256, (2, 12, joined.beats, 1, 1))
    with (
        VirtualBoard(joined.program, flips=flips, seed=1) as virtual,
        Board.open(virtual.port, timeout=20) as board,
    ):
        sums, differences = board.infer([a, b])
        np.testing.assert_array_equal(sums, a + b)
        np.testing.assert_array_equal(differences.ravel(), (a - b).sum(axis=(1, 2, 3)) % (1 << 16))
        assert flips or board.sent_again == 0
