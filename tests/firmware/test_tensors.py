"""Several tensors over one link: none waits for another for good, and each gets its own bytes."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards import get_board
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.protocol import Kind, TensorFormat
from pulsefold.sim.virtual import VirtualBoard, build_virtual

#: More bytes an image than the link holds, so that an input without a buffer would block the other.
BEATS = 3000


class Joined(wiring.Component):
    """Two streams taken beat by beat together: their sums, and an image's sum of differences modulo 2**16."""

    def __init__(self):
        byte = stream.Signature(unsigned(8))
        wide = stream.Signature(unsigned(16))
        super().__init__({"i0": In(byte), "i1": In(byte), "o0": Out(wide), "o1": Out(wide)})
        self.ins, self.outs = [self.i0, self.i1], [self.o0, self.o1]

    def elaborate(self, platform):
        m = Module()
        place, total = Signal(range(BEATS)), Signal(16)
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
            with m.If(place == BEATS - 1):
                m.d.sync += [place.eq(0), total.eq(0), self.o1.payload.eq(difference), self.o1.valid.eq(1)]
        return m


def tensor(beats, bits):
    return TensorFormat(beats=beats, lanes=1, bits=bits, kind=Kind.UNSIGNED, shape=(beats, 1, 1))


@pytest.fixture(scope="module")
def joined():
    identity = Identity(
        design_id=bytes(16),
        inputs=(tensor(BEATS, 8), tensor(BEATS, 8)),
        outputs=(tensor(BEATS, 16), tensor(1, 16)),
    )
    return build_virtual(Joined, get_board("icebreaker"), 24.0, identity)


@pytest.mark.parametrize("flips", [0.0, 1e-4])
def test_two_in_and_two_out(joined, flips):
    a, b = np.random.default_rng(2).integers(0, 256, (2, 6, BEATS, 1, 1))
    with VirtualBoard(joined, flips=flips, seed=1) as virtual, Board.open(virtual.port, timeout=20) as board:
        sums, differences = board.infer([a, b])
        np.testing.assert_array_equal(sums, a + b)
        np.testing.assert_array_equal(differences.ravel(), (a - b).sum(axis=(1, 2, 3)) % (1 << 16))
        assert flips or board.sent_again == 0
