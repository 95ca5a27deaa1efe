"""Frames from the host: COBS and CRC undone, data kept in block RAM until it may go to the network."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.protocol import DELIMITER, MAX_FRAME, OVERHEAD, Type

__all__ = ["FrameReceiver", "Inbox", "InboxParameters", "SlotReader"]


class FrameReceiver(wiring.Component):
    """Bytes of the line to bytes of a frame; always ready, so that no byte is ever lost here.

    Each byte that a frame has before COBS appears at `byte` with its place `index` while `strobe` is high.
    `end` is high for one cycle behind each delimiter but those of empty frames: `index` is then the number
    of bytes, and `good` whether COBS, size and CRC are those of a frame. Whatever came before, the byte
    behind a delimiter is the first of a frame.

    Timing: 2 cycles from a byte at `i` to its `strobe` or `end`, II 1.
    """

    i: In(stream.Signature(8, always_ready=True))
    byte: Out(8)
    strobe: Out(1)
    #: Stays at 255 in what is longer than a frame.
    index: Out(8)
    end: Out(1)
    good: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        first = Signal(init=1)
        #: Bytes up to the next zero.
        left = Signal(8)
        whole = Signal()

        m.d.sync += [self.strobe.eq(0), self.end.eq(0)]
        with m.If(self.i.valid):
            m.d.sync += first.eq(self.i.payload == DELIMITER)
            with m.If(self.i.payload == DELIMITER):
                m.d.sync += [self.end.eq(~first), whole.eq(left == 0), left.eq(0)]
            with m.Elif(left == 0):
                m.d.sync += [left.eq(self.i.payload - 1), self.byte.eq(0), self.strobe.eq(~first)]
            with m.Else():
                m.d.sync += [left.eq(left - 1), self.byte.eq(self.i.payload), self.strobe.eq(1)]

        with m.If(self.end):
            m.d.sync += self.index.eq(0)
        with m.Elif(self.strobe & (self.index != 0xFF)):
            m.d.sync += self.index.eq(self.index + 1)
        # No byte follows an end in the next cycle, as a frame begins with its code.
        m.d.comb += [
            crc.start.eq(self.end),
            crc.data.eq(self.byte),
            crc.valid.eq(self.strobe),
            self.good.eq(whole & crc.match_detected & (self.index >= OVERHEAD) & (self.index <= MAX_FRAME)),
        ]
        return m


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxParameters:
    """Size of an inbox.

    Parameters
    ----------
    slots
        Frames of data it holds, a power of two, 2 to 64.
    """

    slots: int

    def __post_init__(self) -> None:
        if self.slots not in (2, 4, 8, 16, 32, 64):
            msg = f"slots must be a power of two from 2 to 64, not {self.slots!r}"
            raise ValueError(msg)


class Inbox(wiring.Component):
    """Takes good frames: commands are told at once, data waits in its slot for the network.

    A slot is a frame's bytes at their places, 256 bytes of block RAM; place 0 then gets their number. A frame
    that is bad, out of sequence or without room is never more than bytes in the free slot that the
    next one overwrites.

    Timing: a byte of data is at `o` no earlier than 5 cycles behind its frame's delimiter; II 1, and 4
    cycles more a frame.

    Parameters
    ----------
    parameters
        Size.
    """

    def __init__(self, parameters: InboxParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                # Bytes for the input tensor `tensor`.
                "o": Out(stream.Signature(8)),
                "tensor": Out(4),
                # Whether data is taken, and empties the inbox.
                "open": In(1),
                "clear": In(1),
                # A command: its type for one cycle, its number and, for OPEN, its payload.
                "command": Out(8),
                "number": Out(8),
                "session": Out(16),
                # The next data expected, the slots given back so far, the attempt of the last data frame.
                "next": Out(8),
                "freed": Out(8),
                "attempt": Out(4),
                # One cycle each: data not taken; taken before; no frame.
                "refused": Out(1),
                "repeated": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slots = self.parameters.slots
        bits = slots.bit_length() - 1
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.slots = ram = memory.Memory(shape=8, depth=256 * slots, init=[])
        wiring.connect(m, wiring.flipped(self.i), receiver.i)

        kind, extra = Signal(8), Signal(8)
        held = Signal(bits + 1)
        room = Signal()
        m.d.comb += [held.eq(self.next - self.freed), room.eq(~held[bits])]

        write = ram.write_port()
        m.d.comb += [
            write.addr.eq(Cat(Mux(receiver.end, 0, receiver.index), self.next[:bits])),
            write.data.eq(Mux(receiver.end, receiver.index, receiver.byte)),
            # Only the free slot is written to, whatever arrives.
            write.en.eq((receiver.strobe | receiver.end) & room),
        ]
        with m.If(receiver.strobe), m.Switch(receiver.index):
            with m.Case(0):
                m.d.sync += kind.eq(receiver.byte)
            with m.Case(1):
                m.d.sync += self.number.eq(receiver.byte)
            with m.Case(2):
                m.d.sync += extra.eq(receiver.byte)
            with m.Case(3):
                m.d.sync += self.session[:8].eq(receiver.byte)
            with m.Case(4):
                m.d.sync += self.session[8:].eq(receiver.byte)

        bare, opening = receiver.index == OVERHEAD, receiver.index == OVERHEAD + 2
        # All that an end leads to, a cycle later: the CRC's comparison is the longest path.
        good, sized = Signal(), Signal()
        m.d.sync += [good.eq(receiver.end & receiver.good), self.bad.eq(receiver.end & ~receiver.good)]
        with m.Switch(kind):
            with m.Case(Type.DATA):
                m.d.sync += sized.eq(~bare)
            with m.Case(Type.OPEN):
                m.d.sync += sized.eq(opening)
            with m.Default():
                m.d.sync += sized.eq(bare)
        accepted, ahead = Signal(), Signal(8)
        with m.If(good & sized):
            with m.If(kind == Type.DATA):
                m.d.comb += [
                    ahead.eq(self.number - self.next),
                    accepted.eq(self.open & room & (ahead == 0)),
                    # Numbers behind the next one were taken before, and nothing is lost.
                    self.repeated.eq(self.open & ahead[7]),
                    self.refused.eq(~accepted & ~self.repeated),
                ]
                m.d.sync += self.attempt.eq(extra[4:])
            with m.Else():
                m.d.comb += self.command.eq(kind)
        with m.If(accepted):
            m.d.sync += self.next.eq(self.next + 1)

        m.submodules.reader = reader = ResetInserter(self.clear)(SlotReader(self.parameters))
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        read = ram.read_port()
        m.d.comb += [
            read.addr.eq(reader.address),
            reader.data.eq(read.data),
            reader.filled.eq(held != 0),
            self.tensor.eq(reader.tensor),
            self.freed.eq(reader.freed),
        ]
        with m.If(self.clear):
            m.d.sync += [self.next.eq(0), self.attempt.eq(0)]
        return m


class SlotReader(wiring.Component):
    """Plays the slots in turn: the size, the tensor, the bytes.

    Timing: 4 cycles and one for each byte taken.

    Parameters
    ----------
    parameters
        Size of the inbox.
    """

    def __init__(self, parameters: InboxParameters) -> None:
        self.parameters = parameters
        bits = parameters.slots.bit_length() - 1
        super().__init__(
            {
                "o": Out(stream.Signature(8)),
                "tensor": Out(4),
                # Block RAM: `data` is what stood at `address` a cycle ago.
                "address": Out(8 + bits),
                "data": In(8),
                # Whether the slot to be read is there.
                "filled": In(1),
                "freed": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self.parameters.slots.bit_length() - 1
        place, left = Signal(8), Signal(8)
        taken = Signal()
        m.d.comb += [
            self.address.eq(Cat(Mux(taken, place + 1, place)[:8], self.freed[:bits])),
            self.o.payload.eq(self.data),
            taken.eq(self.o.valid & self.o.ready),
        ]
        with m.FSM():
            with m.State("EMPTY"), m.If(self.filled):
                m.d.sync += place.eq(2)
                m.next = "SIZE"
            with m.State("SIZE"):
                m.d.sync += [left.eq(self.data), place.eq(3)]
                m.next = "TENSOR"
            with m.State("TENSOR"):
                m.d.sync += self.tensor.eq(self.data[:4])
                m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(taken):
                    m.d.sync += [place.eq(place + 1), left.eq(left - 1)]
                    with m.If(left == OVERHEAD + 1):
                        m.d.sync += [self.freed.eq(self.freed + 1), place.eq(0)]
                        m.next = "EMPTY"
        return m
