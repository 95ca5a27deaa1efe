"""How much better foldings could be at most, by the solver's proof.

It is of layers as they are priced: without what joins them, and with the cycles of windows that never pause,
but not the rows that they then need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.search import Program, Table, total
from pulsefold.compiler.plan.target import Target

__all__ = ["Bound", "bound_of", "fewest_cycles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What is proven of a plan, among all foldings that were looked at.

    Parameters
    ----------
    cycles
        Cycles a frame below which no folding fits the board.
    gap
        Share of the layers' cost, at the planner's prices, by which it is at the most above the least that
        fits at the plan's rate with no more padding than is allowed or than it has.
    """

    cycles: int
    gap: float


def fewest_cycles(table: Table, target: Target) -> int:
    """Cycles a frame below which no choices of the layers fit together.

    Parameters
    ----------
    table, target
        Choices of each layer, and what for.
    """
    program = Program(table, target, pausing=False)
    slowest = program.every[-1]
    return program.fewest(0, slowest) or slowest


def bound_of(table: Table, target: Target, folds: Mapping[str, Fold], cycles: int) -> Bound:
    """What is proven of foldings that a search found.

    Parameters
    ----------
    table, target
        Choices of each layer, and what for.
    folds
        What was found, of the table.
    cycles
        Cycles a frame that were to be kept.
    """
    program = Program(table, target, pausing=False)
    # Where buffers lie is not of the table.
    known_folds = {name: replace(fold, buffers="block") for name, fold in folds.items()}
    own = total([next(c for c in choices if c.fold == known_folds[name]) for name, choices in table.items()])
    known = program.price(own)
    whole = target.reserved + own
    empty = target.padding_beyond(replace(whole, brams=ceil(whole.brams)))
    found = program.solve(cycles, most_empty=max(0.0, empty) + 1e-3)
    # Where nothing is left within the solver's accuracy, nothing is better either.
    gap = max(0.0, 1 - found.bound / known) if found else 0.0
    return Bound(cycles=fewest_cycles(table, target), gap=gap)
