"""What is proven of plans, against all combinations of choices."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.bound import bound_of, fewest_cycles
from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.plan import make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.search import EMPTY_PRICE, Choice, Program, Table, smallest_for, total
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
        brams = float(rng.integers(0, 11)) / 2
        cost = Resources(
            luts=float(rng.uniform(80, 200)) * 2.0**speed,
            brams=brams,
            dsps=float(rng.integers(0, 4)),
            bram_bits=int(brams * 18432 * rng.uniform(0.5, 1)),
        )
        return Choice(fold=Fold(simd=n + 1), cycles=1024 >> speed, cost=cost)

    table = {f"layer{k}": [choice(n, n // 2) for n in range(8)] for k in range(4)}
    return table, target


def fitting(table: Table, target: Target) -> list[tuple[Choice, ...]]:
    """All combinations that fit."""
    return [picks for picks in product(*table.values()) if not target.shortage(total(picks))]


def slowest(picks: tuple[Choice, ...]) -> int:
    """Cycles a frame."""
    return max(c.cycles for c in picks)


def empty(picks: tuple[Choice, ...], target: Target) -> float:
    """Blocks that hold nothing beyond what may be, a half that nobody shares among them."""
    cost = total(picks)
    return target.padding_beyond(replace(cost, brams=ceil(cost.brams)))


@pytest.mark.parametrize("seed", range(12))
def test_bounds_are_those_of_all_combinations(seed: int):
    table, target = drawn(seed)
    every = fitting(table, target)
    assert every
    assert fewest_cycles(table, target) == min(map(slowest, every))
    price = Program(table, target).price
    for cycles in (256, 512, 1024):
        fast = [picks for picks in every if slowest(picks) <= cycles]
        if not fast:
            continue
        known = fast[0]
        folds = {name: c.fold for name, c in zip(table, known, strict=True)}
        most = max(empty(known, target), 0.0)
        least = min(price(total(picks)) for picks in fast if empty(picks, target) <= most)
        gap = 1 - least / price(total(known))
        assert bound_of(table, target, folds, cycles).gap == pytest.approx(gap, abs=2e-3)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("padding", [0.15, 0.35])
def test_what_is_found_is_the_least_of_all_combinations(seed: int, padding: float):
    """Filled where any is; where not, padding has a price."""
    table, target = drawn(seed)
    target = replace(target, padding=padding)
    program = Program(table, target)

    def worth(picks: tuple[Choice, ...]) -> float:
        beyond = max(empty(picks, target), 0.0) / target.available.brams
        return program.price(total(picks)) + EMPTY_PRICE * beyond

    every = fitting(table, target)
    for cycles in (256, 512, 1024):
        fast = [picks for picks in every if slowest(picks) <= cycles]
        found = smallest_for(table, target, cycles)
        assert found
        chosen = tuple(found.values())
        if not fast:
            assert target.shortage(total(chosen))
            continue
        filled = [picks for picks in fast if empty(picks, target) <= 0]
        assert worth(chosen) == pytest.approx(min(map(worth, filled or fast)), rel=2e-3)
        assert not filled or empty(chosen, target) <= 1e-6
        assert not target.shortage(total(chosen))


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
