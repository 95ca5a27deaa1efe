"""Beats to bytes and back.

The one format of a beat on a byte link: its bits, lane 0 lowest and each element's least significant
bit first, are padded with zeros up to whole bytes, and the bytes follow one another lowest first.
A beat of `width` bits is ``ceil(width / 8)`` bytes; nothing marks where it begins. One-bit
elements are thus eight a byte, and two's complement elements keep their own width.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["BeatParameters", "BeatsToBytes", "BytesToBeats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatParameters:
    """Size of a beat.

    Parameters
    ----------
    width
        Bits of all lanes together.
    """

    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            msg = f"width must be at least 1, not {self.width!r}"
            raise ValueError(msg)

    @property
    def bytes(self) -> int:
        """Bytes a beat takes on the link."""
        return -(-self.width // 8)


class BytesToBeats(wiring.Component):
    """Collects the bytes of a beat; padding bits are ignored.

    Timing: the beat is valid one cycle after its last byte; initiation interval `bytes` + 1 cycles.

    Parameters
    ----------
    parameters
        Size of a beat.
    """

    def __init__(self, parameters: BeatParameters) -> None:
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(parameters.width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.parameters.bytes
        shift = Signal(8 * count, reset_less=True)
        index = Signal(range(count))

        m.d.comb += [self.i.ready.eq(~self.o.valid), self.o.payload.eq(shift[: self.parameters.width])]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            # The newest byte enters at the top, so the oldest ends lowest.
            m.d.sync += shift.eq(Cat(shift, self.i.payload)[8:])
            with m.If(index == count - 1):
                m.d.sync += [index.eq(0), self.o.valid.eq(1)]
            with m.Else():
                m.d.sync += index.eq(index + 1)
        return m


class BeatsToBytes(wiring.Component):
    """Sends the bytes of a beat, padding bits zero.

    Timing: the first byte is valid one cycle after the beat; initiation interval `bytes` + 1 cycles.

    Parameters
    ----------
    parameters
        Size of a beat.
    """

    def __init__(self, parameters: BeatParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(parameters.width)),
                "o": Out(stream.Signature(8)),
                # Whether the byte at `o` is the last one of its beat.
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.parameters.bytes
        shift = Signal(8 * count, reset_less=True)
        left = Signal(range(count + 1))

        m.d.comb += [
            self.o.valid.eq(left != 0),
            self.i.ready.eq(~self.o.valid),
            self.o.payload.eq(shift[:8]),
            self.last.eq(left == 1),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [shift.eq(self.i.payload), left.eq(count)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [shift.eq(shift >> 8), left.eq(left - 1)]
        return m
