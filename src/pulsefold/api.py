"""The Python API: one function a verb of the command line, with the same names and meanings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pulsefold.arrays import load_array, load_inputs, save_outputs
from pulsefold.boards import Board, all_boards
from pulsefold.boards.toolchain import Finding
from pulsefold.boards.toolchain import doctor as find_tools
from pulsefold.compiler.frontend import Inspection, inspect_model
from pulsefold.compiler.quantize import Format, Recipe
from pulsefold.compiling import compile_model
from pulsefold.design import Design, load_design
from pulsefold.errors import PulsefoldError
from pulsefold.exploring import Point
from pulsefold.exploring import explore as explore_model
from pulsefold.exporting import export_design
from pulsefold.implementing import build_design
from pulsefold.processor import build_processor
from pulsefold.programming import program as load_bitstream
from pulsefold.quantizing import Quantization, quantize_file
from pulsefold.reporting import write_page
from pulsefold.retraining import retrained
from pulsefold.running import Run
from pulsefold.running import run as run_on_board
from pulsefold.running import selftest as run_selftest
from pulsefold.simulating import Simulation
from pulsefold.simulating import simulate as run_simulation
from pulsefold.verifying import Rung, report_section
from pulsefold.verifying import verify as climb

__all__ = [
    "boards",
    "build",
    "compile",
    "doctor",
    "explore",
    "inspect",
    "program",
    "quantize",
    "report",
    "run",
    "simulate",
    "verify",
]

Name = str | PathLike[str]
Say = Callable[[str], None]

#: The model's own inputs: an array or a file of one, or one for each name; several files as the command line
#: names them (``NAME=X.npy``).
Inputs = Name | np.ndarray | Mapping[str, Name | np.ndarray] | Sequence[str]

#: Where outputs go: a file (``.npz`` for several outputs), or files as the command line names them.
Outputs = Name | Sequence[str]


def arrays_of(x: Inputs) -> np.ndarray | dict[str, np.ndarray]:
    """Arrays of the model's own inputs."""
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, Mapping):
        return {name: v if isinstance(v, np.ndarray) else load_array(Path(v)) for name, v in x.items()}
    return load_inputs([str(x)] if isinstance(x, str | PathLike) else x)


def inspect(model: Name) -> Inspection:
    """What a model holds and what is supported of it."""
    return inspect_model(Path(model))


def quantize(
    model: Name,
    calibration: Inputs,
    out: Name,
    *,
    weights: str = "int8",
    activations: str = "int8",
    edges: str = "int8",
    sums: str = "int8",
    per_channel: bool = True,
    method: str = "mse",
    equalize: bool = False,
    bias_correction: bool = True,
    rounding: str = "auto",
    format: str = "auto",
    progress: Say | None = None,
) -> Quantization:
    """Quantize a float model with some of its inputs; see :class:`pulsefold.compiler.quantize.Recipe`."""
    recipe = Recipe(
        weights=Format.parse(weights, "--weights", few=True),
        activations=Format.parse(activations, "--activations", few=False),
        edges=Format.parse(edges, "--edges", few=False),
        sums=Format.parse(sums, "--sums", few=False),
        per_channel=per_channel,
        method=method,
        equalize=equalize,
        bias_correction=bias_correction,
        rounding=rounding,
        format=format,
    )
    return quantize_file(Path(model), arrays_of(calibration), Path(out), recipe, progress)


def compile(
    model: Name,
    *,
    board: str,
    out: Name,
    fps: float | None = None,
    folding: Name | None = None,
    padding: float | None = None,
    clock_mhz: float | None = None,
    counters: bool = False,
    probe: Sequence[str] = (),
    writable_weights: bool = False,
    progress: Say | None = None,
) -> Design:
    """Compile a model into a build folder; see :func:`pulsefold.compiling.compile_model`."""
    design = compile_model(
        Path(model),
        board,
        Path(out),
        fps=fps,
        folding=Path(folding) if folding else None,
        padding=padding,
        clock_mhz=clock_mhz,
        counters=counters,
        probe=probe,
        writable_weights=writable_weights,
        progress=progress,
    )
    write_page(design)
    return design


def simulate(
    folder: Name,
    x: Inputs,
    output: Outputs | None = None,
    *,
    level: str = "rtl",
    limit: int | None = None,
    raw: bool = False,
    waves: Name | None = None,
    stalls: float = 0.0,
    seed: int = 0,
    progress: Say | None = None,
) -> Simulation:
    """Simulate a compiled design and enter the outcome into its report.

    See :func:`pulsefold.simulating.simulate`. With `output`, the result is also written to files.
    """
    design = load_design(Path(folder))
    result = run_simulation(
        design,
        arrays_of(x),
        level=level,
        limit=limit,
        raw=raw,
        waves=Path(waves) if waves else None,
        stalls=stalls,
        seed=seed,
        progress=progress,
    )
    if output:
        save_outputs([str(output)] if isinstance(output, str | PathLike) else output, result.outputs)
    changes: dict[str, Any] = {"simulation": result.report}
    latency = result.report.get("latency_cycles")
    if level == "rtl" and not stalls:
        cycles = result.report["cycles_per_image"] or design.plan.cycles
        made = design.read_report().get("implementation", {})
        clock = made.get("clock_mhz", design.plan.target.clock_mhz)
        changes["throughput_fps"] = clock * 1e6 / cycles
        changes["latency_us"] = latency / clock if latency else None
    if level == "rtl":
        design.update_report(changes)
        write_page(design)
    return result


def verify(
    folder: Name,
    x: Inputs | None = None,
    *,
    rungs: Sequence[int] = (1, 2, 3, 4),
    limit: int | None = None,
    seed: int = 1,
    progress: Say | None = None,
) -> list[Rung]:
    """Climb the verification ladder and enter the outcome into the report."""
    design = load_design(Path(folder))
    arrays = None if x is None else arrays_of(x)
    outcomes = climb(design, arrays, rungs=rungs, limit=limit, seed=seed, progress=progress)
    design.update_report({"verification": report_section(outcomes)})
    write_page(design)
    return outcomes


def build(
    folder: Name,
    *,
    seeds: int | Sequence[int] = 1,
    jobs: int | None = None,
    clock_mhz: float | str | None = None,
    link: str = "uart",
    export: str | None = None,
    riscv: Name | np.ndarray | None = None,
    progress: Say | None = None,
) -> dict[str, Any]:
    """Build the bitstream; the whole report. See :func:`pulsefold.implementing.build_design`.

    Instead of it, with `export` sources for that maker's tool, or with `riscv` (images) a bitstream with a
    soft processor that classifies them.
    """
    design = load_design(Path(folder))
    if link != "uart" and (export is not None or riscv is not None):
        raise PulsefoldError("exports and soft processors have links of their own", where="--link")
    if export is not None:
        place = export_design(design, export, progress=progress)
        exports = {**design.read_report().get("exports", {}), export: str(place.relative_to(design.folder))}
        return design.update_report({"exports": exports})
    if not design.board.buildable:
        raise PulsefoldError(
            f"the design is for {design.board.name!r}, which is no device",
            where=str(folder),
            todo="compile it for a board (see: pulsefold boards), or build with --export",
        )
    if riscv is not None:
        array = riscv if isinstance(riscv, np.ndarray) else load_array(Path(riscv))
        return build_processor(design, array, progress=progress)
    _, whole = build_design(design, seeds=seeds, jobs=jobs, clock_mhz=clock_mhz, link=link, progress=progress)
    write_page(design)
    return whole


def explore(
    model: Name,
    *,
    board: str | Sequence[str],
    out: Name,
    clocks: Sequence[float | str] = (),
    fps: Sequence[float] = (),
    foldings: int = 8,
    seeds: int | Sequence[int] = 1,
    build: str = "front",
    jobs: int | None = None,
    dask: str | None = None,
    progress: Say | None = None,
) -> list[Point]:
    """Estimate and build foldings of a model on boards; see :func:`pulsefold.exploring.explore`."""
    return explore_model(
        Path(model),
        [board] if isinstance(board, str) else board,
        Path(out),
        clocks=clocks,
        fps=fps,
        foldings=foldings,
        seeds=seeds,
        build=build,
        jobs=jobs,
        dask=dask,
        progress=progress,
    )


def program(folder: Name, *, flash: bool = False, progress: Say | None = None) -> Path:
    """Load the built bitstream into the board; see :func:`pulsefold.programming.program`."""
    return load_bitstream(load_design(Path(folder)), flash=flash, progress=progress)


def run(
    folder: Name,
    x: Inputs | None = None,
    output: Outputs | None = None,
    *,
    device: str,
    limit: int | None = None,
    raw: bool = False,
    statistics: bool = False,
    probe: Sequence[str] = (),
    weights: Name | None = None,
    baud: int | None = None,
    timeout: float | None = None,
    progress: Say | None = None,
) -> Run:
    """Run inputs on a board, real or virtual, or without inputs a self-test.

    See :func:`pulsefold.running.run` and :func:`pulsefold.running.selftest`. With `output`, the result is
    also written, as for :func:`simulate`. With `weights`, a model or build folder, those are loaded
    first: see :func:`pulsefold.retraining.retrained`.
    """
    design = load_design(Path(folder))
    other = retrained(design, Path(weights)) if weights is not None else None
    if x is None:
        return run_selftest(
            design,
            device,
            images=limit,
            statistics=statistics,
            weights=other,
            baud=baud,
            timeout=timeout,
            progress=progress,
        )
    result = run_on_board(
        design,
        arrays_of(x),
        device,
        limit=limit,
        raw=raw,
        statistics=statistics,
        probe=probe,
        weights=other,
        baud=baud,
        timeout=timeout,
        progress=progress,
    )
    if output:
        save_outputs([str(output)] if isinstance(output, str | PathLike) else output, result.outputs)
    return result


def report(folder: Name) -> dict[str, Any]:
    """``report.json`` of a build folder, ``report.html`` written anew."""
    design = load_design(Path(folder))
    write_page(design)
    return design.read_report()


def boards() -> tuple[Board, ...]:
    """Every board that can be built for."""
    return all_boards()


def doctor() -> list[Finding]:
    """Every tool: whether it is there, which version, and what brings it."""
    return find_tools()
