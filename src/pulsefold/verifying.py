"""Verify: the ladder from the source model to the circuit, each rung shown to equal the one below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pulsefold.design import Design
from pulsefold.errors import PulsefoldError, ToolMissingError, VerificationError
from pulsefold.hdl.top import Core
from pulsefold.hdl.units import circuit_for
from pulsefold.progress import Silent
from pulsefold.sim import golden, reference
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.trace import Tapped, first_mismatch
from pulsefold.simulating import beats_of, simulate_integers

__all__ = ["RUNGS", "Rung", "random_input", "verify"]

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


def random_input(design: Design, images: int, seed: int = 0) -> np.ndarray:
    """Inputs that reach every integer of the input tensor: values on both sides of its thresholds."""
    (entry,) = design.graph.inputs
    finite = entry.thresholds[np.isfinite(entry.thresholds)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = max((high - low) / max(finite.size, 1), 1e-3 * max(abs(low), abs(high), 1.0))
    rng = np.random.default_rng(seed)
    x = rng.uniform(low - margin, high + margin, (images, *entry.shape))
    return x.astype(entry.dtype)


def verify(
    design: Design,
    x: np.ndarray | None = None,
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
        The model's own input; None takes three random images.
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
    x = random_input(design, 3) if x is None else x
    x = x[:limit] if limit else x
    say("golden model")
    entry = design.graph.inputs[0]
    q = golden.quantize_input(entry, x)
    outcomes = []
    for number in rungs:
        say(f"rung {number}: {RUNGS[number]}")
        if number == 1:
            passed, detail, figures = source_rung(design, x)
        elif number == 2:
            passed, detail, figures = export_rung(design, q)
        elif number == 3:
            passed, detail, figures = unit_rung(design, q[:1], seed, say)
        else:
            passed, detail, figures = design_rung(design, q, seed, say)
        outcomes.append(Rung(rung=number, what=RUNGS[number], passed=passed, detail=detail, figures=figures))
    return outcomes


def source_rung(design: Design, x: np.ndarray) -> tuple[bool, str, dict]:
    """Source ONNX, evaluated by itself, against the golden model at every quantizer."""
    found = reference.compare(design.model, design.graph, x)
    elements = sum(c.elements for c in found.comparisons)
    excused = sum(c.on_boundary for c in found.comparisons)
    differing = sum(c.mismatches for c in found.comparisons)
    detail = f"{elements} values of {len(found.comparisons)} tensors, {len(x)} images, {differing} differ"
    if excused:
        detail += f"; {excused} more lie on a rounding boundary, where float64 cannot decide"
    if found.first:
        detail += f"; first at {found.first.value} {found.first.first}"
    figures = {"images": len(x), "elements": elements, "differing": differing, "on_boundary": excused}
    return found.ok, detail, figures


def export_rung(design: Design, q: np.ndarray) -> tuple[bool, str, dict]:
    """Exported integer graph in ONNX Runtime against the golden model."""
    source = design.graph.inputs[0].tensor
    runtime = Exported(design.graph, design.folder / "golden.onnx")
    want = golden.run(design.graph, {source: q})
    differing = 0
    for start in range(0, len(q), 16):
        part = slice(start, start + 16)
        got = runtime.run({source: q[part]})
        differing += sum(int(np.count_nonzero(got[name] != want[name][part])) for name in want)
    elements = sum(values.size for values in want.values())
    detail = f"{elements} integers of {len(q)} images, {differing} differ"
    return differing == 0, detail, {"images": len(q), "elements": elements, "differing": differing}


def unit_rung(design: Design, q: np.ndarray, seed: int, say: Say) -> tuple[bool, str, dict]:
    """Every unit alone in cocotb, fed with what reaches it in a real frame."""
    try:
        from pulsefold.sim.bench.unit import Stimulus, run_unit_many  # noqa: PLC0415
    except ImportError as error:
        raise ToolMissingError("cocotb is not installed", todo="pip install cocotb") from error

    plan = design.plan
    beats = beats_of(q, plan.input)
    for number, unit in enumerate(plan.units):
        say(f"rung 3: unit {number + 1} of {len(plan.units)}, {unit.name} ({unit.kind})")
        (want,) = expected_beats(unit, beats)
        stimuli = [Stimulus(beats=beats, expected=want, stall_in=p, stall_out=p, seed=seed) for p in _STALLS]
        patience = 10 * unit.latency_cycles + 10_000
        try:
            run_unit_many(circuit_for(unit), stimuli, idle_cycles=patience)
        except VerificationError as error:
            return False, f"{unit.name} ({unit.kind}): {error.what}", {"units": number + 1}
        beats = want
    tensor = design.graph.tensors[design.graph.outputs[0].tensor]
    want = golden.run(design.graph, {design.graph.inputs[0].tensor: q})[tensor.name]
    same = np.array_equal(plan.output.type.decode(beats).reshape(want.shape), want)
    detail = f"{len(plan.units)} units, one frame each, stalls {', '.join(f'{p:.0%}' for p in _STALLS)}"
    if not same:
        detail += "; the units agree with their models, but the chain of models differs from golden"
    return same, detail, {"units": len(plan.units)}


def design_rung(design: Design, q: np.ndarray, seed: int, say: Say) -> tuple[bool, str, dict]:
    """The whole circuit; where it differs, the first differing tensor, element, unit and cycle."""
    (out,) = design.graph.outputs
    want = golden.run(design.graph, {design.graph.inputs[0].tensor: q})[out.tensor]
    differing, cycles = 0, 0
    say("circuit: building the simulation")
    simulator = Simulator.build(Core(design.plan))
    for stalls in _STALLS:
        got, run = simulate_integers(design, q, simulator=simulator, stalls=stalls, seed=seed, progress=say)
        wrong = np.flatnonzero((got != want).reshape(len(q), -1).any(axis=1))
        differing += int(np.count_nonzero(got != want))
        cycles += int(run.cycles)
        if len(wrong):
            first = int(wrong[0])
            detail = locate(design, q[: first + 1], stalls, seed, say)
            return False, detail, {"images": len(q), "differing": differing}
    detail = f"{len(q)} images, stalls {', '.join(f'{p:.0%}' for p in _STALLS)}, {cycles} cycles"
    return True, detail, {"images": len(q), "differing": 0, "cycles": cycles}


def locate(design: Design, q: np.ndarray, stalls: float, seed: int, say: Say) -> str:
    """Run again with every unit's output watched, and name the first difference."""
    plan = design.plan
    say("locating the first difference")
    tensors = golden.run(design.graph, {design.graph.inputs[0].tensor: q}, keep=True)
    simulator = Simulator.build(Core(plan, taps=True))
    run = simulator.run(
        beats_of(q, plan.input),
        outputs=len(q) * plan.output.beats,
        stall_in=stalls,
        stall_out=stalls,
        seed=seed,
        taps=True,
    )
    watched = []
    for number, unit in enumerate(plan.units):
        name = plan.tensor_of(number)
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
    rerun = f"rerun: pulsefold verify {design.folder} --rungs 4 --seed {seed} --limit {len(q)} --input X.npy"
    if found is None:
        return f"only the output stream differs; {rerun}"
    waves = ""
    if found.cycle is not None:
        path = design.folder / "logs" / "mismatch.vcd"
        simulator.run(
            beats_of(q, plan.input),
            outputs=len(q) * plan.output.beats,
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
