"""Copies of flip-flops and LUTs that too many cells read, each beside the cells that it is for."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import groupby, pairwise
from typing import Any

from pulsefold.boards.flow.ecp5_blocks import in_order

__all__ = ["regroup_loads", "spread_loads"]

Cell = dict[str, Any]

#: A load: its cell, port, and place in the port.
Load = tuple[str, str, int]

#: Attribute of a copy: what it is of.
_ORIGINAL = "copy_of"

#: Cells that may be there twice, and their output.
_COPIED = {"TRELLIS_FF": "Q", "LUT4": "Z"}

#: Pins that the clock network drives.
_CLOCKS = re.compile(r"(W?CK|CLK.*)$")

#: What the names of a unit's cells begin with, as ``network.core.u06_matvec.``; the rest is one more unit.
_UNIT = re.compile(r"(.*?\.u\d+)_")

#: Loads are parted at a gap that is more than the whole of their extent by this.
_GAP = 4

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


def regroup_loads(module: dict[str, Any], at: Mapping[str, tuple[float, float]]) -> None:
    """Share the loads of a driver and its copies out anew, by where they lie, in place.

    The order of names says little of where a wide unit's multipliers and memories are placed. Loads
    that lie furthest apart are parted where most room is between them, or in the middle, until each copy has
    its part; which copy drives a load makes no difference to what the netlist does.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist that :func:`spread_loads` has been at.
    at
        Places by cell; loads without one stay with the copy they have.
    """
    cells = module["cells"]
    families: dict[str, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        if cell["type"] in _COPIED:
            families[cell["attributes"].get(_ORIGINAL, name)].append(name)
    drivers = {
        cells[name]["connections"][_COPIED[cells[name]["type"]]][0]: original
        for original, names in families.items()
        if len(names) > 1
        for name in names
    }
    loads: dict[str, list[Load]] = defaultdict(list)
    for name, cell in cells.items():
        if name not in at:
            continue
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                continue
            for place, bit in enumerate(bits):
                if bit in drivers:
                    loads[drivers[bit]].append((name, port, place))
    for original, readers in loads.items():
        names = families[original]
        parts = _parted(readers, len(names), at)
        for name, part in zip(names, parts, strict=True):
            (net,) = cells[name]["connections"][_COPIED[cells[name]["type"]]]
            for reader, port, place in part:
                cells[reader]["connections"][port][place] = net


def _parted(loads: list[Load], parts: int, at: Mapping[str, tuple[float, float]]) -> list[list[Load]]:
    """Loads in as many parts, neighbours together, none of more than about twice its share."""
    found, most = [loads], 2 * -(-len(loads) // parts)
    while len(found) < parts:
        # What is too many comes first, then what lies furthest apart.
        widest = max(found, key=lambda part: (len(part) > most and len(part), sum(_extent(part, at))))
        if len(widest) < 2:
            return [*found, *([] for _ in range(parts - len(found)))]
        found.remove(widest)
        width, height = _extent(widest, at)
        axis = 0 if width >= height else 1
        ordered = sorted(widest, key=lambda load: (at[load[0]][axis], at[load[0]][1 - axis], load))
        places = [at[name][axis] for name, *_ in ordered]
        gap, cut = max((b - a, k) for k, (a, b) in enumerate(pairwise(places), start=1))
        if len(widest) > most or gap * _GAP < places[-1] - places[0]:
            cut = len(ordered) // 2
        found += [ordered[:cut], ordered[cut:]]
    return found


def _extent(loads: list[Load], at: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Width and height of the rectangle that loads lie in."""
    xs, ys = zip(*(at[name] for name, *_ in loads), strict=True)
    return max(xs) - min(xs), max(ys) - min(ys)


class _Spread:
    """The nets of a module, by their numbers."""

    def __init__(self, module: dict[str, Any], most: int) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.wires: dict[str, Any] = module["netnames"]
        self.most = most
        self.outside = {bit for port in module["ports"].values() for bit in port["bits"]}
        #: Shortest name and place in it of each net.
        self.names: dict[object, tuple[str, int]] = {}
        for name, wire in self.wires.items():
            for place, bit in enumerate(wire["bits"]):
                if bit not in self.names or len(name) < len(self.names[bit][0]):
                    self.names[bit] = name, place
        numbers = (
            bit for cell in self.cells.values() for bits in cell["connections"].values() for bit in bits
        )
        self.next = 1 + max((bit for bit in (*numbers, *self.names) if isinstance(bit, int)), default=1)

    def round(self) -> int:
        """Copy each driver that has too many loads; returns how many copies."""
        loads: dict[object, list[Load]] = defaultdict(list)
        drivers: dict[object, str] = {}
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    if port == _COPIED.get(cell["type"]):
                        drivers[bits[0]] = name
                    continue
                for place, bit in enumerate(bits):
                    loads[bit].append((name, port, place))
        made = 0
        for bit, driver in drivers.items():
            readers = loads[bit]
            if 2 * len(readers) <= 3 * self.most or bit in self.outside:
                continue
            if not any(_CLOCKS.match(port) for _, port, _ in readers):
                made += self.split(bit, driver, readers)
        return made

    def split(self, bit: object, driver: str, readers: list[Load]) -> int:
        """Share the readers of a net among its driver and copies of it; returns how many."""
        cell = self.cells[driver]
        name, place = self.names.get(bit, (driver, 0))
        parts = self.parts(readers)
        for part in parts[1:]:
            net, self.next = self.next, self.next + 1
            # Names are not to be parsed; the net's number makes them the only ones.
            self.wires[f"{name}[{place}]$copy{net}"] = {"hide_name": 1, "bits": [net], "attributes": {}}
            self.names[net] = name, place
            twin = self.cells[f"{driver}$copy{net}"] = copy.deepcopy(cell)
            twin["attributes"].setdefault(_ORIGINAL, driver)
            twin["connections"][_COPIED[cell["type"]]] = [net]
            for reader, port, index in part:
                self.cells[reader]["connections"][port][index] = net
        return len(parts) - 1

    def parts(self, readers: list[Load]) -> list[list[Load]]:
        """Readers in the order of their names; no part has any of two of the design's units."""
        named = sorted(((*self.order(reader[0]), reader) for reader in readers), key=lambda item: item[:3])
        found = []
        for _, unit in groupby(named, key=lambda item: item[0]):
            all_of_it = [reader for *_, reader in unit]
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
