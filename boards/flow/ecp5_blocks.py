"""ECP5 block RAM: its output register, and two read-only memories in one, each behind a port of its own."""

from __future__ import annotations

import re
from typing import Any

from pulsefold.errors import ToolFailedError
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER

__all__ = ["in_order", "share_blocks", "switch_registers_on"]

#: Names that Yosys gives the cells of a memory.
_MAPPED = re.compile(rf"{OUTPUT_REGISTER}\.\d+\.\d+$")

#: INITVAL parameters that hold the lower half of a block's contents.
_HALF = 32

#: What belongs to a port, its letter left out.
_PINS = re.compile(r"(AD|CE|CLK|CS|DI|DO|OCE|RST|WE)A(\d*)")
_PARAMETERS = ("DATA_WIDTH", "REGMODE", "WRITEMODE")


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


def share_blocks(module: dict[str, Any]) -> int:
    """Change a module of a Yosys JSON netlist in place; returns how many block RAMs that saves.

    A memory that is only read, by port A, and lies in the lower half of its block leaves port B and the upper
    half to another. Whoever stand next to each other by their names, and so in the network, share a block:
    both ports see words of their own width, and the highest address bit says which half is whose.
    """
    cells = module["cells"]
    halves = sorted((name for name, cell in cells.items() if is_half(cell)), key=in_order)
    pairs = list(zip(halves[::2], halves[1::2], strict=False))
    for kept, moved in pairs:
        join(cells[kept], cells.pop(moved))
    return len(pairs)


def in_order(name: str) -> list[tuple[int, str]]:
    """A key by which numbers in names count as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def is_half(cell: dict[str, Any]) -> bool:
    """Whether a block RAM is read by port A alone, in its lower half."""
    pins = cell["connections"]
    return (
        cell["type"] == "DP16KD"
        and pins["WEA"] == ["0"]
        and pins["CEB"] == ["0"]
        and pins["ADA13"] == ["0"]
        and not any(pins[f"CSA{k}"] != ["0"] for k in range(3))
        and int(cell["parameters"]["DATA_WIDTH_A"], 2) <= 18
    )


def join(kept: dict[str, Any], moved: dict[str, Any]) -> None:
    """Give port B and the upper half of a block to another block's port A and lower half."""
    for pin, bits in moved["connections"].items():
        found = _PINS.fullmatch(pin)
        if found:
            kept["connections"][f"{found[1]}B{found[2]}"] = bits
    kept["connections"]["ADB13"] = ["1"]
    for name in _PARAMETERS:
        if f"{name}_A" in moved["parameters"]:
            kept["parameters"][f"{name}_B"] = moved["parameters"][f"{name}_A"]
    for k in range(_HALF):
        contents = moved["parameters"].get(f"INITVAL_{k:02X}")
        if contents is not None:
            kept["parameters"][f"INITVAL_{k + _HALF:02X}"] = contents
