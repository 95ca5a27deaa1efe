"""How many wires of a placed design lie where, and what wire costs where there are too many."""

from __future__ import annotations

import numpy as np

from pulsefold.boards.refine.packed import PackedDesign

__all__ = ["WireDensity"]

#: Wire of a net over half the perimeter of its box, by pins: Cheng, "RISA: accurate and efficient placement
#: routability modeling", ICCAD 1994, table 1.
_PINS = (3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 35, 40, 45, 50)
_BRANCHES = (
    *(1.0, 1.0828, 1.1536, 1.2206, 1.2823, 1.3385, 1.3991, 1.4493),
    *(1.6899, 1.8924, 2.0743, 2.2334, 2.3895, 2.5356, 2.6625, 2.7933),
)

#: Wires along one axis that a tile has room for. There are some 84 (two tracks of one tile, sixteen of two,
#: eight of six tiles each way), of which the router finds so many.
_ROOM = 40.0

#: Tiles of wire that a tile of wire costs besides where there are twice as many as there is room for.
_PRICE = 6.0


class WireDensity:
    """Wires by tile, each net's spread evenly over its box.

    A net of w x h tiles has branches * (w - 1) tiles of wire along x and branches * (h - 1) along y.

    Parameters
    ----------
    design
        Whose `x` and `y` are read at each look.
    width, height
        Of the device, in tiles.

    Attributes
    ----------
    branches
        By net: its wire over half the perimeter of its box; 0 where all wires are dedicated. float32.
    """

    def __init__(self, design: PackedDesign, width: int, height: int) -> None:
        self._design, self._shape = design, (height, width)
        first = design.net_start[:-1]
        pins = np.diff(design.net_start)
        self.branches = np.interp(pins, _PINS, _BRANCHES).astype(np.float32)
        if len(first):
            self.branches[np.logical_and.reduceat(design.dedicated | design.drives, first)] = 0.0

    def look(self) -> np.ndarray:
        """Wires of each tile, along x and along y: shape (2, height, width)."""
        d, (height, width) = self._design, self._shape
        ends = np.zeros((2, height + 1, width + 1))
        if len(self.branches):
            first, x, y = d.net_start[:-1], d.x[d.net_pin], d.y[d.net_pin]
            left, right = np.minimum.reduceat(x, first), np.maximum.reduceat(x, first) + 1
            low, high = np.minimum.reduceat(y, first), np.maximum.reduceat(y, first) + 1
            w, h = right - left, high - low
            for axis, length in enumerate((w - 1, h - 1)):
                density = self.branches * length / (w * h)
                # What is added from a corner on: sums along both axes are boxes.
                np.add.at(ends[axis], (low, left), density)
                np.add.at(ends[axis], (low, right), -density)
                np.add.at(ends[axis], (high, left), -density)
                np.add.at(ends[axis], (high, right), density)
        return ends.cumsum(axis=1).cumsum(axis=2)[:, :-1, :-1]

    def prices(self) -> np.ndarray:
        """Tiles of wire that a tile of wire costs besides itself, along x and along y: as :meth:`look`."""
        return _PRICE * np.maximum(self.look() / _ROOM - 1, 0)
