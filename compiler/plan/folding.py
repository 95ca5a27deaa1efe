"""Folding search: PE, SIMD and memories of every layer for a rate, or the highest rate that fits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from pulsefold.compiler.ir import Conv
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.errors import DoesNotFitError

__all__ = ["Choice", "choices_of", "divisors", "fastest_that_fits", "fold_for_cycles"]

#: Block RAM below this depth wastes most of itself.
_LEAST_BLOCK_DEPTH = 24

#: Width in bits above which a matrix unit's beat is no longer routable.
_WIDEST_BEAT = 1024


def divisors(n: int) -> list[int]:
    """Divisors of `n`, ascending."""
    low = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One folding of one layer, what it costs and how long a frame takes."""

    fold: Fold
    cycles: int
    cost: Resources


def cost_of(layer: Layer, fold: Fold, family: str) -> Choice:
    """Cycles and cost of a layer under a folding."""
    units = layer.units(fold)
    cost = sum((u.cost(family) for u in units), Resources())
    return Choice(fold=fold, cycles=max(u.cycles for u in units), cost=cost)


def folds_of(layer: Layer, target: Target) -> list[Fold]:
    """Every folding worth looking at."""
    if not isinstance(layer.node, Conv):
        return [Fold(simd=d) for d in divisors(layer.x.shape[2]) if d * layer.x.type.bits <= _WIDEST_BEAT]
    rows, columns = layer.matrix
    kind, weight = layer.operand, layer.node.weight_type
    multipliers = ["lut"]
    if min(kind.bits, weight.bits) >= 4 and target.available.dsps > 0:
        multipliers.append("dsp")
    folds = []
    pixels = layer.y.shape[0] * layer.y.shape[1]
    for pe in divisors(rows):
        for simd in divisors(columns):
            depth = rows * columns // (pe * simd)
            if simd * kind.bits > _WIDEST_BEAT or pe * simd > 4 * target.available.luts:
                continue
            # The window sends gcd(channels, SIMD) lanes a cycle; a much wider matrix unit would only wait.
            if layer.windowed and converted_cycles(layer, simd) > 2 * pixels * depth:
                continue
            memories = ["lut"] if depth < _LEAST_BLOCK_DEPTH else ["block", "lut"]
            if depth > 512:
                memories = ["block"]
            folds += [Fold(pe=pe, simd=simd, memory=m, multiplier=k) for m in memories for k in multipliers]
    return folds


def converted_cycles(layer: Layer, simd: int) -> int:
    """Beats a frame that the window sends for a SIMD."""
    pixels = layer.y.shape[0] * layer.y.shape[1]
    return pixels * layer.matrix[1] // gcd(layer.x.shape[2], simd)


def choices_of(layer: Layer, target: Target) -> list[Choice]:
    """The foldings of a layer that no other beats in both cycles and load, fastest last."""
    every = [cost_of(layer, fold, target.family) for fold in folds_of(layer, target)]
    every.sort(key=lambda c: (c.cycles, target.load(c.cost)))
    kept: list[Choice] = []
    for choice in every:
        if not kept or target.load(choice.cost) < target.load(kept[-1].cost):
            kept.append(choice)
    return kept[::-1]


def fold_for_cycles(choices: Sequence[Choice], cycles: int) -> Choice | None:
    """The smallest choice that takes at most `cycles`."""
    # Ordered from slow and small to fast and large.
    return next((c for c in choices if c.cycles <= cycles), None)


def total(chosen: Sequence[Choice]) -> Resources:
    """Sum of costs."""
    return sum((c.cost for c in chosen), Resources())


def fastest_that_fits(table: Mapping[str, list[Choice]], target: Target) -> tuple[int, dict[str, Fold]]:
    """Fewest cycles a frame whose smallest foldings fit the target together.

    Raises
    ------
    DoesNotFitError
        If even the slowest folding is too large.
    """
    every = sorted({c.cycles for choices in table.values() for c in choices}, reverse=True)
    slowest = max(choices[0].cycles for choices in table.values())
    every = [c for c in every if c <= slowest]

    def chosen(cycles: int) -> list[Choice] | None:
        picks = [fold_for_cycles(choices, cycles) for choices in table.values()]
        return None if None in picks else [p for p in picks if p]

    def too_much(cycles: int) -> bool:
        picks = chosen(cycles)
        return picks is None or target.shortage(total(picks)) is not None

    index = bisect_left(every, True, key=too_much)
    if index == 0:
        need = total(chosen(slowest) or [])
        name, n, have = target.shortage(need) or ("luts", need.luts, 0)
        raise DoesNotFitError(
            f"the smallest folding needs {n:.0f} {name}, {target.board} has {have:.0f} to use",
            todo="take a larger board or a smaller network",
        )
    picks = chosen(every[index - 1]) or []
    return every[index - 1], {name: c.fold for name, c in zip(table, picks, strict=True)}
