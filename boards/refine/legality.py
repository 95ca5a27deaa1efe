"""Whether a placement is one that the device has."""

from __future__ import annotations

import numpy as np

from pulsefold.boards.refine.packed import BEL, Flag, PackedDesign
from pulsefold.errors import ToolFailedError

__all__ = ["check_moved"]


def check_moved(before: PackedDesign, after: PackedDesign) -> None:
    """Check a placement against the one that it was made from, by the rules of :class:`PackedDesign`.

    Parameters
    ----------
    before
        As it was read; what its arrays of places say now does not matter.
    after
        Read from the module that the new places were written to.

    Raises
    ------
    ToolFailedError
        If cells share a site, or a rule is broken: an error of ours, and a circuit that would be another one.
    """
    wrong = list(after.unknown)
    sites = [cell["attributes"][BEL] for cell in after.cells.values()]
    if len(set(sites)) < len(sites):
        wrong.append("two cells at one site")
    for block in np.unique(before.block_class[before.block_class >= 0]):
        members = np.flatnonzero(before.block_class == block)
        if {sites[k] for k in members} != {before.sites[k] for k in members}:
            wrong.append("a block at a site that was no block's of its class")
    fixed = (before.flags & Flag.MOVABLE) == 0
    if any(sites[k] != before.sites[k] for k in np.flatnonzero(fixed)):
        wrong.append("a cell moved that must not")
    wrong += _clusters(before, after)
    wrong += _flip_flops(after)
    if wrong:
        raise ToolFailedError("the refined placement is not legal", why="\n".join(wrong[:10]))


def _clusters(before: PackedDesign, after: PackedDesign) -> list[str]:
    """Clusters that are not where they were, as a whole."""
    inside = np.flatnonzero(before.cluster >= 0)
    order = inside[np.argsort(before.cluster[inside], kind="stable")]
    same = before.cluster[order][1:] == before.cluster[order][:-1]
    dx, dy = after.x[order] - before.origin[0][order], after.y[order] - before.origin[1][order]
    torn = same & ((np.diff(dx) != 0) | (np.diff(dy) != 0))
    turned = before.origin[2][order] != after.slot[order]
    return ["a cluster is torn"] * int(torn.any()) + ["a cluster is in other slots"] * int(turned.any())


def _flip_flops(after: PackedDesign) -> list[str]:
    """Rules of tiles and slices that are broken."""
    wrong = []
    lut, ff = (np.flatnonzero(after.flags & flag) for flag in (Flag.LUT, Flag.FLIP_FLOP))
    tile = (after.y.astype(np.int64) << 16) + after.x
    piece = (tile << 2) + after.slot // 2
    slot = (tile << 3) + after.slot
    for place, key, what in (
        (tile, after.tile_nets, "clock or reset"),
        (piece, after.slice_nets, "clock enable"),
    ):
        pairs = np.unique(np.stack([place[ff], key[ff].astype(np.int64)]), axis=1)
        if len(np.unique(pairs[0])) < pairs.shape[1]:
            wrong.append(f"flip-flops beside each other have not the same {what}")
    carry = (after.flags[lut] & Flag.CARRY) > 0
    if np.intersect1d(piece[lut][carry], piece[lut][~carry]).size:
        wrong.append("a LUT in a slice of a carry chain")
    using = after.flags & Flag.LUT_USES_M > 0, after.flags & Flag.FF_USES_M > 0
    if np.intersect1d(slot[using[0]], slot[using[1]]).size:
        wrong.append("an input M used twice")
    return wrong
