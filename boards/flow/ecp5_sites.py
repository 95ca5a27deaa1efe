"""Sites of block RAM and multipliers, chosen for the logic that a first placement put around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pulsefold.boards.flow.ecp5_placement import Placement

__all__ = ["fix_blocks"]

#: What stands at few places of the chip, in rows far from each other.
_BLOCKS = ("DP16KD", "MULT18X18D")

#: Nets of more cells than this, the clocks', reach everywhere wherever a block is.
_MOST_CELLS = 512

#: Blocks are connected with each other too, so that what one assignment finds changes the next one's costs.
_ROUNDS = 3


def fix_blocks(module: dict[str, Any], placement: Placement) -> None:
    """Fix large blocks of a netlist, in place, at the sites that they should have, out of those they took.

    The placer finds the places of blocks and logic together, then moves the blocks to what sites are left,
    one after the other, and the logic after them. Here those of one kind exchange their sites so that the
    half perimeters of their nets add up to the least (H. W. Kuhn, "The Hungarian method for the assignment
    problem", 1955), with the logic where it is. The placement has them at their new sites then.

    Parameters
    ----------
    module
        Entry of ``modules`` of a Yosys JSON netlist.
    placement
        Where its cells were placed.
    """
    cells = module["cells"]
    nets = _nets(cells, placement)
    for _ in range(_ROUNDS):
        for kind in _BLOCKS:
            blocks = [name for name, cell in cells.items() if cell["type"] == kind and name in placement.at]
            if not blocks:
                continue
            sites = [placement.bels[name] for name in blocks]
            places = np.array([placement.at[name] for name in blocks])
            costs = np.array([_costs(nets[name], placement.at, places) for name in blocks])
            for i, j in zip(*linear_sum_assignment(costs), strict=True):
                placement.move(blocks[i], sites[j])
    for name, cell in cells.items():
        if cell["type"] in _BLOCKS and name in placement.at:
            cell["attributes"]["BEL"] = placement.bels[name]


def _nets(cells: Mapping[str, Any], placement: Placement) -> dict[str, list[list[str]]]:
    """For each block the other cells of each of its nets."""
    members: dict[int, set[str]] = defaultdict(set)
    for name, cell in cells.items():
        if name not in placement.at:
            continue
        for bits in cell["connections"].values():
            for bit in bits:
                if isinstance(bit, int):
                    members[bit].add(name)
    found: dict[str, list[list[str]]] = defaultdict(list)
    for names in members.values():
        if not 1 < len(names) <= _MOST_CELLS:
            continue
        for name in names:
            if cells[name]["type"] in _BLOCKS:
                found[name].append([n for n in names if n != name])
    return found


def _costs(nets: list[list[str]], at: Mapping[str, tuple[int, int]], places: np.ndarray) -> np.ndarray:
    """Half perimeters of a block's nets, added up, at each of `places`, (n, 2)."""
    total = np.zeros(len(places))
    for names in nets:
        others = np.array([at[name] for name in names])
        low, high = np.minimum(others.min(axis=0), places), np.maximum(others.max(axis=0), places)
        total += (high - low).sum(axis=1)
    return total
