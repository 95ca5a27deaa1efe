"""Branching networks: plans, buffers and whole circuits against golden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from branches import TARGET, Builder, check_circuit, frames, free_run, random_plan

from pulsefold.compiler.ir import ElementType, Sum
from pulsefold.compiler.plan.layers import Fold, layers_of
from pulsefold.compiler.plan.network import Source
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.timing import latency_of, moves_of, times_at, with_buffers
from pulsefold.compiler.plan.units import Fork, MatVec
from pulsefold.compiler.plan.units.memory import buffer_style
from pulsefold.errors import VerificationError
from pulsefold.sim import golden
from pulsefold.sim.bench.expected import expected_values

INT = ElementType.integer


def skip_plan(kernel: int, *, simd: int = 1) -> Plan:
    """A tensor, a convolution of it, and their sum."""
    b = Builder(np.random.default_rng(0))
    x = b.input((6, 5, 2), INT(4, signed=True))
    y = b.threshold(b.conv(x, 2, kernel))
    graph = b.graph(b.add(Sum, x, y, gains=(1, 3)))
    folds = {layer.name: Fold(simd=simd, pe=simd) for layer in layers_of(graph)}
    return make_plan(graph, TARGET, folds=folds)


@pytest.mark.parametrize("seed", range(150))
def test_units_in_their_network_are_the_graph(seed: int) -> None:
    plan = random_plan(seed)
    network, q = plan.network, frames(plan.graph, 2, seed)
    values = {
        Source(unit=None, port=port): q[name].reshape(-1, plan.inputs[port].lanes)
        for port, name in enumerate(plan.entries)
    }
    for number, (unit, sources) in enumerate(zip(network.units, network.sources, strict=True)):
        assert unit.inputs == tuple(network.stream(source) for source in sources)
        y = expected_values(unit, *(values[source] for source in sources))
        values |= {Source(unit=number, port=port): y for port in range(len(unit.outputs))}
    want = golden.run(plan.graph, q, keep=True)
    for name, source in zip(plan.exits, network.results, strict=True):
        np.testing.assert_array_equal(values[source].ravel(), want[name].ravel())
    for number, name in enumerate(network.tensors):
        if name is not None:
            got = values[Source(unit=number, port=0)]
            np.testing.assert_array_equal(got.ravel(), want[name].ravel(), err_msg=name)


@pytest.mark.parametrize("seed", [0, 5])
def test_circuits(seed: int) -> None:
    check_circuit(random_plan(seed), seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 125))
def test_circuits_at_random(seed: int) -> None:
    plan = random_plan(seed)
    if plan.cycles > 5_000:
        pytest.skip(f"{plan.cycles} cycles a frame take long")
    check_circuit(plan, seed)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Beats of one tap and of three, rows of a group in one fold and in several, both memories.
        (Fold(pe=3, simd=6, memory="block"), Fold(pe=1, simd=2)),
        (Fold(pe=1, simd=2), Fold(pe=2, simd=6, memory="block")),
    ],
)
def test_groups_of_a_convolution_take_turns(first: Fold, second: Fold) -> None:
    b = Builder(np.random.default_rng(2))
    x = b.input((5, 6, 8), INT(4, signed=True))
    y = b.threshold(b.conv(x, 12, 3, stride=2, groups=4))
    y = b.requantize(b.conv(y, 8, 1, bits=3, groups=2))
    graph = b.graph(y)
    folds = dict(zip((layer.name for layer in layers_of(graph)), (first, second), strict=True))
    plan = make_plan(graph, TARGET, folds=folds)
    units = [unit for unit in plan.units if isinstance(unit, MatVec)]
    assert [unit.turns for unit in units] == [4, 2]
    # Nine pixels, and only the weights that there are.
    weights = 12 * 9 * 2, 8 * 6
    assert [unit.weight_depth * unit.pe * unit.simd for unit in units] == list(weights)
    assert [unit.cycles for unit in units] == [9 * unit.weight_depth for unit in units]
    check_circuit(plan, 3)


def test_a_skip_buffer_holds_what_the_long_way_round_needs() -> None:
    plan = skip_plan(3)
    (fork,) = (u for u in plan.units if isinstance(u, Fork))
    # The first sum waits for the first window, which waits for two whole rows of five pixels in two beats.
    long, skip = fork.buffer_depths
    assert long == 2
    assert 20 <= skip <= 40
    assert plan.latency_cycles == latency_of(plan.network, plan.cycles) > plan.cycles


def test_deep_buffers_lie_in_lut_ram_where_a_block_would_stay_empty() -> None:
    """Two rows of 40 pixels in 32 bits a beat: a seventh of a block. What a folding says is what it was."""
    b = Builder(np.random.default_rng(0))
    x = b.input((6, 40, 8), INT(4, signed=True))
    y = b.threshold(b.conv(x, 8, 3, bits=2), bits=2)
    graph = b.graph(b.add(Sum, x, y, gains=(1, 3)))
    plan, empty = (make_plan(graph, TARGET, fps=100_000, padding=padding) for padding in (None, 1.0))

    def rings(plan: Plan) -> list[str]:
        return [
            ring
            for unit in plan.units
            for stream, depth, ring in zip(unit.outputs, unit.buffer_depths, unit.rings, strict=True)
            if buffer_style("ecp5", depth, stream.width) == "block"
        ]

    assert rings(empty) == ["block"]
    assert rings(plan) == ["full"]
    assert plan.padding <= 0.15 < empty.padding
    assert {fold.buffers for fold in plan.folds.values()} == {"block", "lut"}
    again = make_plan(graph, TARGET, folds=plan.folds)
    assert rings(again) == ["full"]
    assert again.cost == plan.cost
    check_circuit(plan, 0)


def test_without_its_buffers_a_network_stops() -> None:
    plan = skip_plan(3)
    network = plan.network
    bare = tuple(replace(u, buffer_depths=(2, 2)) if isinstance(u, Fork) else u for u in network.units)
    stuck = replace(plan, network=replace(network, units=bare))
    with pytest.raises(VerificationError, match="stuck"):
        check_circuit(stuck, 0)
    whole = replace(plan, network=with_buffers(stuck.network, plan.cycles))
    check_circuit(whole, 0)


@pytest.mark.parametrize("simd", [1, 2])
def test_skip_buffers_are_no_deeper_than_the_rate_asks_for(simd: int) -> None:
    """At the computed depth a frame every `cycles`; five entries less are slower, and seven less stop it."""
    plan = skip_plan(3, simd=simd)
    (number,) = (k for k, u in enumerate(plan.units) if isinstance(u, Fork))
    long, skip = plan.units[number].buffer_depths

    def shallower(depth: int) -> Plan:
        units = list(plan.units)
        units[number] = units[number].with_depths((long, depth))
        return replace(plan, network=replace(plan.network, units=tuple(units)))

    planned, less = (free_run(shallower(depth)) for depth in (skip, skip - 5))
    assert planned is not None
    assert less is not None
    np.testing.assert_array_equal(np.diff(planned)[1:], plan.cycles)
    assert np.diff(less)[-1] > plan.cycles
    assert free_run(shallower(skip - 7)) is None
    # The schedule in which units wait for each other says in which cycle each frame ends.
    for depth, ends in ((skip, planned), (skip - 5, less)):
        network, frames = shallower(depth).network, len(ends)
        arrivals = [np.arange(s.beats * frames) for s in network.inputs]
        offers, _ = moves_of(network, arrivals, endless=(), rounds=100)
        promised = times_at(network.results[0], arrivals, offers)
        np.testing.assert_array_equal(promised[plan.output.beats - 1 :: plan.output.beats], ends)


def test_a_straight_line_has_no_forks_and_exact_latency() -> None:
    b = Builder(np.random.default_rng(0))
    x = b.input((6, 5, 2), INT(4, signed=True))
    y = b.requantize(b.conv(b.threshold(b.conv(x, 4, 3)), 4, 1))
    graph = b.graph(y)
    plan = make_plan(graph, TARGET, folds={layer.name: Fold(simd=2, pe=2) for layer in layers_of(graph)})
    assert plan.network.straight
    assert not any(isinstance(u, Fork) for u in plan.units)
    assert [layer.steps is not None for layer in plan.layers] == [True, True]
    measured = check_circuit(plan, 0)
    assert measured["latency"] == plan.latency_cycles


def test_promised_latency_counts_what_a_deep_buffer_lags() -> None:
    """The columns' buffer runs dry while its writer sends a word every third cycle."""
    b = Builder(np.random.default_rng(0))
    x = b.input((4, 4, 2), INT(4, signed=True))
    y = b.threshold(b.conv(b.threshold(b.conv(x, 8, 3), bits=8), 8, 3))
    graph = b.graph(y)
    folds = (Fold(simd=1, pe=8), Fold(simd=3, pe=4))
    plan = make_plan(graph, TARGET, folds=dict(zip((n.name for n in layers_of(graph)), folds, strict=True)))
    (columns,) = (k for k, unit in enumerate(plan.units) if "columns" in unit.name)
    deep = replace(plan, network=plan.network.with_depths({(columns, 0): 86}))
    ends = free_run(deep, 3)
    assert ends is not None
    assert plan.latency_cycles < ends[0] + 1 <= deep.latency_cycles
    np.testing.assert_array_equal(np.diff(ends), plan.cycles)


def test_a_layer_read_twice_keeps_its_accumulators() -> None:
    b = Builder(np.random.default_rng(0))
    x = b.input((4, 4, 2), INT(4, signed=True))
    y = b.conv(x, 2, 1)
    graph = b.graph(b.threshold(y), b.add(Sum, y, x, gains=(1, 1)))
    layers = layers_of(graph)
    assert [type(layer.node).__name__ for layer in layers] == ["Conv", "Threshold", "Sum"]
    assert layers[0].steps is None
    plan = make_plan(graph, TARGET, folds={layer.name: Fold() for layer in layers})
    assert len(plan.outputs) == 2
    check_circuit(plan, 3)
