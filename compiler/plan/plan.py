"""The plan: every unit of a design and its promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf

from pulsefold.compiler.ir import Graph
from pulsefold.compiler.plan.bound import Bound, bound_of
from pulsefold.compiler.plan.buffers import in_lut_ram, layers_to_fill
from pulsefold.compiler.plan.folding import choices_of
from pulsefold.compiler.plan.layers import Fold, Layer, layers_of
from pulsefold.compiler.plan.network import Network, connect_layers, entries_of, exits_of
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.search import (
    SLOWER,
    Choice,
    Table,
    fastest_that_fits,
    pruned,
    smallest_for,
    total,
)
from pulsefold.compiler.plan.target import Target, placed
from pulsefold.compiler.plan.timing import latency_of, with_buffers
from pulsefold.compiler.plan.units import MatVec, Stream, Unit, Window
from pulsefold.compiler.plan.units.memory import block_bits
from pulsefold.errors import DoesNotFitError, FoldingError

__all__ = ["Plan", "make_plan"]


#: Blocks, or the share of them, that the solver may miss by.
_ROUNDING = 1e-4

#: Times that a plan is made with room for what joined the layers of the one before, and of those that fit for
#: less that is empty.
_SETTLED, _REFILLED = 6, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A network of units on a target.

    Parameters
    ----------
    graph
        What it computes.
    target
        Where.
    layers
        In the order of the graph.
    folds
        Folding of every layer, by name.
    network
        The units and what joins them.
    fastest
        Cycles a frame of the fastest plan that fits, where this one is slower and leaves less of the block
        RAM empty; else 0.
    bound
        How much better a search could have done at most; None of a folding that was given.
    """

    graph: Graph
    target: Target
    layers: tuple[Layer, ...]
    folds: Mapping[str, Fold]
    network: Network
    fastest: int = 0
    bound: Bound | None = None

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units, each behind those that it reads."""
        return self.network.units

    @property
    def entries(self) -> tuple[str, ...]:
        """Tensors of the design's inputs."""
        return entries_of(self.graph)

    @property
    def exits(self) -> tuple[str, ...]:
        """Tensors of the design's outputs."""
        return exits_of(self.graph)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """The design's input streams."""
        return self.network.inputs

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """The design's output streams."""
        return self.network.outputs

    @property
    def input(self) -> Stream:
        """The design's only input stream."""
        (stream,) = self.inputs
        return stream

    @property
    def output(self) -> Stream:
        """The design's only output stream."""
        (stream,) = self.outputs
        return stream

    @property
    def bottleneck(self) -> Unit:
        """The slowest unit."""
        return max(self.units, key=lambda u: u.cycles)

    @property
    def cycles(self) -> int:
        """Cycles a frame in the steady state: the slowest unit's."""
        return self.bottleneck.cycles

    @property
    def fps(self) -> float:
        """Frames a second at the target's clock."""
        return self.target.clock_mhz * 1e6 / self.cycles

    @property
    def latency_cycles(self) -> int:
        """Cycles from the first beat of a lone frame to its last result, input coming every cycle.

        Exact where units stand in a row without deep buffers, else an upper bound: see
        :func:`~pulsefold.compiler.plan.timing.latency_of`.
        """
        return latency_of(self.network, self.cycles)

    @property
    def core_cost(self) -> Resources:
        """Estimated resources of the units."""
        family = self.target.family
        cost = placed(sum((u.cost(family) for u in self.units), Resources()), family)
        # Halves of blocks are shared in pairs.
        return replace(cost, brams=ceil(cost.brams))

    @property
    def cost(self) -> Resources:
        """Estimated resources, board support included."""
        return self.core_cost + self.target.reserved

    @property
    def padding(self) -> float:
        """Share of the block RAM that the design claims and no bit of a memory lies in."""
        cost = self.cost
        return 1 - cost.bram_bits / (cost.brams * block_bits(self.target.family)) if cost.brams else 0.0

    def units_of(self, layer: str) -> list[Unit]:
        """Units of a layer, with what carries its tensor on."""
        return [u for u, owner in zip(self.units, self.network.owners, strict=True) if owner == layer]


def make_plan(
    graph: Graph,
    target: Target,
    *,
    fps: float | None = None,
    folds: Mapping[str, Fold] | None = None,
    padding: float | None = None,
) -> Plan:
    """Plan a network for a target.

    Parameters
    ----------
    graph
        The integer network.
    target
        Board and clock.
    fps
        Wanted frames a second; the smallest folding that reaches it is taken. None takes the
        fastest that fits.
    folds
        A folding to use as it is.
    padding
        Share of the block RAM claimed that holds nothing at the most, whatever rate or logic that takes. None
        takes the target's where logic can do it and, without `fps`, at up to 1.75 times the cycles; the plan
        then knows the fewest.

    Raises
    ------
    FoldingError
        If a folding does not divide its layer or names no layer.
    DoesNotFitError
        If the design is too large, or rate or padding out of reach; the message names the nearest that fits.
    """
    layers = layers_of(graph)
    if folds is not None:
        known = {layer.name for layer in layers}
        for name in folds:
            if name not in known:
                todo = f"the layers are: {', '.join(known)}"
                raise FoldingError(f"the folding names a layer {name!r} that is not there", todo=todo)
        missing = [layer.name for layer in layers if layer.name not in folds]
        if missing:
            todo = "add it, or leave the folding file out"
            raise FoldingError(f"the folding has no entry for layer {missing[0]!r}", todo=todo)
        return assemble(graph, target, layers, folds)
    table = table_of(graph, target, layers)

    def proven(plan: Plan) -> Plan:
        cycles = plan.cycles if fps is None else int(target.clock_mhz * 1e6 / fps)
        return replace(plan, bound=bound_of(table, plan.target, plan.folds, cycles))

    if padding is None:
        plan = search(graph, target, layers, table, fps)
        if fps is not None:
            return proven(plan)
        fastest = search(graph, replace(target, padding=1.0), layers, table, fps, 1).cycles
        return proven(replace(plan, fastest=fastest) if fastest < plan.cycles else plan)
    plan = search(graph, replace(target, padding=padding), layers, table, fps, inf)
    if plan.padding > padding + _ROUNDING:
        # Where that much cannot be, less may.
        nearest = min(plan.padding, search(graph, target, layers, table, fps, inf).padding)
        raise DoesNotFitError(
            f"block RAMs stay {nearest:.0%} empty, {padding:.0%} may",
            todo=f"allow --padding {ceil(100 * nearest)}, or ask for fewer frames a second",
        )
    return proven(plan)


def search(
    graph: Graph,
    target: Target,
    layers: tuple[Layer, ...],
    table: Table,
    fps: float | None,
    slower: float = SLOWER,
) -> Plan:
    """The smallest plan of a rate, or the fastest or that much `slower` where it is filled; else an error."""
    if fps is None:
        plan = settle(graph, target, layers, lambda room: fastest_that_fits(table, room, slower=slower))
        if target.padding_beyond(plan.cost) > _ROUNDING and slower > 1:
            # What joins the layers leaves more empty: the rate is not to be lost to that.
            return search(graph, target, layers, table, fps, 1)
        return plan
    cycles = int(target.clock_mhz * 1e6 / fps)
    picks = smallest_for(table, target, cycles)
    shortage = None
    if picks:
        plan = settle(graph, target, layers, lambda room: smallest_for(table, room, cycles) or picks, cycles)
        shortage = target.shortage(plan.core_cost)
        if not shortage:
            return plan
    reach = settle(graph, target, layers, lambda room: fastest_that_fits(table, room)).cycles
    nearest = (
        f"the fastest that fits is {target.clock_mhz * 1e6 / reach:.0f} frames a second ({reach} cycles)"
    )
    if shortage:
        name, n, have = shortage
        raise DoesNotFitError(
            f"{fps:.0f} frames a second need {n:.0f} {name}, {target.board} has {have:.0f} to use",
            todo=f"ask for fewer or take a larger board; {nearest}",
        )
    slow, least = max(((n, min(c.cycles for c in cs)) for n, cs in table.items()), key=lambda pair: pair[1])
    raise DoesNotFitError(
        f"{fps:.0f} frames a second leave {cycles} cycles a frame; layer {slow} needs at least {least}",
        todo=f"ask for fewer, or a faster clock; {nearest}",
    )


def table_of(graph: Graph, target: Target, layers: tuple[Layer, ...]) -> Table:
    """Every folding of each layer worth looking at that no other is as good as."""
    straight = len(entries_of(graph)) == 1 and all(len(graph.readers(name)) <= 1 for name in graph.tensors)
    return {layer.name: pruned(choices_of(layer, target, straight=straight)) for layer in layers}


def settle(
    graph: Graph,
    target: Target,
    layers: tuple[Layer, ...],
    choose: Callable[[Target], Mapping[str, Choice]],
    cycles: int = 0,
) -> Plan:
    """The plan of a choice that fits together with what joins its layers, if there is one.

    What converters and buffers between layers take is known only once the layers are chosen, so the choice is
    made again with that much less room until both fit, and a few times where they leave too much of the block
    RAM empty; where that does not do, deep buffers lie in LUT RAM. No rate is lost to that, unless it is
    faster than the first one's and than `cycles` a frame.
    """
    best: tuple[tuple[bool, int, float, float], Plan] | None = None
    for fill in (False, True):
        room = target
        for attempt in range(_SETTLED):
            picks = choose(room)
            plan = assemble(graph, target, layers, folds_of(picks))
            plan = fill_buffers(plan) if fill else plan
            own = total(list(picks.values()))
            room = replace(target, reserved=target.reserved + plan.core_cost - own)
            short = target.shortage(plan.core_cost) is not None
            empty = max(0.0, target.padding_beyond(plan.cost) - _ROUNDING)
            if best is None:
                cycles = max(cycles, plan.cycles)
            rank = short, max(plan.cycles, cycles), empty, plan.cost.luts
            if best is None or rank < best[0]:
                best = rank, plan
            if not short and plan.cycles <= cycles and (not empty or attempt >= _REFILLED):
                break
        assert best
        if not best[0][2]:
            break
    return best[1]


def folds_of(picks: Mapping[str, Choice]) -> dict[str, Fold]:
    """Foldings alone."""
    return {name: choice.fold for name, choice in picks.items()}


def fill_buffers(plan: Plan) -> Plan:
    """The same with buffers in LUT RAM where it takes that, and no more, to fill the block RAM."""
    moved = layers_to_fill(plan.network, plan.target, plan.cost)
    folds = {name: replace(plan.folds[name], buffers="lut") for name in moved}
    return replace(plan, folds={**plan.folds, **folds}, network=in_lut_ram(plan.network, moved))


def assemble(graph: Graph, target: Target, layers: tuple[Layer, ...], folds: Mapping[str, Fold]) -> Plan:
    """Units of all layers, what joins them, and buffers deep enough that none waits."""
    network = connect_layers(graph, layers, folds, target.family)
    slowest = max(u.cycles for u in network.units)
    pace = {
        owner: max(u.cycles for u, o in zip(network.units, network.owners, strict=True) if o == owner)
        for owner in set(network.owners)
    }

    def unhurried(unit: Unit, owner: str) -> Unit:
        # A window that sets the pace must never wait, and one in front of who does, no longer than at its
        # pace; the others can do with fewer rows.
        if not isinstance(unit, Window) or 1.1 * pace[owner] <= slowest:
            return unit
        least = unit.enough_rows if 1.1 * unit.cycles > slowest else unit.rows_at(slowest)
        return replace(unit, rows=max(unit.rows, least))

    units = map(unhurried, network.units, network.owners)
    network = replace(network, units=tuple(units))
    # A matrix unit that replays its vector takes the next one in a burst: it must lie ready by then. Units of
    # the same layer are made for that.
    bursts = {
        (source.unit, source.port): unit.column_folds
        for unit, owner, (source, *_) in zip(network.units, network.owners, network.sources, strict=True)
        if isinstance(unit, MatVec) and unit.row_folds > 1 and unit.held == 1
        if source.unit is not None and network.owners[source.unit] != owner
    }
    network = with_buffers(network.with_depths(bursts), slowest)
    network = in_lut_ram(network, {name for name, fold in folds.items() if fold.buffers == "lut"})
    return Plan(graph=graph, target=target, layers=layers, folds=dict(folds), network=network)
