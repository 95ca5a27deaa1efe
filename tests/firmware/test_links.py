"""The host protocol on every link of a board's top level, with link and network on clocks of their own."""

import numpy as np
import pytest

from pulsefold.boards import get_board
from pulsefold.boards.top import BoardTop
from pulsefold.errors import PulsefoldError
from pulsefold.firmware.board import Board
from pulsefold.sim.cosim.compile import design_from_rtlil
from pulsefold.sim.virtual import VirtualBoard, build_virtual


@pytest.fixture
def q():
    return np.random.default_rng(5).integers(0, 1 << 12, (150, 5, 1, 2))


# Clocks of the network over that of the link: one clock for both; slower, nearly equal and faster.
@pytest.mark.parametrize(
    ("board", "clock_mhz", "ratio"),
    [
        ("icebreaker", 12.0, 0),
        ("ulx3s-85f", 90.0, 0.31),
        pytest.param("ulx3s-85f", 90.0, 1.007, marks=pytest.mark.slow),
        pytest.param("ulx3s-85f", 90.0, 3.6, marks=pytest.mark.slow),
    ],
)
def test_over_spi_pin_by_pin(board, clock_mhz, ratio, net, q, run_bench, simulator_cache):
    """In cocotb: who it is, a session cut short in an image, and another one whose results are right."""
    top = BoardTop(get_board(board).with_link("spi"), clock_mhz, net.Core(), net.identity)
    design = design_from_rtlil(top.rtlil(generic=True), simulator_cache)
    settings = {
        "ratio": ratio,
        "seed": int(100 * ratio),
        # The button is released.
        "reset": int(top.board.reset is not None and top.board.reset.inverted),
        "images": q.tolist(),
        "sums": net.sums(q).reshape(-1).tolist(),
    }
    assert run_bench(design, "spi_link_bench", **settings) == 1


@pytest.mark.parametrize(
    ("board", "clock_mhz", "link"),
    [("icebreaker", 24.0, "spi"), ("ulx3s-25f", 90.0, "spi"), ("ulx3s-25f", 90.0, "uart")],
)
def test_virtual_board(board, clock_mhz, link, net, q):
    """The host's own code on the other end; each seed is another phase of the two clocks."""
    program = build_virtual(net.Core, get_board(board), clock_mhz, net.identity, link=link)
    for seed in (1, 2, 3):
        with VirtualBoard(program, seed=seed) as virtual, Board.open(virtual.port, timeout=30) as there:
            assert there.hello.design_id == net.identity.design_id
            (y,) = there.infer(q)
            np.testing.assert_array_equal(y, net.sums(q))
            virtual.press_reset()
            (y,) = there.infer(q)
            np.testing.assert_array_equal(y, net.sums(q))


def test_damage_on_spi_is_repaired(net, q):
    program = build_virtual(net.Core, get_board("icebreaker"), 24.0, net.identity, link="spi")
    with VirtualBoard(program, flips=1e-4, seed=3) as virtual, Board.open(virtual.port, timeout=30) as there:
        # Five flips a batch are due, but how many fall between the frames is the scheduler's to say.
        for _ in range(40):
            (y,) = there.infer(q)
            np.testing.assert_array_equal(y, net.sums(q))
            if there.sent_again:
                return
    pytest.fail("no frame was damaged")


def test_a_board_without_the_pins():
    with pytest.raises(PulsefoldError, match="no link 'spi'") as caught:
        get_board("colorlight-i5").with_link("spi")
    assert "docs/adding-a-board.md" in caught.value.todo
