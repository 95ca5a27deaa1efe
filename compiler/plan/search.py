"""Which folding each layer gets, so that all fit together: prices of resources rise where they run short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.resources import COUNTS, Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.errors import DoesNotFitError

__all__ = [
    "PRICES",
    "SLOWER",
    "Choice",
    "Table",
    "fastest_that_fits",
    "room_of",
    "shares_of",
    "smallest_for",
    "total",
]

#: What the whole of each resource is worth at first, in the order of COUNTS, and behind them the whole of the
#: block RAM as padding beyond what may be. Block RAM and multipliers are there anyway and cost no
#: routing: logic weighs more as long as they last. On an ECP5-85F an empty block is worth some 100 LUTs; at
#: three times that, binary networks pay a quarter of their logic for blocks that nothing else wants.
PRICES = np.array([8.0, 0.1, 1.0, 1.0, 2.0])

#: Factors of the price of padding by which it is brought below what may be, one after the other.
_FILLING = (2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 4096.0)

#: Of what these prices lead to, how many are made better by exchanges of two layers at once.
_POLISHED = 3

#: Factors of the price of logic that are tried one after the other where nothing fits.
_LOGIC = (1.0, 0.5, 0.2)

#: Times that prices are raised where resources are short, before single layers are exchanged.
_RISES = 40

#: Cycles of a frame over the least that fit, up to which a plan that leaves little block RAM empty is the
#: fastest; plans of so much more are tried one after the other.
SLOWER = 1.75
_STEP = 1.01

#: Rates one after the other that do not fit before no higher one is tried.
_MISSES = 16

#: Nothing and all of a resource, which sums of fractions miss by rounding.
_NONE, _WHOLE = 1e-9, 1 + 1e-9

#: What a resource that is short weighs while layers are exchanged.
_SHORT = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One folding of one layer, what it costs and how long a frame takes.

    Parameters
    ----------
    fold, cost
        The folding, and resources.
    cycles
        Cycles a frame.
    least_cycles
        Cycles a frame when the window has rows enough never to pause; 0: as many as `cycles`.
    """

    fold: Fold
    cycles: int
    cost: Resources
    least_cycles: int = 0

    def __post_init__(self) -> None:
        if not self.least_cycles:
            object.__setattr__(self, "least_cycles", self.cycles)


Table = Mapping[str, Sequence[Choice]]


def total(chosen: Sequence[Choice]) -> Resources:
    """Sum of costs."""
    return sum((c.cost for c in chosen), Resources())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """Choices of a layer: cycles [n], and cost [n, resources] as fractions of what there is.

    Behind the resources stands the block RAM that is padding beyond what may be, below 0 where it is fuller.
    """

    choices: Sequence[Choice]
    cycles: np.ndarray
    shares: np.ndarray


def front(shares: np.ndarray) -> np.ndarray:
    """Rows of [n, resources and padding] of which no other takes as little of everything."""
    order = np.lexsort(shares.T[::-1])
    found = np.empty((0, shares.shape[1]))
    places = []
    for k in order:
        if not np.all(found <= shares[k] + 1e-12, axis=1).any():
            found = np.vstack([found, shares[k]])
            places.append(k)
    return np.array(places)


class _Found(NamedTuple):
    """Choices, whether they fit together, and whether they keep within the padding allowed."""

    chosen: dict[str, Choice]
    fits: bool
    full: bool


def used_by(shares: Sequence[np.ndarray], picks: Sequence[int]) -> np.ndarray:
    """Fraction of each resource that choices take together, and their padding."""
    return np.stack([s[k] for s, k in zip(shares, picks, strict=True)]).sum(axis=0)


def room_of(target: Target) -> np.ndarray:
    """What there is of each resource; where there is none, next to nothing."""
    return np.array([max(float(getattr(target.available, name)), 1e-9) for name in COUNTS])


def shares_of(choices: Sequence[Choice], target: Target) -> np.ndarray:
    """float64 [choices, resources and padding]: cost as fractions of what there is."""
    room = room_of(target)
    counts = np.array([[float(getattr(c.cost, name)) for name in COUNTS] for c in choices]) / room
    beyond = np.array([target.padding_beyond(c.cost) for c in choices]) / room[COUNTS.index("brams")]
    return np.column_stack([counts, beyond])


class _Search:
    """The choices of all layers as arrays."""

    def __init__(self, table: Table, target: Target) -> None:
        #: Share of the claimed blocks that is to hold something.
        self.filled = 1 - target.padding
        #: Padding of what is not chosen here, and blocks that it and all choices may take.
        self.blocks = room_of(target)[COUNTS.index("brams")]
        self.emptied = target.padding_beyond(target.reserved) / self.blocks
        self.halves = float(target.reserved.brams % 1)
        self.names = list(table)
        self.layers = [
            _Layer(
                choices=choices,
                cycles=np.array([c.cycles for c in choices]),
                shares=shares_of(choices, target),
            )
            for choices in table.values()
        ]

    def smallest(self, cycles: int, *, fill: bool = False) -> _Found | None:
        """The least load that fits, else what comes nearest; None: a layer is slower.

        With `fill`, one that leaves no more of the block RAM empty than may be where logic can do it.
        """
        fast = [np.flatnonzero(layer.cycles <= cycles) for layer in self.layers]
        if not all(len(places) for places in fast):
            return None
        shares = [layer.shares[places] for layer, places in zip(self.layers, fast, strict=True)]
        picks, used = [], np.full(len(PRICES), np.inf)
        for logic in _LOGIC:
            tried = self.exchange(shares, self.price(shares, PRICES * [logic, 1, 1, 1, 1]), PRICES)
            use = used_by(shares, tried)
            if use[:-1].max() < used[:-1].max():
                picks, used = tried, use
            if used[:-1].max() <= _WHOLE:
                break
        fits = bool(np.all(used[:-1] <= _WHOLE))
        if fill and fits:
            picks = self.fill(shares, picks, used)
            used = used_by(shares, picks)
        chosen = {
            name: layer.choices[places[k]]
            for name, layer, places, k in zip(self.names, self.layers, fast, picks, strict=True)
        }
        return _Found(chosen=chosen, fits=fits, full=bool(self.padding(used) <= _NONE))

    def fill(self, shares: list[np.ndarray], picks: list[int], used: np.ndarray) -> list[int]:
        """Choices that keep within the padding allowed, where any do and fit."""
        if self.padding(used) <= _NONE:
            return picks
        fronts = [front(s) for s in shares]
        narrowed = [s[places] for s, places in zip(shares, fronts, strict=True)]
        # What stands in for each pick: itself, or what takes no more of anything.
        first = [
            int(np.argmax(np.all(n <= s[k] + 1e-12, axis=1)))
            for n, s, k in zip(narrowed, shares, picks, strict=True)
        ]
        tried = []
        for factor in _FILLING:
            prices = PRICES * [1, 1, 1, 1, factor]
            # From what is there, and from what each layer by itself would take: either can end in a corner.
            starts = first, self.price(narrowed, prices)
            tried += [self.exchange(narrowed, start, prices) for start in starts]
        # Of those that come near, exchanges of two layers at once make the best.
        prices = PRICES * [1, 1, 1, 1, _FILLING[-2]]
        tried.sort(key=lambda found: float(self.worth(used_by(narrowed, found), prices)))
        prices = PRICES * [1, 1, 1, 1, _FILLING[-1]]
        least, filled = np.inf, None
        for near in tried[:_POLISHED]:
            found = self.exchange(narrowed, near, prices, pairs=True)
            use = used_by(narrowed, found)
            if use[:-1].max() <= _WHOLE and use[0] < least and self.padding(use) <= _NONE:
                filled, least = found, use[0]
        if filled is None:
            return picks
        return [int(places[k]) for places, k in zip(fronts, filled, strict=True)]

    def price(self, shares: list[np.ndarray], prices: np.ndarray) -> list[int]:
        """Each layer's cheapest choice; where a resource is short its price rises, and all choose again."""
        best, least = [], np.inf
        for _ in range(_RISES):
            picks = [int(np.argmin(s @ prices)) for s in shares]
            used = used_by(shares, picks)[: len(COUNTS)]
            over = float(used.max())
            if over < least:
                best, least = picks, over
            if over <= 1:
                break
            prices = prices * np.append(np.clip(used, 1.0, 3.0) ** 0.7, 1.0)
        return best

    def exchange(
        self, shares: list[np.ndarray], picks: list[int], prices: np.ndarray, *, pairs: bool = False
    ) -> list[int]:
        """Other choices of single layers, with `pairs` also of two, as long as the whole gets better."""
        picks = list(picks)
        used = used_by(shares, picks)
        groups: list[tuple[int, ...]] = [(layer,) for layer in range(len(shares))]
        if pairs:
            groups += combinations(range(len(shares)), 2)

        improved = True
        while improved:
            improved = False
            for group in groups:
                others = used
                for axis, layer in enumerate(group):
                    there = shares[layer] - shares[layer][picks[layer]]
                    others = others + np.expand_dims(there, tuple(k for k in range(len(group)) if k != axis))
                worths = self.worth(others, prices)
                best = np.unravel_index(int(np.argmin(worths)), worths.shape)
                if worths[best] < self.worth(used, prices) - 1e-9:
                    used, improved = others[best], True
                    for layer, k in zip(group, best, strict=True):
                        picks[layer] = int(k)
        return picks

    def worth(self, use: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """Of [..., resources and padding]: prices, what is short, padding beyond what is allowed."""
        short = np.maximum(use[..., :-1] - 1, 0).sum(axis=-1)
        padding = np.maximum(self.padding(use), 0)
        return use[..., :-1] @ prices[:-1] + prices[-1] * padding + _SHORT * short

    def padding(self, use: np.ndarray) -> np.ndarray:
        """Of [..., resources and padding]: the design's, with the half of a block that nobody shares."""
        half = np.rint(2 * (use[..., COUNTS.index("brams")] * self.blocks + self.halves)) % 2 / 2
        return use[..., -1] + self.emptied + self.filled * half / self.blocks


def smallest_for(table: Table, target: Target, cycles: int) -> dict[str, Choice] | None:
    """The smallest foldings for a frame in `cycles` that fit together; where none fit, what comes nearest.

    None if some layer cannot be that fast.

    Parameters
    ----------
    table, target
        Choices of each layer, and what for.
    cycles
        Cycles a frame at the most.
    """
    found = _Search(table, target).smallest(cycles, fill=True)
    return found.chosen if found else None


def fastest_that_fits(table: Table, target: Target, *, slower: float = 1.0) -> dict[str, Choice]:
    """The foldings with the fewest cycles a frame among those that fit together.

    Or up to `slower` times as many where they leave no more of the block RAM empty than may be.

    Raises
    ------
    DoesNotFitError
        If even the slowest folding is too large.
    """
    search = _Search(table, target)
    every = sorted({c.cycles for choices in table.values() for c in choices})
    slowest = every[-1]
    best = search.smallest(slowest)
    assert best
    if not best.fits:
        shortage = target.shortage(total(list(best.chosen.values())))
        name, n, have = shortage or ("luts", 0, target.available.luts)
        raise DoesNotFitError(
            f"the smallest folding ({slowest} cycles a frame) needs {n:.0f} {name}, "
            f"{target.board} has {have:.0f} to use",
            todo="take a larger board or a smaller network",
        )
    low, high = 0, len(every) - 1
    while low < high:
        middle = (low + high) // 2
        found = search.smallest(every[middle])
        if found and found.fits:
            high = middle
        else:
            low = middle + 1
    # Where little is left over, what is tried for some cycles may fail, and for fewer come out.
    fastest, misses = every[low], 0
    for cycles in reversed(every[:low]):
        found = search.smallest(cycles)
        if not found or misses == _MISSES:
            break
        fastest, misses = (cycles, 0) if found.fits else (fastest, misses + 1)
    bound = float(fastest)
    for cycles in every:
        if bound <= cycles <= slower * fastest:
            found = search.smallest(cycles, fill=True)
            if found and found.fits and found.full:
                return found.chosen
            bound = _STEP * cycles
    best = search.smallest(fastest)
    assert best
    return best.chosen
