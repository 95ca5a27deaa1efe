"""What the link takes of a device: endpoint and serial line, without a network.

Run as ``python bench/link.py``; prints a table.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards import Board, get_board
from pulsefold.boards.flow import flow_for
from pulsefold.boards.process import run_tool
from pulsefold.boards.support import LINK_OPTIONS
from pulsefold.boards.toolchain import find_tool
from pulsefold.hdl.debug.counters import UnitCounters
from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.protocol import Kind, TensorFormat
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter

#: A board of each family that the table has.
BOARDS = ("ulx3s-85f", "icebreaker")


class Link(wiring.Component):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        members = endpoint.signature.members
        network = {name: members[name] for name in ("source", "sink", "restart", "running")}
        super().__init__({"rx": In(1), "tx": Out(1), **network})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        uart = UartParameters(clock_hz=25e6, baud=1_000_000)
        m.submodules.endpoint = endpoint = self.endpoint
        m.submodules.receiver = receiver = UartReceiver(uart)
        m.submodules.transmitter = transmitter = UartTransmitter(uart)
        for name in ("source", "sink"):
            ours, theirs = wiring.flipped(getattr(self, name)), getattr(endpoint, name)
            wiring.connect(m, ours, theirs)
        wiring.connect(m, endpoint.o, transmitter.i)  # type: ignore[attr-defined]
        wiring.connect(m, receiver.o, endpoint.i)  # type: ignore[attr-defined]
        m.d.comb += [
            receiver.i.eq(self.rx),  # type: ignore[attr-defined]
            self.tx.eq(transmitter.o),  # type: ignore[attr-defined]
            self.restart.eq(endpoint.restart),  # type: ignore[attr-defined]
            endpoint.running.eq(self.running),  # type: ignore[attr-defined]
        ]
        return m


def link(board: Board, counts: bool) -> str:
    """The link as RTLIL."""
    tensor = TensorFormat(beats=64, lanes=1, bits=4, kind=Kind.UNSIGNED, shape=(8, 8, 1))
    identity = Identity(design_id=bytes(range(16)), inputs=(tensor,), outputs=(tensor,))
    hello = identity.hello(clock_hz=25_000_000, **{**LINK_OPTIONS[board.family], "counts": counts})
    return rtlil.convert(Link(Endpoint(EndpointParameters(hello=hello))), name="top", emit_src=False)


def unit_counters(units: int) -> str:
    """The counters of units as RTLIL."""
    m = Module()
    m.domains.sync, m.domains.link = domains = ClockDomain("sync"), ClockDomain("link")
    m.submodules.counters = c = UnitCounters(units)
    ports = [value for _, _, value in c.signature.flatten(c)]
    ports += [getattr(domain, name) for domain in domains for name in ("clk", "rst")]
    return rtlil.convert(m, name="top", ports=ports, emit_src=False)


def resources(board: Board, text: str) -> str:
    """What it takes after the board's synthesis: the rest of a row."""
    flow = flow_for(board.family)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        script = f"{flow.reading('top')}; {flow.synthesis(board, 'top')}; tee -q -o cells stat -json"
        run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "log")
        r = flow.synthesised(json.loads((folder / "cells").read_text())["design"]["num_cells_by_type"])
    return f"{r.luts:.0f} | {r.ffs:.0f} | {r.brams:.0f} |"


def main() -> None:
    print("| family | counters | LUTs | flip-flops | block RAMs |")
    print("|---|---|---|---|---|")
    for name in BOARDS:
        board = get_board(name)
        for counts in (False, True):
            yes = "yes" if counts else "no"
            print(f"| {board.family} | {yes} | {resources(board, link(board, counts))}")
        for units in (10, 30):
            print(f"| {board.family} | of {units} units alone | {resources(board, unit_counters(units))}")


if __name__ == "__main__":
    main()
