"""Which folding each layer gets, so that all fit together: an integer program, solved with proof.

One choice a layer (a variable of 0 or 1 each), sums of resources within what there is, block RAM no emptier
than may be; least at prices of the resources. A multiple-choice knapsack of few resources: its relaxation is
so near that branching hardly happens.
Source: HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018), as scipy brings it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, inf

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.resources import COUNTS, Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.compiler.plan.units.memory import block_bits
from pulsefold.errors import DoesNotFitError

__all__ = [
    "SLOWER",
    "Choice",
    "Found",
    "Program",
    "Table",
    "fastest_that_fits",
    "pruned",
    "smallest_for",
    "total",
]

#: What the whole of each resource is worth, in the order of COUNTS. Block RAM and multipliers are there
#: anyway and cost no routing: logic weighs more as long as they last.
PRICES = np.array([8.0, 0.1, 1.0, 1.0])

#: What the whole of the block RAM is worth as padding beyond what may be, where that much cannot be helped.
#: On an ECP5-85F an empty block is worth some 100 LUTs; at three times that, binary networks pay a quarter of
#: their logic for blocks that nothing else wants.
EMPTY_PRICE = 2.0

#: Cycles of a frame over the least that fit, up to which a plan that leaves little block RAM empty is the
#: fastest.
SLOWER = 1.75

#: Share of the cost by which what is found may be above the least.
_GAP = 1e-4

#: Relaxations solved before the best found so far is taken.
_NODES = 2000

#: What is left to the solver to miss limits by: of shares of resources, and of each block.
_MISS = 2e-6

#: Choices compared at once for being better in nothing.
_COMPARED = 256

#: What all of a resource weighs where it is short.
_SHORT = 1e3

#: Variables beside the choices.
_BESIDE = 2 + len(COUNTS)

_BRAMS = COUNTS.index("brams")

#: Shares above which a choice that does not fit weighs no more: resources that are not there have none.
_MOST_SHORT = 1e3


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


def counts_of(choices: Sequence[Choice]) -> np.ndarray:
    """float64 [choices, resources and bits in block RAM]."""
    fields = (*COUNTS, "bram_bits")
    return np.array([[float(getattr(c.cost, name)) for name in fields] for c in choices])


def front(rows: np.ndarray) -> np.ndarray:
    """Numbers of the rows of which no other is at most as large everywhere; of equal ones the first."""
    order = np.lexsort(rows.T[::-1])
    found = np.empty((0, rows.shape[1]))
    places = [order[:0]]
    for start in range(0, len(order), _COMPARED):
        part = order[start : start + _COMPARED]
        part = part[~at_most(found, rows[part]).any(axis=0)]
        # What is before another in this order alone can be better.
        part = part[~np.triu(at_most(rows[part], rows[part]), 1).any(axis=0)]
        found = np.vstack([found, rows[part]])
        places.append(part)
    return np.sort(np.concatenate(places))


def at_most(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """bool [rows of a, rows of b]: whether the one is nowhere above the other."""
    result = np.ones((len(a), len(b)), bool)
    for one, other in zip(a.T, b.T, strict=True):
        result &= one[:, None] <= other + 1e-12
    return result


def pruned(choices: Sequence[Choice]) -> list[Choice]:
    """Without those that another is as good as, whatever the board."""
    counts = counts_of(choices)
    cycles = [(c.cycles, c.least_cycles) for c in choices]
    # Empty blocks are weighed by the board's padding: fewer bits are no better than more.
    rows = np.column_stack([cycles, counts[:, :-1], -counts[:, -1], *halves_of(counts)])
    return [choices[k] for k in front(rows)]


def halves_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns by which only costs compare that both have half a block or both have not: halves are shared."""
    half = counts[:, _BRAMS] % 1
    return half, -half


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the solver found.

    Parameters
    ----------
    chosen
        A choice a layer.
    bound
        Cost at the prices below which there is none.
    """

    chosen: dict[str, Choice]
    bound: float


class Program:
    """The integer program of a table and a target.

    Parameters
    ----------
    table, target
        Choices of each layer, and what for.
    pausing
        Whether frames take as long as windows with the rows counted on need, or as long as those that never
        pause.
    """

    def __init__(self, table: Table, target: Target, *, pausing: bool = True) -> None:
        self.target = target
        self.names = list(table)
        self.choices = list(table.values())
        self.counts = [counts_of(choices) for choices in self.choices]
        self.cycles = [
            np.array([c.cycles if pausing else c.least_cycles for c in choices]) for choices in self.choices
        ]
        #: What there is of each resource; where there is none, less than anything takes.
        self.block = block_bits(target.family)
        self.room = np.array([max(float(getattr(target.available, name)), 0.25) for name in COUNTS])

    @cached_property
    def every(self) -> list[int]:
        """Cycles a frame that plans may have, ascending."""
        least = max(int(own.min()) for own in self.cycles)
        return sorted({int(n) for own in self.cycles for n in own if n >= least})

    def price(self, cost: Resources) -> float:
        """What resources are worth."""
        return float(
            sum(p * getattr(cost, name) / n for name, p, n in zip(COUNTS, PRICES, self.room, strict=True))
        )

    def solve(
        self, cycles: int, *, most_empty: float = inf, least: bool = True, short: bool = False
    ) -> Found | None:
        """The least cost that fits; None: there is none.

        Parameters
        ----------
        cycles
            Cycles a frame at the most.
        most_empty
            Blocks that may hold nothing beyond the target's padding, of the whole design; where this is
            infinite, the allowance is free and more has its price.
        least
            Whether the least cost is asked for, or anything that fits.
        short
            Whether resources may be short, by as little as can be.
        """
        kept = [self.kept(k, cycles, short=short) for k in range(len(self.choices))]
        if not all(len(places) for places in kept):
            return None
        counts = np.vstack([own[places] for own, places in zip(self.counts, kept, strict=True)])
        shares = np.minimum(counts[:, :-1] / self.room, _MOST_SHORT)
        n, free = len(counts), most_empty == inf
        # Behind the choices: whole blocks, those empty beyond what may be, what is short of each resource.
        cost, highest = np.zeros(n + _BESIDE), np.full(n + _BESIDE, inf)
        cost[:n], cost[n + 1] = shares @ PRICES, EMPTY_PRICE / self.room[_BRAMS]
        cost[n + 2 :] = _SHORT
        highest[:n], highest[n + 1], highest[n + 2 :] = 1, inf if free else 0, inf if short else 0
        found = milp(
            cost,
            constraints=[
                LinearConstraint(self.one_each(kept), 1, 1),
                self.within(shares),
                self.filled(counts, 0.0 if free else most_empty),
            ],
            integrality=np.arange(n + _BESIDE) <= n,
            bounds=Bounds(0, highest),  # type: ignore[arg-type] # an array, as within at_the_most
            options={"mip_rel_gap": _GAP if least else inf, "node_limit": _NODES},
        )
        if found.x is None:
            return None
        ends = np.cumsum([len(places) for places in kept])
        taken = [
            places[int(np.argmax(found.x[end - len(places) : end]))]
            for places, end in zip(kept, ends, strict=True)
        ]
        chosen = {name: own[k] for name, own, k in zip(self.names, self.choices, taken, strict=True)}
        return Found(chosen=chosen, bound=float(found.mip_dual_bound))

    def kept(self, layer: int, cycles: int, *, short: bool) -> np.ndarray:
        """Choices of a layer that are fast enough, fit by themselves and have no other that is as good."""
        counts = self.counts[layer]
        may = self.cycles[layer] <= cycles
        if not short:
            may &= np.all(counts[:, :-1] <= self.room + 0.25, axis=1)
        (places,) = may.nonzero()
        counts = counts[places]
        empty = (1 - self.target.padding) * counts[:, _BRAMS] - counts[:, -1] / self.block
        return places[front(np.column_stack([counts[:, :-1], empty, *halves_of(counts)]))]

    def one_each(self, kept: Sequence[np.ndarray]) -> csr_array:
        """Sums of the choices of each layer."""
        lengths = [len(places) for places in kept]
        n = sum(lengths)
        rows = np.repeat(np.arange(len(kept)), lengths)
        return csr_array((np.ones(n), (rows, np.arange(n))), shape=(len(kept), n + _BESIDE))

    def within(self, shares: np.ndarray) -> LinearConstraint:
        """Shares of resources without what is short, and the limits of that."""
        most = np.full(len(COUNTS), 1 - _MISS)
        for k in (_BRAMS, COUNTS.index("dsps")):
            # They are counted in halves.
            most[k] = (floor(2 * self.room[k] + _MISS) + 0.5) / 2 / self.room[k]
        rows = np.hstack([shares.T, np.zeros((len(COUNTS), 2)), -np.eye(len(COUNTS))])
        return at_the_most(rows, most)

    def filled(self, counts: np.ndarray, most_empty: float) -> LinearConstraint:
        """Blocks without whole ones, and blocks that hold nothing beyond what may be; the limits of both."""
        target, n = self.target, len(counts)
        # Two halves of what is not chosen here are a whole already.
        half = round(2 * target.reserved.brams) % 2 / 2
        rows = np.zeros((2, n + _BESIDE))
        rows[0, :n], rows[0, n] = counts[:, _BRAMS], -1
        rows[1, :n], rows[1, n] = -counts[:, -1] / self.block, 1 - target.padding + _MISS
        rows[1, n + 1] = -1
        rest = (1 - target.padding) * half - target.padding_beyond(target.reserved)
        return at_the_most(rows, np.array([0.25 - half, rest + most_empty]))

    def fewest(self, low: int, high: int, *, most_empty: float = inf) -> int | None:
        """The fewest cycles a frame from `low` to `high` that fit; None: none do.

        What fits in some cycles fits in more.
        """
        every = self.every[bisect_left(self.every, low) : bisect_left(self.every, high + 1)]

        def fits(cycles: int) -> bool:
            return self.solve(cycles, most_empty=most_empty, least=False) is not None

        if not every or not fits(every[-1]):
            return None
        return every[bisect_left(every, True, hi=len(every) - 1, key=fits)]

    def smallest(self, cycles: int) -> dict[str, Choice] | None:
        """The least that fits, filled where that can be; else what comes nearest; None: a layer is slower."""
        found = self.solve(cycles, most_empty=0) or self.solve(cycles) or self.solve(cycles, short=True)
        return found.chosen if found else None


def at_the_most(rows: np.ndarray, limits: np.ndarray) -> LinearConstraint:
    """Rows [limits, variables] times variables, none above its limit."""
    # The stubs know of one limit for all rows only.
    return LinearConstraint(csr_array(rows), -inf, limits)  # type: ignore[arg-type]


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
    return Program(table, target).smallest(cycles)


def fastest_that_fits(table: Table, target: Target, *, slower: float = 1.0) -> dict[str, Choice]:
    """The foldings with the fewest cycles a frame among those that fit together.

    Or up to `slower` times as many where they leave no more of the block RAM empty than may be.

    Raises
    ------
    DoesNotFitError
        If even the slowest folding is too large.
    """
    program = Program(table, target)
    slowest = program.every[-1]
    fastest = program.fewest(0, slowest)
    if fastest is None:
        nearest = program.smallest(slowest)
        assert nearest
        shortage = target.shortage(total(list(nearest.values())))
        name, n, have = shortage or ("luts", 0, target.available.luts)
        raise DoesNotFitError(
            f"the smallest folding ({slowest} cycles a frame) needs {n:.0f} {name}, "
            f"{target.board} has {have:.0f} to use",
            todo="take a larger board or a smaller network",
        )
    most = int(min(slower * fastest, slowest))
    chosen = program.smallest(program.fewest(fastest, most, most_empty=0) or fastest)
    assert chosen
    return chosen
