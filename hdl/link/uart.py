"""UART, 8N1: eight data bits, least significant first, no parity, one stop bit."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UartParameters", "UartReceiver", "UartTransmitter"]

#: Slack between the two ends' rates that a frame of 9.5 bits survives with half a bit to spare for the
#: sampling step; each end may use half of it.
_TOLERANCE = 0.02

#: Fewest clock cycles a bit: the receiver samples within 1/8 bit of the middle.
_SLOWEST_DIVISOR = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class UartParameters:
    """Rate of a serial line.

    Parameters
    ----------
    clock_hz
        Frequency of the ``sync`` domain.
    baud
        Bits a second.
    """

    clock_hz: float
    baud: int

    def __post_init__(self) -> None:
        if self.baud < 1 or self.divisor < _SLOWEST_DIVISOR:
            msg = f"baud must be between 1 and clock_hz / {_SLOWEST_DIVISOR}, not {self.baud!r}"
            raise ValueError(msg)
        if self.error > _TOLERANCE:
            msg = f"baud must be within {_TOLERANCE:.0%} of 16 clock_hz / integer, not {self.baud!r}"
            raise ValueError(msg)

    @property
    def sixteenths(self) -> int:
        """Sixteenths of a clock cycle a bit."""
        return round(16 * self.clock_hz / self.baud) if self.baud > 0 else 0

    @property
    def divisor(self) -> int:
        """Clock cycles of the shorter bits; the others have one more."""
        return self.sixteenths // 16

    @property
    def fraction(self) -> int:
        """Longer bits in sixteen."""
        return self.sixteenths % 16

    @property
    def error(self) -> float:
        """Relative error of the rate made."""
        return abs(16 * self.clock_hz / self.sixteenths / self.baud - 1)

    def bit_timer(self, m: Module, step: ValueLike) -> Value:
        """What a timer that counts to -1 begins at for the next bit; `step` is high when it does.

        Bits are `divisor` or `divisor` + 1 cycles, so that each begins within a cycle of when it should.
        """
        if not self.fraction:
            return Const(self.divisor - 2)
        phase, following = Signal(4), Signal(5)
        m.d.comb += following.eq(phase + self.fraction)
        with m.If(step):
            m.d.sync += phase.eq(following)
        return self.divisor - 2 + following[4]


class UartReceiver(wiring.Component):
    """Line to bytes.

    A frame whose stop bit is low is dropped. A byte that arrives while the last one waits is
    dropped too, and `overflow` is high for that cycle: the line has no way to stall its sender.

    Timing: a byte is valid 9.5 bit times and 3 cycles after the start edge.

    Parameters
    ----------
    parameters
        Rate.
    """

    #: The line, asynchronous.
    i: In(1, init=1)
    o: Out(stream.Signature(8))
    #: High for one cycle for each byte lost.
    overflow: Out(1)
    #: High while a frame is arriving.
    busy: Out(1)

    def __init__(self, parameters: UartParameters) -> None:
        self.parameters = parameters
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        divisor = self.parameters.divisor
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.i, line, init=1)

        # Below zero means expired: one bit to look at, where a comparison would be the longest path.
        timer = Signal(signed((divisor + 1).bit_length() + 1))
        first = Signal()
        # A one starts at the top and moves down with each bit; at the bottom, the stop bit is due.
        shift = Signal(10)

        due = Signal()
        length = self.parameters.bit_timer(m, due)

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(~self.busy):
            # The first sample falls into the middle of the start bit.
            m.d.sync += [timer.eq(divisor // 2 - 2), first.eq(1), shift.eq(1 << 9), self.busy.eq(~line)]
        with m.Elif(~timer[-1]):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.comb += due.eq(1)
            m.d.sync += [timer.eq(length), first.eq(0), shift.eq(Cat(shift[1:], line))]
            with m.If(first):
                # A start bit that does not last is a glitch.
                m.d.sync += self.busy.eq(~line)
            with m.Elif(shift[0]):
                m.d.sync += self.busy.eq(0)
                with m.If(line & self.o.valid & ~self.o.ready):
                    m.d.comb += self.overflow.eq(1)
                with m.Elif(line):
                    m.d.sync += [self.o.payload.eq(shift[2:]), self.o.valid.eq(1)]
        return m


class UartTransmitter(wiring.Component):
    """Bytes to line.

    Timing: the start bit begins one cycle after the transfer; initiation interval 10 bit times and one
    cycle.

    Parameters
    ----------
    parameters
        Rate.
    """

    i: In(stream.Signature(8))
    #: The line, high when idle.
    o: Out(1, init=1)
    #: High while a frame is leaving.
    busy: Out(1)

    def __init__(self, parameters: UartParameters) -> None:
        self.parameters = parameters
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        divisor = self.parameters.divisor
        timer = Signal(signed((divisor + 1).bit_length() + 1))
        begins = Signal()
        length = self.parameters.bit_timer(m, begins)
        left = Signal(range(11))
        # Ones behind the data are the stop bit and the idle line.
        shift = Signal(9, init=0x1FF)

        m.d.comb += [self.busy.eq(left != 0), self.i.ready.eq(~self.busy), self.o.eq(shift[0])]
        with m.If(self.busy):
            m.d.sync += timer.eq(Mux(timer[-1], length, timer - 1))
            with m.If(timer[-1]):
                m.d.comb += begins.eq(1)
                m.d.sync += [left.eq(left - 1), shift.eq(Cat(shift[1:], Const(1)))]
        with m.Elif(self.i.valid):
            m.d.comb += begins.eq(1)
            m.d.sync += [left.eq(10), timer.eq(length), shift.eq(Cat(Const(0), self.i.payload))]
        return m
