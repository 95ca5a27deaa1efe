"""How much better foldings could be at most: bounds that prices prove.

Any prices w >= 0 of the resources bound what choices cost from below, as each layer's cheapest choice at
these prices stands in for all others: sum over layers of min over choices of (cost + w . share) - w . room is
no more than the cost of any choices that fit in the room. Prices are made better step by step; wherever they
stop, the bound holds. It is of layers as they are priced: without what joins them, and with the cycles of
windows that never pause, but not the rows that they then need.
Source: Everett, Generalized Lagrange Multiplier Method, Operations Research 11 (1963).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.resources import COUNTS
from pulsefold.compiler.plan.search import PRICES, Table, room_of, shares_of
from pulsefold.compiler.plan.target import Target

__all__ = ["Bound", "bound_of", "fewest_cycles"]

#: Steps in which prices are made better.
_STEPS = 300

#: Combinations of choices that are looked at one by one.
_MOST_COMBINED = 4_000_000

#: What sums of fractions miss by rounding.
_ROUNDING = 1e-9


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
    layers = [
        (np.array([c.least_cycles for c in choices]), shares_of(choices, target))
        for choices in table.values()
    ]
    least = max(int(cycles.min()) for cycles, _ in layers)
    every = sorted({int(n) for cycles, _ in layers for n in cycles if n >= least})

    def may_fit(cycles: int) -> bool:
        return not too_large([shares[own <= cycles, :-1] for own, shares in layers])

    return every[min(bisect_left(every, True, key=may_fit), len(every) - 1)]


def too_large(shares: Sequence[np.ndarray]) -> bool:
    """Whether prices prove that no choices [n, resources] of the layers take at most the whole of each.

    Resources of which the cheapest choices take more than there is become dearer (multiplicative weights).
    """
    prices = np.full(shares[0].shape[1], 1 / shares[0].shape[1])
    for step in range(_STEPS):
        use = np.sum([s[np.argmin(s @ prices)] for s in shares], axis=0)
        over = use - 1
        if prices @ over > _ROUNDING:
            return True
        if over.max() <= 0:
            return False
        prices *= np.exp(over / max(np.abs(over).max(), _ROUNDING) / np.sqrt(step + 1))
        prices /= prices.sum()
    return False


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
    used, shares = np.zeros(len(PRICES)), []
    for name, choices in table.items():
        fast = [c for c in choices if c.least_cycles <= cycles]
        own = shares_of(fast, target)
        shares.append(own)
        used += own[[c.fold for c in fast].index(folds[name])]
    room = np.ones(len(PRICES))
    room[-1] = max(used[-1], -target.padding_beyond(target.reserved) / room_of(target)[COUNTS.index("brams")])
    known = float(PRICES[:-1] @ used[:-1])
    gap = max(0.0, 1 - least_cost(shares, room, known) / known)
    return Bound(cycles=fewest_cycles(table, target), gap=gap)


def least_cost(shares: Sequence[np.ndarray], room: np.ndarray, known: float) -> float:
    """A cost that no choices [n, resources and padding] that fit are below, where some have the `known` one.

    Prices follow what is over by steps that would reach the known cost (Polyak), shorter where they do not
    help. Choices that the best prices prove to be in nothing below the known cost are then left out, and of
    the others, where they are few, all combinations are looked at.
    """
    extra, best, pace = np.zeros(len(room)), -np.inf, 1.0
    prices = extra
    base = np.append(PRICES[:-1], 0.0)
    for _ in range(_STEPS):
        use = np.sum([s[np.argmin(s @ (base + extra))] for s in shares], axis=0)
        over = use - room
        bound = float(base @ use + extra @ over)
        if bound <= best:
            pace *= 0.95
        else:
            best, prices = bound, extra
        slope = np.where((extra > 0) | (over > 0), over, 0.0)
        length = float(slope @ slope)
        if known - bound <= _ROUNDING or length <= _ROUNDING**2:
            break
        extra = np.maximum(extra + pace * (known - bound) / length * slope, 0.0)
    priced = [s @ (base + prices) for s in shares]
    left = known - best + _ROUNDING
    near = [(own - own.min() <= left).nonzero()[0] for own in priced]
    sums = combined(
        [s[k] for s, k in zip(shares, near, strict=True)],
        [own[k] - own.min() for own, k in zip(priced, near, strict=True)],
        left,
    )
    if sums is None:
        return best
    costs = sums[np.all(sums <= room + _ROUNDING, axis=1)] @ base
    return max(best, min(known, float(costs.min(initial=known))))


def combined(shares: Sequence[np.ndarray], above: Sequence[np.ndarray], left: float) -> np.ndarray | None:
    """What choices take together that are `above` each layer's cheapest by no more than is `left`, in sum.

    None where these are too many.
    """
    sums, excess = np.zeros((1, shares[0].shape[1])), np.zeros(1)
    for own, more in zip(shares, above, strict=True):
        if len(sums) * len(own) > _MOST_COMBINED:
            return None
        both = excess[:, None] + more
        first, second = (both <= left).nonzero()
        sums, excess = sums[first] + own[second], both[first, second]
    return sums
