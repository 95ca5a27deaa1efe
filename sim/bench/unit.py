"""One unit against expected beats under stalls, in cocotb on Verilator."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from pulsefold.boards.cache import BuildCache
from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.sim.bench.check import check_ii, check_latency, check_paths, check_run
from pulsefold.sim.bench.launch import compile_bench, launch_bench
from pulsefold.sim.bench.stimulus import Stimulus, UnitRun
from pulsefold.sim.cosim.compile import design_from_rtlil
from pulsefold.sim.cosim.packing import check_beats, pack, streams_of, unpack
from pulsefold.sim.cosim.ports import Ports
from pulsefold.sim.cosim.verilog import to_rtlil, top_inputs

__all__ = ["Stimulus", "UnitRun", "run_unit", "run_unit_many"]


def run_unit(
    component: wiring.Component,
    beats_in: np.ndarray | Sequence[np.ndarray],
    beats_out: np.ndarray | Sequence[np.ndarray],
    *,
    stall_in: float = 0.0,
    stall_out: float = 0.0,
    seed: int = 0,
    ready_after_valid: bool = False,
    expect_latency: int | None = None,
    expect_ii: int | None = None,
    frames: int = 1,
    allow_paths: Collection[str] = (),
    idle_cycles: int = 10_000,
    build_dir: Path | None = None,
) -> UnitRun:
    """Play one stimulus; see :func:`run_unit_many` and :class:`Stimulus`.

    Parameters
    ----------
    component, beats_in, beats_out, stall_in, stall_out, seed, ready_after_valid
        The unit, what to drive, and what must come.
    expect_latency
        Cycles from the first beat in to the first beat out.
    expect_ii
        Cycles from the last beat out of a frame to the last beat out of the next, for every frame. Only
        meaningful without stalls.
    frames
        Frames in the stimulus, equally long.
    allow_paths, idle_cycles, build_dir
        As for :func:`run_unit_many`.

    Raises
    ------
    VerificationError
        Also if latency or initiation interval differ.
    """
    stimulus = Stimulus(
        beats=beats_in,
        expected=beats_out,
        stall_in=stall_in,
        stall_out=stall_out,
        ready_after_valid=ready_after_valid,
        seed=seed,
    )
    (run,) = run_unit_many(
        component, [stimulus], allow_paths=allow_paths, idle_cycles=idle_cycles, build_dir=build_dir
    )
    where = type(component).__name__
    if expect_latency is not None:
        check_latency(run, expect_latency, where=where)
    if expect_ii is not None:
        check_ii(run, expect_ii, frames=frames, where=where)
    return run


def run_unit_many(
    component: wiring.Component,
    stimuli: Sequence[Stimulus],
    *,
    allow_paths: Collection[str] = (),
    idle_cycles: int = 10_000,
    drain_cycles: int = 32,
    build_dir: Path | None = None,
) -> list[UnitRun]:
    """Play stimuli one after the other, each after a reset, in one simulation.

    Every cycle the output stream is held to its contract (valid stays, payload is stable while stalled),
    and o.ready is turned over between edges to see what hangs on it combinationally.

    Parameters
    ----------
    component
        With streams `i` and `o`, or `i0`, `i1` and so on.
    stimuli
        What to drive and what must come.
    allow_paths
        Ports that may depend on o.ready within a cycle: ``"i.ready"`` for units that leave the path to a
        buffer. ``"o.valid"`` and ``"o.payload"`` never may in a finished unit.
    idle_cycles
        Cycles without a transfer after which the unit counts as stuck.
    drain_cycles
        Cycles to go on after the last expected beat, in which no more may come.
    build_dir
        Folder of compiled simulators; the user's cache folder by default.

    Returns
    -------
    list[UnitRun]
        One for each stimulus.

    Raises
    ------
    VerificationError
        At the first stimulus that broke the contract, deadlocked, or gave another beat than expected.
    """
    text = to_rtlil(component)
    ports = Ports.of(component, top_inputs(text))
    given = [streams_of(stimulus.beats, ports.inputs) for stimulus in stimuli]
    expected = [
        [check_beats(b, port) for b, port in zip(wanted, ports.outputs, strict=True)]
        for wanted in (streams_of(stimulus.expected, ports.outputs) for stimulus in stimuli)
    ]
    root = (user_cache_dir() / "cosim") if build_dir is None else build_dir.resolve()
    cache = BuildCache(root=root)
    design = design_from_rtlil(text, cache)
    simulator = compile_bench(design, cache)
    job = {
        "inputs": {port.name: port.bits for port in ports.inputs},
        "outputs": {port.name: port.words for port in ports.outputs},
        "clock": ports.clock,
        "reset": ports.reset,
        "idle_cycles": idle_cycles,
        "drain_cycles": drain_cycles,
        "stimuli": [
            {
                "inputs": [len(b) for b in beats],
                "outputs": [len(b) for b in wanted],
                "stall_in": stimulus.stall_in,
                "stall_out": stimulus.stall_out,
                "ready_after_valid": stimulus.ready_after_valid,
                "seed": stimulus.seed,
            }
            for stimulus, beats, wanted in zip(stimuli, given, expected, strict=True)
        ],
    }
    runs = []
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        packed = {
            f"{port.name}_{k}": pack(b, port)
            for k, beats in enumerate(given)
            for b, port in zip(beats, ports.inputs, strict=True)
        }
        np.savez(folder / "in.npz", allow_pickle=False, **packed)
        launch_bench(simulator, design, folder)
        results = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        with np.load(folder / "out.npz", allow_pickle=False) as arrays:
            for k, (stimulus, result) in enumerate(zip(stimuli, results, strict=True)):
                run = UnitRun(
                    all_beats=tuple(unpack(arrays[f"beats_{p.name}_{k}"], p) for p in ports.outputs),
                    all_accepted=tuple(arrays[f"cycles_{p.name}_{k}"] for p in ports.inputs),
                    all_produced=tuple(arrays[f"cycles_{p.name}_{k}"] for p in ports.outputs),
                    cycles=result["cycles"],
                )
                where = f"{type(component).__name__}, stimulus {k} ({stimulus})"
                check_run(run, expected[k], where=where, error=result["error"])
                check_paths(set(result["paths"]) - set(allow_paths), where=where)
                runs.append(run)
    return runs
