"""A netlist that is changed in place: who drives and who reads each net, and what is new in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Cell", "Netlist", "Pin"]

Cell = dict[str, Any]


class Pin(NamedTuple):
    """A bit of a port of a cell."""

    cell: str
    port: str
    place: int


class Netlist:
    """A module of a Yosys JSON netlist.

    Parameters
    ----------
    module
        Entry of ``modules``.
    """

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.wires: dict[str, Any] = module["netnames"]
        #: Nets of the module's own ports.
        self.outside = {bit for port in module["ports"].values() for bit in port["bits"]}
        named = (bit for wire in self.wires.values() for bit in wire["bits"] if isinstance(bit, int))
        self._next = 1 + max(named, default=1)

    def pins(self) -> Iterator[tuple[Pin, object, bool]]:
        """Each pin, the net or constant on it, and whether it is an output."""
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                drives = cell["port_directions"].get(port) == "output"
                for place, bit in enumerate(bits):
                    yield Pin(name, port, place), bit, drives

    def readers(self) -> dict[object, list[Pin]]:
        """Inputs of cells on each net."""
        found: dict[object, list[Pin]] = defaultdict(list)
        for pin, bit, drives in self.pins():
            if not drives:
                found[bit].append(pin)
        return found

    def drivers(self) -> dict[object, Pin]:
        """The output on each net."""
        return {bit: pin for pin, bit, drives in self.pins() if drives}

    def connect(self, pin: Pin, bit: object) -> None:
        """Put a net or constant on a pin."""
        self.cells[pin.cell]["connections"][pin.port][pin.place] = bit

    def net(self, name: str, *, numbered: bool = False) -> int:
        """A new net; `numbered` where others have that name."""
        number, self._next = self._next, self._next + 1
        self.wires[f"{name}{number}" if numbered else name] = {
            "hide_name": 1,
            "bits": [number],
            "attributes": {},
        }
        return number

    def lut(self, name: str, contents: int, inputs: Sequence[object], output: object) -> None:
        """A new LUT: bit n of its contents is its output for the number n on inputs A, the lowest, to D."""
        self.cells[name] = {
            "hide_name": 1,
            "type": "LUT4",
            "parameters": {"INIT": f"{contents:016b}"},
            "attributes": {},
            "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
            "connections": {**{pin: [bit] for pin, bit in zip("ABCD", inputs, strict=True)}, "Z": [output]},
        }
