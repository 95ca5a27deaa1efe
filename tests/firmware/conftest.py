"""Small networks behind the host protocol, as programs, and a bare host to talk to them."""

import os
import select
import struct
import time
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
