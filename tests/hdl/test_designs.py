"""Random networks under random foldings: units in a row, and the whole circuit, against golden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import INT, few
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pulsefold.compiler.ir import Conv, ElementType, Graph, MaxPool, Node, Requantize, Tensor, Threshold
from pulsefold.compiler.plan.folding import pixels_of, shares_multipliers
from pulsefold.compiler.plan.layers import Fold, layers_of
from pulsefold.compiler.plan.lower.conv import may_hold
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.compiler.plan.units import MatVec, ReorderUnit, RequantizeUnit, ThresholdUnit, Window
from pulsefold.compiler.plan.units.integers import divisors
from pulsefold.errors import FoldingError
from pulsefold.hdl.top import Core
from pulsefold.sim.bench.expected import expected_values
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.golden import OPERATIONS

TYPES = [
    ElementType.bipolar(),
    ElementType.ternary(),
    INT(1, signed=False),
    INT(2, signed=True),
    INT(4, signed=False),
    INT(8, signed=True),
]
TARGET = Target(
    board="test",
    family="ecp5",
    resources=Resources(luts=80_000, ffs=80_000, brams=200, dsps=100),
    usable=0.65,
    clock_mhz=100,
)


def values_of(rng: np.random.Generator, kind: ElementType, shape: tuple[int, ...]) -> np.ndarray:
    if kind.is_bipolar:
        return rng.choice([-1, 1], shape)
    return rng.integers(kind.minimum, kind.maximum + 1, shape)


@st.composite
def graphs(draw) -> Graph:
    """Up to three blocks of convolution, pool and threshold in any sensible order, then a full connection."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    x = Tensor(name="x", shape=(pick(4, 5, 7), pick(4, 6), pick(1, 2, 3)), type=pick(*TYPES))
    nodes: list[Node] = []
    tensors = {"x": x}

    def add(node: Node) -> None:
        nonlocal x
        nodes.append(node)
        x = node.output_tensor(x)
        tensors[x.name] = x

    def conv(outputs: int, kernel: tuple[int, int], **options) -> None:
        kind = pick(*TYPES)
        weights = values_of(rng, kind, (outputs, *kernel, x.shape[2]))
        name = f"conv{len(nodes)}"
        add(Conv(name=name, input=x.name, output=name + "_y", weights=weights, weight_type=kind, **options))

    def threshold() -> None:
        kind = pick(*TYPES[:5])
        count = 1 if kind.is_bipolar else kind.maximum - kind.minimum
        rows = pick(1, x.shape[2])
        low, high = max(x.type.minimum, -60), min(x.type.maximum, 60)
        table = np.sort(rng.integers(low, high + 2, (rows, count)), axis=1)
        name = f"steps{len(nodes)}"
        add(
            Threshold(
                name=name,
                input=x.name,
                output=name + "_y",
                thresholds=table,
                descending=rng.random(rows) < pick(0.0, 0.5),
                first=kind.minimum,
                type=kind,
            )
        )

    def requantize() -> None:
        kind = pick(*TYPES[3:])
        channels = x.shape[2]
        name = f"scale{len(nodes)}"
        add(
            Requantize(
                name=name,
                input=x.name,
                output=name + "_y",
                multiplier=rng.integers(-40, 40, pick(1, channels)),
                addend=rng.integers(-999, 999, pick(1, channels)),
                shift=pick(0, 3, 6),
                low=np.full(1, kind.minimum),
                high=rng.integers(kind.minimum, kind.maximum + 1, pick(1, channels)),
                type=kind,
            )
        )

    def pool() -> None:
        name = f"pool{len(nodes)}"
        pads = pick((0, 0, 0, 0), (1, 0, 0, 1))
        add(
            MaxPool(
                name=name,
                input=x.name,
                output=name + "_y",
                kernel=(2, 2),
                stride=(pick(1, 2),) * 2,
                pads=pads,
            )
        )

    if pick(True, False):
        threshold()
    for _ in range(pick(1, 2)):
        if min(x.shape[:2]) >= 3:
            pads = tuple(pick(0, 1) for _ in range(4))
            conv(pick(2, 4, 6), (pick(1, 2, 3), pick(1, 3)), pads=pads, stride=(pick(1, 2), 1))
        if pick(True, False) and min(x.shape[:2]) >= 2:
            pool()
        pick(threshold, requantize)()
        if pick(True, False) and min(x.shape[:2]) >= 2:
            pool()
    conv(pick(1, 5, 6), x.shape[:2])
    if pick(True, False):
        pick(threshold, requantize)()
    return Graph(name="random", inputs=(), outputs=(), nodes=tuple(nodes), tensors=tensors)


@st.composite
def plans(draw) -> Plan:
    graph = draw(graphs())
    folds = {}
    for layer in layers_of(graph):
        memory = draw(st.sampled_from(["lut", "block"]))
        if isinstance(layer.node, Conv):
            rows, columns = layer.matrix
            pe, simd = (draw(st.sampled_from(divisors(n))) for n in (rows, columns))
            pixels = draw(st.sampled_from(pixels_of(layer)))
            adder = draw(st.sampled_from(["tree", "carry"]))
            held = shared = parts = 1
            if memory == "block" and may_hold(layer, simd):
                held = draw(st.sampled_from(divisors(layer.y.shape[1] // pixels)))
                shared = draw(st.integers(1, held))
                parts = draw(st.sampled_from([n for n in divisors(simd) if n * shared <= held]))
            kinds = min(layer.operand.bits, layer.node.weight_type.bits) >= 4
            multipliers = ["lut", "dsp"] if kinds else ["lut"]
            if kinds and pe % 2 == 0 and shares_multipliers(layer):
                multipliers.append("pair")
            folds[layer.name] = Fold(
                pe=pe,
                simd=simd,
                pixels=pixels,
                held=held,
                shared=shared,
                parts=parts,
                memory=memory,
                multiplier=draw(st.sampled_from(multipliers)),
                adder=adder,
            )
        else:
            folds[layer.name] = Fold(simd=draw(st.sampled_from(divisors(layer.x.shape[2]))))
    return make_plan(graph, TARGET, folds=folds)


def golden(graph: Graph, x: np.ndarray) -> np.ndarray:
    for node in graph.nodes:
        x = OPERATIONS[type(node)](node, x)
    return x


def frames(plan: Plan, seed: int, count: int) -> np.ndarray:
    x = plan.graph.tensors["x"]
    return values_of(np.random.default_rng(seed), x.type, (count, *x.shape))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans(), st.integers(0, 2**31))
def test_units_in_a_row_are_the_network(plan: Plan, seed: int) -> None:
    x = frames(plan, seed, 2)
    values = x.reshape(-1, plan.input.lanes)
    for unit in plan.units:
        assert unit.inputs[0].type.contains(values)
        values = expected_values(unit, values)
    want = golden(plan.graph, x)
    np.testing.assert_array_equal(values.reshape(want.shape), want)


def check_circuit(plan: Plan, seed: int) -> None:
    """Equal under any stalls; alone, a frame every `plan.cycles` cycles and the first one when promised."""
    count = 5
    x = frames(plan, seed, count)
    want = plan.output.type.encode(golden(plan.graph, x).reshape(-1, plan.output.lanes))
    beats = plan.input.type.encode(x.reshape(-1, plan.input.lanes))
    simulator = Simulator.build(Core(plan))
    for k, (stall_in, stall_out) in enumerate([(0.0, 0.0), (0.4, 0.4), (0.0, 0.9), (0.9, 0.0)]):
        run = simulator.run(
            beats,
            outputs=len(want),
            stall_in=stall_in,
            stall_out=stall_out,
            seed=seed + k,
            idle_cycles=20 * plan.latency_cycles + 10_000,
        )
        np.testing.assert_array_equal(run.beats, want)
        if k == 0:
            ends = run.produced[plan.output.beats - 1 :: plan.output.beats].astype(np.int64)
            assert ends[0] - int(run.accepted[0]) + 1 <= plan.latency_cycles
            assert (ends[-1] - ends[1]) / (count - 2) <= 1.02 * plan.cycles + 1


@few(4, same=True)
@given(plans(), st.integers(0, 2**31))
def test_whole_circuit(plan: Plan, seed: int) -> None:
    assume(plan.cycles < 5_000)
    check_circuit(plan, seed)


@pytest.mark.parametrize("lanes", [1, 4])
def test_thresholds_of_all_channels_are_stored_once(lanes: int) -> None:
    steps = np.sort(np.random.default_rng(3).integers(-9999, 9999, (1, 255)), axis=1)
    node = Threshold(
        name="t",
        input="x",
        output="y",
        thresholds=steps,
        descending=np.zeros(1, bool),
        first=-128,
        type=INT(8, signed=True),
    )
    x = Tensor(name="x", shape=(2, 3, 16), type=INT(15, signed=True))
    tensors = {x.name: x, "y": node.output_tensor(x)}
    graph = Graph(name="test", inputs=(), outputs=(), nodes=(node,), tensors=tensors)
    plan = make_plan(graph, TARGET, folds={"t": Fold(simd=lanes)})
    (unit,) = (u for u in plan.units if isinstance(u, ThresholdUnit))
    alone = replace(unit, channels=lanes)
    assert unit.cost("ecp5") == alone.cost("ecp5")
    check_circuit(plan, 3)


def test_constants_in_parts_and_a_window_of_few_rows_keep_the_pace() -> None:
    rng, int8 = np.random.default_rng(5), INT(8, signed=True)

    def conv(name: str, x: str, rows: int, kernel: int, channels: int) -> Conv:
        weights = rng.integers(-127, 128, (rows, kernel, kernel, channels))
        pads = (kernel // 2,) * 4
        return Conv(name=name, input=x, output=f"{name}.y", weights=weights, weight_type=int8, pads=pads)

    def scale(name: str, x: str, channels: int) -> Requantize:
        return Requantize(
            name=name,
            input=x,
            output=f"{name}.y",
            multiplier=rng.integers(1 << 14, 1 << 15, channels),
            addend=rng.integers(-(1 << 24), 1 << 24, channels),
            shift=22,
            low=np.full(1, -128),
            high=np.full(1, 127),
            type=int8,
        )

    nodes = (
        conv("a", "x", 32, 1, 8),
        scale("b", "a.y", 32),
        conv("c", "b.y", 4, 3, 32),
        scale("d", "c.y", 4),
    )
    x = Tensor(name="x", shape=(6, 16, 8), type=int8)
    tensors = {x.name: x}
    for node in nodes:
        x = node.output_tensor(x)
        tensors[x.name] = x
    graph = Graph(name="test", inputs=(), outputs=(), nodes=nodes, tensors=tensors)
    folds = {"a": Fold(pe=1, simd=2, constants="block"), "c": Fold(pe=2, simd=4)}
    plan = make_plan(graph, TARGET, folds=folds)
    constants, window = plan.units[1], plan.units[3]
    assert isinstance(constants, RequantizeUnit)
    assert isinstance(window, Window)
    assert constants.parts == 4
    assert window.rows == window.fewest_rows < window.lean_rows
    check_circuit(plan, 3)


@pytest.mark.parametrize("lines", ["block", "lut"])
def test_weights_held_for_pixels_in_turn(lines: str) -> None:
    rng, int8 = np.random.default_rng(6), INT(8, signed=True)
    weights = {"a": rng.integers(-127, 128, (16, 3, 3, 8)), "c": rng.integers(-127, 128, (8, 1, 1, 16))}
    nodes = (
        Conv(name="a", input="x", output="a.y", weights=weights["a"], weight_type=int8, pads=(1, 1, 1, 1)),
        Requantize(
            name="b",
            input="a.y",
            output="b.y",
            multiplier=rng.integers(1 << 14, 1 << 15, 16),
            addend=rng.integers(-(1 << 24), 1 << 24, 16),
            shift=22,
            low=np.full(1, -128),
            high=np.full(1, 127),
            type=int8,
        ),
        Conv(name="c", input="b.y", output="c.y", weights=weights["c"], weight_type=int8),
    )
    x = Tensor(name="x", shape=(5, 10, 8), type=int8)
    tensors = {x.name: x}
    for node in nodes:
        x = node.output_tensor(x)
        tensors[x.name] = x
    graph = Graph(name="test", inputs=(), outputs=(), nodes=nodes, tensors=tensors)
    folds = {
        "a": Fold(pe=8, simd=8, pixels=2, held=5, shared=3, memory="block", lines=lines),
        "c": Fold(pe=4, simd=4, held=10, shared=4, parts=2, memory="block", lines=lines),
    }
    plan = make_plan(graph, TARGET, folds=folds)
    matvecs = [u for u in plan.units if isinstance(u, MatVec)]
    (constants,) = (u for u in plan.units if isinstance(u, RequantizeUnit))
    assert [u.sharers for u in matvecs] == [(3, 1), (4,)]
    # Words of each group: 2 rows of 9 beats, and 2 of 4; the second's in parts.
    assert [u.memory_depth for u in matvecs] == [3 * 18, 4 * 8 * 2]
    assert [u.waiting_places for u in matvecs] == [3, 8]
    # Every channel's constants once, though two pixels and five steps come one after the other.
    assert constants.folds * constants.lanes == 16
    kinds = {u.memory for u in plan.units if isinstance(u, Window | ReorderUnit)}
    assert ("small" in kinds) == (lines == "lut")
    check_circuit(plan, 4)


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_kernel_row_a_beat_in_turn(pixels: int) -> None:
    """Vectors come once, at a third of the pace of their first fold, and are kept for the others."""
    rng, int8 = np.random.default_rng(7), INT(8, signed=True)
    weights = rng.integers(-127, 128, (16, 3, 3, 8))
    conv = Conv(name="c", input="x", output="y", weights=weights, weight_type=int8, pads=(1, 1, 1, 1))
    x = Tensor(name="x", shape=(8, 8, 8), type=int8)
    graph = Graph(
        name="test", inputs=(), outputs=(), nodes=(conv,), tensors={"x": x, "y": conv.output_tensor(x)}
    )
    fold = Fold(pe=4, simd=12, pixels=pixels, held=4, shared=4, memory="block")
    plan = make_plan(graph, TARGET, folds={"c": fold})
    (window, columns, matvec) = plan.units[:3]
    assert isinstance(window, Window)
    assert isinstance(matvec, MatVec)
    assert window.row_taps
    assert (window.repeats, matvec.kept_beats, matvec.sharers) == (1, 24, (4,))
    # 24 beats of 96 in a burst, of which a third come meanwhile.
    assert columns.buffer_depth == 18
    assert plan.cycles == matvec.cycles == 64 // pixels * 4 * 6
    check_circuit(plan, 4)


@pytest.mark.parametrize(
    ("fold", "why"),
    [
        (Fold(pe=4, simd=8, held=5, shared=2), "in block RAM"),
        (Fold(pe=4, simd=8, held=4, shared=2, memory="block"), "divide a row's"),
        (Fold(pe=4, simd=36, held=5, shared=2, memory="block"), "SIMD that divides 8 channels"),
        (Fold(pe=4, simd=8, held=5, shared=6, memory="block"), "6 groups of PEs cannot share"),
        (Fold(pe=4, simd=8, shared=2, memory="block"), "2 groups of PEs cannot share"),
        (Fold(pe=4, simd=8, held=5, shared=3, parts=2, memory="block"), "3 groups of PEs cannot come in 2"),
        (Fold(pe=4, simd=8, held=10, parts=5, memory="block"), "cannot come in 5 parts"),
        (Fold(pe=4, simd=8, parts=2, memory="block"), "cannot come in 2 parts while they are held for 1"),
    ],
)
def test_weights_that_cannot_be_held(fold: Fold, why: str) -> None:
    weights = np.ones((8, 3, 3, 8), np.int64)
    conv = Conv(name="c", input="x", output="y", weights=weights, weight_type=INT(8, signed=True))
    x = Tensor(name="x", shape=(4, 12, 8), type=INT(8, signed=True))
    tensors = {"x": x, "y": conv.output_tensor(x)}
    graph = Graph(name="test", inputs=(), outputs=(), nodes=(conv,), tensors=tensors)
    with pytest.raises(FoldingError, match=why):
        make_plan(graph, TARGET, folds={"c": fold})


@pytest.mark.slow
@few(30, same=False)
@given(plans(), st.integers(0, 2**31))
def test_whole_circuits_at_random(plan: Plan, seed: int) -> None:
    assume(plan.cycles < 5_000)
    check_circuit(plan, seed)
