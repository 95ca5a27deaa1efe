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
from pulsefold.hdl import rtlil
from pulsefold.hdl.link.crossing import Crossing
from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.identity import Identity, LinkOptions
from pulsefold.hdl.link.network import ByteNetwork
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter
from pulsefold.hdl.technology import Technology

__all__ = ["SLOTS", "TOP", "BoardTop"]

#: Module name of the top level.
TOP = "top"

#: Frames buffered each way: what few block RAMs hold. iCE40's have 512 bytes, the others' 2048. The small
#: device has no counters, as there is no LUT RAM for them.
SLOTS: dict[str, LinkOptions] = {
    "ecp5": {"input_slots": 8, "result_slots": 4, "counts": True},
    "ice40": {"input_slots": 4, "result_slots": 2, "counts": False},
    "gowin": {"input_slots": 8, "result_slots": 4, "counts": True},
    "nexus": {"input_slots": 8, "result_slots": 4, "counts": True},
}


class BoardTop(Elaboratable):
    """A core behind the host protocol on the board's serial line.

    The core runs on the compute clock, in domain ``sync``; the link runs in domain ``link``.

    Lights, as far as the board has them: ready; a frame was bad (until the next session); receiving; sending.

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
        # The link's domain where the network's clock is gated: see :mod:`pulsefold.boards.clocks`.
        self._gated = self._pll is not None and board.family == "ecp5"
        link_hz = float(Fraction(str(board.clock_mhz)) if self._gated else self._clock) * 1_000_000
        self.uart = UartParameters(clock_hz=link_hz, baud=board.baud)
        self.hello = (identity or Identity.of(core)).hello(clock_hz=round(link_hz), **SLOTS[board.family])
        self.network = ByteNetwork(core, self.hello.inputs, self.hello.outputs)
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

    def rtlil(self, *, generic: bool = False) -> str:
        """The whole design as RTLIL text; with `generic`, without the family's own cells, to be simulated."""
        technology = None if generic else Technology(self.board.family)
        return rtlil.convert(self, TOP, platform=technology, ports=self.ports())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        endpoint = Endpoint(EndpointParameters(hello=self.hello))
        m.submodules.endpoint = DomainRenamer("link")(endpoint)
        running = self._clocks(m, endpoint.restart)
        m.d.comb += endpoint.running.eq(running)
        self._network(m, endpoint, running)
        receiving, sending = self._line(m, endpoint)
        bad = Signal()
        with m.If(endpoint.bad):
            m.d.link += bad.eq(1)
        with m.If(endpoint.restart):
            m.d.link += bad.eq(0)
        lights = Cat(running, bad, receiving, sending)
        active_low = Const(sum(pin.inverted << n for n, pin in enumerate(self.board.leds)), len(self.led))
        m.d.comb += self.led.eq(lights ^ active_low)
        return m

    def _clocks(self, m: Module, restart: Value) -> Value:
        """Domains ``sync`` and ``link``; returns whether ``sync`` is out of reset."""
        pressed = Signal()
        if self.board.reset is not None:
            m.d.comb += pressed.eq(self.reset ^ Const(self.board.reset.inverted, 1))
        if self._pll is not None and self._gated:
            return add_gated_clock(m, clock_in=self.clk, pll=self._pll, pressed=pressed, restart=restart)
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

    def _line(self, m: Module, endpoint: Endpoint) -> tuple[Value, Value]:
        """The serial line; returns receiving, sending."""
        m.submodules.receiver = receiver = DomainRenamer("link")(UartReceiver(self.uart))
        m.submodules.transmitter = transmitter = DomainRenamer("link")(UartTransmitter(self.uart))
        wiring.connect(m, endpoint.o, transmitter.i)
        # Ready within a few cycles, so the receiver never has to drop a byte.
        wiring.connect(m, receiver.o, endpoint.i)
        m.d.comb += [receiver.i.eq(self.uart_rx), self.uart_tx.eq(transmitter.o)]
        return receiver.busy, transmitter.busy
