"""Carry chains of an ECP5 netlist: how they begin and end, in as few LUT positions as it takes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pulsefold.boards.flow.ecp5_netlist import Cell, Netlist

__all__ = ["finish_chains"]

#: LUT contents with input C at 1.
_C_IS_ONE = 0xF0F0

#: LUT contents of a half in front of a chain, by the carry that it gives: 0, 1, or its input A. The carry of
#: a half is LUT(A, B, 0, 0) where its LUT is 0, as it is here while its other inputs are 1.
_BEGINS = {"0": 0x0000, "1": 0x0008}
_BEGINS_WITH_A = 0x000A


@dataclass(slots=True)
class _Half:
    """Half a CCU2C: LUT contents, inputs, and the net of its sum."""

    init: int = 0
    inputs: tuple[object, ...] = ("1",) * 4
    total: object = "x"

    @classmethod
    def of(cls, cell: Cell, n: int) -> _Half:
        pins = cell["connections"]
        inputs = tuple(pins[f"{pin}{n}"][0] for pin in "ABCD")
        return cls(int(cell["parameters"][f"INIT{n}"], 2), inputs, pins.get(f"S{n}", ["x"])[0])

    @classmethod
    def beginning(cls, carry: object) -> _Half:
        """One whose carry that goes out is a constant or a net."""
        if carry in _BEGINS:
            return cls(_BEGINS[str(carry)])
        return cls(_BEGINS_WITH_A, (carry, "1", "1", "1"))

    def passing(self, carry: str) -> _Half:
        """One with its carry out for a constant carry in, which it ignores; C and D must be constants too."""
        above = sum(int(str(bit)) << k for k, bit in enumerate(self.inputs[2:], 2))
        out = 0
        for below in range(4):
            propagates = self.init >> (above | below) & 1
            out |= (int(carry) if propagates else self.init >> below & 1) << below
        return _Half(out, (*self.inputs[:2], "1", "1"))

    def write(self, cell: Cell, n: int) -> None:
        cell["parameters"][f"INIT{n}"] = f"{self.init:016b}"
        for pin, bit in zip("ABCD", self.inputs, strict=True):
            cell["connections"][f"{pin}{n}"] = [bit]
        cell["connections"][f"S{n}"] = [self.total]
        cell["port_directions"][f"S{n}"] = "output"


def finish_chains(module: dict[str, Any]) -> int:
    """Begin and end the carry chains of a module inside their own cells, in place.

    What is on the carry in of a chain's first cell costs two LUT positions, and a constant 0 a wire from the
    device's only one besides; so does a net on the last carry out, read or not. A chain begins with a
    half cell of its own instead, where its first half does not ignore the carry that comes in, or, where that
    would take a cell more, with its first sum in a LUT beside it; it ends with a half whose sum is the last
    carry, where that is read.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.

    Returns
    -------
    int
        Chains written anew: not those of which a carry in the midst is read by others too.
    """
    chains = _Chains(module)
    return sum(chains.finish(chain) for chain in chains.found())


class _Chains:
    """The carry cells of a module, and who reads its nets."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.netlist = Netlist(module)
        self.carry_cells = {
            name: cell for name, cell in self.netlist.cells.items() if cell["type"] == "CCU2C"
        }
        self.readers = self.netlist.readers()

    def reads(self, bit: object) -> int:
        """How often a net is read."""
        return len(self.readers.get(bit, ())) + (bit in self.netlist.outside) if isinstance(bit, int) else 0

    def found(self) -> list[list[str]]:
        """Names of each chain's cells, from its first to its last."""
        after = {
            cell["connections"]["CIN"][0]: name
            for name, cell in self.carry_cells.items()
            if "CIN" in cell["connections"]
        }
        made = {self.carry_out(name) for name in self.carry_cells}
        chains = []
        for name, cell in self.carry_cells.items():
            start = cell["connections"].get("CIN", ["x"])[0]
            if isinstance(start, int) and start in made:
                continue
            chain = [name]
            while isinstance(self.carry_out(chain[-1]), int) and self.carry_out(chain[-1]) in after:
                chain.append(after[self.carry_out(chain[-1])])
            chains.append(chain)
        return chains

    def carry_out(self, name: str) -> object:
        """Net of a cell's carry out."""
        return self.carry_cells[name]["connections"].get("COUT", ["x"])[0]

    def finish(self, chain: list[str]) -> bool:
        """Write one anew, unless a carry in its midst is read by others too, or halves are cut off."""
        cells = [self.carry_cells[name] for name in chain]
        cut = any(cell["parameters"].get(f"INJECT1_{n}") != "NO" for cell in cells for n in (0, 1))
        if cut or any(self.reads(self.carry_out(name)) > 1 for name in chain[:-1]):
            return False
        halves = [_Half.of(cell, n) for cell in cells for n in (0, 1)]
        last = self.carry_out(chain[-1])
        if self.reads(last):
            halves.append(_Half(total=last))
        while not self.reads(halves[-1].total) and len(halves) > 1:
            halves.pop()
        start, first = cells[0]["connections"].get("CIN", ["x"])[0], halves[0]
        ignored = first.inputs[2] == "1" and not first.init & _C_IS_ONE and not self.reads(first.total)
        if start != "x" and not ignored:
            constant = {start, *first.inputs[2:]} <= set(_BEGINS)
            read = bool(self.reads(first.total))
            if constant and not (read and len(halves) % 2):
                if read:
                    contents = first.init ^ 0xFFFF * int(str(start))
                    self.netlist.lut(f"{chain[0]}$sum", contents, first.inputs, first.total)
                halves[0] = first.passing(str(start))
            else:
                halves.insert(0, _Half.beginning(start))
        self.write(chain, halves + [_Half()] * (len(halves) % 2))
        return True

    def write(self, chain: list[str], halves: list[_Half]) -> None:
        """The halves, two a cell, into the chain's own cells and further ones, or fewer."""
        cells, names = self.netlist.cells, chain[: len(halves) // 2]
        carries = [self.carry_out(name) for name in names[:-1]]
        if len(names) < len(halves) // 2:
            carries.append(self.netlist.net(f"{chain[-1]}$carry", numbered=True))
            names.append(f"{chain[-1]}$end{carries[-1]}")
            cells[names[-1]] = copy.deepcopy(cells[chain[-1]])
        for name in chain[len(names) :]:
            del cells[name]
        nets = ["x", *carries, "x"]
        for k, name in enumerate(names):
            cell = cells[name]
            for n in (0, 1):
                halves[2 * k + n].write(cell, n)
            cell["connections"] |= {"CIN": [nets[k]], "COUT": [nets[k + 1]]}
            cell["port_directions"] |= {"CIN": "input", "COUT": "output"}
