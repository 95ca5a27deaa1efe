"""Copies of flip-flops and LUTs that too many cells read, each beside the cells that it is for."""

from __future__ import annotations

import copy
import re
from itertools import groupby
from typing import Any

from pulsefold.boards.flow.ecp5_blocks import in_order
from pulsefold.boards.flow.ecp5_netlist import Netlist, Pin
from pulsefold.boards.refine.share import COPY_OF

__all__ = ["spread_loads"]

#: Cells that may be there twice, and their output.
_COPIED = {"TRELLIS_FF": "Q", "LUT4": "Z"}

#: Pins that the clock network drives.
_CLOCKS = re.compile(r"(W?CK|CLK.*)$")

#: What the names of a unit's cells begin with, as ``network.core.u06_matvec.``; the rest is one more unit.
_UNIT = re.compile(r"(.*?\.u\d+)_")

#: A copy of a LUT loads what drives it, which may then be copied itself.
_ROUNDS = 4


def spread_loads(module: dict[str, Any], most: int) -> int:
    """Give each flip-flop and LUT of a module about `most` loads, in place.

    What reads a net is put in the order of its own output's name, so that neighbours in a word share a copy,
    and cut into parts of equal size; each gets a copy of the driver. A copy has its original's inputs and
    first value, hence its value in every cycle. Nets of up to half as many loads again are left as they
    are, as are clocks and the module's own ports.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.
    most
        Loads of a copy.

    Returns
    -------
    int
        Copies made.
    """
    spread = _Spread(module, most)
    made = 0
    for _ in range(_ROUNDS):
        before = made
        made += spread.round()
        if made == before:
            break
    return made


class _Spread:
    """The nets of a module, by their numbers."""

    def __init__(self, module: dict[str, Any], most: int) -> None:
        self.netlist = Netlist(module)
        self.cells = self.netlist.cells
        self.most = most
        #: Shortest name and place in it of each net.
        self.names: dict[object, tuple[str, int]] = {}
        for name, wire in self.netlist.wires.items():
            for place, bit in enumerate(wire["bits"]):
                if bit not in self.names or len(name) < len(self.names[bit][0]):
                    self.names[bit] = name, place

    def round(self) -> int:
        """Copy each driver that has too many loads; returns how many copies."""
        readers = self.netlist.readers()
        made = 0
        for bit, driver in self.netlist.drivers().items():
            loads = readers[bit]
            if driver.port != _COPIED.get(self.cells[driver.cell]["type"]) or bit in self.netlist.outside:
                continue
            if 2 * len(loads) > 3 * self.most and not any(_CLOCKS.match(pin.port) for pin in loads):
                made += self.split(bit, driver.cell, loads)
        return made

    def split(self, bit: object, driver: str, readers: list[Pin]) -> int:
        """Share the readers of a net among its driver and copies of it; returns how many."""
        cell = self.cells[driver]
        name, place = self.names.get(bit, (driver, 0))
        parts = self.parts(readers)
        for part in parts[1:]:
            # Names are not to be parsed; the net's number makes them the only ones.
            net = self.netlist.net(f"{name}[{place}]$copy", numbered=True)
            self.names[net] = name, place
            twin = self.cells[f"{driver}$copy{net}"] = copy.deepcopy(cell)
            twin["attributes"].setdefault(COPY_OF, driver)
            twin["connections"][_COPIED[cell["type"]]] = [net]
            for pin in part:
                self.netlist.connect(pin, net)
        return len(parts) - 1

    def parts(self, readers: list[Pin]) -> list[list[Pin]]:
        """Readers in the order of their names; no part has any of two of the design's units."""
        named = sorted(((*self.order(pin.cell), pin) for pin in readers), key=lambda item: item[:3])
        found = []
        for _, unit in groupby(named, key=lambda item: item[0]):
            all_of_it = [pin for *_, pin in unit]
            size = -(-len(all_of_it) // -(-len(all_of_it) // self.most))
            found += [all_of_it[start : start + size] for start in range(0, len(all_of_it), size)]
        return found

    def order(self, name: str) -> tuple[str, list[tuple[int, str]], int]:
        """Where a cell stands: its unit, the name of what it drives, numbers as such, and the place in it."""
        cell = self.cells[name]
        outputs = (
            bit
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "output"
            for bit in bits
        )
        text, place = next((self.names[bit] for bit in outputs if bit in self.names), (name, 0))
        unit = _UNIT.match(text)
        return unit[1] if unit else "", in_order(text), place
