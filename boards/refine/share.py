"""The loads of a driver and its copies, shared out by where they lie."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from pulsefold.boards.refine.packed import COPY_OF, PackedDesign

__all__ = ["share_loads"]

#: Cells that there are copies of, and their output.
_OUTPUTS = {"TRELLIS_FF": "Q", "TRELLIS_COMB": "F"}

#: Loads that keep their driver: dedicated wires, clocks, and what a pair of multiplier blocks shares.
_KEPT = re.compile("TRELLIS_FF (DI|CLK)|TRELLIS_COMB (FCI|F1|FXA|FXB|WCK)|MULT18X18D (CLK|CE|RST)|DCCA ")

#: Loads are parted at a gap that is more than the whole of their extent by this.
_GAP = 4

#: Loads that must keep one driver among them: their cells and ports, and the place of one.
_Unit = tuple[list[tuple[int, str]], tuple[int, int]]


def share_loads(design: PackedDesign) -> int:
    """Give each copy of a driver the loads of one neighbourhood, in the design's module; how many changed.

    Copies are made before anything is placed, for loads that are neighbours by name. Which copy drives a load
    makes no difference to what the netlist does. Loads that lie furthest apart are parted where most room is
    between them, or in the middle, until each copy has its part, of no more than about twice its share; the
    parts go to those copies that are near. Flip-flops of a slice keep one clock enable, those of a tile one
    reset, a LUT RAM its one write enable.

    The arrays of `design` know nothing of it: read the module anew.
    """
    families: dict[str, list[int]] = defaultdict(list)
    for k, cell in design.of_type(*_OUTPUTS):
        families[cell["attributes"].get(COPY_OF, design.names[k])].append(k)
    return sum(_share(design, copies) for copies in families.values() if len(copies) > 1)


def _share(design: PackedDesign, copies: list[int]) -> int:
    """The same of one family."""
    nets = [design.net(k, _OUTPUTS[design.types[k]]) for k in copies]
    units: dict[object, _Unit] = {}
    # Where a copy is drawn to by what it keeps, or else where it is.
    homes = []
    for k, net in zip(copies, nets, strict=True):
        kept = []
        for reader, port in design.readers(net):
            place = int(design.x[reader]), int(design.y[reader])
            key = _unit(design, reader, port)
            if key is None:
                kept.append(place)
            else:
                units.setdefault(key, ([], place))[0].append((reader, port))
        homes.append(np.mean(kept, axis=0) if kept else (design.x[k], design.y[k]))
    parts = _parted(list(units.values()), len(copies))
    middles = [np.mean([place for _, place in part], axis=0) for part in parts]
    if not middles:
        return 0
    distances = np.abs(np.array(middles)[:, None] - np.array(homes)[None]).sum(axis=2)
    changed = 0
    for part, copy in zip(*linear_sum_assignment(distances), strict=True):
        for loads, _ in parts[part]:
            for reader, port in loads:
                connections = design.cells[design.names[reader]]["connections"]
                changed += connections[port] != [nets[copy]]
                connections[port] = [nets[copy]]
    return changed


def _unit(design: PackedDesign, k: int, port: str) -> object:
    """What a load has to keep its driver with; None: it keeps the one that it has."""
    kind = design.types[k]
    if _KEPT.match(f"{kind} {port}"):
        return None
    tile = int(design.x[k]), int(design.y[k])
    if kind == "TRELLIS_FF" and port == "CE":
        return port, *tile, int(design.slot[k]) // 2
    if (kind, port) in (("TRELLIS_FF", "LSR"), ("TRELLIS_COMB", "WRE")):
        return port, *tile
    return k, port


def _parted(units: list[_Unit], parts: int) -> list[list[_Unit]]:
    """Units in as many parts, or less where there are fewer, neighbours together."""
    found, most = [units], 2 * -(-_loads(units) // parts)
    while len(found) < parts:
        # What is too many comes first, then what lies furthest apart.
        widest = max(found, key=lambda part: (len(part) > 1 and _loads(part) > most, sum(_extent(part))))
        if len(widest) < 2:
            break
        found.remove(widest)
        width, height = _extent(widest)
        axis = 0 if width >= height else 1
        ordered = sorted(widest, key=lambda unit: (unit[1][axis], unit[1][1 - axis], unit[0]))
        places = [place[axis] for _, place in ordered]
        gap, cut = max((b - a, k) for k, (a, b) in enumerate(pairwise(places), start=1))
        if _loads(widest) > most or gap * _GAP < places[-1] - places[0]:
            cut = len(ordered) // 2
        found += [ordered[:cut], ordered[cut:]]
    return [part for part in found if part]


def _loads(units: list[_Unit]) -> int:
    return sum(len(loads) for loads, _ in units)


def _extent(units: list[_Unit]) -> tuple[int, int]:
    """Width and height of the rectangle that units lie in."""
    if not units:
        return 0, 0
    xs, ys = zip(*(place for _, place in units), strict=True)
    return max(xs) - min(xs), max(ys) - min(ys)
