"""What the link takes of a device: endpoint and serial line, without a network.

Run as ``python bench/link.py``; prints a table.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.boards.top import SLOTS
from pulsefold.hdl.debug.counters import UnitCounters
from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.protocol import Kind, TensorFormat
from pulsefold.hdl.link.uart import UartParameters, UartReceiver, UartTransmitter

#: LUTs of a carry cell; the names are those of the family's cells.
CELLS = {
    "ecp5": {"LUT4": 1, "CCU2C": 2},
    "ice40": {"SB_LUT4": 1},
}
MEMORIES = {"ecp5": "DP16KD", "ice40": "SB_RAM40_4K"}


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
        m.d.comb += [
            receiver.i.eq(self.rx),  # type: ignore[attr-defined]
            self.tx.eq(transmitter.o),  # type: ignore[attr-defined]
            endpoint.i.payload.eq(receiver.o.payload),  # type: ignore[attr-defined]
            endpoint.i.valid.eq(receiver.o.valid),  # type: ignore[attr-defined]
            receiver.o.ready.eq(1),
            self.restart.eq(endpoint.restart),  # type: ignore[attr-defined]
            endpoint.running.eq(self.running),  # type: ignore[attr-defined]
        ]
        return m


def cells(family: str, counts: bool) -> dict[str, int]:
    """Cells of the link after synthesis."""
    tensor = TensorFormat(beats=64, lanes=1, bits=4, kind=Kind.UNSIGNED, shape=(8, 8, 1))
    identity = Identity(design_id=bytes(range(16)), inputs=(tensor,), outputs=(tensor,))
    hello = identity.hello(clock_hz=25_000_000, **{**SLOTS[family], "counts": counts})
    text = rtlil.convert(Link(Endpoint(EndpointParameters(hello=hello))), name="top", emit_src=False)
    return synthesised(family, text)


def synthesised(family: str, text: str) -> dict[str, int]:
    """Cells by type."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        script = f"read_rtlil top.il; synth_{family} -top top; tee -q -o cells stat"
        run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "log")
        found = re.findall(r"^\s+(\d+)\s+(\S+)$", (folder / "cells").read_text(), re.MULTILINE)
    return {cell: int(count) for count, cell in found}


def counter_cells(family: str, units: int) -> dict[str, int]:
    """Cells of the counters of units after synthesis."""
    m = Module()
    m.domains.sync, m.domains.link = domains = ClockDomain("sync"), ClockDomain("link")
    m.submodules.counters = c = UnitCounters(units)
    ports = [value for _, _, value in c.signature.flatten(c)]
    ports += [getattr(domain, name) for domain in domains for name in ("clk", "rst")]
    return synthesised(family, rtlil.convert(m, name="top", ports=ports, emit_src=False))


def figures(family: str, found: dict[str, int]) -> str:
    """The rest of a row."""
    luts = sum(found.get(cell, 0) * each for cell, each in CELLS[family].items())
    carries = 2 * found.get("CCU2C", 0) or found.get("SB_CARRY", 0)
    ffs = sum(n for cell, n in found.items() if "DFF" in cell or cell == "TRELLIS_FF")
    return f"{luts} | {carries} | {ffs} | {found.get(MEMORIES[family], 0)} |"


def main() -> None:
    print("| family | counters | LUTs | of these carries | flip-flops | block RAMs |")
    print("|---|---|---|---|---|---|")
    for family in CELLS:
        for counts in (False, True):
            print(f"| {family} | {'yes' if counts else 'no'} | {figures(family, cells(family, counts))}")
        for units in (10, 30):
            print(f"| {family} | of {units} units alone | {figures(family, counter_cells(family, units))}")


if __name__ == "__main__":
    main()
