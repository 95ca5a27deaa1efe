"""Which deep stream buffers lie in LUT RAM where they fill no block, so that none stays empty."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from pulsefold.compiler.plan.network import Network
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target, placed
from pulsefold.compiler.plan.units import Unit
from pulsefold.compiler.plan.units.memory import buffer_style, parts_of

__all__ = ["MOST_ENTRIES", "in_lut_ram", "layers_to_fill"]

#: Entries above which LUT RAM is no memory for what is read with every beat of its layer.
MOST_ENTRIES = 1024

#: The same of stream buffers, and of the rest of those that fill some blocks.
_MOST_BUFFERED = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """What a layer's buffers in LUT RAM take more, and blocks empty beyond what may be that they save."""

    layer: str
    cost: Resources
    saved: float


def in_lut_ram(network: Network, layers: Collection[str]) -> Network:
    """The same network, rings of the deep buffers behind some layers in LUT RAM where they fill no block."""
    units = (
        small(unit) if owner in layers else unit
        for unit, owner in zip(network.units, network.owners, strict=True)
    )
    return replace(network, units=tuple(units))


def small(unit: Unit) -> Unit:
    """The same unit with its rings in blocks as far as these are full, and in LUT RAM."""
    return unit.with_rings(("full",) * len(unit.rings))


def layers_to_fill(network: Network, target: Target, cost: Resources) -> list[str]:
    """Layers whose buffers are to lie in LUT RAM, so that a design of a cost is filled or comes nearer to it.

    Those that save the most empty blocks for their LUTs come first while they fit; no more than it takes.

    Parameters
    ----------
    network, cost
        Units with their buffers, and what the design takes, board support included.
    target
        What for: its padding, and what it has.
    """
    empty = target.padding_beyond(cost)
    if target.family == "ice40":
        return []
    taken: list[_Move] = []
    for move in sorted(moves_of(network, target), key=lambda move: move.cost.luts / move.saved):
        if empty > 0 and not target.shortage(cost + move.cost - target.reserved):
            taken.append(move)
            empty, cost = empty - move.saved, cost + move.cost
    for move in sorted(taken, key=lambda move: -move.cost.luts):
        if empty + move.saved <= 0:
            taken.remove(move)
            empty += move.saved
    return [move.layer for move in taken]


def moves_of(network: Network, target: Target) -> list[_Move]:
    """What can be saved at each layer that has deep buffers, where anything can."""
    costs: dict[str, Resources] = {}
    deepest: dict[str, int] = {}
    for unit, owner in zip(network.units, network.owners, strict=True):
        rings = [
            parts_of(target.family, depth, stream.width, "full")
            for stream, depth in zip(unit.outputs, unit.buffer_depths, strict=True)
            if buffer_style(target.family, depth, stream.width) == "block"
        ]
        # LUT RAM is cut into parts in turn: what is small of a ring is all of them.
        deep = [sum(words for words, style in parts if style == "small") for parts in rings]
        if deep:
            before, after = (placed(u.cost(target.family), target.family) for u in (unit, small(unit)))
            costs[owner] = costs.get(owner, Resources()) + after - before
            deepest[owner] = max(deepest.get(owner, 0), *deep)
    moves = [
        _Move(layer=layer, cost=cost, saved=-target.padding_beyond(cost)) for layer, cost in costs.items()
    ]
    return [move for move in moves if move.saved > 0 and deepest[move.layer] <= _MOST_BUFFERED]
