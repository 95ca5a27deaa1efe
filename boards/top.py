"""The board's top level: clock, reset, serial link and the core between them."""

# Amaranth makes a component's ports when it runs, and its `If` has no typed context manager.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

from __future__ import annotations

from fractions import Fraction

from amaranth.hdl import Cat, Const, DomainRenamer, Elaboratable, Module, Signal, Value
from amaranth.lib import wiring

from pulsefold.boards.board import Board
from pulsefold.boards.clocks import add_gated_clock, add_plain_clock
from pulsefold.boards.pll import Pll, find_pll
from pulsefold.boards.support import LINK_OPTIONS
from pulsefold.hdl import rtlil
from pulsefold.hdl.link.crossing import Crossing
from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.network import ByteNetwork
from pulsefold.hdl.link.spi import SpiSlave
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter
from pulsefold.hdl.technology import Technology

__all__ = ["TOP", "BoardTop", "has_two_clocks"]

#: Module name of the top level.
TOP = "top"


def has_two_clocks(board: Board, clock_mhz: float) -> bool:
    """Whether link and network have clocks of their own: see :mod:`pulsefold.boards.clocks`."""
    return board.family == "ecp5" and Fraction(str(clock_mhz)) != Fraction(str(board.clock_mhz))


class BoardTop(Elaboratable):
    """A core behind the host protocol on the link that the board is told to use.

    The core runs on the compute clock, in domain ``sync``; the link runs in domain ``link``.

    Lights, as far as the board has them: ready; a frame was bad (until the next session); receiving (SPI:
    selected); sending (SPI: bytes wait).

    Parameters
    ----------
    board
        Where it runs.
    clock_mhz
        Compute clock asked for; :attr:`clock_mhz` is what the PLL makes of it.
    core
        Component with stream ports `i` and `o` of any payload, or lists of them, `ins` and `outs`.
    identity
        What the board tells the host of the core; by default what its ports show.

    Raises
    ------
    PulsefoldError
        If the PLL cannot make the clock.
    """

    def __init__(
        self, board: Board, clock_mhz: float, core: wiring.Component, identity: Identity | None = None
    ) -> None:
        self.board = board
        self._pll: Pll | None = None
        self._clock = Fraction(str(clock_mhz))
        if self._clock != Fraction(str(board.clock_mhz)):
            self._pll = find_pll(board, clock_mhz)
            self._clock = self._pll.output_mhz
        self._gated = has_two_clocks(board, clock_mhz)
        link_hz = float(Fraction(str(board.clock_mhz)) if self._gated else self._clock) * 1_000_000
        self.link_hz = link_hz
        self.hello = (identity or Identity.of(core)).hello(
            clock_hz=round(link_hz), **LINK_OPTIONS[board.family]
        )
        self.network = ByteNetwork(core, self.hello.inputs, self.hello.outputs)
        self.clk = Signal()
        self.pll_clk = Signal()
        self.uart_rx = Signal(init=1)
        self.uart_tx = Signal(init=1)
        self.spi_cs_n = Signal(init=1)
        self.spi_sck, self.spi_mosi, self.spi_miso, self.spi_waiting = (
            Signal(name=f"spi_{name}") for name in ("sck", "mosi", "miso", "waiting")
        )
        self.reset = Signal()
        self.led = Signal(max(1, len(board.leds)))

    @property
    def clock_mhz(self) -> float:
        """Compute clock as the PLL makes it."""
        return float(self._clock)

    def ports(self) -> list[Value]:
        """The top-level ports, those that :meth:`Board.ports` has pins for."""
        names = dict.fromkeys(name.partition("[")[0] for name in self.board.ports())
        return [getattr(self, name) for name in names]

    def rtlil(self, *, generic: bool = False) -> str:
        """The whole design as RTLIL text.

        With `generic` it is without the family's own cells, to be simulated: where link and network have
        clocks of their own, the port ``pll_clk`` is what the PLL would make.
        """
        technology = None if generic else Technology(self.board.family)
        ports = [*self.ports(), *([self.pll_clk] if generic and self._gated else [])]
        return rtlil.convert(self, TOP, platform=technology, ports=ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        endpoint = Endpoint(EndpointParameters(hello=self.hello))
        m.submodules.endpoint = DomainRenamer("link")(endpoint)
        running = self._clocks(m, endpoint.restart, platform)
        m.d.comb += endpoint.running.eq(running)
        self._network(m, endpoint, running)
        line = self._spi if self.board.link == "spi" else self._serial
        receiving, sending = line(m, endpoint)
        bad = Signal()
        with m.If(endpoint.bad):
            m.d.link += bad.eq(1)
        with m.If(endpoint.restart):
            m.d.link += bad.eq(0)
        lights = Cat(running, bad, receiving, sending)
        active_low = Const(sum(pin.inverted << n for n, pin in enumerate(self.board.leds)), len(self.led))
        m.d.comb += self.led.eq(lights ^ active_low)
        return m

    def _clocks(self, m: Module, restart: Value, platform: object) -> Value:
        """Domains ``sync`` and ``link``; returns whether ``sync`` is out of reset."""
        pressed = Signal()
        if self.board.reset is not None:
            m.d.comb += pressed.eq(self.reset ^ Const(self.board.reset.inverted, 1))
        if self._pll is not None and self._gated:
            return add_gated_clock(
                m,
                clock_in=self.clk,
                pll=self._pll,
                pressed=pressed,
                restart=restart,
                model=self.pll_clk if platform is None else None,
            )
        return add_plain_clock(m, clock_in=self.clk, pll=self._pll, pressed=pressed, restart=restart)

    def _network(self, m: Module, endpoint: Endpoint, running: Value) -> None:
        """The network behind the endpoint, with a change of clock between them where there is one."""
        m.submodules.network = network = self.network
        if self.hello.units:
            wiring.connect(m, endpoint.units, network.core.counters)
        if not self._gated:
            wiring.connect(m, endpoint.source, network.i)
            wiring.connect(m, network.o, endpoint.sink)
            return
        m.submodules.crossing = crossing = Crossing()
        wiring.connect(m, endpoint.source, crossing.source)
        wiring.connect(m, crossing.sink, endpoint.sink)
        wiring.connect(m, crossing.o, network.i)
        wiring.connect(m, network.o, crossing.i)
        m.d.comb += crossing.running.eq(running)

    def _serial(self, m: Module, endpoint: Endpoint) -> tuple[Value, Value]:
        """The serial line; returns receiving, sending."""
        parameters = UartParameters(clock_hz=self.link_hz, baud=self.board.baud)
        m.submodules.receiver = receiver = DomainRenamer("link")(UartReceiver(parameters))
        m.submodules.transmitter = transmitter = DomainRenamer("link")(UartTransmitter(parameters))
        wiring.connect(m, endpoint.o, transmitter.i)
        # Ready within a few cycles, so the receiver never has to drop a byte.
        wiring.connect(m, receiver.o, endpoint.i)
        m.d.comb += [receiver.i.eq(self.uart_rx), self.uart_tx.eq(transmitter.o)]
        return receiver.busy, transmitter.busy

    def _spi(self, m: Module, endpoint: Endpoint) -> tuple[Value, Value]:
        """The SPI slave; returns selected, waiting."""
        m.submodules.slave = slave = DomainRenamer("link")(SpiSlave())
        wiring.connect(m, endpoint.o, slave.i)
        # Ready within a few cycles, so the slave never has to drop a byte.
        wiring.connect(m, slave.o, endpoint.i)
        m.d.comb += [
            slave.cs_n.eq(self.spi_cs_n),
            slave.sck.eq(self.spi_sck),
            slave.mosi.eq(self.spi_mosi),
            self.spi_miso.eq(slave.miso),
            self.spi_waiting.eq(slave.waiting),
        ]
        return ~self.spi_cs_n, slave.waiting
