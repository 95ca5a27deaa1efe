"""The driver in C on a virtual board: what it accepts is golden, whatever becomes of the line.

Its example program runs as it is, under the sanitizers of gcc, and under valgrind.
"""

import os
import random
import re
import sys
import threading
import time
import tty
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from tiny import tiny_images, tiny_model

import pulsefold
from pulsefold.boards import get_board
from pulsefold.design import load_design
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.protocol import MAX_PAYLOAD, Frame, Type, encode
from pulsefold.identity import identity_of
from pulsefold.running import virtual_board
from pulsefold.sim import golden
from pulsefold.sim.virtual import VirtualBoard, build_virtual

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


def tell(text):
    """A figure, shown by ``pytest -s``."""
    sys.stdout.write(f"\n  {text}")


def batch(count, seed=1):
    return np.random.default_rng(seed).integers(0, 1 << 12, (count, 5, 1, 2))


@pytest.fixture
def files(tmp_path):
    """An array as a file that the example reads, and a file that it writes."""

    def give(array, dtype="<u2"):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.in"
        array.astype(dtype).tofile(path)
        return path

    return SimpleNamespace(give=give, out=tmp_path / "results")


def infer(library, virtual, q, net, files, *options, timeout=20):
    """Run and compare; what the example said, and seconds."""
    started = time.monotonic()
    ran = library.run(
        virtual.port,
        "--input",
        files.give(q),
        "--output",
        files.out,
        "--statistics",
        *options,
        timeout=timeout,
    )
    assert ran.code == 0, ran.err
    np.testing.assert_array_equal(np.fromfile(files.out, "<u4"), net.sums(q).ravel())
    return ran.err, time.monotonic() - started


def told(pattern, said):
    """The number that a line of the example's has."""
    found = re.search(pattern, said)
    assert found, said
    return int(found[1])


def sent_again(said):
    return told(r"(\d+) frames sent again", said)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The demo's network, its inputs as integers, and the golden model's results and classes."""
    out = tmp_path_factory.mktemp("c") / "digits"
    pulsefold.compile(ROOT / "demo" / "digits.onnx", board="ulx3s-85f", out=out, fps=5_000)
    with np.load(ROOT / "demo" / "digits_test.npz") as file:
        x = file["images"][:100].astype(np.float32)
    design = load_design(out)
    return as_integers(design, x), virtual_board(design), pulsefold.simulate(out, x, level="golden").y


def as_integers(design, x):
    graph, plan = design.graph, design.plan
    q = golden.quantize_inputs(graph, golden.input_arrays(graph, x))
    (entry,), (exit_,) = plan.entries, plan.exits
    want = golden.run(graph, q)[exit_]
    return SimpleNamespace(q=q[entry], want=want, id=identity_of(design).design_id, out=graph.tensors[exit_])


def width(element):
    """The type of a file's elements."""
    bits = element.bits + element.is_bipolar
    return f"<{'i' if element.signed else 'u'}{next(size for size in (1, 2, 4, 8) if bits <= 8 * size)}"


def test_a_hundred_digits(c_library, digits, files):
    integers, program, y = digits
    given = files.give(integers.q, "u1")
    with VirtualBoard(program) as virtual:
        options = ("--input", given, "--design", integers.id.hex())
        ran = c_library.run(virtual.port, *options, "--output", files.out, "--statistics", timeout=120)
        assert ran.code == 0, ran.err
        got = np.fromfile(files.out, width(integers.out.type)).reshape(integers.want.shape)
        np.testing.assert_array_equal(got, integers.want)
        assert ran.err.startswith("100 images, 0 frames sent again")
        assert told(r"board: (\d+) cycles", ran.err) > 0
        ran = c_library.run(virtual.port, *options, "--batch", 7, timeout=120)
        assert ran.code == 0, ran.err
        classes = [int(line) for line in ran.out.split()]
    assert classes == y.reshape(100, -1).argmax(axis=1).tolist()


@pytest.mark.models
@pytest.mark.slow
def test_twenty_images_through_cnv(c_variant, files, tmp_path):
    """Equal to golden and to the scores that the hardware gave."""
    model, known = (SHARED / name for name in ("models/cifar10_cnvW1A1.onnx", "data/cnv_golden.npz"))
    if not (model.exists() and known.exists()):
        pytest.skip(f"not there: {model}, {known}")
    with np.load(known) as file:
        scores, given = np.atleast_2d(file["w1a1_scores"]), file["input"]
    others = np.random.default_rng(3).integers(0, 256, (20 - len(scores), *given.shape[1:]))
    x = np.concatenate([given[: len(scores)], others.astype(given.dtype)])
    pulsefold.compile(model, board="ulx3s-85f", out=tmp_path / "d", fps=500)
    design = load_design(tmp_path / "d")
    integers = as_integers(design, x)
    given = files.give(integers.q, width(design.graph.tensors[design.plan.entries[0]].type))
    quiet = 4 * design.plan.latency_cycles + 200_000
    with VirtualBoard(virtual_board(design), patience_cycles=quiet) as virtual:
        options = ("--input", given, "--output", files.out)
        ran = c_variant("sanitized").run(virtual.port, *options, timeout=120)
    assert ran.code == 0, ran.err
    got = np.fromfile(files.out, width(integers.out.type)).reshape(integers.want.shape)
    np.testing.assert_array_equal(got, integers.want)
    (output,) = design.graph.outputs
    y = golden.present_output(design.graph, output, got)
    np.testing.assert_array_equal(y[: len(scores)], scores)


def test_batches_of_every_size(c_library, summer, net, files):
    with VirtualBoard(summer) as virtual:
        for count, size in ((1, 1), (2, 64), (0, 64), (33, 1), (400, 400), (100, 7)):
            said, _ = infer(c_library, virtual, batch(count, seed=count), net, files, "--batch", size)
            # Under valgrind the host may be slower than its own patience, which costs only time.
            assert c_library.prefix or sent_again(said) == 0


@pytest.mark.parametrize("flips", [1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("link", ["bytes", "uart"])
def test_flipped_bits(sanitized, summer, summer_uart, net, files, link, flips):
    q = batch(400)
    with VirtualBoard(summer if link == "bytes" else summer_uart, flips=flips, seed=5) as virtual:
        said, seconds = infer(sanitized, virtual, q, net, files, "--batch", 400)
    assert flips < 1e-3 or sent_again(said)
    tell(f"{link}, bits flipped at {flips:g}: 400 images right in {seconds:.2f} s, {said.splitlines()[0]}")


def test_flipped_bits_under_valgrind(c_variant, summer, net, files):
    with VirtualBoard(summer, flips=1e-4, seed=5) as virtual:
        infer(c_variant("valgrind"), virtual, batch(200), net, files, "--batch", 200)


def test_with_little_memory(c_variant, summer, net, files):
    """Four frames under way and a byte at a time; fewer frames than the board's are refused."""
    with VirtualBoard(summer, flips=1e-4, seed=2) as virtual:
        infer(c_variant("small"), virtual, batch(100), net, files)
        ran = c_variant("smaller").run(virtual.port, "--input", files.give(batch(1)))
    assert ran.code == 2, ran.err


@pytest.mark.parametrize("flips", [0.0, 1e-4])
def test_two_in_and_two_out(sanitized, joined, files, tmp_path, flips):
    # More results than there are numbers for them.
    a, b = np.random.default_rng(2).integers(0, 256, (2, 12, joined.beats, 1, 1))
    outs = [tmp_path / "sums", tmp_path / "differences"]
    options = [word for array in (a, b) for word in ("--input", files.give(array, "u1"))]
    options += [word for out in outs for word in ("--output", out)]
    with VirtualBoard(joined.program, flips=flips, seed=1) as virtual:
        ran = sanitized.run(virtual.port, *options, "--statistics")
    assert ran.code == 0, ran.err
    sums, differences = (np.fromfile(out, "<u2") for out in outs)
    np.testing.assert_array_equal(sums, (a + b).ravel())
    np.testing.assert_array_equal(differences, (a - b).sum(axis=(1, 2, 3)) % (1 << 16))
    assert flips or sent_again(ran.err) == 0


def test_reset_in_the_middle(sanitized, summer, net, files):
    q = batch(6000)
    with VirtualBoard(summer) as virtual:
        timers = [threading.Timer(delay, virtual.press_reset) for delay in (0.1, 0.5)]
        for timer in timers:
            timer.start()
        infer(sanitized, virtual, q, net, files, "--batch", 6000)
        for timer in timers:
            timer.join()
        infer(sanitized, virtual, q[:50], net, files)


@pytest.mark.parametrize("link", ["bytes", "uart"])
def test_after_a_host_that_was_killed(sanitized, summer, summer_uart, net, files, link):
    """In the middle of a batch, a frame and an image; the next host is not concerned, in C or Python."""
    with VirtualBoard(summer if link == "bytes" else summer_uart, rate_hz=2e6) as virtual:
        given = files.give(batch(20_000))
        for delay in (0.2, 0.33, 0.5):
            dead = sanitized.start(virtual.port, "--input", given, "--batch", 20_000)
            time.sleep(delay)
            assert dead.poll() is None
            dead.kill()
            dead.communicate()
            infer(sanitized, virtual, batch(50), net, files)
        with Board.open(virtual.port, timeout=20) as board:
            np.testing.assert_array_equal(board.infer(batch(50))[0], net.sums(batch(50)))


def test_after_frames_cut_short_and_garbage(sanitized, summer, net, files):
    rng = random.Random(3)
    with VirtualBoard(summer) as virtual:
        for k in range(4):
            dead = net.Host(virtual.port)
            dead.wait(0.1)
            dead.open(1 + k)
            frames = b"".join(
                encode(Frame(type=Type.DATA, number=n, payload=rng.randbytes(200))) for n in range(4)
            )
            dead.raw(frames[: rng.randrange(300, len(frames))])
            for _ in range(25):
                dead.raw(rng.randbytes(4000))
                dead.wait(0)
            dead.raw(encode(Frame(type=Type.IDENTIFY))[:5])
            dead.close()
            infer(sanitized, virtual, batch(50, seed=k), net, files)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_another_rate(sanitized, summer_uart, files, factor):
    """Refused within the time-out, not guessed at."""
    with VirtualBoard(summer_uart, baud=round(summer_uart.baud * factor)) as virtual:
        started = time.monotonic()
        ran = sanitized.run(virtual.port, "--input", files.give(batch(5)), timeout=2.0)
        seconds = time.monotonic() - started
    assert ran.code == 3
    assert "nothing moved" in ran.err
    assert seconds < 4
    tell(f"rate {factor:g} of the board's: refused after {seconds:.2f} s")


def test_a_board_that_goes_away(sanitized, summer, files):
    with VirtualBoard(summer) as virtual:
        process = sanitized.start(
            virtual.port, "--input", files.give(batch(200_000)), "--batch", 200_000, timeout=2.0
        )
        time.sleep(1.0)
        virtual.stop()
        started = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert time.monotonic() - started < 6


def test_a_terminal_with_nobody_behind_it(sanitized, files):
    nobody, host = os.openpty()
    tty.setraw(host)
    started = time.monotonic()
    ran = sanitized.run(os.ttyname(host), "--input", files.give(batch(1)), timeout=1.0)
    assert ran.code == 3
    assert time.monotonic() - started < 3
    os.close(host)
    os.close(nobody)


def test_a_port_that_another_has(sanitized, summer, files):
    with VirtualBoard(summer) as virtual, Board.open(virtual.port, timeout=20):
        ran = sanitized.run(virtual.port, "--input", files.give(batch(1)))
    assert ran.code == 3
    assert "temporarily unavailable" in ran.err


def test_what_makes_no_sense(sanitized, summer, files, tmp_path):
    given = files.give(batch(3))
    refusals = [
        ((tmp_path / "tty", "--input", given), 3, "No such file"),
        (("{port}", "--input", given, "--design", "00" * 16), 3, "another design"),
        (("{port}",), 2, "1 inputs and 1 outputs"),
        (("{port}", "--input", files.give(np.full(10, 1 << 12))), 2, "does not fit"),
        (("{port}", "--input", files.give(np.zeros(11))), 2, "in the middle of an image"),
        (("{port}", "--input", tmp_path / "none"), 2, "No such file"),
        (("{port}", "--input", given, "--batch", "0"), 2, "usage"),
        (("{port}", "--input", given, "--baud", "-1"), 2, "usage"),
        (("{port}", "--input", given, "--design", "12"), 2, "usage"),
        (("{port}", "--input", given, "--batch", str(1 << 20), "--wrong", "1"), 2, "usage"),
    ]
    with VirtualBoard(summer) as virtual:
        for (port, *options), code, words in refusals:
            ran = sanitized.run(str(port).format(port=virtual.port), *options)
            assert (ran.code, words in ran.err) == (code, True), ran.err


def test_selftest(sanitized, summer, net, files):
    q = batch(20)
    want = net.sums(q)
    with VirtualBoard(summer) as virtual:
        options = ("--input", files.give(q), "--output", files.out, "--expect")
        assert sanitized.run(virtual.port, *options, files.give(want, "<u4")).code == 0
        want[13] ^= 1
        ran = sanitized.run(virtual.port, *options, files.give(want, "<u4"), "--batch", 5)
    assert ran.code == 1
    there, expected = int(net.sums(q)[13].item()), int(want[13].item())
    assert f"image 13, output 0, element 0: {there} from the board, {expected} expected" in ran.err


def test_counters_of_units(sanitized, files, tmp_path):
    """All units tell of one moment, and the slowest worked as long as the plan promises."""
    onnx.save(tiny_model(), tmp_path / "tiny.onnx")
    options = {"board": "ulx3s-85f", "fps": 20_000, "counters": True}
    pulsefold.compile(tmp_path / "tiny.onnx", out=tmp_path / "d", **options)
    design = load_design(tmp_path / "d")
    integers = as_integers(design, tiny_images(20))
    given = files.give(integers.q, width(design.graph.tensors[design.plan.entries[0]].type))
    with VirtualBoard(virtual_board(design)) as virtual:
        ran = sanitized.run(
            virtual.port, "--input", given, "--output", files.out, "--statistics", timeout=120
        )
    assert ran.code == 0, ran.err
    got = np.fromfile(files.out, width(integers.out.type)).reshape(integers.want.shape)
    np.testing.assert_array_equal(got, integers.want)
    pattern = r"unit (\d+): (\d+) cycles, (\d+) busy, (\d+) starved, (\d+) stalled"
    units = [tuple(map(int, row)) for row in re.findall(pattern, ran.err)]
    assert [row[0] for row in units] == list(range(len(design.plan.units)))
    assert len({cycles for _, cycles, *_ in units}) == 1
    assert all(cycles == busy + starved + stalled for _, cycles, busy, starved, stalled in units)
    assert units[design.plan.units.index(design.plan.bottleneck)][2] == 20 * design.plan.cycles


def test_weights_of_another_model(sanitized, files, tmp_path):
    """Loaded where the board has others, on a line that errs; a board without such memories says so."""
    for seed in (0, 1):
        onnx.save(tiny_model(seed), tmp_path / f"{seed}.onnx")
        pulsefold.compile(
            tmp_path / f"{seed}.onnx",
            board="ulx3s-85f",
            fps=20_000,
            writable_weights=True,
            out=tmp_path / f"d{seed}",
        )
    designs = [load_design(tmp_path / f"d{seed}") for seed in (0, 1)]
    wanted = [as_integers(design, tiny_images(20)) for design in designs]
    assert (wanted[0].want != wanted[1].want).any()
    given = files.give(wanted[0].q, width(designs[0].graph.tensors[designs[0].plan.entries[0]].type))
    with VirtualBoard(virtual_board(designs[0]), flips=3e-5, seed=3) as virtual:
        options = ("--input", given, "--output", files.out)
        for seed in (1, 1, 0):
            weights = tmp_path / f"d{seed}" / "weights.bin"
            ran = sanitized.run(virtual.port, *options, "--weights", weights, timeout=120)
            assert ran.code == 0, ran.err
            got = np.fromfile(files.out, width(wanted[seed].out.type)).reshape(wanted[seed].want.shape)
            np.testing.assert_array_equal(got, wanted[seed].want)
        half = tmp_path / "half.bin"
        half.write_bytes(weights.read_bytes()[:-1])
        ran = sanitized.run(virtual.port, *options, "--weights", half, timeout=120)
        assert ran.code == 3, ran.err


def test_the_line_is_full(c_variant, net, files):
    """Of a line at its own pace, the payload gets what the frames allow.

    The pace is slow, so that a turn the host has to wait for on a busy machine is few bytes of the line; and
    the host is as much more patient before it asks, as it is beside Python.
    """
    count, pace, image_bytes = 1500, 0.5e6, 15
    program = build_virtual(net.Core, get_board("ulx3s-25f"), 24.0, net.identity, link="uart")
    # The counters are the link's, so many of its cycles are ten bits.
    byte = 10 * program.clock_hz / program.baud
    with VirtualBoard(program, rate_hz=pace) as virtual:
        said, _ = infer(c_variant("patient"), virtual, batch(count), net, files, "--batch", count)
    cycles = told(r"board: (\d+) cycles", said)
    share = count * image_bytes * byte / cycles
    tell(f"payload has {share:.1%} of the line; frames of {MAX_PAYLOAD} bytes allow {MAX_PAYLOAD / 256:.1%}")
    assert share > 0.95 * MAX_PAYLOAD / 256
