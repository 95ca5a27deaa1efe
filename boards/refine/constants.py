"""nextpnr's constants, from near by: it has one LUT of each kind for the whole device."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from typing import Any

import numpy as np

from pulsefold.boards.refine.packed import BEL, Flag, PackedDesign, slot_name

__all__ = ["local_constants"]

#: The LUTs that nextpnr drives constants by.
_CONSTANTS = ("$PACKER_GND", "$PACKER_VCC")

#: Width and height, in tiles, of what one LUT drives; rows of multipliers are as far from each other.
_REACH = 24

#: A multiplier's site: its number is how many tiles it lies from where its blocks, which share wires, begin.
_MULTIPLIER = re.compile(r"MULT18_(\d)$")

_Tile = tuple[int, int]


def local_constants(module: dict[str, Any]) -> int:
    """Drive what reads a constant of nextpnr's by a LUT in its neighbourhood, in place; how many LUTs.

    Enables and resets of multipliers, above all. One net through the whole device, whose LUT lies anywhere,
    is ripped up again and again where wires are dense, and each arc's way is then sought from corner to
    corner. All that shares wires keeps one driver: the cells of a tile, and the multipliers of two
    neighbouring blocks.

    Parameters
    ----------
    module
        Entry of ``modules`` of the JSON that nextpnr wrote after placement; nothing may move afterwards.
    """
    design = PackedDesign(module)
    if design.unknown:
        return 0
    free = _FreeLuts(design)
    bits = [bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int)]
    made = 0
    for name in _CONSTANTS:
        if name not in design.cells:
            continue
        k = design.names.index(name)
        areas: dict[_Tile, list[tuple[_Tile, tuple[int, str]]]] = defaultdict(list)
        for reader, port in design.readers(design.net(k, "F")):
            # A flip-flop's D is the LUT's beside it.
            if port != "DI":
                x, y = place = _origin(design, reader)
                areas[x // _REACH, y // _REACH].append((place, (reader, port)))
        areas.pop((int(design.x[k]) // _REACH, int(design.y[k]) // _REACH), None)
        for number, (_, loads) in enumerate(sorted(areas.items())):
            x, y = np.median([place for place, _ in loads], axis=0).astype(int)
            site = free.take(int(x), int(y))
            if site is None:
                return made
            made += 1
            net = max(bits, default=0) + made
            lut = copy.deepcopy(design.cells[name])
            lut["attributes"][BEL] = site
            lut["connections"]["F"] = [net]
            module["cells"][f"{name}$near{number}"] = lut
            module["netnames"][f"{name}_NET$near{number}"] = {
                **copy.deepcopy(module["netnames"][f"{name}_NET"]),
                "bits": [net],
            }
            for _, (reader, port) in loads:
                design.cells[design.names[reader]]["connections"][port] = [net]
    return made


def _origin(design: PackedDesign, k: int) -> _Tile:
    """Tile of a cell, or where the blocks of a multiplier begin."""
    found = _MULTIPLIER.search(design.sites[k])
    return int(design.x[k]) - (int(found[1]) if found else 0), int(design.y[k])


class _FreeLuts:
    """Places for LUTs."""

    def __init__(self, design: PackedDesign) -> None:
        inside = design.slot >= 0
        self.tiles = np.unique(np.stack([design.x[inside], design.y[inside]], axis=1), axis=0)
        places = np.stack([design.x, design.y, design.slot], axis=1)
        self.taken = set(map(tuple, places[(design.flags & Flag.LUT) > 0].tolist()))
        carry = places[(design.flags & Flag.CARRY) > 0]
        self.carry = {(x, y, slot // 2) for x, y, slot in carry.tolist()}

    def take(self, x: int, y: int) -> str | None:
        """Site of the nearest one to a tile, which is then no longer free; None: there is none."""
        distances = np.abs(self.tiles - (x, y)).sum(axis=1)
        for at_x, at_y in self.tiles[np.argsort(distances, kind="stable")].tolist():
            for slot in range(8):
                # A slice is all carry or has none.
                if (at_x, at_y, slot) not in self.taken and (at_x, at_y, slot // 2) not in self.carry:
                    self.taken.add((at_x, at_y, slot))
                    return slot_name(Flag.LUT, at_x, at_y, slot)
        return None
