"""The board's top level: clock, reset, serial link and the core between them."""

# Amaranth makes a component's ports when it runs, and its `If` has no typed context manager.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

from __future__ import annotations

from fractions import Fraction

from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Elaboratable, Module, Signal, Value, ValueLike
from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.clocks import add_gated_clock, add_plain_clock
from pulsefold.boards.pll import Pll, find_pll
from pulsefold.hdl.link.pack import BeatParameters, BeatsToBytes, BytesToBeats
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter

__all__ = ["TOP", "BoardTop"]

#: Module name of the top level.
TOP = "top"


class BoardTop(Elaboratable):
    """A core between the two directions of the board's serial line.

    Bytes received become beats of the core's `i`, beats of its `o` become bytes sent, in the format
    of :mod:`pulsefold.hdl.link.pack`. All of it runs on the compute clock, in the ``sync`` domain.

    Lights, as far as the board has them: ready; a byte was lost (until reset); receiving; sending.

    Parameters
    ----------
    board
        Where it runs.
    clock_mhz
        Compute clock asked for; :attr:`clock_mhz` is what the PLL makes of it.
    core
        Component with stream ports `i` and `o` of any payload.

    Raises
    ------
    PulsefoldError
        If the PLL cannot make the clock.
    """

    def __init__(self, board: Board, clock_mhz: float, core: wiring.Component) -> None:
        self.board = board
        self.core = core
        self._pll: Pll | None = None
        self._clock = Fraction(str(clock_mhz))
        if self._clock != Fraction(str(board.clock_mhz)):
            self._pll = find_pll(board, clock_mhz)
            self._clock = self._pll.output_mhz
        self.uart = UartParameters(clock_hz=float(self._clock * 1_000_000), baud=board.baud)
        self.clk = Signal()
        self.uart_rx = Signal(init=1)
        self.uart_tx = Signal(init=1)
        self.reset = Signal()
        self.led = Signal(max(1, len(board.leds)))

    @property
    def clock_mhz(self) -> float:
        """Compute clock as the PLL makes it."""
        return float(self._clock)

    def ports(self) -> list[Value]:
        """The top-level ports, those that :meth:`Board.ports` has pins for."""
        ports: list[Value] = [self.clk, self.uart_rx, self.uart_tx]
        if self.board.reset is not None:
            ports.append(self.reset)
        if self.board.leds:
            ports.append(self.led)
        return ports

    def rtlil(self) -> str:
        """The whole design as RTLIL text."""
        return rtlil.convert(self, name=TOP, ports=self.ports(), emit_src=False)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ready = self._clocks(m)
        lost, receiving, sending = self._link(m)
        lights = Cat(ready, lost, receiving, sending)
        active_low = Const(sum(pin.inverted << n for n, pin in enumerate(self.board.leds)), len(self.led))
        m.d.comb += self.led.eq(lights ^ active_low)
        return m

    def _clocks(self, m: Module) -> Value:
        """Domain ``sync``; returns whether it is out of reset."""
        pressed = Signal()
        if self.board.reset is not None:
            m.d.comb += pressed.eq(self.reset ^ Const(self.board.reset.inverted, 1))
        if self._pll is not None and self.board.family == "ecp5":
            return add_gated_clock(m, clock_in=self.clk, pll=self._pll, pressed=pressed)
        return add_plain_clock(m, clock_in=self.clk, pll=self._pll, pressed=pressed)

    def _link(self, m: Module) -> tuple[Value, Value, Value]:
        """The serial line and the core; returns byte lost, receiving, sending."""
        source, sink = self.core.i, self.core.o
        m.submodules.core = self.core
        m.submodules.receiver = receiver = UartReceiver(self.uart)
        m.submodules.transmitter = transmitter = UartTransmitter(self.uart)
        m.submodules.unpack = unpack = BytesToBeats(_beat(source.payload))
        m.submodules.pack = pack = BeatsToBytes(_beat(sink.payload))
        wiring.connect(m, receiver.o, unpack.i)
        wiring.connect(m, pack.o, transmitter.i)
        m.d.comb += [
            receiver.i.eq(self.uart_rx),
            self.uart_tx.eq(transmitter.o),
            Value.cast(source.payload).eq(unpack.o.payload),
            source.valid.eq(unpack.o.valid),
            unpack.o.ready.eq(source.ready),
            pack.i.payload.eq(Value.cast(sink.payload)),
            pack.i.valid.eq(sink.valid),
            sink.ready.eq(pack.i.ready),
        ]
        lost = Signal()
        with m.If(receiver.overflow):
            m.d.sync += lost.eq(1)
        return lost, receiver.busy, transmitter.busy


def _beat(payload: ValueLike) -> BeatParameters:
    return BeatParameters(width=len(Value.cast(payload)))
