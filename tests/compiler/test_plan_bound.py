"""What is proven of plans, against all combinations of choices."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan import bound as bounds
from pulsefold.compiler.plan.bound import bound_of, fewest_cycles
from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.plan import make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.search import PRICES, Choice, Table, shares_of, total
from pulsefold.compiler.plan.target import Target

DEMO = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"


def drawn(seed: int) -> tuple[Table, Target]:
    """Layers of a few choices, and a board that is too small for the fastest."""
    rng = np.random.default_rng(seed)
    target = Target(
        board="b",
        family="ecp5",
        resources=Resources(luts=rng.uniform(2000, 5000), ffs=1e6, brams=12, dsps=8),
        usable=1.0,
        clock_mhz=100,
        reserved=Resources(),
    )

    def choice(n: int, speed: int) -> Choice:
        brams = float(rng.integers(0, 6))
        cost = Resources(
            luts=float(rng.uniform(80, 200)) * 2.0**speed,
            brams=brams,
            dsps=float(rng.integers(0, 4)),
            bram_bits=int(brams * 18432 * rng.uniform(0.5, 1)),
        )
        return Choice(fold=Fold(simd=n + 1), cycles=1024 >> speed, cost=cost)

    table = {f"layer{k}": [choice(n, n // 2) for n in range(8)] for k in range(4)}
    return table, target


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_bounds_hold_for_all_combinations(monkeypatch, seed: int, few: bool):
    """Prices alone prove less than all combinations do, which prove all there is."""
    if not few:
        monkeypatch.setattr(bounds, "_MOST_COMBINED", 0)
    table, target = drawn(seed)
    fitting = [
        (max(c.cycles for c in picks), picks)
        for picks in product(*table.values())
        if not target.shortage(total(picks))
    ]
    assert fitting
    assert fewest_cycles(table, target) <= min(cycles for cycles, _ in fitting)

    def worth(picks) -> np.ndarray:
        return shares_of(picks, target).sum(axis=0)

    for cycles in (256, 512, 1024):
        all_used = [worth(picks) for slowest, picks in fitting if slowest <= cycles]
        if not all_used:
            continue
        known, picks = next((worth(p), p) for slowest, p in fitting if slowest <= cycles)
        folds = {name: c.fold for name, c in zip(table, picks, strict=True)}
        least = min(
            float(use[:-1] @ PRICES[:-1]) for use in all_used if use[-1] <= max(known[-1], 0.0) + 1e-9
        )
        gap = 1 - least / float(known[:-1] @ PRICES[:-1])
        found = bound_of(table, target, folds, cycles).gap
        assert found == pytest.approx(gap, abs=1e-6) if few else found >= gap - 1e-6


def test_plans_say_what_is_proven_of_them():
    graph = import_model(DEMO)
    target = Target(
        board="b",
        family="ecp5",
        resources=Resources(luts=12_000, ffs=24_000, brams=50),
        usable=0.65,
        clock_mhz=100,
    )
    plan = make_plan(graph, target, padding=1.0)
    assert plan.bound
    assert plan.bound.cycles <= plan.cycles
    # More rows than the choice counted on make a plan faster than it.
    large = make_plan(graph, replace(target, resources=Resources(luts=80_000, ffs=80_000, brams=200)))
    assert large.bound
    assert large.bound.cycles <= large.cycles
    slow = make_plan(graph, target, fps=20_000)
    assert slow.bound
    assert slow.bound.cycles == plan.bound.cycles
    assert 0 <= slow.bound.gap < 0.05
    assert make_plan(graph, target, folds=plan.folds).bound is None
