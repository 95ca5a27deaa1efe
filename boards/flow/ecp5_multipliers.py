"""Registers around ECP5 multipliers, moved into them: Yosys leaves those of MULT18X18D unused."""

from __future__ import annotations

from typing import Any

from pulsefold.boards.flow.ecp5_netlist import Cell, Netlist

__all__ = ["absorb_registers"]


def absorb_registers(module: dict[str, Any]) -> int:
    """Move flip-flops at the pins of a module's multipliers into the multipliers, in place.

    A multiplier's products go through its output register where each is read by one flip-flop alone; operands
    go through an input register where each of their bits comes from a flip-flop. Only plain flip-flops count:
    clocked by one net, always enabled, never reset, 0 at first. No value changes in any cycle. Those that
    nothing reads any more are removed.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.

    Returns
    -------
    int
        Registers switched on in multipliers.
    """
    cells: dict[str, Cell] = module["cells"]
    multipliers = [cell for cell in cells.values() if cell["type"] == "MULT18X18D"]
    if not multipliers:
        return 0
    nets = _Nets(module)
    return sum(nets.absorb_output(cell) + nets.absorb_inputs(cell) for cell in multipliers)


class _Nets:
    """Who drives and who reads each net."""

    def __init__(self, module: dict[str, Any]) -> None:
        netlist = Netlist(module)
        self.cells, self.outside = netlist.cells, netlist.outside
        self.readers = netlist.readers()
        self.flip_flops = {
            bit: pin.cell
            for bit, pin in netlist.drivers().items()
            if self.cells[pin.cell]["type"] == "TRELLIS_FF"
        }

    def read(self, bit: object) -> bool:
        """Whether a net is read at all."""
        return bool(self.readers[bit]) or bit in self.outside

    def plain(self, name: str) -> bool:
        """Whether a cell is a flip-flop as a multiplier's registers are."""
        cell = self.cells.get(name)
        if cell is None or cell["type"] != "TRELLIS_FF":
            return False
        pins, settings = cell["connections"], cell["parameters"]
        # Yosys writes a text that looks like a number with a space behind it.
        enabled = settings.get("CEMUX", "").strip() == "1" or pins.get("CE") == ["1"]
        never_reset = pins.get("LSR", ["0"]) == ["0"] and settings.get("LSRMUX", "LSR") == "LSR"
        return (
            enabled
            and never_reset
            and settings.get("REGSET") == "RESET"
            and settings.get("CLKMUX", "CLK") == "CLK"
        )

    def clocked(self, cell: Cell, names: list[str]) -> bool:
        """Whether flip-flops may become a register of a multiplier; connects its clock if so."""
        clocks = {self.cells[name]["connections"]["CLK"][0] for name in names}
        mine = cell["connections"].get("CLK0", ["0"])[0]
        if len(clocks) != 1 or (mine != "0" and mine not in clocks):
            return False
        cell["connections"] |= {"CLK0": list(clocks), "CE0": ["1"], "RST0": ["0"]}
        cell["port_directions"] |= {"CLK0": "input", "CE0": "input", "RST0": "input"}
        return True

    def absorb_output(self, cell: Cell) -> int:
        """The output register; returns whether it could be used."""
        pins = cell["connections"]
        used = [f"P{k}" for k in range(36) if f"P{k}" in pins and self.read(pins[f"P{k}"][0])]
        names = []
        for pin in used:
            bit = pins[pin][0]
            readers = self.readers[bit]
            if len(readers) != 1 or bit in self.outside or readers[0].port != "DI":
                return 0
            if not self.plain(readers[0].cell):
                return 0
            names.append(readers[0].cell)
        if not names or not self.clocked(cell, names):
            return 0
        for pin, name in zip(used, names, strict=True):
            pins[pin] = self.cells.pop(name)["connections"]["Q"]
        cell["parameters"]["REG_OUTPUT_CLK"] = "CLK0"
        return 1

    def absorb_inputs(self, cell: Cell) -> int:
        """The input registers; returns how many could be used."""
        done = 0
        for side in "AB":
            pins = [f"{side}{k}" for k in range(18)]
            bits = [cell["connections"][pin][0] for pin in pins]
            names = {bit: self.flip_flops.get(bit, "") for bit in bits if bit != "0"}
            if not names or not all(self.plain(name) for name in names.values()):
                continue
            if not self.clocked(cell, list(names.values())):
                continue
            for pin, bit in zip(pins, bits, strict=True):
                if bit != "0":
                    self.move(cell, pin, bit, names[bit])
            cell["parameters"][f"REG_INPUT{side}_CLK"] = "CLK0"
            done += 1
            for bit, name in names.items():
                if not self.read(bit):
                    (data,) = self.cells.pop(name)["connections"]["DI"]
                    self.readers[data] = [reader for reader in self.readers[data] if reader.cell != name]
        return done

    def move(self, cell: Cell, pin: str, bit: object, flip_flop: str) -> None:
        """A pin from a flip-flop's output to its input."""
        (data,) = self.cells[flip_flop]["connections"]["DI"]
        readers = self.readers[bit]
        mine = next(r for r in readers if self.cells.get(r.cell) is cell and r.port == pin)
        readers.remove(mine)
        self.readers[data].append(mine)
        cell["connections"][pin] = [data]
