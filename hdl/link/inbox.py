"""Frames from the host: COBS and CRC undone, data kept in block RAM until it may go to the network."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.crc import FrameCrc
from pulsefold.hdl.link.protocol import DELIMITER, MAX_FRAME, OVERHEAD, SLOT_BYTES, Type

__all__ = ["FrameReceiver", "Inbox", "InboxParameters", "SlotReader", "inbox_bytes"]

#: What the host may ask for.
_COMMANDS = (Type.ACK, Type.RESEND, Type.POLL, Type.IDENTIFY, Type.OPEN, Type.COUNT)


class FrameReceiver(wiring.Component):
    """Bytes of the line to bytes of a frame.

    Each byte that a frame has before COBS appears at `byte` with its place `index` while `strobe` is high.
    `end` is high for one cycle behind each delimiter but those of empty frames: `byte` is then the number
    of bytes, `index` 0, and `good` whether COBS, size and CRC are those of a frame. Whatever came before, the
    byte behind a delimiter is the first of a frame.

    Timing: 1 cycle from a byte at `i` to its `strobe` or `end`; II that of
    :class:`~pulsefold.hdl.link.crc.FrameCrc`.
    """

    i: In(stream.Signature(8))
    byte: Out(8)
    strobe: Out(1)
    #: Stays at 255 in what is longer than a frame.
    index: Out(8)
    end: Out(1)
    good: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = FrameCrc()
        first = Signal(init=1)
        #: Bytes up to the next zero, this one included.
        left = Signal(8, init=1)
        taken, ends, due = Signal(), Signal(), Signal()
        long, whole = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~crc.busy),
            taken.eq(self.i.valid & self.i.ready),
            ends.eq(self.i.payload == DELIMITER),
            due.eq(left == 1),
            long.eq(self.index == MAX_FRAME + 1),
        ]
        m.d.sync += [self.strobe.eq(taken & ~ends & ~(due & first)), self.end.eq(taken & ends & ~first)]
        with m.If(taken):
            m.d.sync += [
                first.eq(ends),
                whole.eq(due & ~long),
                left.eq(Mux(due, self.i.payload, left - 1)),
                self.byte.eq(Mux(ends, self.index, self.i.payload)),
            ]
            with m.If(ends):
                m.d.sync += [left.eq(1), self.index.eq(0)]
            with m.Elif(due):
                m.d.sync += self.byte.eq(0)
        with m.If(self.strobe & ~long):
            m.d.sync += self.index.eq(self.index + 1)
        m.d.comb += [
            crc.start.eq(self.end),
            crc.byte.eq(self.byte),
            crc.begin.eq(self.strobe),
            self.good.eq(whole & crc.match & (self.byte >= OVERHEAD)),
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


def inbox_bytes(slots: int) -> int:
    """Block RAM of an inbox."""
    return SLOT_BYTES * slots


class Inbox(wiring.Component):
    """Takes good frames: commands are told at once, data waits in its slot for the network.

    A slot is a frame's bytes at their places, 256 bytes of block RAM; place 0 then gets their number. A frame
    that is bad, out of sequence or without room is never more than bytes in the free slot that the
    next one overwrites.

    Timing: a byte of data is at `o` no earlier than 10 cycles behind its frame's delimiter; II 2, and 8
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
                "i": In(stream.Signature(8)),
                # Bytes for the input tensor `tensor`.
                "o": Out(stream.Signature(8)),
                "tensor": Out(4),
                # Whether data is taken, and empties the inbox.
                "open": In(1),
                "clear": In(1),
                # A command: the bit of its type for one cycle, its number and, for OPEN, its payload.
                "command": Out(8),
                "number": Out(8),
                "session": Out(16),
                # The next data expected, the first one beyond the slots there are, the attempt of the last
                # data frame; and, for one cycle, that a slot was given back.
                "next": Out(8),
                "limit": Out(8, init=parameters.slots),
                "freed": Out(1),
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
        m.submodules.slots = ram = memory.Memory(shape=8, depth=inbox_bytes(slots), init=[])
        wiring.connect(m, wiring.flipped(self.i), receiver.i)

        # Full and empty differ in the number's next bit alone.
        room, filled = Signal(), Signal()
        m.d.comb += [
            room.eq(self.next[: bits + 1] != self.limit[: bits + 1]),
            filled.eq(self.next[: bits + 1] != self.limit[: bits + 1] ^ (1 << bits)),
        ]
        write = ram.write_port()
        m.d.comb += [
            write.addr.eq(Cat(receiver.index, self.next[:bits])),
            write.data.eq(receiver.byte),
            # Only the free slot is written to, whatever arrives.
            write.en.eq((receiver.strobe | receiver.end) & room),
        ]
        # The first five bytes; every good frame has as many.
        head = Signal(40)
        with m.If(receiver.strobe & (receiver.index < 5)):
            m.d.sync += head.eq(Cat(head[8:], receiver.byte))
        kind, extra = head[:8], head[16:24]
        m.d.comb += [self.number.eq(head[8:16]), self.session.eq(head[24:])]

        bare, opening = receiver.byte == OVERHEAD, receiver.byte == OVERHEAD + 2
        # All that an end leads to, a cycle later: the CRC's comparison is the longest path. A command comes
        # decoded and another cycle later, for it goes far; the next frame's first byte moves the header no
        # sooner.
        good, sized = Signal(), Signal()
        m.d.sync += [good.eq(receiver.end & receiver.good), self.bad.eq(receiver.end & ~receiver.good)]
        m.d.sync += self.command.eq(0)
        with m.Switch(kind):
            with m.Case(Type.DATA):
                m.d.sync += sized.eq(~bare)
            with m.Case(Type.OPEN):
                m.d.sync += sized.eq(opening)
            with m.Default():
                m.d.sync += sized.eq(bare)
        accepted, ahead = Signal(), Signal(8)
        # By then the header is long there, and no other frame can have been taken.
        m.d.sync += ahead.eq(self.number - self.next)
        with m.If(good & sized):
            with m.If(kind == Type.DATA):
                m.d.comb += [
                    accepted.eq(self.open & room & (ahead == 0)),
                    # Numbers behind the next one were taken before, and nothing is lost.
                    self.repeated.eq(self.open & ahead[7]),
                    self.refused.eq(~accepted & ~self.repeated),
                ]
                m.d.sync += self.attempt.eq(extra[4:])
            with m.Else():
                m.d.sync += [self.command[command].eq(kind == command) for command in _COMMANDS]
        with m.If(accepted):
            m.d.sync += self.next.eq(self.next + 1)

        m.submodules.reader = reader = ResetInserter(self.clear)(SlotReader(self.parameters))
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        read = ram.read_port()
        m.d.comb += [
            read.addr.eq(reader.address),
            reader.data.eq(read.data),
            reader.filled.eq(filled),
            reader.slot.eq(self.limit[:bits]),
            self.tensor.eq(reader.tensor),
            self.freed.eq(reader.freed),
        ]
        with m.If(self.freed):
            m.d.sync += self.limit.eq(self.limit + 1)
        with m.If(self.clear):
            m.d.sync += [self.next.eq(0), self.limit.eq(slots), self.attempt.eq(0)]
        return m


class SlotReader(wiring.Component):
    """Plays the slots in turn: the size, the tensor, the bytes.

    Timing: 2 cycles for each byte, and 7 more a frame.

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
                # The slot to be read, and whether it is there; `freed` in the cycle in which it was read.
                "slot": In(bits),
                "filled": In(1),
                "freed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # `ahead` is 4 more than the place, as the CRC's first byte is 4 before the end. Its upper bits before
        # they changed last are those of the place, so that there is neither an adder nor a second counter.
        ahead, upper, size = Signal(8, init=4), Signal(6), Signal(8)
        # The byte is there; it is one to be given: those before are size, number, tensor.
        fetched, inside, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            self.address.eq(Cat(ahead[:2], upper, self.slot)),
            self.o.payload.eq(self.data),
            self.o.valid.eq(fetched & inside),
            moves.eq(fetched & (~inside | self.o.ready)),
            self.freed.eq(inside & (ahead == size)),
        ]
        m.d.sync += fetched.eq(Mux(fetched, ~moves, self.filled))
        with m.If(moves):
            m.d.sync += ahead.eq(ahead + 1)
            with m.If(ahead[:2] == 3):
                m.d.sync += upper.eq(ahead[2:])
            with m.If(~inside & (ahead[:2] == 0)):
                m.d.sync += size.eq(self.data)
            with m.If(~inside & (ahead[:2] == 2)):
                m.d.sync += [self.tensor.eq(self.data), inside.eq(1)]
        with m.If(self.freed):
            m.d.sync += [ahead.eq(4), upper.eq(0), inside.eq(0), fetched.eq(0)]
        return m
