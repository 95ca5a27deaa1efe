"""Refuses netlists in which a net has two drivers: synthesis took two nets for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pulsefold.errors import ToolFailedError

__all__ = ["refuse_joined_nets"]


def refuse_joined_nets(netlist: Path) -> None:
    """Look at each module of a Yosys JSON netlist.

    Routers take such a netlist and choose a driver, and the circuit is another one: ABC9 has made them of
    names that it could not tell apart, see :func:`pulsefold.hdl.rtlil.without_brackets`.

    Raises
    ------
    ToolFailedError
        If two cells drive a net.
    """
    for module in json.loads(netlist.read_text())["modules"].values():
        drivers: dict[Any, str] = {}
        for name, cell in module["cells"].items():
            directions = cell.get("port_directions", {})
            for port, bits in cell["connections"].items():
                if directions.get(port) != "output":
                    continue
                for bit in bits:
                    # Constants are words.
                    if isinstance(bit, int) and drivers.setdefault(bit, name) is not name:
                        raise ToolFailedError(
                            "synthesis joined two nets",
                            where=f"{drivers[bit]} and {name}",
                            why="both drive the same net, so that the netlist is not the circuit",
                            todo="report the design; another folding may synthesise as it should",
                        )
