"""Where nextpnr placed the cells of a netlist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Placement"]

#: Site as the placer writes it.
_SITE = re.compile(r"X(\d+)/Y(\d+)/")

#: What the packer adds to the name of a cell that it makes several of.
_PARTS = ("$CCU2_COMB0", "$DPRAM_COMB0")

#: Multiplexers that the packer makes part of a LUT: inputs that lead to it.
_MERGED = {"PFUMX": "BLUT", "L6MUX21": "D0"}


class Placement:
    """Places of cells by their names in the netlist.

    Parameters
    ----------
    netlist
        Entry of ``modules`` of the Yosys JSON that was placed.
    placed
        The same of the JSON that nextpnr wrote.

    Attributes
    ----------
    bels
        Sites of those cells that are one in both.
    at
        (x, y) of all that could be found.
    """

    def __init__(self, netlist: Mapping[str, Any], placed: Mapping[str, Any]) -> None:
        sites = {
            name: cell["attributes"]["NEXTPNR_BEL"]
            for name, cell in placed["cells"].items()
            if "NEXTPNR_BEL" in cell["attributes"]
        }
        self.bels: dict[str, str] = {}
        self.at: dict[str, tuple[float, float]] = {}
        cells = netlist["cells"]
        for name in cells:
            if name in sites:
                self.move(name, sites[name])
                continue
            part = next((sites[name + end] for end in _PARTS if name + end in sites), None)
            if part is not None:
                self.at[name] = _place(part)
        drivers = {
            bit: name
            for name, cell in cells.items()
            for port, bits in cell["connections"].items()
            if cell["port_directions"].get(port) == "output"
            for bit in bits
        }
        for name in cells:
            inner: str | None = name
            while inner is not None and cells[inner]["type"] in _MERGED:
                # None where it is a constant's.
                inner = drivers.get(cells[inner]["connections"][_MERGED[cells[inner]["type"]]][0])
            if inner in self.at and name not in self.at:
                self.at[name] = self.at[inner]

    def move(self, name: str, site: str) -> None:
        """Say that a cell is at another site."""
        self.bels[name] = site
        self.at[name] = _place(site)


def _place(site: str) -> tuple[float, float]:
    found = _SITE.match(site)
    assert found, site
    return float(found[1]), float(found[2])
