"""A packed and placed ECP5 netlist, as nextpnr writes it, in arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntFlag
from typing import Any

import numpy as np

__all__ = ["BEL", "COPY_OF", "Flag", "PackedDesign", "slot_name"]

Module = Mapping[str, Any]

#: Attribute that says where a cell lies.
BEL = "NEXTPNR_BEL"

#: Attribute of a copy: the cell that it is of.
COPY_OF = "copy_of"

_TILE = re.compile(r"X(\d+)/Y(\d+)/(.*)$")
_SLOT = re.compile(r"SLICE([A-D])\.(?:(K|FF)([01])|(RAMW))$")

#: Dedicated wires between LUTs, by the input at their end: they tie a cluster together.
_TIES = ("FCI", "F1", "FXA", "FXB")

#: Inputs of cells in tiles that no wire of the fabric leads to, or one of the clock network.
_OWN = {*_TIES, "DI", "CLK", "WCK", "WRE", "WD", "WAD0", "WAD1", "WAD2", "WAD3"}

#: LUTs that a RAM of one tile consists of, and its slots.
_RAM_MODES, _RAM_SLOTS = ("DPRAM", "RAMW_BLOCK"), range(6)

#: Blocks that may change places with others of their type.
_BLOCKS = ("DP16KD", "MULT18X18D")


class Flag(IntFlag):
    """What a cell is, as ``annealer.cpp`` knows it."""

    LUT = 1
    FLIP_FLOP = 2
    MOVABLE = 4
    CARRY = 8
    TIED = 16
    LUT_USES_M = 32
    FF_USES_M = 64
    PORT_BLOCK = 128
    BLOCK = 256


def slot_name(flags: int, x: int, y: int, slot: int) -> str:
    """The site of a cell with `flags` in a slot, as nextpnr names it."""
    kind = f"K{slot % 2}" if flags & Flag.LUT else f"FF{slot % 2}" if flags & Flag.FLIP_FLOP else "RAMW"
    return f"X{x}/Y{y}/SLICE{'ABCD'[slot // 2]}.{kind}"


class PackedDesign:
    """What may go where, and what is wired to what.

    The rules are the device's, as nextpnr's ECP5 architecture checks them: all flip-flops of a tile have one
    clock and one set/reset, those of a slice one clock enable; a slice is all carry or has none; its inputs
    M are a multiplexer's or a flip-flop's; a LUT RAM takes slices A to C of a tile; a carry chain goes on in
    the next tile of its row. Clusters keep their slots, so that only the rules about flip-flops and slices
    are left to check.

    Parameters
    ----------
    module
        Entry of ``modules`` of the JSON that nextpnr wrote after placement.

    Attributes
    ----------
    names, types
        Of cells, in the order of all arrays by cell.
    unknown
        What no rule is known for; where there is any, nothing may be moved.
    x, y, slot, flags, tile_key, slice_key, cluster, block_class, inputs
        By cell, int32 (`flags` uint16): see ``annealer.cpp``. Keys take the copies of a driver for one: which
        of them a tile or slice has is decided when it is known what lies there.
    tile_nets, slice_nets
        The same keys of the nets as they are wired.
    net_start, net_pin, ports
        Nets in compressed rows: cell and port of each pin, the driver's first. Clocks and constants aside.
    cell_start, cell_net
        Nets of each cell.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.cells: dict[str, Any] = module["cells"]
        self.names = list(self.cells)
        self.types = [cell["type"] for cell in self.cells.values()]
        count = len(self.names)
        self.unknown: list[str] = []
        self.x, self.y, self.slot, self.tile_key, self.slice_key, self.tile_nets, self.slice_nets = (
            np.zeros(count, np.int32) for _ in "xyztsts"
        )
        self.cluster, self.block_class = (np.full(count, -1, np.int32) for _ in "cb")
        self.flags = np.zeros(count, np.uint16)
        self._where: dict[tuple[int, int, int, str], int] = {}
        self._drivers: dict[int, tuple[int, str]] = {}
        self._readers: dict[int, list[tuple[int, str]]] = {}
        for k, cell in enumerate(self.cells.values()):
            self._place(k, cell)
            for port, bits in cell["connections"].items():
                if not bits:
                    continue
                if cell["port_directions"][port] == "output":
                    self._drivers[bits[0]] = k, port
                else:
                    self._readers.setdefault(bits[0], []).append((k, port))
        #: As read: sites by cell, and copies of `x`, `y`, `slot`.
        self.sites = [cell["attributes"].get(BEL, "") for cell in self.cells.values()]
        self.origin = np.stack([self.x, self.y, self.slot])
        self._describe()
        self._tie()
        self._make_nets()

    def net(self, k: int, port: str) -> int | None:
        """The net at a port of a cell."""
        bits = self.cells[self.names[k]]["connections"].get(port)
        return bits[0] if bits else None

    def driver(self, net: int | None) -> tuple[int, str] | None:
        """Cell and port that drive a net."""
        return None if net is None else self._drivers.get(net)

    def readers(self, net: int | None) -> list[tuple[int, str]]:
        """Cells and ports that read a net."""
        return [] if net is None else self._readers.get(net, [])

    def of_type(self, *types: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
        """Cells of some types, with their numbers."""
        return (
            (k, self.cells[name])
            for k, (name, kind) in enumerate(zip(self.names, self.types, strict=True))
            if kind in types
        )

    def _place(self, k: int, cell: Mapping[str, Any]) -> None:
        found = _TILE.match(cell["attributes"].get(BEL, ""))
        if found is None:
            self.unknown.append(f"{self.names[k]} has no place")
            return
        self.x[k], self.y[k] = int(found[1]), int(found[2])
        slot = _SLOT.match(found[3])
        self.slot[k] = -1
        if slot:
            self.slot[k] = "ABCD".index(slot[1]) * 2 + int(slot[3] or 0)
            self._where[int(found[1]), int(found[2]), int(self.slot[k]), slot[2] or "RAMW"] = k

    def _describe(self) -> None:
        """Flags and keys."""
        tiles: dict[object, int] = {}
        slices: dict[object, int] = {}
        wired: dict[object, int] = {}
        classes: dict[object, int] = {}
        for k, cell in self.of_type("TRELLIS_COMB"):
            self.flags[k] = Flag.LUT | Flag.MOVABLE | self._lut(k, cell)
        for k, cell in self.of_type("TRELLIS_FF"):
            options = {name: value.strip() for name, value in cell["parameters"].items()}
            if "INV" in (options.get("CLKMUX"), options.get("LSRMUX")):
                self.unknown.append(f"{self.names[k]} inverts its clock or reset")
            shared = self.net(k, "CLK"), options.get("SRMODE") == "ASYNC"
            enable = options.get("GSR"), options.get("CEMUX")
            reset, enabled = self.net(k, "LSR"), self.net(k, "CE")
            self.tile_key[k] = tiles.setdefault((*shared, self._original(reset)), len(tiles))
            self.slice_key[k] = slices.setdefault((*enable, self._original(enabled)), len(slices))
            self.tile_nets[k] = wired.setdefault((*shared, reset), len(wired))
            self.slice_nets[k] = wired.setdefault((*enable, enabled), len(wired))
            uses_m = Flag.FF_USES_M if self.net(k, "M") is not None else 0
            self.flags[k] = Flag.FLIP_FLOP | Flag.MOVABLE | uses_m
        for k, _ in self.of_type("TRELLIS_RAMW"):
            self.flags[k] = Flag.MOVABLE
        for k, cell in self.of_type(*_BLOCKS):
            # Two multiplier blocks share a few clocks, enables and resets, by port.
            control = sorted(
                (port, bits[0])
                for port, bits in cell["connections"].items()
                if bits and cell["type"] == "MULT18X18D" and re.match("CLK|CE|RST", port)
            )
            self.block_class[k] = classes.setdefault((cell["type"], *control), len(classes))
            self.flags[k] = Flag.BLOCK | Flag.MOVABLE

    def _original(self, net: int | None) -> object:
        """What drives a net, for a copy the cell that it is of."""
        found = self.driver(net)
        if found is None:
            return net
        name = self.names[found[0]]
        return self.cells[name]["attributes"].get(COPY_OF, name), found[1]

    def _lut(self, k: int, cell: Mapping[str, Any]) -> int:
        mode = cell["parameters"].get("MODE", "LOGIC")
        if mode == "CCU2":
            return Flag.CARRY
        if mode == "RAMW_BLOCK":
            return Flag.PORT_BLOCK
        if mode == "DPRAM":
            if {"INV"} & {cell["parameters"].get("WCKMUX"), cell["parameters"].get("WREMUX")}:
                self.unknown.append(f"{self.names[k]} inverts its clock or write enable")
            return 0
        if mode != "LOGIC":
            self.unknown.append(f"{self.names[k]} is a LUT of mode {mode}")
        return Flag.LUT_USES_M if self.net(k, "M") is not None or self.net(k, "OFX") is not None else 0

    def _tie(self) -> None:
        """Clusters, and flip-flops with the LUTs that they read directly."""
        root = list(range(len(self.names)))

        def find(k: int) -> int:
            while root[k] != k:
                root[k] = root[root[k]]
                k = root[k]
            return k

        tied: set[int] = set()

        def join(a: int, b: int) -> None:
            root[find(a)] = find(b)
            tied.update((a, b))

        for k, _ in self.of_type("TRELLIS_COMB"):
            for port in _TIES:
                found = self.driver(self.net(k, port))
                if found is not None:
                    join(k, found[0])
        for k, _ in self.of_type("TRELLIS_RAMW"):
            for slot in _RAM_SLOTS:
                part = self._where.get((int(self.x[k]), int(self.y[k]), slot, "K"))
                if part is None or self._parameter(part, "MODE") not in _RAM_MODES:
                    self.unknown.append(f"{self.names[k]} is no LUT RAM of a whole tile")
                else:
                    join(k, part)
        numbers: dict[int, int] = {}
        for k in sorted(tied):
            self.cluster[k] = numbers.setdefault(find(k), len(numbers))
        for k, _ in self.of_type("TRELLIS_FF"):
            net = self.net(k, "DI")
            if net is None:
                continue
            found = self.driver(net)
            lut = self._where.get((int(self.x[k]), int(self.y[k]), int(self.slot[k]), "K"))
            if found is None or found[0] != lut:
                self.unknown.append(f"{self.names[k]} does not read the LUT of its slot")
                continue
            self.flags[k] |= Flag.TIED
            self.cluster[k] = self.cluster[lut]
            if self.cluster[lut] < 0:
                self.flags[lut] |= Flag.TIED

    def _parameter(self, k: int, name: str) -> str | None:
        return self.cells[self.names[k]]["parameters"].get(name)

    def _make_nets(self) -> None:
        starts, pins, self.ports = [0], [], []
        for net, (k, port) in self._drivers.items():
            constant = self.names[k].startswith("$PACKER_")
            if net not in self._readers or constant or self.types[k] == "DCCA":
                continue
            for pin, name in ((k, port), *self._readers[net]):
                pins.append(pin)
                self.ports.append(name)
            starts.append(len(pins))
        self.net_start, self.net_pin = np.array(starts, np.int32), np.array(pins, np.int32)
        nets = len(starts) - 1
        #: Net of each pin, and whether it is the driver's.
        self.pin_net = np.repeat(np.arange(nets, dtype=np.int32), np.diff(self.net_start))
        self.drives = np.zeros(len(pins), bool)
        self.drives[self.net_start[:-1]] = True
        #: Pins that a wire of their own leads to.
        self.dedicated = np.array([port in _TIES or port == "DI" for port in self.ports], bool)
        pairs = np.unique(self.net_pin.astype(np.int64) * max(nets, 1) + self.pin_net)
        self.cell_net = (pairs % max(nets, 1)).astype(np.int32)
        self.cell_start = np.zeros(len(self.names) + 1, np.int32)
        owners = np.bincount(pairs // max(nets, 1), minlength=len(self.names))
        np.cumsum(owners, out=self.cell_start[1:])
        self.inputs = np.zeros(len(self.names), np.int32)
        wired = ~self.drives & ~np.array([port in _OWN for port in self.ports], bool)
        np.add.at(self.inputs, self.net_pin[wired & (self.slot[self.net_pin] >= 0)], 1)
