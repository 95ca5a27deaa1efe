"""Random branching integer graphs, and the checks of their plans and circuits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.sim import Simulator as InterpretedSimulator

from pulsefold.compiler.ir import (
    Concat,
    Conv,
    ElementType,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Requantize,
    Sum,
    Tensor,
    Threshold,
    chw_index,
)
from pulsefold.compiler.plan.layers import Fold, layers_of
from pulsefold.compiler.plan.lower import lanes_of
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.target import Target
from pulsefold.hdl.top import Core
from pulsefold.sim import golden
from pulsefold.sim.cosim import Simulator

INT = ElementType.integer
TARGET = Target(
    board="test",
    family="ecp5",
    resources=Resources(luts=80_000, ffs=80_000, brams=200, dsps=100),
    usable=0.65,
    clock_mhz=100,
)


@dataclass
class Builder:
    """A graph under construction; every method adds nodes behind a tensor and gives the new one."""

    rng: np.random.Generator
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)

    def input(self, shape: tuple[int, int, int], kind: ElementType) -> Tensor:
        x = Tensor(name=f"x{len(self.inputs)}", shape=shape, type=kind)
        self.inputs.append(x.name)
        self.tensors[x.name] = x
        return x

    def add(self, make: Callable[..., Any], *xs: Tensor, **options: Any) -> Tensor:
        name = f"{make.__name__.lower()}{len(self.nodes)}"
        reads = {"inputs": tuple(x.name for x in xs)} if make in (Sum, Concat) else {"input": xs[0].name}
        node = make(name=name, output=name + "_y", **reads, **options)
        self.nodes.append(node)
        self.tensors[node.output] = node.output_tensor(*xs)
        return self.tensors[node.output]

    def conv(
        self, x: Tensor, outputs: int, kernel: int, stride: int = 1, bits: int = 2, groups: int = 1
    ) -> Tensor:
        kind = INT(bits, signed=True)
        shape = (outputs, kernel, kernel, x.shape[2] // groups)
        weights = self.rng.integers(kind.minimum, kind.maximum + 1, shape)
        pads = (kernel // 2,) * 4
        rest = {"weight_type": kind, "stride": (stride,) * 2, "pads": pads, "groups": groups}
        return self.add(Conv, x, weights=weights, **rest)

    def threshold(self, x: Tensor, bits: int = 2) -> Tensor:
        kind = INT(bits, signed=bool(self.rng.integers(2)))
        low, high = max(x.type.minimum, -40), min(x.type.maximum, 40)
        table = np.sort(self.rng.integers(low, high + 2, (x.shape[2], kind.maximum - kind.minimum)), axis=1)
        descending = self.rng.random(x.shape[2]) < 0.3
        return self.add(Threshold, x, thresholds=table, descending=descending, first=kind.minimum, type=kind)

    def requantize(self, x: Tensor, bits: int = 8) -> Tensor:
        kind = INT(bits, signed=True)
        channels = x.shape[2]
        shift = 12
        span = max(abs(x.type.minimum), x.type.maximum, 1)
        top = max(2, (kind.maximum << shift) * 3 // span)
        return self.add(
            Requantize,
            x,
            multiplier=self.rng.integers(top // 4 + 1, top + 1, channels),
            addend=self.rng.integers(-(1 << shift), 1 << shift, channels),
            shift=shift,
            low=np.array([kind.minimum]),
            high=np.array([kind.maximum]),
            type=kind,
        )

    def steps(self, x: Tensor) -> Tensor:
        return self.threshold(x) if self.rng.integers(3) else self.requantize(x, 4)

    def residual(self, x: Tensor, stride: int = 1, depth: int = 0) -> Tensor:
        """Two or so convolutions beside a connection that skips them."""
        outputs = x.shape[2] * int(stride)
        y = self.steps(self.conv(x, outputs, 3, stride))
        if depth:
            y = self.residual(y, 1, depth - 1)
        y = self.conv(y, outputs, int(self.rng.choice([1, 3])))
        if self.rng.integers(2):
            y = self.steps(y)
        skip = x
        if stride > 1:
            skip = self.conv(x, outputs, 1, stride)
        gains = (1, int(self.rng.integers(1, 4)))
        return self.steps(self.add(Sum, y, skip, gains=gains))

    def branches(self, x: Tensor, depth: int = 0) -> Tensor:
        """Branches of different length side by side."""
        parts = [self.steps(self.conv(x, 2, 1)), self.steps(self.conv(self.steps(self.conv(x, 2, 1)), 4, 3))]
        if self.rng.integers(2):
            parts.append(self.add(MaxPool, x, kernel=(3, 3), stride=(1, 1), pads=(1, 1, 1, 1)))
        if depth:
            parts[0] = self.branches(parts[0], depth - 1)
        if self.rng.integers(2):
            parts.append(x)
        self.rng.shuffle(parts)  # type: ignore[arg-type]
        return self.steps(self.add(Concat, *parts))

    def graph(self, *outputs: Tensor) -> Graph:
        entries = []
        for name in self.inputs:
            x = self.tensors[name]
            cuts = np.arange(x.type.minimum + 1, x.type.maximum + 1, dtype=np.float32)[None] - np.float32(0.5)
            entries.append(
                Input(
                    tensor=name,
                    name=name,
                    index=chw_index(x.shape),
                    frame=x.shape,
                    dtype="float32",
                    thresholds=cuts,
                    descending=np.array([False]),
                    first=x.type.minimum,
                )
            )
        exits = [
            Output(tensor=y.name, name=f"out{k}", index=chw_index(y.shape)) for k, y in enumerate(outputs)
        ]
        return Graph(
            name="random",
            inputs=tuple(entries),
            outputs=tuple(exits),
            nodes=tuple(self.nodes),
            tensors=self.tensors,
        )


def random_graph(seed: int) -> Graph:
    """Blocks one after the other, with one or two inputs and one or two outputs."""
    rng = np.random.default_rng(seed)
    b = Builder(rng)
    shape = (int(rng.choice([4, 6])), int(rng.choice([4, 5])), int(rng.choice([1, 2, 4])))
    x = b.input(shape, INT(int(rng.choice([2, 4])), signed=True))
    outputs: list[Tensor] = []
    if rng.integers(3) == 0:
        x = b.add(Sum, x, b.input(shape, INT(3, signed=False)), gains=(1, -2))
    if rng.integers(2):
        x = b.steps(b.conv(x, 4, 3))
    for _ in range(int(rng.integers(1, 3))):
        kind = int(rng.integers(5))
        if kind < 2:
            x = b.residual(x, depth=int(rng.integers(2)))
        elif kind == 2 and min(x.shape[:2]) >= 4:
            x = b.residual(x, stride=2)
        elif kind == 3:
            x = b.branches(x, depth=int(rng.integers(2)))
        else:
            x = b.steps(b.add(Sum, x, x, gains=(1, 2)))
        if rng.integers(3) == 0:
            outputs.append(x)
    if rng.integers(2):
        whole = rng.integers(-2, 2, (3, *x.shape[:2], x.shape[2]))
        x = b.add(Conv, x, weights=whole, weight_type=INT(2, signed=True))
    return b.graph(*{y.name: y for y in [*outputs, x]}.values())


def random_plan(seed: int) -> Plan:
    """A random graph with a random folding."""
    graph = random_graph(seed)
    rng = np.random.default_rng([seed, 1])
    folds = {}
    for layer in layers_of(graph):
        if isinstance(layer.node, Conv):
            pe, simd = (int(rng.choice([d for d in range(1, n + 1) if n % d == 0])) for n in layer.matrix)
            folds[layer.name] = Fold(pe=pe, simd=simd, memory=str(rng.choice(["lut", "block"])))
        else:
            lines, buffers = (str(rng.choice(["lut", "block"])) for _ in range(2))
            folds[layer.name] = Fold(simd=int(rng.choice(lanes_of(layer))), lines=lines, buffers=buffers)
    return make_plan(graph, TARGET, folds=folds)


def frames(graph: Graph, count: int, seed: int) -> dict[str, np.ndarray]:
    """Random integers of every input."""
    rng = np.random.default_rng([seed, 2])
    tensors = [graph.tensors[entry.tensor] for entry in graph.inputs]
    return {x.name: rng.integers(x.type.minimum, x.type.maximum + 1, (count, *x.shape)) for x in tensors}


STALLS = [(0.0, 0.0), (0.4, 0.4), (0.0, 0.9), (0.9, 0.0)]


def check_circuit(plan: Plan, seed: int, count: int = 5, stalls: list[tuple[float, float]] = STALLS) -> dict:
    """Equal under any stalls; freely running, at the promised rate and within the promised latency."""
    q = frames(plan.graph, count, seed)
    want = golden.run(plan.graph, q)
    beats = [
        s.type.encode(q[name].reshape(-1, s.lanes)) for name, s in zip(plan.entries, plan.inputs, strict=True)
    ]
    simulator = Simulator.build(Core(plan))
    measured = {}
    for k, (stall_in, stall_out) in enumerate(stalls):
        run = simulator.run(
            beats,
            outputs=[count * s.beats for s in plan.outputs],
            stall_in=stall_in,
            stall_out=stall_out,
            seed=seed + k,
            idle_cycles=20 * plan.latency_cycles + 10_000,
        )
        for name, s, got in zip(plan.exits, plan.outputs, run.all_beats, strict=True):
            np.testing.assert_array_equal(s.type.decode(got).reshape(want[name].shape), want[name])
        if (stall_in, stall_out) == (0.0, 0.0):
            lasts = [p[s.beats - 1 :: s.beats] for p, s in zip(run.all_produced, plan.outputs, strict=True)]
            ends = np.max(lasts, axis=0).astype(np.int64)
            measured = {
                "latency": int(ends[0]) - min(int(t[0]) for t in run.all_accepted) + 1,
                "cycles": (ends[-1] - ends[1]) / (count - 2),
            }
            assert measured["latency"] <= plan.latency_cycles
            assert measured["cycles"] <= 1.02 * plan.cycles + 1
    return measured


def free_run(plan: Plan, count: int = 4) -> np.ndarray | None:
    """Cycle of each frame's last result, the first beat in being 0; None if the circuit stops for good.

    In Amaranth's simulator, which compiles nothing, without pauses; all integers are 0.
    """
    core = Core(plan)
    sent, given = [0] * len(plan.inputs), [[] for _ in plan.outputs]
    due = [count * s.beats for s in plan.outputs]
    patience = 3 * plan.latency_cycles + 3 * plan.cycles

    async def bench(ctx) -> None:
        cycle = moved = 0
        while any(len(times) < n for times, n in zip(given, due, strict=True)) and cycle < moved + patience:
            for k, (port, s) in enumerate(zip(core.ins, plan.inputs, strict=True)):
                ctx.set(port.valid, int(sent[k] < count * s.beats))
            for times, port, n in zip(given, core.outs, due, strict=True):
                ctx.set(port.ready, int(len(times) < n))
            for k, port in enumerate(core.ins):
                if ctx.get(port.valid) and ctx.get(port.ready):
                    sent[k], moved = sent[k] + 1, cycle
            for times, port in zip(given, core.outs, strict=True):
                if ctx.get(port.valid) and ctx.get(port.ready):
                    times.append(cycle)
                    moved = cycle
            await ctx.tick()
            cycle += 1

    simulator = InterpretedSimulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    if any(len(times) < n for times, n in zip(given, due, strict=True)):
        return None
    return np.max(
        [times[s.beats - 1 :: s.beats] for times, s in zip(given, plan.outputs, strict=True)], axis=0
    )
