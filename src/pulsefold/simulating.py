"""Simulate: real inputs through the golden model or the circuit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pulsefold.compiler.ir import Tensor
from pulsefold.compiler.plan.units import Stream
from pulsefold.design import Design
from pulsefold.errors import PulsefoldError
from pulsefold.hdl.top import Core
from pulsefold.progress import Silent
from pulsefold.sim import golden
from pulsefold.sim.cosim import SimRun, Simulator

__all__ = [
    "LEVELS",
    "Simulation",
    "beats_of",
    "circuit_outputs",
    "images_of",
    "simulate",
    "simulate_integers",
]

LEVELS = ("golden", "rtl")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What a simulation gave.

    Parameters
    ----------
    outputs
        The model's outputs by name, or the last integers.
    report
        Section ``simulation`` of ``report.json``.
    mismatches
        Output elements in which the circuit differs from the golden model.
    """

    outputs: Mapping[str, np.ndarray]
    report: dict[str, Any]
    mismatches: int

    @property
    def y(self) -> np.ndarray:
        """The first output."""
        return next(iter(self.outputs.values()))


def simulate(
    design: Design,
    x: golden.Arrays,
    *,
    level: str = "rtl",
    limit: int | None = None,
    raw: bool = False,
    waves: Path | None = None,
    stalls: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Simulation:
    """Run inputs through a design.

    Parameters
    ----------
    design
        A compiled design.
    x
        The model's own input, batch first; arrays by name where it has several.
    level
        ``"golden"`` or ``"rtl"``; the circuit is always compared with the golden model.
    limit
        Take at most so many images.
    raw
        Give the integers before the last scale.
    waves
        Write waveforms (``.vcd`` or ``.fst``) of the circuit.
    stalls, seed
        Probability of a pause in each cycle, at both ends, and its random seed.
    progress
        Called with a line now and then.
    """
    say = progress or Silent()
    if level not in LEVELS:
        raise PulsefoldError(
            f"there is no level {level!r}", where="--level", todo=f"use {' or '.join(LEVELS)}"
        )
    if limit is not None and limit < 1:
        raise PulsefoldError(f"the limit must be at least 1, not {limit}", where="--limit")
    graph = design.graph
    arrays = {name: a[:limit] if limit else a for name, a in golden.input_arrays(graph, x).items()}
    say("golden model")
    q = golden.quantize_inputs(graph, arrays)
    images = images_of(q)
    started = time.monotonic()
    want = golden.run(graph, q)
    report: dict[str, Any] = {"level": level, "images": images, "mismatches": 0}
    got = want
    if level == "rtl":
        got, run = simulate_integers(design, q, stalls=stalls, seed=seed, waves=waves, progress=say)
        report |= timing(design, run, images)
        report["mismatches"] = sum(int(np.count_nonzero(got[name] != want[name])) for name in got)
        report["stalls"] = stalls
    report["seconds"] = time.monotonic() - started
    outputs = {
        o.name: golden.present_raw(o, got[o.tensor])
        if raw
        else golden.present_output(graph, o, got[o.tensor])
        for o in graph.outputs
    }
    return Simulation(outputs=outputs, report=report, mismatches=report["mismatches"])


def images_of(q: Mapping[str, np.ndarray]) -> int:
    """Length of the batch."""
    return min(len(values) for values in q.values())


def timing(design: Design, run: SimRun, images: int) -> dict[str, Any]:
    """Measured cycles beside the plan's promise."""
    plan = design.plan
    lasts = [p[s.beats - 1 :: s.beats] for p, s in zip(run.all_produced, plan.outputs, strict=True)]
    ends = np.max(lasts, axis=0).astype(np.int64)
    first = int(ends[0]) - min(int(taken[0]) for taken in run.all_accepted) + 1
    # The first image fills the pipeline. It may have left a deep buffer some cycles sooner than those that
    # find the buffer filled, so where there are more the rate is counted from the second on.
    steady = float(np.diff(ends[1:] if images > 2 else ends).mean()) if images > 1 else None
    return {
        "cycles_per_image": steady,
        "cycles_per_image_promised": plan.cycles,
        "latency_cycles": first,
        "latency_cycles_promised": plan.latency_cycles,
        "slowest_unit": plan.bottleneck.name,
        "cycles": int(run.cycles),
    }


def beats_of(q: np.ndarray, stream: Stream) -> np.ndarray:
    """Integers (N, H, W, C) as bit patterns [beats, lanes] of a stream."""
    return stream.type.encode(q.reshape(-1, stream.lanes))


def circuit_outputs(beats: np.ndarray, stream: Stream, tensor: Tensor) -> np.ndarray:
    """Bit patterns of a stream as integers (N, H, W, C) of a tensor."""
    return stream.type.decode(beats).reshape(-1, *tensor.shape)


def simulate_integers(
    design: Design,
    q: Mapping[str, np.ndarray],
    *,
    simulator: Simulator | None = None,
    stalls: float = 0.0,
    seed: int = 0,
    waves: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[dict[str, np.ndarray], SimRun]:
    """Quantized inputs (N, H, W, C) by tensor through the circuit, built if none is given.

    Gives the integers of the plan's exits by tensor, and the run.
    """
    plan = design.plan
    say = progress or Silent()
    images = images_of(q)
    counts = [images * stream.beats for stream in plan.outputs]

    def tell(stage: str, done: int, of: int) -> None:
        say(
            f"circuit: {images * done // sum(counts)} of {images} images"
            if stage == "simulate"
            else f"circuit: {stage}"
        )

    if simulator is None:
        simulator = Simulator.build(Core(plan), progress=tell)
    run = simulator.with_progress(tell).run(
        [beats_of(q[name], stream) for name, stream in zip(plan.entries, plan.inputs, strict=True)],
        outputs=counts,
        stall_in=stalls,
        stall_out=stalls,
        seed=seed,
        # After the last beat in, nothing moves at either end for most of the latency.
        idle_cycles=max(1_000_000, 4 * plan.latency_cycles),
        waves=waves,
    )
    streams = zip(plan.exits, run.all_beats, plan.outputs, strict=True)
    tensors = design.graph.tensors
    return {name: circuit_outputs(beats, stream, tensors[name]) for name, beats, stream in streams}, run
