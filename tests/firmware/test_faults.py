"""The Python driver on a virtual board while the line and everything else goes wrong.

``make faults`` shows the figures. Never may a wrong answer be accepted, nor a time-out be overrun.
"""

import contextlib
import os
import random
import sys
import threading
import time
import tty
from dataclasses import replace

import numpy as np
import pytest

from pulsefold.boards import get_board
from pulsefold.errors import DeviceError, InputArrayError
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.protocol import Frame, Type, encode
from pulsefold.sim.virtual import VirtualBoard, build_virtual

TIMEOUT = 20.0


def tell(text):
    """A figure, shown by ``pytest -s``."""
    sys.stdout.write(f"\n  {text}")


@pytest.fixture
def program(request, summer, summer_uart):
    return {"bytes": summer, "uart": summer_uart}[request.param]


def both(test):
    return pytest.mark.parametrize("program", ["bytes", "uart"], indirect=True)(test)


def batch(count, seed=1):
    return np.random.default_rng(seed).integers(0, 1 << 12, (count, 5, 1, 2))


def infer(board, q, net):
    """Run and compare; seconds."""
    started = time.monotonic()
    (y,) = board.infer(q)
    np.testing.assert_array_equal(y, net.sums(q))
    return time.monotonic() - started


@both
def test_batches_of_every_size(program, net):
    with VirtualBoard(program) as virtual, Board.open(virtual.port, timeout=TIMEOUT) as board:
        for count in (1, 2, 0, 33, 400, 1):
            infer(board, batch(count, seed=count), net)
        assert board.sent_again == 0


@pytest.mark.parametrize(("clock_mhz", "baud"), [(24.0, 3_000_000), (25.0, 3_000_000), (27.0, 2_000_000)])
def test_fast_lines(net, clock_mhz, baud):
    """8, 8 1/3 and 13 1/2 cycles a bit."""
    board = replace(get_board("icebreaker"), baud=baud)
    program = build_virtual(net.Core, board, clock_mhz, net.identity, link="uart")
    with VirtualBoard(program) as virtual, Board.open(virtual.port, timeout=TIMEOUT) as opened:
        infer(opened, batch(1000), net)
        assert opened.sent_again == 0


@both
@pytest.mark.parametrize("flips", [1e-5, 1e-4, 1e-3])
def test_flipped_bits(program, net, flips):
    q = batch(400)
    with (
        VirtualBoard(program, flips=flips, seed=5) as virtual,
        Board.open(virtual.port, timeout=TIMEOUT) as board,
    ):
        seconds = infer(board, q, net)
        again = board.sent_again
        figures = virtual.stop()
    assert figures is not None
    assert flips < 1e-3 or again
    tell(
        f"{program.link}, bits flipped at {flips:g}: {len(q)} images right in {seconds:.2f} s, "
        f"{again} frames again, {figures.received} bytes to the board for {15 * len(q)}"
    )


@both
def test_reset_in_the_middle(program, net):
    """The button is pressed twice while images are under way; only those not answered are sent again."""
    q = batch(6000)
    with VirtualBoard(program) as virtual, Board.open(virtual.port, timeout=TIMEOUT) as board:
        infer(board, q[:10], net)
        timers = [threading.Timer(delay, virtual.press_reset) for delay in (0.1, 0.5)]
        for timer in timers:
            timer.start()
        seconds = infer(board, q, net)
        for timer in timers:
            timer.join()
        infer(board, q[:50], net)
    tell(f"{program.link}, reset twice: {len(q)} images right in {seconds:.2f} s")


@both
def test_after_a_host_that_died(program, net):
    """Half a frame, half an image, results that nobody took: the next host is not concerned."""
    rng = random.Random(3)
    with VirtualBoard(program) as virtual:
        for k in range(4):
            dead = net.Host(virtual.port)
            dead.wait(0.1)
            dead.open(1 + k)
            frames = b"".join(
                encode(Frame(type=Type.DATA, number=n, payload=rng.randbytes(200))) for n in range(4)
            )
            dead.raw(frames[: rng.randrange(300, len(frames))])
            dead.close()
            started = time.monotonic()
            with Board.open(virtual.port, timeout=TIMEOUT) as board:
                infer(board, batch(50, seed=k), net)
            tell(f"{program.link}, host died: the next one done after {time.monotonic() - started:.2f} s")


@both
def test_a_million_random_bytes(program, net):
    count = 1_000_000 if program.link == "bytes" else 100_000
    rng = random.Random(9)
    with VirtualBoard(program) as virtual:
        noisy = net.Host(virtual.port)
        for _ in range(count // 4000):
            noisy.raw(rng.randbytes(4000))
            noisy.wait(0)
        noisy.wait(0.3)
        noisy.close()
        started = time.monotonic()
        with Board.open(virtual.port, timeout=TIMEOUT) as board:
            infer(board, batch(50), net)
        seconds = time.monotonic() - started
        tell(f"{program.link}, {count} random bytes: the next host done after {seconds:.2f} s")


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_another_rate(summer_uart, factor):
    """Refused within the time-out, not guessed at."""
    started = time.monotonic()
    with VirtualBoard(summer_uart, baud=round(summer_uart.baud * factor)) as virtual:
        with pytest.raises(DeviceError, match="did not answer"):
            Board.open(virtual.port, timeout=2.0)
        seconds = time.monotonic() - started
    assert seconds < 4
    tell(f"rate {factor:g} of the board's: refused after {seconds:.2f} s")


@pytest.mark.parametrize("factor", [0.985, 1.015])
def test_a_rate_within_tolerance(summer_uart, net, factor):
    with (
        VirtualBoard(summer_uart, baud=round(summer_uart.baud * factor)) as virtual,
        Board.open(virtual.port, timeout=TIMEOUT) as board,
    ):
        infer(board, batch(300), net)
        assert board.sent_again == 0


def test_a_board_that_goes_away(summer):
    q = batch(200_000)
    with VirtualBoard(summer) as virtual:
        board = Board.open(virtual.port, timeout=2.0)
        threading.Timer(0.3, virtual.stop).start()
        started = time.monotonic()
        with pytest.raises(DeviceError):
            board.infer(q)
        seconds = time.monotonic() - started
        board.close()
    assert seconds < 6
    tell(f"board gone in the middle: told after {seconds:.2f} s with a time-out of 2 s")


def test_a_terminal_with_nobody_behind_it():
    nobody, host = os.openpty()
    tty.setraw(host)
    started = time.monotonic()
    with contextlib.closing(os.fdopen(nobody, "rb")), pytest.raises(DeviceError, match="did not answer"):
        Board.open(os.ttyname(host), timeout=1.0)
    assert time.monotonic() - started < 3
    os.close(host)


def test_no_such_port(tmp_path):
    with pytest.raises(DeviceError, match="cannot be opened"):
        Board.open(str(tmp_path / "tty"))


def test_another_design_is_refused(summer):
    with (
        VirtualBoard(summer) as virtual,
        pytest.raises(DeviceError, match="runs another design"),
    ):
        Board.open(virtual.port, design_id=bytes(16), timeout=TIMEOUT)


def test_inputs_that_do_not_fit(summer):
    with VirtualBoard(summer) as virtual, Board.open(virtual.port, timeout=TIMEOUT) as board:
        with pytest.raises(InputArrayError, match="shape"):
            board.infer(np.zeros((1, 5, 2, 1), int))
        with pytest.raises(InputArrayError, match="do not fit uint12"):
            board.infer(np.full((1, 5, 1, 2), 1 << 12))
        with pytest.raises(InputArrayError, match="1 input arrays"):
            board.infer([np.zeros((1, 5, 1, 2), int)] * 2)
