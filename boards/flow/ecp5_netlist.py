"""What Yosys leaves undone in an ECP5 netlist: output registers of block RAM."""

from __future__ import annotations

import re
from typing import Any

from pulsefold.errors import ToolFailedError
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER

__all__ = ["switch_registers_on"]

#: Names that Yosys gives the cells of a memory.
_MAPPED = re.compile(rf"{OUTPUT_REGISTER}\.\d+\.\d+$")


def switch_registers_on(module: dict[str, Any]) -> int:
    """Use the output registers of block RAMs named by :data:`~pulsefold.hdl.memory.ram.OUTPUT_REGISTER`.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist; changed in place.

    Returns
    -------
    int
        Block RAMs whose register was switched on.

    Raises
    ------
    ToolFailedError
        If a memory that counts on its register did not become block RAM.
    """
    registers = 0
    for name, cell in module["cells"].items():
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
    return registers
