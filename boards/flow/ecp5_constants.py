"""Constants on the pins of ECP5 cells, from near by: nextpnr has one of each kind for the whole device."""

from __future__ import annotations

import re
from typing import Any

from pulsefold.boards.flow.ecp5_netlist import Cell, Netlist, Pin

__all__ = ["own_constants"]

#: Pins of cells that are wired to a constant; those of others are set by configuration. Not enables and
#: resets of multipliers: four share theirs, which are better all the same than no four together.
_WIRED = {
    "CCU2C": re.compile(r"[CD][01]$"),
    "MULT18X18D": re.compile(r"(SIGNED|SOURCE)"),
    "TRELLIS_DPR16X4": re.compile(r"WAD$"),
}

_CONTENTS: dict[object, int] = {"0": 0x0000, "1": 0xFFFF}


def own_constants(module: dict[str, Any]) -> int:
    """Drive the constants that are wired by LUTs of the design, in place; they may then be copied.

    The router takes each from a single LUT of the device, in a net from corner to corner that it rips up and
    lays again until the end. Addresses that a LUT RAM's words are too few for are 1, on the side that is read
    by leaving them open, which the LUTs' own inputs are at then.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.

    Returns
    -------
    int
        Pins that are driven so.
    """
    netlist = Netlist(module)
    for cell in netlist.cells.values():
        if cell["type"] == "TRELLIS_DPR16X4":
            _leave_open(cell["connections"])
    pins: dict[object, list[Pin]] = {"0": [], "1": []}
    for pin, bit, _ in netlist.pins():
        cell = netlist.cells[pin.cell]
        wired = _WIRED.get(cell["type"])
        if bit in pins and wired and wired.match(pin.port) and not _is_set(cell, pin.port, bit):
            pins[bit].append(pin)
    for value, places in pins.items():
        if places:
            net = netlist.net(f"constant{value}")
            netlist.lut(f"constant{value}$lut", _CONTENTS[value], "0000", net)
            for pin in places:
                netlist.connect(pin, net)
    return sum(len(places) for places in pins.values())


def _is_set(cell: Cell, port: str, value: object) -> bool:
    """Whether a constant costs no wire: 1 on a carry cell, and 0 on its C or D beside a 1 on the other."""
    if cell["type"] != "CCU2C":
        return False
    other = {"C": "D", "D": "C"}[port[0]] + port[1]
    return value == "1" or cell["connections"][other] == ["1"]


def _leave_open(pins: dict[str, list]) -> None:
    """Addresses of a LUT RAM that are the same constant on both sides."""
    for place, (read, written) in enumerate(zip(pins["RAD"], pins["WAD"], strict=True)):
        if read == written and read in ("0", "1"):
            pins["RAD"][place], pins["WAD"][place] = "x", "1"
