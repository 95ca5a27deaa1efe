"""The plan: every unit of a design, in stream order, with its promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir import Graph
from pulsefold.compiler.plan.folding import (
    Choice,
    choices_of,
    fastest_that_fits,
    smallest_for,
    total,
)
from pulsefold.compiler.plan.layers import Fold, Layer, converters, layers_of
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.compiler.plan.units import MatVec, Stream, Unit, Window
from pulsefold.errors import DoesNotFitError, FoldingError

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A network as a pipeline of units.

    Parameters
    ----------
    graph
        What it computes.
    target
        Where.
    layers
        In stream order.
    folds
        Folding of every layer, by name.
    units
        In stream order; each one's output stream is the next one's input stream.
    owners
        Layer name of each unit.
    """

    graph: Graph
    target: Target
    layers: tuple[Layer, ...]
    folds: Mapping[str, Fold]
    units: tuple[Unit, ...]
    owners: tuple[str, ...]

    @property
    def input(self) -> Stream:
        """The design's input stream."""
        return self.units[0].inputs[0]

    @property
    def output(self) -> Stream:
        """The design's output stream."""
        return self.units[-1].outputs[0]

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
        """Cycles from the first beat of a lone frame to its last result, input coming every cycle."""
        times = np.arange(self.input.beats)
        for unit in self.units:
            times = unit.schedule(times)
        return int(times[-1]) + 1

    @property
    def core_cost(self) -> Resources:
        """Estimated resources of the units."""
        return sum((u.cost(self.target.family) for u in self.units), Resources())

    @property
    def cost(self) -> Resources:
        """Estimated resources, board support included."""
        return self.core_cost + self.target.reserved

    def tensor_of(self, unit: int) -> str | None:
        """Name of the graph tensor that unit number `unit` computes, in stream order, if it is one."""
        owner = self.owners[unit]
        # Converters behind a layer only carry its tensor; the unit to name is the one that computed it.
        mine = [k for k, u in enumerate(self.units) if self.owners[k] == owner and u.kind != "convert"]
        if unit != mine[-1]:
            return None
        return next(layer.y.name for layer in self.layers if layer.name == owner)


def make_plan(
    graph: Graph,
    target: Target,
    *,
    fps: float | None = None,
    folds: Mapping[str, Fold] | None = None,
) -> Plan:
    """Plan a network for a target.

    Parameters
    ----------
    graph
        A straight-line graph.
    target
        Board and clock.
    fps
        Wanted frames a second; the smallest folding that reaches it is taken. None takes the
        fastest that fits.
    folds
        A folding to use as it is.

    Raises
    ------
    FoldingError
        If a folding does not divide its layer or names no layer.
    DoesNotFitError
        If the design is too large or the rate out of reach; the message names the nearest that fits.
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
    table = {layer.name: choices_of(layer, target) for layer in layers}
    if fps is None:
        return settle(graph, target, layers, lambda room: fastest_that_fits(table, room))
    cycles = int(target.clock_mhz * 1e6 / fps)
    picks = smallest_for(table, target, cycles)
    shortage = None
    if picks:
        plan = settle(graph, target, layers, lambda room: smallest_for(table, room, cycles) or picks)
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


def settle(
    graph: Graph,
    target: Target,
    layers: tuple[Layer, ...],
    choose: Callable[[Target], Mapping[str, Choice]],
) -> Plan:
    """The plan of a choice that fits together with what joins its layers, if there is one.

    What converters and buffers between layers take is known only once the layers are chosen, so the choice is
    made again with that much less room until both fit.
    """
    picks = choose(target)
    plan = assemble(graph, target, layers, folds_of(picks))
    for _ in range(3):
        if not target.shortage(plan.core_cost):
            break
        between = plan.core_cost - total(list(picks.values()))
        picks = choose(replace(target, reserved=target.reserved + between))
        plan = assemble(graph, target, layers, folds_of(picks))
    return plan


def folds_of(picks: Mapping[str, Choice]) -> dict[str, Fold]:
    """Foldings alone."""
    return {name: choice.fold for name, choice in picks.items()}


def assemble(graph: Graph, target: Target, layers: tuple[Layer, ...], folds: Mapping[str, Fold]) -> Plan:
    """Units of all layers with converters between them and buffers deep enough that none waits."""
    units: list[Unit] = []
    owners: list[str] = []
    for layer in layers:
        mine = layer.units(folds[layer.name], target.family)
        if units:
            before = units[-1].outputs[0]
            elements = before.beats * before.lanes
            between = list(
                converters(
                    f"{layer.name}.input", before.type, elements, before.lanes, mine[0].inputs[0].lanes
                )
            )
            units += between
            # Converters between layers carry the tensor of the layer before.
            owners += [owners[-1]] * len(between)
        units += mine
        owners += [layer.name] * len(mine)
    slowest = max(u.cycles for u in units)
    for k, unit in enumerate(units):
        # A window that sets the pace must never wait; the others can do with a row less.
        if isinstance(unit, Window) and 1.1 * unit.cycles > slowest:
            units[k] = replace(unit, rows=max(unit.rows, unit.enough_rows))
    for k, unit in enumerate(units[1:]):
        # A matrix unit that replays its vector takes the next one in a burst: it must lie ready by then.
        if isinstance(unit, MatVec) and unit.row_folds > 1 and not isinstance(units[k], Window):
            units[k] = units[k].with_depths((max(*units[k].buffer_depths, unit.column_folds),))
    return Plan(
        graph=graph, target=target, layers=layers, folds=dict(folds), units=tuple(units), owners=tuple(owners)
    )
