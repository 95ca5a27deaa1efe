"""The board's top level with a soft processor: clock, reset, serial line, system."""

# Amaranth makes a component's ports when it runs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from fractions import Fraction

from amaranth.hdl import Cat, Const, Elaboratable, Module, Signal, Value
from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.clocks import add_plain_clock
from pulsefold.boards.pll import Pll, find_pll
from pulsefold.boards.top import TOP
from pulsefold.hdl import rtlil
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter
from pulsefold.hdl.riscv.system import RiscvSystem

__all__ = ["RiscvTop"]


class RiscvTop(Elaboratable):
    """A processor system on a board: its `tx` and `rx` on the serial line, all of it in the ``sync`` domain.

    Lights, as far as the board has them: ready; nothing; receiving; sending.

    Parameters
    ----------
    board
        Where it runs.
    clock_mhz
        Clock asked for; :attr:`clock_mhz` is what the PLL makes of it.
    system
        The processor with its network.

    Raises
    ------
    PulsefoldError
        If the PLL cannot make the clock.
    """

    def __init__(self, board: Board, clock_mhz: float, system: RiscvSystem) -> None:
        self.board, self.system = board, system
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
        """Clock as the PLL makes it."""
        return float(self._clock)

    def rtlil(self) -> str:
        """The whole design as RTLIL text."""
        ports: list[Value] = [self.clk, self.uart_rx, self.uart_tx]
        if self.board.reset is not None:
            ports.append(self.reset)
        if self.board.leds:
            ports.append(self.led)
        return rtlil.convert(self, TOP, ports=ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pressed = Signal()
        if self.board.reset is not None:
            m.d.comb += pressed.eq(self.reset ^ Const(self.board.reset.inverted, 1))
        ready = add_plain_clock(m, clock_in=self.clk, pll=self._pll, pressed=pressed, restart=Const(0, 1))
        m.submodules.system = system = self.system
        m.submodules.receiver = receiver = UartReceiver(self.uart)
        m.submodules.transmitter = transmitter = UartTransmitter(self.uart)
        wiring.connect(m, receiver.o, system.rx)
        wiring.connect(m, system.tx, transmitter.i)
        lights = Cat(ready, Const(0, 1), receiver.busy, transmitter.busy)
        active_low = Const(sum(pin.inverted << n for n, pin in enumerate(self.board.leds)), len(self.led))
        m.d.comb += [
            receiver.i.eq(self.uart_rx),
            self.uart_tx.eq(transmitter.o),
            self.led.eq(lights ^ active_low),
        ]
        return m
