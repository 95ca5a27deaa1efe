"""Foldings: the PE, SIMD, pixels, memories and multipliers of a layer worth looking at, and their cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import gcd, prod
from typing import NamedTuple

from pulsefold.compiler.ir import Conv, ElementType, Requantize, Table
from pulsefold.compiler.plan.buffers import MOST_ENTRIES
from pulsefold.compiler.plan.layers import Fold, Layer
from pulsefold.compiler.plan.lower import lanes_of, units_of
from pulsefold.compiler.plan.lower.conv import may_hold
from pulsefold.compiler.plan.lower.elements import LEAST_CONSTANTS
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.search import Choice
from pulsefold.compiler.plan.target import Target, placed
from pulsefold.compiler.plan.units import GlobalPoolUnit, ReorderUnit, Unit, Window
from pulsefold.compiler.plan.units.integers import divisors
from pulsefold.compiler.plan.units.pair import Pair

__all__ = ["choices_of", "pixels_of", "shares_multipliers"]

#: Block RAM below this depth wastes itself, and the wires to it: LUTs hold such words beside their use.
_LEAST_BLOCK_DEPTH = 48

#: Words above which LUTs are no memory for weights, and several of them may lie in a row of block RAM.
_MOST_LUT_DEPTH = 512

#: Words from which several pixels a cycle are looked at with a SIMD that is not whole pixels.
_LEAST_SPLIT_DEPTH = 96

#: Width in bits above which a matrix unit's beat is no longer routable.
_WIDEST_BEAT = 1024

#: The same of frames that share weights: all their bits go to all PEs, each of which is several accumulators
#: wide. LFC's three units with beats up to twice as wide were not routed in the time that these take.
_WIDEST_BATCH = 256

#: And where no more than so many PEs read it: KWS with 1,120 bits for four PEs was routed in ten minutes,
#: with 560 bits for eight not in twenty.
_WIDEST_BATCH_OF_FEW, _FEW_PES = 1152, 4

#: Bits of a vector's elements up to which counting bits in carry cells is worth a look.
_FEW_BITS = 3

#: Pixels a cycle above which the exchange between banks is most of the window.
_MOST_PIXELS = 16

#: Channels above which constants in LUTs are out of proportion.
_MOST_LUT_CONSTANTS = 128

#: Frames that may share weights.
_BATCHES = (1, 2, 4, 8)

#: Steps of pixels for which weights stay at the most: each has accumulators of its own.
_LONGEST_HELD = 16

#: Words of memories of weights that groups of PEs share.
_SHARED_DEPTHS = (512, 1024)

#: Words of line buffers in LUT RAM, where multiplexers choose one of 16 of them, and bits of deeper ones.
_MOST_LINES, _MOST_LINE_BITS = 256, 16_384

#: Beats a vector up to which the ring of a batch is small LUT RAM.
_LONGEST_BATCHED = 32


class Share(NamedTuple):
    """What a unit has in its layer's cost and cycles."""

    cost: Resources
    cycles: int
    least_cycles: int


def share_of(unit: Unit, family: str) -> Share:
    """A unit's share, alone."""
    cycles = unit.cycles
    least = unit.least_cycles if isinstance(unit, Window) else cycles
    return Share(placed(unit.cost(family), family), cycles, least)


def costs_of(layer: Layer, fold: Fold, family: str, known: dict[Unit, Share]) -> Iterator[Choice]:
    """Cycles and cost of a layer under a folding, and with LUT RAM for what `lines` is for where not deep.

    Shares of units that other foldings have too are `known`.
    """
    units = units_of(layer, fold, family)
    for unit in units:
        if unit not in known:
            known[unit] = share_of(unit, family)
    shares = [known[unit] for unit in units]
    cost = sum((share.cost for share in shares), Resources())
    cycles = max(share.cycles for share in shares)
    least = max(share.least_cycles for share in shares)
    yield Choice(fold=fold, cycles=cycles, cost=cost, least_cycles=least)
    if family != "ice40" and has_lines(units[0]):
        yield from costs_of(layer, replace(fold, lines="lut"), family, known)


def has_lines(unit: Unit) -> bool:
    """Whether there is block RAM that `lines` is for, and not too deep for LUT RAM."""
    if isinstance(unit, Window):
        words = unit.rows * unit.bank_beats
        few = words <= MOST_ENTRIES and words * unit.input.width <= _MOST_LINE_BITS
        return unit.memory == "block" and (words <= _MOST_LINES or few)
    if isinstance(unit, ReorderUnit):
        return unit.memory == "block" and unit.depth <= MOST_ENTRIES
    return isinstance(unit, GlobalPoolUnit) and unit.memory == "block" and unit.folds <= MOST_ENTRIES


def folds_of(layer: Layer, target: Target, *, straight: bool) -> list[Fold]:
    """Every folding worth looking at; see :func:`choices_of`."""
    if not isinstance(layer.node, Conv) or layer.depthwise:
        widths = [d for d in lanes_of(layer) if d * layer.x.type.bits <= _WIDEST_BEAT]
        multipliers = ["lut", "dsp"] if layer.multiplies and target.available.dsps > 0 else ["lut"]
        tables = any(table is not None for table in layer.tables)
        kept = layer.depthwise or tables or isinstance(layer.node, Requantize | Table)
        memories = ["lut", "block"] if kept else ["lut"]
        return [
            Fold(
                simd=simd, memory=memory, multiplier=multiplier, requantizer=requantizer, constants=constants
            )
            for simd, memory, multiplier, (requantizer, constants) in product(
                widths, memories, multipliers, requantizers_of(layer, target)
            )
        ]
    rows, columns = layer.matrix
    kind, weight = layer.operand, layer.node.weight_type
    forms = [("lut", adder) for adder in adders_of(kind, weight, target)]
    if min(kind.bits, weight.bits) >= 4 and target.available.dsps > 0:
        forms.append(("dsp", "tree"))
        if shares_multipliers(layer):
            forms.append(("pair", "tree"))
    requantizers = requantizers_of(layer, target)
    constant = [] if kind.is_bipolar else [("constant", "tree")]
    folds = []
    for pe, simd, pixels in product(divisors(rows // layer.turns), divisors(columns), pixels_of(layer)):
        depth = rows * columns // (pe * simd)
        if pixels * simd * kind.bits > _WIDEST_BEAT or pe * simd * pixels > 4 * target.available.luts:
            continue
        # Several pixels are for what one a cycle does not give, and for memories that it does not fill.
        if pixels > 1 and pixels * rows * layer.y.type.bits > _WIDEST_BEAT:
            continue
        if pixels > 1 and simd % layer.x.shape[2] and depth < _LEAST_SPLIT_DEPTH:
            continue
        # The window sends gcd(channels, SIMD) lanes a cycle; a much wider matrix unit would only wait.
        if layer.windowed and converted_cycles(layer, simd) > 2 * layer.y.shape[0] * layer.y.shape[1] * depth:
            continue
        memories = ["lut"] if depth < _LEAST_BLOCK_DEPTH else ["block", "lut"]
        if depth > _MOST_LUT_DEPTH:
            memories = ["block", "packed"]
        batches = batches_of(layer, pe, simd) if straight else [1]
        kept = [((1, 1, 1), memory) for memory in memories] + [
            (way, memory)
            for way in held_of(layer, pe, simd, pixels)
            # Parts are as many as fill rows of one word.
            for memory in (["block", "packed"] if way[1] * depth > _MOST_LUT_DEPTH else ["block"])
        ]
        folds += [
            Fold(
                pe=pe,
                simd=simd,
                pixels=pixels,
                held=held,
                shared=shared,
                parts=parts,
                batch=batch,
                memory=memory,
                multiplier=multiplier,
                adder=adder,
                requantizer=requantizer,
                constants=constants,
            )
            for batch, (way, memory), (multiplier, adder), (requantizer, constants) in product(
                batches, kept, [*forms, *constant] if depth == 1 else forms, requantizers
            )
            for held, shared, parts in (way,)
            if multiplier != "pair" or pe % 2 == 0
            if held == 1 or (batch == 1 and multiplier != "constant")
            # Weights that are read once and again are for block RAM, whose width runs out first.
            if batch == 1
            or (multiplier != "pair" and memory != "lut" and reaches(batch * simd * kind.bits, pe))
        ]
    return folds


def reaches(width: int, pe: int) -> bool:
    """Whether so many bits of frames that share weights can be brought to all PEs."""
    return width <= (_WIDEST_BATCH_OF_FEW if pe <= _FEW_PES else _WIDEST_BATCH)


def held_of(layer: Layer, pe: int, simd: int, pixels: int) -> list[tuple[int, int, int]]:
    """Steps of pixels for which weights may stay, groups of PEs that share a memory then, and parts of words.

    Groups are as many as fill the memories, and half of these; parts as many as fill them where there are not
    so many groups; steps as few as they need.
    """
    rows, columns = layer.matrix
    depth, steps = rows * columns // (pe * simd), layer.y.shape[1] // pixels
    most = max((n for n in divisors(steps) if n <= _LONGEST_HELD), default=1)
    if most == 1 or not may_hold(layer, simd):
        return []
    wanted = {size // depth // part for size, part in product(_SHARED_DEPTHS, (1, 2))}
    if depth > _MOST_LUT_DEPTH:
        # Deeper ones are full where their rows are.
        wanted = {n for n in (2, 4) if depth % _MOST_LUT_DEPTH and depth * n % _MOST_LUT_DEPTH == 0}
    found = {min(n, most, pe) for n in wanted if n > 1 and depth * min(n, most, pe) >= _LEAST_BLOCK_DEPTH}
    ways = [(shared, 1) for shared in sorted(found)]
    deepest = max(found, default=0)
    if 0 < depth * deepest < min(_SHARED_DEPTHS):
        limits = [min(size // (depth * deepest), most // deepest) for size in _SHARED_DEPTHS]
        parts = {max(n for n in divisors(simd) if n <= limit) for limit in limits}
        ways += [(deepest, n) for n in sorted(parts - {1})]
    return [(next(n for n in divisors(steps) if n >= prod(way)), *way) for way in ways]


def adders_of(kind: ElementType, weight: ElementType, target: Target) -> list[str]:
    """What products without multipliers can be added by."""
    if target.family != "ecp5":
        return ["tree"]
    if kind.is_bipolar and weight.is_bipolar:
        return ["tree", "carry"]
    gated = kind.is_bipolar or weight.is_bipolar or kind.kind == weight.kind == "int"
    few = kind.bits <= _FEW_BITS or weight.bits <= 1
    return ["gated" if gated else "tree", *(["carry"] if few and not kind.is_bipolar else [])]


def requantizers_of(layer: Layer, target: Target) -> list[tuple[str, str]]:
    """What the Requantize that joined a layer can multiply by, and where its constants can lie."""
    if not isinstance(layer.steps, Requantize):
        return [("lut", "lut")]
    channels = layer.y.shape[2]
    memories = ["lut"] * (channels <= _MOST_LUT_CONSTANTS) + ["block"] * (channels >= LEAST_CONSTANTS)
    return list(product(["lut", "dsp"] if target.available.dsps > 0 else ["lut"], memories))


def shares_multipliers(layer: Layer) -> bool:
    """Whether one multiplier has room for two weights."""
    assert isinstance(layer.node, Conv)
    w, kind = layer.node.weights, layer.operand
    pair = Pair(
        low=min(0, int(w.min())),
        high=max(0, int(w.max())),
        x_low=min(0, kind.minimum),
        x_high=max(0, kind.maximum),
    )
    return pair.fits


def batches_of(layer: Layer, pe: int, simd: int) -> list[int]:
    """Numbers of frames that may share a layer's weights under a PE and a SIMD."""
    rows, columns = layer.matrix
    beats = columns // simd
    if not layer.takes_batches or beats > _LONGEST_BATCHED:
        return [1]
    return [n for n in _BATCHES if n == 1 or 2 * n <= min(beats, rows // pe)]


def pixels_of(layer: Layer) -> list[int]:
    """Numbers of pixels a cycle that a layer can take."""
    node = layer.node
    if not isinstance(node, Conv) or not layer.windowed or layer.turns > 1:
        return [1]
    return [n for n in divisors(layer.y.shape[1]) if gcd(n, node.stride[1]) == 1 and n <= _MOST_PIXELS]


def converted_cycles(layer: Layer, simd: int) -> int:
    """Beats a frame that the window sends for a SIMD."""
    pixels = layer.y.shape[0] * layer.y.shape[1]
    return pixels * layer.turns * layer.matrix[1] // gcd(layer.x.shape[2] // layer.turns, simd)


def choices_of(layer: Layer, target: Target, *, straight: bool = False) -> list[Choice]:
    """Every folding of a layer worth looking at.

    Parameters
    ----------
    layer
        The layer.
    target
        What it is for.
    straight
        Whether the network does not branch. Only then may frames share weights: they leave in bursts, for
        which the buffers in front of joins are not made.
    """
    known: dict[Unit, Share] = {}
    folds = folds_of(layer, target, straight=straight)
    choices = {c.fold: c for fold in folds for c in costs_of(layer, fold, target.family, known)}
    return [
        choice
        for fold, choice in choices.items()
        if fold.memory != "packed" or choice.cost.brams < choices[replace(fold, memory="block")].cost.brams
    ]
