"""Place and route with several seeds side by side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pulsefold.boards.cachedtools import Step
from pulsefold.boards.implementation import SeedResult
from pulsefold.boards.process import terminable
from pulsefold.boards.steps import Steps
from pulsefold.boards.timing import RouteReport
from pulsefold.errors import DoesNotFitError, PulsefoldError, ToolFailedError

__all__ = ["Routed", "cores", "route_seeds"]


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The design as the best seed routed it, and what every seed came to."""

    seed: int
    step: Step
    report: RouteReport
    seeds: tuple[SeedResult, ...]


def route_seeds(
    steps: Steps,
    netlist: Step,
    clock_mhz: float,
    seeds: Sequence[int],
    jobs: int,
    options: Sequence[str],
) -> Routed:
    """Route a netlist with each of `seeds`, `jobs` of them at once, and take the fastest.

    One that misses another clock than the compute clock is taken only where all do.

    With several, seed n logs into ``route-n.log``, and the log of the one taken is ``route.log`` too.

    Raises
    ------
    DoesNotFitError, ToolFailedError
        If none can be routed: what the first one met.
    """
    several = len(seeds) > 1

    def attempt(seed: int) -> tuple[Step, RouteReport] | PulsefoldError:
        log = f"route-{seed}" if several else "route"
        try:
            step, report = steps.route(netlist, clock_mhz, seed, options, log=log)
        except (DoesNotFitError, ToolFailedError) as error:
            # Another seed may find a place.
            return error
        if several:
            steps.tools.progress(f"seed {seed}: {report.fmax_mhz:.1f} MHz")
        return step, report

    # The threads only wait: the router is a process of its own.
    with terminable(), ThreadPoolExecutor(min(jobs, len(seeds))) as pool:
        try:
            futures = [pool.submit(attempt, seed) for seed in seeds]
            wait(futures, return_when=FIRST_EXCEPTION)
            found = dict(zip(seeds, [future.result() for future in futures], strict=True))
        except BaseException:
            steps.tools.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    made = {seed: result for seed, result in found.items() if isinstance(result, tuple)}
    if not made:
        raise next(result for result in found.values() if isinstance(result, PulsefoldError))
    best = max(made, key=lambda seed: (not made[seed][1].missed, made[seed][1].fmax_mhz, -seed))
    step, report = made[best]
    if several:
        shutil.copyfile(steps.tools.logs / f"route-{best}.log", steps.tools.logs / "route.log")
    results = [result_of(seed, result) for seed, result in found.items()]
    results.sort(key=lambda r: (r.seed != best, -r.fmax_mhz, r.seed))
    return Routed(seed=best, step=step, report=report, seeds=tuple(results))


def result_of(seed: int, result: tuple[Step, RouteReport] | PulsefoldError) -> SeedResult:
    """For the report."""
    if isinstance(result, PulsefoldError):
        return SeedResult(seed=seed, fmax_mhz=0.0, seconds=0.0, cached=False, failure=result.what)
    step, report = result
    return SeedResult(seed=seed, fmax_mhz=round(report.fmax_mhz, 3), seconds=step.seconds, cached=step.cached)
