"""How much of the line the payload gets, and that transfer and computing go on at the same time.

The virtual board is paced, so that the host has as much time as it would have beside a board that is this
much slower.
"""

import sys

import numpy as np
import pytest

from pulsefold.boards import get_board
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.protocol import MAX_PAYLOAD
from pulsefold.sim.virtual import VirtualBoard, build_virtual

#: Simulated cycles of the link a second, and those of the line for a byte: 10 bits of 25 cycles.
PACE, BYTE = 0.5e6, 250

#: Quiet seconds before the host asks: as many more than on a board of 25 MHz as this one is slower.
RETRY = 0.1 * 25e6 / PACE

IMAGE_BYTES = 15


def run(program, net, count):
    """Cycles of one batch on a board that has warmed up, and of one image alone."""
    q = np.random.default_rng(1).integers(0, 1 << 12, (count, 5, 1, 2))
    with (
        VirtualBoard(program, rate_hz=PACE) as virtual,
        Board.open(virtual.port, timeout=30, retry_seconds=RETRY) as board,
    ):
        counters = []
        for part in (q[:1], q[:1], q):
            (y,) = board.infer(part)
            np.testing.assert_array_equal(y, net.sums(part))
            counters.append(board.counters())
        assert board.sent_again == 0
    assert all(c is not None for c in counters)
    return (counters[-1][0] - counters[-2][0]) % (1 << 32)


@pytest.fixture(scope="module")
def boards(net):
    """A board with counters, for a core of a pause."""

    def build(pause):
        board = get_board("ulx3s-25f")
        return build_virtual(lambda: net.Core(pause), board, 24.0, net.identity, link="uart")

    return build


def test_the_line_is_full(boards, net):
    # So many that what the last results take does not count.
    count = 2000
    cycles = run(boards(0), net, count)
    share = count * IMAGE_BYTES * BYTE / cycles
    sys.stdout.write(
        f"\n  payload has {share:.1%} of the line; "
        f"frames of {MAX_PAYLOAD} bytes allow {MAX_PAYLOAD / 256:.1%}"
    )
    # On a machine that does nothing else it is more; a host that has to wait for its turn loses some.
    assert share > 0.95 * MAX_PAYLOAD / 256


def test_transfer_and_computing_overlap(boards, net):
    """The network computes as long for an image as its transfer takes; both together take as long as one."""
    count, transfer = 600, IMAGE_BYTES * BYTE
    cycles = run(boards(transfer), net, count) / count
    sys.stdout.write(
        f"\n  an image: {transfer} cycles of transfer, {transfer} of computing, "
        f"{cycles:.0f} of both in a batch"
    )
    assert cycles < 1.5 * transfer
