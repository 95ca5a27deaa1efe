"""Verify: the ladder from the source model to the circuit, each rung shown to equal the one below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import onnxruntime

from pulsefold.design import Design
from pulsefold.errors import PulsefoldError, ToolMissingError
from pulsefold.hdl.top import Core
from pulsefold.hdl.units import circuit_for
from pulsefold.progress import Silent
from pulsefold.sim import golden, reference
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.trace import Tap, first_mismatch
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
        outcomes.append(
            Rung(rung=number, what=RUNGS[number], passed=passed, detail=detail, figures=figures)
        )
    return outcomes


def source_rung(design: Design, x: np.ndarray) -> tuple[bool, str, dict]:
    """Source ONNX, evaluated by itself, against the golden model at every quantizer."""
    found = reference.compare(design.model, design.graph, x)
    return found.passed, found.summary(), {"images": len(x), "elements": found.elements, "differing": found.differing}


def export_rung(design: Design, q: np.ndarray) -> tuple[bool, str, dict]:
    """Exported integer graph in ONNX Runtime against the golden model."""
    (out,) = design.graph.outputs
    session = onnxruntime.InferenceSession(design.folder / "golden.onnx", providers=["CPUExecutionProvider"])
    tensor = design.graph.tensors[out.tensor]
    want = golden.run(design.graph, {design.graph.inputs[0].tensor: q})[out.tensor]
    (port,) = session.get_inputs()
    kind = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32}[port.type]
    differing = 0
    for start in range(0, len(q), 16):
        given = np.ascontiguousarray(q[start : start + 16].transpose(0, 3, 1, 2)).astype(kind)
        (got,) = session.run(None, {port.name: given})
        shape = (len(given), tensor.shape[2], *tensor.shape[:2])
        got = np.asarray(got).reshape(shape).transpose(0, 2, 3, 1)
        differing += int(np.count_nonzero(got != want[start : start + 16]))
    detail = f"{want.size} integers of {len(q)} images, {differing} differ"
    return differing == 0, detail, {"images": len(q), "elements": want.size, "differing": differing}


def unit_rung(design: Design, q: np.ndarray, seed: int, say: Say) -> tuple[bool, str, dict]:
    """Every unit alone in cocotb, fed with what reaches it in a real frame."""
    try:
        from pulsefold.sim.bench import Stimulus, run_unit
    except ImportError as error:
        raise ToolMissingError("cocotb is not installed", todo="pip install 'pulsefold[dev]'") from error

    plan = design.plan
    beats = beats_of(q, plan.input)
    for number, unit in enumerate(plan.units):
        say(f"rung 3: unit {number + 1} of {len(plan.units)}, {unit.name} ({unit.kind})")
        want = expected_beats(unit, beats)
        stimuli = [
            Stimulus(beats=beats, expected=want, stall_in=p, stall_out=p, seed=seed) for p in _STALLS
        ]
        outcome = run_unit(circuit_for(unit), stimuli)
        if not outcome.passed:
            return False, f"{unit.name} ({unit.kind}): {outcome.message}", {"units": number + 1}
        beats = want
    tensor = design.graph.tensors[design.graph.outputs[0].tensor]
    golden_out = golden.run(design.graph, {design.graph.inputs[0].tensor: q})[tensor.name]
    same = np.array_equal(plan.output.type.decode(beats).reshape(golden_out.shape), golden_out)
    detail = f"{len(plan.units)} units, stalls {', '.join(f'{p:.0%}' for p in _STALLS)}"
    return same, detail, {"units": len(plan.units)}


def design_rung(design: Design, q: np.ndarray, seed: int, say: Say) -> tuple[bool, str, dict]:
    """The whole circuit; where it differs, the first differing tensor, element, unit and cycle."""
    (out,) = design.graph.outputs
    want = golden.run(design.graph, {design.graph.inputs[0].tensor: q})[out.tensor]
    differing, cycles = 0, 0
    for stalls in _STALLS:
        got, run = simulate_integers(design, q, stalls=stalls, seed=seed, progress=say)
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
    taps = []
    for number, unit in enumerate(plan.units):
        name = plan.tensor_of(number)
        if name is not None:
            taps.append(Tap(name=str(number), unit=unit.name, tensor=name, type=unit.output.type))
    found = first_mismatch(taps, tensors, run.taps)
    rerun = f"rerun: pulsefold verify {design.folder} --rungs 4 --seed {seed} --limit {len(q)} --input X.npy"
    return f"{found}; {rerun}" if found else f"only the output stream differs; {rerun}"


def report_section(outcomes: Sequence[Rung]) -> dict[str, Any]:
    """Section ``verification`` of ``report.json``."""
    return {"passed": all(o.passed for o in outcomes), "rungs": [o.as_dict() for o in outcomes]}

