"""Small networks behind the host protocol, as programs, and a bare host to talk to them."""

import os
import select
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards import get_board
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.protocol import Frame, FrameDecoder, Kind, Status, TensorFormat, Type, encode
from pulsefold.sim.virtual import VirtualBoard, build_virtual

BEATS = 5

#: The host's library in C.
C_SOURCES = Path(__file__).resolve().parents[2] / "firmware" / "c"


class Summer(wiring.Component):
    """Five beats of two 12-bit numbers to one of 20 bits: the sum of (place + 1) * (a + 3 b).

    Beats that are lost, doubled or swapped all show. `pause` cycles pass before each result is given.
    """

    i: In(stream.Signature(data.ArrayLayout(unsigned(12), 2)))
    o: Out(stream.Signature(unsigned(20)))

    def __init__(self, pause=0):
        self.pause = pause
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        place, total = Signal(range(BEATS)), Signal(20)
        left = Signal(range(self.pause + 1))
        m.d.comb += self.i.ready.eq(~self.o.valid & (left == 0))
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), self.o.valid.eq(left == 1)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            value = total + (place + 1) * (self.i.payload[0] + 3 * self.i.payload[1])
            m.d.sync += [place.eq(place + 1), total.eq(value)]
            with m.If(place == BEATS - 1):
                m.d.sync += [place.eq(0), total.eq(0), self.o.payload.eq(value)]
                m.d.sync += left.eq(self.pause) if self.pause else self.o.valid.eq(1)
        return m


def sums(q):
    """What :class:`Summer` makes of integers [N, 5, 1, 2]."""
    weights = np.arange(1, BEATS + 1)[:, None] * [1, 3]
    return ((q.reshape(len(q), BEATS, 2) * weights).sum(axis=(1, 2)) % (1 << 20)).reshape(-1, 1, 1, 1)


IDENTITY = Identity(
    design_id=bytes(range(16)),
    inputs=(TensorFormat(beats=BEATS, lanes=2, bits=12, kind=Kind.UNSIGNED, shape=(BEATS, 1, 2)),),
    outputs=(TensorFormat(beats=1, lanes=1, bits=20, kind=Kind.UNSIGNED, shape=(1, 1, 1)),),
)


#: More bytes an image than the link holds, so that an input without a buffer would block the other.
LONG = 3000


class Joined(wiring.Component):
    """Two streams taken beat by beat together: their sums, and an image's sum of differences modulo 2**16."""

    def __init__(self):
        byte = stream.Signature(unsigned(8))
        wide = stream.Signature(unsigned(16))
        super().__init__({"i0": In(byte), "i1": In(byte), "o0": Out(wide), "o1": Out(wide)})
        self.ins, self.outs = [self.i0, self.i1], [self.o0, self.o1]

    def elaborate(self, platform):
        m = Module()
        place, total = Signal(range(LONG)), Signal(16)
        go = Signal()
        m.d.comb += [
            go.eq(self.i0.valid & self.i1.valid & ~self.o0.valid & ~self.o1.valid),
            self.i0.ready.eq(go),
            self.i1.ready.eq(go),
        ]
        for port in self.outs:
            with m.If(port.ready):
                m.d.sync += port.valid.eq(0)
        with m.If(go):
            difference = (total + self.i0.payload - self.i1.payload)[:16]
            m.d.sync += [
                self.o0.payload.eq(self.i0.payload + self.i1.payload),
                self.o0.valid.eq(1),
                total.eq(difference),
                place.eq(place + 1),
            ]
            with m.If(place == LONG - 1):
                m.d.sync += [place.eq(0), total.eq(0), self.o1.payload.eq(difference), self.o1.valid.eq(1)]
        return m


def tensor(beats, bits):
    return TensorFormat(beats=beats, lanes=1, bits=bits, kind=Kind.UNSIGNED, shape=(beats, 1, 1))


@pytest.fixture(scope="session", params=["icebreaker", "ulx3s-25f"])
def joined(request):
    """Two inputs and two outputs whose images are longer than what the link holds.

    One board keeps 2 results, the other 6, where numbers that wrap begin anew at another slot.
    """
    identity = Identity(
        design_id=bytes(16),
        inputs=(tensor(LONG, 8), tensor(LONG, 8)),
        outputs=(tensor(LONG, 16), tensor(1, 16)),
    )
    program = build_virtual(Joined, get_board(request.param), 24.0, identity)
    return SimpleNamespace(program=program, beats=LONG)


@pytest.fixture(scope="session")
def summer():
    """The program of a board with :class:`Summer`, its bytes handed straight to the protocol."""
    return build_virtual(Summer, get_board("icebreaker"), 24.0, IDENTITY)


@pytest.fixture(scope="session")
def summer_uart():
    """The same with its serial line."""
    return build_virtual(Summer, get_board("icebreaker"), 24.0, IDENTITY, link="uart")


class Host:
    """Frames as they are, in and out."""

    def __init__(self, port):
        self._file = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._decoder = FrameDecoder()
        self.seen: list[Frame | None] = []

    def close(self):
        os.close(self._file)

    def send(self, *frames):
        self.raw(b"".join(encode(f) for f in frames))

    def raw(self, data):
        while data:
            data = data[os.write(self._file, data) :]

    def wait(self, seconds=0.2):
        """Every frame until the board was quiet for a while."""
        found = []
        while select.select([self._file], [], [], seconds)[0]:
            found += self._decoder.feed(os.read(self._file, 65536))
        self.seen += found
        return found

    def collect(self, number=0, seconds=0.2):
        """Every frame until no result comes any more, with each acknowledged; `number` is the first one's."""
        found, before = [], None
        while number != before:
            before = number
            found += self.wait(seconds)
            for f in found:
                if f and f.type == Type.RESULT and f.number == number:
                    number = (number + 1) & 0xFF
            self.send(Frame(type=Type.ACK, number=number))
        return found

    def open(self, session=0x1234):
        self.send(Frame(type=Type.OPEN, payload=struct.pack("<H", session)))
        (frame,) = self.wait()
        return Status.of(frame)

    def poll(self, tag=1):
        self.send(Frame(type=Type.POLL, number=tag))
        return [Status.of(f) for f in self.wait() if f and f.type == Type.STATUS][-1]


@pytest.fixture(scope="session")
def net():
    """The network of these tests: its description, what it makes of its inputs, and a host for it."""
    return SimpleNamespace(identity=IDENTITY, sums=sums, Core=Summer, Host=Host)


@pytest.fixture
def host(summer):
    with VirtualBoard(summer) as board:
        # Its reset is over before the first byte is taken.
        time.sleep(0.05)
        host = Host(board.port)
        host.board = board
        yield host
        host.close()


def run_make(folder, *arguments):
    """Run make in the library's folder; what it said."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    ran = subprocess.run(
        ["make", "-C", str(C_SOURCES), f"BUILD={folder}", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="session")
def make_c():
    """Runs make in the folder of the library in C."""
    return run_make


@dataclass(frozen=True)
class CLibrary:
    """The library in C and its example, and what runs them."""

    folder: Path
    prefix: tuple[str, ...] = ()

    def start(self, port, *options, timeout=20):
        command = [
            *self.prefix,
            str(self.folder / "classify"),
            str(port),
            "--timeout",
            str(int(timeout * 1000)),
        ]
        return subprocess.Popen(
            [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, port, *options, timeout=20):
        """The example on a port: its exit code, output and errors."""
        process = self.start(port, *options, timeout=timeout)
        out, err = process.communicate(timeout=600)
        return SimpleNamespace(code=process.returncode, out=out, err=err)


@pytest.fixture(scope="session")
def c_variant(tmp_path_factory):
    """The library as it is, under the sanitizers, or under valgrind."""
    made = {}

    def variant(name):
        if name == "valgrind" and shutil.which("valgrind") is None:
            pytest.skip("valgrind is not installed (apt-get install valgrind)")
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            options = {
                "sanitized": ["SANITIZE=1"],
                "valgrind": ["CFLAGS=-g -O1"],
                # As little memory as the smallest board allows, and less.
                "small": ["SANITIZE=1", "CFLAGS=-DPF_SLOTS=4 -DPF_ARRIVED=1"],
                "smaller": ["CFLAGS=-DPF_SLOTS=2"],
                # For a board that a test makes 50 times as slow as one is.
                "patient": ["CFLAGS=-O2 -DPF_RETRY_MS=5000 -DPF_LONGEST_RETRY_MS=5000"],
            }
            run_make(folder, "CC=gcc", *options.get(name, []))
            prefix = ("valgrind", "--quiet", "--leak-check=full", "--error-exitcode=99")
            made[name] = CLibrary(folder, prefix if name == "valgrind" else ())
        return made[name]

    return variant


@pytest.fixture(params=["plain", "sanitized", "valgrind"])
def c_library(request, c_variant):
    """The library in C, each way it is tested."""
    return c_variant(request.param)


@pytest.fixture
def sanitized(c_variant):
    """The library under AddressSanitizer and UndefinedBehaviorSanitizer."""
    return c_variant("sanitized")
