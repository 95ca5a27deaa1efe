"""Sites of block RAM and multipliers, chosen for the logic that a first placement put around them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import cg

from pulsefold.boards.flow.ecp5_placement import Placement

__all__ = ["fix_blocks"]

#: What stands at few places of the chip, in rows far from each other.
_BLOCKS = ("DP16KD", "MULT18X18D")

#: Nets of more cells than this, the clocks', reach everywhere wherever a block is.
_MOST_CELLS = 512

#: Where blocks go changes where their logic does, and that where they should: after a few times hardly any.
_ROUNDS = 6

#: How much a cell is drawn to where it was placed, as a share of what its nets draw it with.
_ANCHOR = 0.02

#: How exactly, in how many steps, the places of logic are worked out.
_RESIDUE, _STEPS = 1e-3, 60


def fix_blocks(module: dict[str, Any], placement: Placement) -> None:
    """Fix large blocks of a netlist, in place, at the sites that they should have, out of those they took.

    The placer finds the places of blocks and logic together, then moves the blocks to what sites are left,
    one after the other, and the logic after them. Here those of one kind exchange their sites so that the
    half perimeters of their nets add up to the least (H. W. Kuhn, "The Hungarian method for the assignment
    problem", 1955). Between the exchanges logic moves to where the squares of its wires' lengths and of its
    way from where it was placed add up to the least (K. M. Hall, "An r-dimensional quadratic placement
    algorithm", 1970). The placement has all of them where they are then.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.
    placement
        Where its cells were placed.
    """
    cells = module["cells"]
    wires = _Wires(cells, placement)
    kinds = np.array([cells[name]["type"] for name in wires.names])
    blocks = [ids for kind in _BLOCKS if (ids := np.flatnonzero(kinds == kind).tolist())]
    if not blocks or not wires.nets:
        return
    sites = {i: placement.bels[wires.names[i]] for ids in blocks for i in ids}
    logic = wires.logic(np.isin(kinds, _BLOCKS))
    for turn in range(_ROUNDS):
        if turn:
            logic.follow()
        for ids in blocks:
            places, taken = wires.at[ids], [sites[i] for i in ids]
            costs = np.array([wires.lengths(i, places) for i in ids])
            for block, site in enumerate(linear_sum_assignment(costs)[1].tolist()):
                wires.at[ids[block]] = places[site]
                sites[ids[block]] = taken[site]
    for i, site in sites.items():
        cells[wires.names[i]]["attributes"]["BEL"] = site
    placement.at.update((name, (x, y)) for name, (x, y) in zip(wires.names, wires.at.tolist(), strict=True))


class _Wires:
    """The nets of a placed netlist, its cells by number.

    Attributes
    ----------
    names
        Of the cells.
    at
        float64 [cells, 2]: where they are.
    nets
        For each net the cells on it.
    """

    def __init__(self, cells: dict[str, Any], placement: Placement) -> None:
        self.names = [name for name in cells if name in placement.at]
        self.at = np.array([placement.at[name] for name in self.names], float).reshape(-1, 2)
        members: dict[int, set[int]] = defaultdict(set)
        for i, name in enumerate(self.names):
            for bits in cells[name]["connections"].values():
                for bit in bits:
                    if isinstance(bit, int):
                        members[bit].add(i)
        self.nets = [np.array(sorted(ids)) for ids in members.values() if 1 < len(ids) <= _MOST_CELLS]
        self._nets_of: dict[int, list[np.ndarray]] = defaultdict(list)
        for ids in self.nets:
            for i in ids:
                self._nets_of[i].append(ids[ids != i])

    def lengths(self, i: int, places: np.ndarray) -> np.ndarray:
        """Half perimeters of a cell's nets, added up, at each of `places`, (n, 2)."""
        total = np.zeros(len(places))
        for others in self._nets_of[i]:
            at = self.at[others]
            total += (np.maximum(at.max(axis=0), places) - np.minimum(at.min(axis=0), places)).sum(axis=1)
        return total

    def logic(self, fixed: np.ndarray) -> _Logic:
        """What is not `fixed`, a bool for each cell."""
        return _Logic(self, fixed)


class _Logic:
    """Cells that follow those that are fixed; a net draws each of its cells to a middle of its own."""

    def __init__(self, wires: _Wires, fixed: np.ndarray) -> None:
        self.wires, self.fixed = wires, fixed
        size = [len(ids) for ids in wires.nets]
        pins = np.concatenate(wires.nets), np.repeat(np.arange(len(size)), size)
        drawn = sparse.csr_matrix((np.ones(len(pins[0])), pins), shape=(len(fixed), len(size)))
        degrees = np.asarray(drawn.sum(axis=1)).ravel()
        self.anchors = np.concatenate([_ANCHOR * degrees, np.zeros(len(size))])
        self.free = np.concatenate([~fixed, np.ones(len(size), bool)])
        # A cell on no net stays where it is.
        still = np.concatenate([degrees == 0, np.zeros(len(size), bool)])
        whole = sparse.bmat(
            [[sparse.diags(degrees), -drawn], [-drawn.T, sparse.diags(np.array(size, float))]]
        )
        whole = (whole + sparse.diags(self.anchors + still)).tocsr()
        self.system, self.pull = whole[self.free][:, self.free], whole[self.free][:, ~self.free]
        self.start = np.concatenate([wires.at, np.zeros((len(size), 2))])
        self.home = self.start * (self.anchors + still)[:, None]

    def follow(self) -> None:
        """Move them."""
        target = self.home[self.free] - self.pull @ self.wires.at[self.fixed]
        for axis in (0, 1):
            guess = self.start[self.free, axis]
            self.start[self.free, axis], _ = cg(
                self.system, target[:, axis], x0=guess, rtol=_RESIDUE, maxiter=_STEPS
            )
        self.wires.at[~self.fixed] = self.start[: len(self.fixed)][~self.fixed]
