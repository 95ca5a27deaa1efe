"""Simulate: real inputs through the golden model or the circuit."""

from __future__ import annotations

import time
from collections.abc import Callable
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

__all__ = ["LEVELS", "Simulation", "beats_of", "circuit_outputs", "simulate", "simulate_integers"]

LEVELS = ("golden", "rtl")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What a simulation gave.

    Parameters
    ----------
    y
        The model's outputs, or the last integers.
    report
        Section ``simulation`` of ``report.json``.
    mismatches
        Output elements in which the circuit differs from the golden model.
    """

    y: np.ndarray
    report: dict[str, Any]
    mismatches: int


def simulate(
    design: Design,
    x: np.ndarray,
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
        The model's own input, batch first.
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
    graph, (out,) = design.graph, design.graph.outputs
    x = x[:limit] if limit else x
    say("golden model")
    q = golden.quantize_input(graph.inputs[0], x)
    started = time.monotonic()
    want = golden.run(graph, {graph.inputs[0].tensor: q})[out.tensor]
    report: dict[str, Any] = {"level": level, "images": len(q), "mismatches": 0}
    got = want
    if level == "rtl":
        got, run = simulate_integers(design, q, stalls=stalls, seed=seed, waves=waves, progress=say)
        report |= timing(design, run, len(q))
        report["mismatches"] = int(np.count_nonzero(got != want))
        report["stalls"] = stalls
    report["seconds"] = time.monotonic() - started
    y = golden.present_raw(out, got) if raw else golden.present_output(graph, out, got)
    return Simulation(y=y, report=report, mismatches=report["mismatches"])


def timing(design: Design, run: SimRun, images: int) -> dict[str, Any]:
    """Measured cycles beside the plan's promise."""
    plan = design.plan
    ends = run.produced[plan.output.beats - 1 :: plan.output.beats].astype(np.int64)
    first = int(ends[0]) - int(run.accepted[0]) + 1
    # The first image fills the pipeline; from the second on, results come at the steady rate.
    steady = float(ends[-1] - ends[0]) / (images - 1) if images > 1 else None
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
    q: np.ndarray,
    *,
    simulator: Simulator | None = None,
    stalls: float = 0.0,
    seed: int = 0,
    waves: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, SimRun]:
    """Quantized inputs (N, H, W, C) through the circuit, built if none is given: last integers, run."""
    plan = design.plan
    say = progress or Silent()
    total = len(q) * plan.output.beats

    def tell(stage: str, done: int, of: int) -> None:
        say(
            f"circuit: {len(q) * done // total} of {len(q)} images"
            if stage == "simulate"
            else f"circuit: {stage}"
        )

    if simulator is None:
        simulator = Simulator.build(Core(plan), progress=tell)
    run = simulator.with_progress(tell).run(
        beats_of(q, plan.input),
        outputs=total,
        stall_in=stalls,
        stall_out=stalls,
        seed=seed,
        waves=waves,
    )
    tensor = design.graph.tensors[design.graph.outputs[0].tensor]
    return circuit_outputs(run.beats, plan.output, tensor), run
