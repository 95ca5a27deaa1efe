"""The check sum of frames, one bit a cycle."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["BYTE_CYCLES", "FrameCrc"]

#: Cycles that a byte takes. No line brings one in fewer, and this is a fifth of the logic of a byte a cycle.
BYTE_CYCLES = 8

#: x^31 first, as the lowest bit leaves first.
_POLYNOMIAL = 0xEDB88320

#: What stands in the register after a frame and its own CRC.
_RESIDUE = 0xDEBB20E3


class FrameCrc(wiring.Component):
    """CRC-32/ISO-HDLC of bytes: reflected, initial value and final XOR 0xFFFFFFFF.

    A byte is given for :data:`BYTE_CYCLES` cycles, from the one with `begin` on. With `drain` the register
    moves on by a byte and takes none, so that the next byte of the CRC stands at `low`; behind the fourth
    it is as at the start, and `low` is 0.

    Timing: `low` and `match` follow the last cycle of a byte.
    """

    start: In(1)
    begin: In(1)
    byte: In(8)
    drain: In(1)
    #: The next byte may not come: high in the cycles of one but the last, with `drain` in the last as well.
    busy: Out(1)
    #: Next byte of the CRC as it is sent.
    low: Out(8)
    #: Whether the bytes ended in their own CRC.
    match: Out(1)

    def elaborate(self, platform):
        m = Module()
        state = Signal(32, init=0xFFFFFFFF)
        # Number of the bit; 0 when there is none.
        turn = Signal(range(BYTE_CYCLES))
        going, feedback = Signal(), Signal()
        m.d.comb += [
            going.eq(self.begin | (turn != 0)),
            self.busy.eq(going & ((turn != BYTE_CYCLES - 1) | self.drain)),
            feedback.eq((self.byte.bit_select(turn, 1) ^ state[0]) & ~self.drain),
            self.low.eq(~state[:8]),
            self.match.eq(state == _RESIDUE),
        ]
        m.d.sync += turn.eq(turn + going)
        with m.If(self.start):
            m.d.sync += state.eq(0xFFFFFFFF)
        with m.Elif(going):
            m.d.sync += state.eq(Cat(state[1:], self.drain) ^ (feedback.replicate(32) & _POLYNOMIAL))
        return m
