"""Sites of block RAM and multipliers, chosen for the logic that a first placement put around them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["block_sites"]

#: What stands at few places of the chip, in rows far from each other.
_BLOCKS = ("DP16KD", "MULT18X18D")

#: Nets of more cells than this, the clocks', reach everywhere wherever a block is.
_MOST_CELLS = 512

#: Blocks are connected with each other too, so that what one assignment finds changes the next one's costs.
_ROUNDS = 3

#: Site as the placer writes it.
_SITE = re.compile(r"X(\d+)/Y(\d+)/")


def block_sites(module: Mapping[str, Any]) -> dict[str, str]:
    """The sites that large blocks should have, out of those that they took.

    The placer finds the places of blocks and logic together, then moves the blocks to what sites are left,
    one after the other, and the logic after them. Here those of one kind exchange their sites so that the
    half perimeters of their nets add up to the least (H. W. Kuhn, "The Hungarian method for the assignment
    problem", 1955), with the logic where it is.

    Parameters
    ----------
    module
        Entry of ``modules`` of the JSON that nextpnr wrote of a placed design.

    Returns
    -------
    dict
        Site by cell.
    """
    cells = module["cells"]
    taken = {n: c["attributes"]["NEXTPNR_BEL"] for n, c in cells.items() if "NEXTPNR_BEL" in c["attributes"]}
    at = {name: _place(site) for name, site in taken.items()}
    nets = _nets(cells, at)
    chosen = {name: taken[name] for name in at if cells[name]["type"] in _BLOCKS}
    for _ in range(_ROUNDS):
        for kind in _BLOCKS:
            blocks = [name for name in chosen if cells[name]["type"] == kind]
            if not blocks:
                continue
            sites = [chosen[name] for name in blocks]
            places = np.array([_place(site) for site in sites])
            costs = np.array([_costs(nets[name], at, places) for name in blocks])
            for i, j in zip(*linear_sum_assignment(costs), strict=True):
                chosen[blocks[i]] = sites[j]
            at |= {name: _place(chosen[name]) for name in blocks}
    return chosen


def _place(site: str) -> tuple[int, int]:
    found = _SITE.match(site)
    assert found, site
    return int(found[1]), int(found[2])


def _nets(cells: Mapping[str, Any], at: Mapping[str, tuple[int, int]]) -> dict[str, list[list[str]]]:
    """For each block the other cells of each of its nets."""
    members: dict[int, set[str]] = defaultdict(set)
    for name in at:
        for bits in cells[name]["connections"].values():
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
