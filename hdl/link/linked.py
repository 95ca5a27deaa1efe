"""The link's endpoint and the network behind it, without the line."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.network import ByteNetwork
from pulsefold.hdl.link.protocol import Hello

__all__ = ["LinkedNetwork"]


class LinkedNetwork(wiring.Component):
    """What a board top holds but the serial line: the bytes of the line at `i` and `o`.

    Parameters
    ----------
    core
        The network.
    hello
        What it tells of itself.
    """

    def __init__(self, core: wiring.Component, hello: Hello) -> None:
        self.core, self.hello = core, hello
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.endpoint = endpoint = Endpoint(EndpointParameters(hello=self.hello))
        stopped = Signal(init=1)
        m.domains.network = domain = ClockDomain(local=True)
        m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(stopped), endpoint.running.eq(~stopped)]
        m.d.sync += stopped.eq(endpoint.restart)
        network = ByteNetwork(self.core, self.hello.inputs, self.hello.outputs)
        # The network has its own reset, and what it shows to the link is read in the link's domain.
        m.submodules.network = DomainRenamer({"sync": "network", "link": "sync"})(network)
        wiring.connect(m, wiring.flipped(self.i), endpoint.i)
        wiring.connect(m, endpoint.o, wiring.flipped(self.o))
        wiring.connect(m, endpoint.source, network.i)
        wiring.connect(m, network.o, endpoint.sink)
        if self.hello.units:
            wiring.connect(m, endpoint.units, self.core.counters)
        return m
