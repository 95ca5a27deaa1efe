"""Folding search: PE, SIMD and memories of every layer for a rate, or the highest rate that fits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd

from pulsefold.compiler.ir import Conv, Requantize
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower import divisors, lanes_of, units_of
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.compiler.plan.units import Unit
from pulsefold.errors import DoesNotFitError

__all__ = [
    "Choice",
    "choices_of",
    "divisors",
    "fastest_that_fits",
    "frame_cycles",
    "pixels_of",
    "smallest_for",
    "total",
]

#: Block RAM below this depth wastes itself, and the wires to it: LUTs hold such words beside their use.
_LEAST_BLOCK_DEPTH = 48

#: Width in bits above which a matrix unit's beat is no longer routable.
_WIDEST_BEAT = 1024


#: Bits of a vector's elements up to which counting bits in carry cells is worth a look.
_FEW_BITS = 3

#: Pixels a cycle above which the exchange between banks is most of the window.
_MOST_PIXELS = 8

#: Weights of logic and of multipliers against memory that are tried, the preferred ones first.
BALANCES = ((4.0, 1.0), (2.0, 1.0), (1.0, 1.0), (0.5, 1.0), (4.0, 2.0), (4.0, 4.0), (2.0, 8.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One folding of one layer, what it costs and how long a frame takes."""

    fold: Fold
    cycles: int
    cost: Resources


def cost_of(layer: Layer, fold: Fold, family: str, known: dict[Unit, Resources]) -> Choice:
    """Cycles and cost of a layer under a folding; costs of units that other foldings have too are `known`."""
    units = units_of(layer, fold, family)
    for unit in units:
        if unit not in known:
            known[unit] = unit.cost(family)
    cost = sum((known[unit] for unit in units), Resources())
    return Choice(fold=fold, cycles=max(u.cycles for u in units), cost=cost)


def folds_of(layer: Layer, target: Target) -> list[Fold]:
    """Every folding worth looking at."""
    if not isinstance(layer.node, Conv) or layer.depthwise:
        widths = [d for d in lanes_of(layer) if d * layer.x.type.bits <= _WIDEST_BEAT]
        multipliers = ["lut", "dsp"] if layer.multiplies and target.available.dsps > 0 else ["lut"]
        memories = ["lut", "block"] if layer.depthwise else ["lut"]
        return [
            Fold(simd=simd, memory=memory, multiplier=multiplier)
            for simd in widths
            for memory in memories
            for multiplier in multipliers
        ]
    rows, columns = layer.matrix
    kind, weight = layer.operand, layer.node.weight_type
    multipliers = ["lut"]
    if min(kind.bits, weight.bits) >= 4 and target.available.dsps > 0:
        multipliers.append("dsp")
    adders = ["tree"]
    if target.family == "ecp5" and (kind.bits <= _FEW_BITS or weight.bits <= 1):
        adders.append("carry")
    folds = []
    for pe, simd, pixels in product(divisors(rows), divisors(columns), pixels_of(layer)):
        depth = rows * columns // (pe * simd)
        if pixels * simd * kind.bits > _WIDEST_BEAT or pe * simd * pixels > 4 * target.available.luts:
            continue
        # Several pixels are for what one a cycle does not give.
        if pixels > 1 and (simd % layer.x.shape[2] or pixels * rows * layer.y.type.bits > _WIDEST_BEAT):
            continue
        # The window sends gcd(channels, SIMD) lanes a cycle; a much wider matrix unit would only wait.
        if layer.windowed and converted_cycles(layer, simd) > 2 * layer.y.shape[0] * layer.y.shape[1] * depth:
            continue
        memories = ["lut"] if depth < _LEAST_BLOCK_DEPTH else ["block", "lut"]
        if depth > 512:
            memories = ["block"]
        folds += [
            Fold(pe=pe, simd=simd, pixels=pixels, memory=memory, multiplier=multiplier, adder=adder)
            for memory, multiplier, adder in product(memories, multipliers, adders)
        ]
    return folds


def pixels_of(layer: Layer) -> list[int]:
    """Numbers of pixels a cycle that a layer can take."""
    node = layer.node
    if not isinstance(node, Conv) or not layer.windowed or isinstance(layer.steps, Requantize):
        return [1]
    return [n for n in divisors(layer.y.shape[1]) if gcd(n, node.stride[1]) == 1 and n <= _MOST_PIXELS]


def converted_cycles(layer: Layer, simd: int) -> int:
    """Beats a frame that the window sends for a SIMD."""
    pixels = layer.y.shape[0] * layer.y.shape[1]
    return pixels * layer.matrix[1] // gcd(layer.x.shape[2], simd)


def choices_of(layer: Layer, target: Target) -> list[Choice]:
    """Every folding of a layer worth looking at."""
    known: dict[Unit, Resources] = {}
    return [cost_of(layer, fold, target.family, known) for fold in folds_of(layer, target)]


def best_of(choices: Sequence[Choice], target: Target, balance: tuple[float, float]) -> list[Choice]:
    """Those that no other beats in both cycles and load, slow and small first."""
    kept: list[tuple[float, Choice]] = []
    for load, _, choice in sorted(
        ((target.load(c.cost, *balance), k, c) for k, c in enumerate(choices)),
        key=lambda entry: (entry[2].cycles, entry[0], entry[1]),
    ):
        if not kept or load < kept[-1][0]:
            kept.append((load, choice))
    return [choice for _, choice in reversed(kept)]


def fold_for_cycles(choices: Sequence[Choice], cycles: int) -> Choice | None:
    """The smallest choice that takes at most `cycles`."""
    # Ordered from slow and small to fast and large.
    return next((c for c in choices if c.cycles <= cycles), None)


def total(chosen: Sequence[Choice]) -> Resources:
    """Sum of costs."""
    return sum((c.cost for c in chosen), Resources())


Table = Mapping[str, Sequence[Choice]]


def smallest_for(table: Table, target: Target, cycles: int) -> dict[str, Choice] | None:
    """The smallest foldings for a frame in `cycles` that fit together; where none fit, the first tried.

    None if some layer cannot be that fast.
    """
    first = None
    for balance in BALANCES:
        picks = {
            n: fold_for_cycles(best_of(choices, target, balance), cycles) for n, choices in table.items()
        }
        whole = {n: p for n, p in picks.items() if p}
        if len(whole) < len(picks):
            return None
        first = first or whole
        if target.shortage(total(list(whole.values()))) is None:
            return whole
    return first


def fastest_that_fits(table: Table, target: Target) -> dict[str, Choice]:
    """The foldings with the fewest cycles a frame among those whose smallest forms fit together.

    Raises
    ------
    DoesNotFitError
        If even the slowest folding is too large.
    """
    best: dict[str, Choice] | None = None
    for balance in BALANCES:
        found = fastest_at(table, target, balance)
        if found and (best is None or frame_cycles(found) < frame_cycles(best)):
            best = found
    if best:
        return best
    slowest = max(c.cycles for choices in table.values() for c in choices)
    needs = [total([best_of(cs, target, balance)[0] for cs in table.values()]) for balance in BALANCES]
    shortages = [target.shortage(need) or ("luts", need.luts, target.available.luts) for need in needs]
    # The one that comes nearest says most.
    name, n, have = min(shortages, key=lambda s: s[1] / max(s[2], 1))
    raise DoesNotFitError(
        f"the smallest folding ({slowest} cycles a frame) needs {n:.0f} {name}, "
        f"{target.board} has {have:.0f} to use",
        todo="take a larger board or a smaller network",
    )


def frame_cycles(picks: Mapping[str, Choice]) -> int:
    """Cycles of the slowest layer."""
    return max(c.cycles for c in picks.values())


def fastest_at(table: Table, target: Target, balance: tuple[float, float]) -> dict[str, Choice] | None:
    """The same at one balance of logic and memory; None if nothing fits."""
    fronts = {name: best_of(choices, target, balance) for name, choices in table.items()}
    slowest = max(front[0].cycles for front in fronts.values())
    every = sorted(
        {c.cycles for front in fronts.values() for c in front if c.cycles <= slowest}, reverse=True
    )

    def picks(cycles: int) -> dict[str, Choice] | None:
        chosen = {name: fold_for_cycles(front, cycles) for name, front in fronts.items()}
        whole = {name: c for name, c in chosen.items() if c}
        fits = len(whole) == len(chosen) and target.shortage(total(list(whole.values()))) is None
        return whole if fits else None

    index = bisect_left(every, True, key=lambda cycles: picks(cycles) is None)
    return picks(every[index - 1]) if index else None
