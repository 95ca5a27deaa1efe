"""All passes, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pulsefold.compiler.ir.graph import Graph
from pulsefold.compiler.passes.ascend import all_ascend, ascend
from pulsefold.compiler.passes.narrow import narrow_sums
from pulsefold.compiler.passes.reorders import reorders, reorders_are_needed
from pulsefold.compiler.passes.requantize import products_fit, requantize
from pulsefold.compiler.passes.steps import join_steps, steps_are_needed
from pulsefold.compiler.passes.verify import verify

__all__ = ["PASSES", "Pass", "run_passes"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One rewriting of a graph that keeps its outputs.

    Parameters
    ----------
    name
        As in logs.
    description
        What it does.
    run
        From a graph to a graph.
    ensures
        What holds of its result, besides what :func:`verify` checks before and after.
    """

    name: str
    description: str
    run: Callable[[Graph], Graph]
    ensures: Callable[[Graph], bool]


#: In the order they run.
PASSES: tuple[Pass, ...] = (
    Pass(
        name="reorders",
        description="join Reorders, drop idle ones, leave those at both ends to the host",
        run=reorders,
        ensures=reorders_are_needed,
    ),
    Pass(
        name="join_steps",
        description="drop Thresholds that change nothing, join two in a row",
        run=join_steps,
        ensures=steps_are_needed,
    ),
    Pass(
        name="narrow_sums",
        description="give sums the smallest gains that keep every level behind them",
        run=narrow_sums,
        ensures=lambda _: True,
    ),
    Pass(
        name="ascend",
        description="negate weight rows in front of descending thresholds",
        run=ascend,
        ensures=all_ascend,
    ),
    Pass(
        name="requantize",
        description="multiply, add, shift and clip where many thresholds amount to that",
        run=requantize,
        ensures=products_fit,
    ),
)


def run_passes(graph: Graph, passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph after all passes, verified before the first and after each."""
    verify(graph)
    for step in passes:
        graph = step.run(graph)
        verify(graph)
        if not step.ensures(graph):
            msg = f"the pass {step.name!r} did not reach what it ensures"
            raise RuntimeError(msg)
        _log.debug("pass %s: %s", step.name, step.description)
    return graph
