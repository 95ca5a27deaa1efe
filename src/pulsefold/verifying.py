"""Verify: the ladder from the source model to the circuit, each rung shown to equal the one below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pulsefold.compiler.ir import Input
from pulsefold.compiler.plan.network import Source
from pulsefold.design import Design
from pulsefold.errors import ModelError, PulsefoldError, ToolMissingError, VerificationError
from pulsefold.hdl.top import Core
from pulsefold.hdl.units import circuit_for
from pulsefold.progress import Silent
from pulsefold.sim import golden, reference, runtime
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.trace import Tapped, first_mismatch
from pulsefold.simulating import beats_of, images_of, simulate_integers

__all__ = ["RUNGS", "Rung", "random_inputs", "verify"]

Say = Callable[[str], None]

#: What each rung shows.
RUNGS = {
    1: "source model == golden model",
    2: "golden model == exported integer model in ONNX Runtime",
    3: "each unit's circuit == golden, random stalls",
    4: "whole circuit == golden, random stalls at both ends",
}

#: Probabilities of a pause that the circuits are tried with.
_STALLS = (0.0, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Outcome of one rung.

    Parameters
    ----------
    rung
        Its number.
    what
        What it shows.
    passed
        Whether it held.
    detail
        How much was compared, or the first difference.
    figures
        Counts for the report.
    """

    rung: int
    what: str
    passed: bool
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def random_inputs(design: Design, images: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs by name that reach every integer of the input tensors: values on both sides of thresholds."""
    rng = np.random.default_rng(seed)
    return {entry.name: random_input(entry, images, rng) for entry in design.graph.inputs}


def random_input(entry: Input, images: int, rng: np.random.Generator) -> np.ndarray:
    """Values on both sides of an input's thresholds."""
    finite = entry.thresholds[np.isfinite(entry.thresholds)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = max((high - low) / max(finite.size, 1), 1e-3 * max(abs(low), abs(high), 1.0))
    x = rng.uniform(low - margin, high + margin, (images, *entry.shape))
    return x.astype(entry.dtype)


def verify(
    design: Design,
    x: golden.Arrays | None = None,
    *,
    rungs: Sequence[int] = (1, 2, 3, 4),
    limit: int | None = None,
    seed: int = 1,
    progress: Say | None = None,
) -> list[Rung]:
    """Climb the ladder; every rung asked for is tried even when one before it fails.

    Parameters
    ----------
    design
        A compiled design.
    x
        The model's own input, arrays by name where it has several; None takes three random images.
    rungs
        Which.
    limit
        Take at most so many images; the unit rung takes one at most.
    seed
        Of the random stalls.
    progress
        Called with a line now and then.
    """
    say = progress or Silent()
    unknown = [r for r in rungs if r not in RUNGS]
    if unknown or not rungs:
        todo = f"rungs are {', '.join(map(str, RUNGS))}"
        raise PulsefoldError(f"there is no rung {unknown[0] if unknown else ''}", where="--rungs", todo=todo)
    arrays = golden.input_arrays(design.graph, random_inputs(design, 3) if x is None else x)
    arrays = {name: a[:limit] if limit else a for name, a in arrays.items()}
    say("golden model")
    q = golden.quantize_inputs(design.graph, arrays)
    outcomes = []
    for number in rungs:
        say(f"rung {number}: {RUNGS[number]}")
        if number == 1:
            passed, detail, figures = source_rung(design, arrays)
        elif number == 2:
            passed, detail, figures = export_rung(design, q)
        elif number == 3:
            passed, detail, figures = unit_rung(design, {name: v[:1] for name, v in q.items()}, seed, say)
        else:
            passed, detail, figures = design_rung(design, q, seed, say)
        outcomes.append(Rung(rung=number, what=RUNGS[number], passed=passed, detail=detail, figures=figures))
    return outcomes


def source_rung(design: Design, arrays: Mapping[str, np.ndarray]) -> tuple[bool, str, dict]:
    """Source ONNX against golden behind every quantizer: in float64, and in ONNX Runtime if it knows it."""
    images = images_of(arrays)
    found = reference.compare(design.model, design.graph, arrays)
    detail, figures = _counted(found, "float64", images)
    passed = found.ok
    if runtime.runnable(design.model):
        try:
            ran = runtime.compare_runtime(design.model, design.graph, arrays)
        except ModelError as error:
            detail += f"; {error.what}: {error.why}"
        else:
            more, figures["onnxruntime"] = _counted(ran, "ONNX Runtime", images)
            detail += f"; {more}"
            passed = passed and ran.ok
    return passed, detail, figures


def _counted(found: reference.Report, engine: str, images: int) -> tuple[str, dict[str, Any]]:
    """What a comparison counted, in words and as figures."""
    elements = sum(c.elements for c in found.comparisons)
    excused = sum(c.on_boundary for c in found.comparisons)
    differing = sum(c.mismatches for c in found.comparisons)
    compared = f"{elements} values of {len(found.comparisons)} tensors, {images} images"
    detail = f"{engine}: {compared}, {differing} differ"
    if excused:
        detail += f", {excused} more lie on a rounding boundary within its error"
    if found.first:
        detail += f", first at {found.first.value} {found.first.first}"
    return detail, {"images": images, "elements": elements, "differing": differing, "on_boundary": excused}


def export_rung(design: Design, q: Mapping[str, np.ndarray]) -> tuple[bool, str, dict]:
    """Exported integer graph in ONNX Runtime against the golden model."""
    images = images_of(q)
    exported = Exported(design.graph, design.folder / "golden.onnx")
    want = golden.run(design.graph, q)
    differing = 0
    for start in range(0, images, 16):
        part = slice(start, start + 16)
        got = exported.run({name: values[part] for name, values in q.items()})
        differing += sum(int(np.count_nonzero(got[name] != want[name][part])) for name in want)
    elements = sum(values.size for values in want.values())
    detail = f"{elements} integers of {images} images, {differing} differ"
    return differing == 0, detail, {"images": images, "elements": elements, "differing": differing}


def unit_rung(design: Design, q: Mapping[str, np.ndarray], seed: int, say: Say) -> tuple[bool, str, dict]:
    """Every unit alone in cocotb, fed with what reaches it in a real frame."""
    try:
        from pulsefold.sim.bench.unit import Stimulus, run_unit_many  # noqa: PLC0415
    except ImportError as error:
        raise ToolMissingError("cocotb is not installed", todo="pip install cocotb") from error

    plan = design.plan
    network = plan.network
    streams = {
        Source(unit=None, port=port): beats_of(q[name], plan.inputs[port])
        for port, name in enumerate(plan.entries)
    }
    for number, (unit, sources) in enumerate(zip(plan.units, network.sources, strict=True)):
        say(f"rung 3: unit {number + 1} of {len(plan.units)}, {unit.name} ({unit.kind})")
        beats = [streams[source] for source in sources]
        want = expected_beats(unit, *beats)
        stimuli = [Stimulus(beats=beats, expected=want, stall_in=p, stall_out=p, seed=seed) for p in _STALLS]
        patience = 10 * unit.latency_cycles + 10_000
        try:
            run_unit_many(circuit_for(unit), stimuli, idle_cycles=patience)
        except VerificationError as error:
            return False, f"{unit.name} ({unit.kind}): {error.what}", {"units": number + 1}
        streams |= {Source(unit=number, port=port): values for port, values in enumerate(want)}
    wanted = golden.run(design.graph, q)
    same = all(
        np.array_equal(network.stream(source).type.decode(streams[source]).ravel(), wanted[name].ravel())
        for name, source in zip(plan.exits, network.results, strict=True)
    )
    detail = f"{len(plan.units)} units, one frame each, stalls {', '.join(f'{p:.0%}' for p in _STALLS)}"
    if not same:
        detail += "; the units agree with their models, but the network of models differs from golden"
    return same, detail, {"units": len(plan.units)}


def design_rung(design: Design, q: Mapping[str, np.ndarray], seed: int, say: Say) -> tuple[bool, str, dict]:
    """The whole circuit; where it differs, the first differing tensor, element, unit and cycle."""
    images = images_of(q)
    want = golden.run(design.graph, q)
    cycles = 0
    say("circuit: building the simulation")
    simulator = Simulator.build(Core(design.plan))
    for stalls in _STALLS:
        got, run = simulate_integers(design, q, simulator=simulator, stalls=stalls, seed=seed, progress=say)
        wrong = np.concatenate([(got[name] != want[name]).reshape(images, -1) for name in got], axis=1)
        cycles += int(run.cycles)
        if wrong.any():
            first = int(wrong.any(axis=1).argmax())
            detail = locate(design, {n: v[: first + 1] for n, v in q.items()}, stalls, seed, say)
            return False, detail, {"images": images, "differing": int(wrong.sum())}
    detail = f"{images} images, stalls {', '.join(f'{p:.0%}' for p in _STALLS)}, {cycles} cycles"
    return True, detail, {"images": images, "differing": 0, "cycles": cycles}


def locate(design: Design, q: Mapping[str, np.ndarray], stalls: float, seed: int, say: Say) -> str:
    """Run again with every unit's output watched, and name the first difference."""
    plan = design.plan
    say("locating the first difference")
    tensors = golden.run(design.graph, q, keep=True)
    images = images_of(q)
    simulator = Simulator.build(Core(plan, taps=True))
    beats = [beats_of(q[name], stream) for name, stream in zip(plan.entries, plan.inputs, strict=True)]
    counts = [images * stream.beats for stream in plan.outputs]
    run = simulator.run(beats, outputs=counts, stall_in=stalls, stall_out=stalls, seed=seed, taps=True)
    watched = []
    for number, (unit, name) in enumerate(zip(plan.units, plan.network.tensors, strict=True)):
        if name is not None:
            watched.append(
                Tapped(
                    tap=str(number),
                    unit=unit.name,
                    tensor=name,
                    values=tensors[name],
                    lanes=unit.outputs[0].lanes,
                    type=unit.outputs[0].type,
                )
            )
    found = first_mismatch(watched, run.taps)
    rerun = f"rerun: pulsefold verify {design.folder} --rungs 4 --seed {seed} --limit {images} --input X.npy"
    if found is None:
        return f"only the output stream differs; {rerun}"
    waves = ""
    if found.cycle is not None:
        path = design.folder / "logs" / "mismatch.vcd"
        simulator.run(
            beats,
            outputs=counts,
            stall_in=stalls,
            stall_out=stalls,
            seed=seed,
            waves=path,
            wave_window=(max(0, found.cycle - 200), found.cycle + 50),
        )
        waves = f"; waves around it: {path}"
    return f"{found.message}{waves}; {rerun}"


def report_section(outcomes: Sequence[Rung]) -> dict[str, Any]:
    """Section ``verification`` of ``report.json``."""
    return {"passed": all(o.passed for o in outcomes), "rungs": [o.as_dict() for o in outcomes]}
