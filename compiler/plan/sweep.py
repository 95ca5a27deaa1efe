"""Plans of one network from the smallest to the fastest."""

from __future__ import annotations

from collections.abc import Sequence

from pulsefold.compiler.ir import Graph
from pulsefold.compiler.plan.layers import layers_of
from pulsefold.compiler.plan.plan import Plan, settle, table_of
from pulsefold.compiler.plan.search import Choice, fastest_that_fits, smallest_for
from pulsefold.compiler.plan.target import Target
from pulsefold.errors import DoesNotFitError

__all__ = ["sweep"]

#: More cycles than any frame takes.
_ANY = 1 << 62


def sweep(graph: Graph, target: Target, *, count: int = 8, cycles: Sequence[int] = ()) -> list[Plan]:
    """Plans that fit the target, one for each number of cycles, slow ones first.

    Parameters
    ----------
    graph
        The integer network.
    target
        Board; its clock changes no folding.
    count
        Plans to look for: their cycles a frame lie in equal ratios from the smallest plan's to the fastest's.
    cycles
        Bounds of the cycles a frame to take instead, the smallest plan for each.

    Raises
    ------
    DoesNotFitError
        If not even the slowest folding fits, or none does within the cycles asked for.
    """
    layers = layers_of(graph)
    table = table_of(graph, target, layers)

    def smallest(bound: int) -> Plan | None:
        picks = smallest_for(table, target, bound)
        if picks is None:
            return None

        def choose(room: Target) -> dict[str, Choice]:
            return smallest_for(table, room, bound) or picks

        plan = settle(graph, target, layers, choose, bound)
        return None if target.shortage(plan.core_cost) else plan

    fastest = settle(graph, target, layers, lambda room: fastest_that_fits(table, room))
    if cycles:
        found = [smallest(bound) for bound in cycles]
    else:
        slowest = smallest(_ANY) or fastest
        ratio = fastest.cycles / slowest.cycles
        steps = [slowest.cycles * ratio ** (n / max(1, count - 1)) for n in range(1, count - 1)]
        found = [slowest, *(smallest(int(bound)) for bound in steps)]
        if count > 1:
            # The smallest of its rate, where that fits.
            found.append(smallest(fastest.cycles) or fastest)
    plans: dict[int, Plan] = {}
    for plan in found:
        # What joins layers may set the pace, and a bound below it only costs.
        if plan is not None and (plan.cycles not in plans or plan.cost.luts < plans[plan.cycles].cost.luts):
            plans[plan.cycles] = plan
    if not plans:
        raise DoesNotFitError(
            f"no folding is that fast on {target.board}",
            why=f"the fastest that fits takes {fastest.cycles} cycles a frame",
            todo="ask for fewer frames a second, a faster clock or a larger board",
        )
    return sorted(plans.values(), key=lambda p: -p.cycles)
