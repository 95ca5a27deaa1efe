"""What Yosys leaves undone in an ECP5 netlist: ends of carry chains, output registers of block RAM."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from pulsefold.errors import ToolFailedError
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER

__all__ = ["finish_module"]

#: Names that Yosys gives the cells of a memory.
_MAPPED = re.compile(rf"{OUTPUT_REGISTER}\.\d+\.\d+$")

#: LUT contents with input C at 1.
_C_IS_ONE = 0xF0F0


def finish_module(module: dict[str, Any]) -> tuple[int, int]:
    """Change a module of a Yosys JSON netlist in place.

    A net on the carry out of a chain's last cell, or a constant on the carry in of its first, costs two
    LUT positions each, used or not. The first is taken off where nothing reads it, the second where the
    first half ignores its carry: its LUT is 0, so that the carry out is its own, and its sum is not used.
    Block RAMs named by :data:`~pulsefold.hdl.memory.ram.OUTPUT_REGISTER` get the register they were named
    for.

    Parameters
    ----------
    module
        Entry of ``modules``.

    Returns
    -------
    tuple
        Carry nets taken off, and block RAMs whose register was switched on.

    Raises
    ------
    ToolFailedError
        If a memory that counts on its register did not become block RAM.
    """
    cells = module["cells"]
    used = Counter(
        bit
        for cell in cells.values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"].get(port) != "output"
        for bit in bits
    )
    used.update(bit for port in module["ports"].values() for bit in port["bits"])
    carries = registers = 0
    for name, cell in cells.items():
        if cell["type"] == "CCU2C":
            carries += detach(cell, used)
        if not _MAPPED.search(name):
            continue
        if cell["type"] != "DP16KD":
            why = "its output register cannot be switched on, and the circuit counts on it"
            raise ToolFailedError(
                "a memory did not become block RAM", where=f"{name} ({cell['type']})", why=why
            )
        cell["parameters"] |= {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
        # Of a word of 36 bits port A sends half, and Yosys leaves its register off.
        cell["connections"] |= {"OCEA": ["1"], "OCEB": ["1"]}
        registers += 1
    return carries, registers


def detach(cell: dict[str, Any], used: Counter) -> int:
    """Take the ends of a chain off one carry cell; returns how many."""
    pins = cell["connections"]
    taken = 0
    if pins.get("COUT") and not used[pins["COUT"][0]]:
        pins["COUT"] = ["x"]
        taken += 1
    ignores = pins["C0"] == ["1"] and not int(cell["parameters"]["INIT0"], 2) & _C_IS_ONE
    if pins.get("CIN") in (["0"], ["1"], ["x"]) and ignores and not used[pins["S0"][0]]:
        pins["CIN"] = ["x"]
        taken += 1
    return taken
