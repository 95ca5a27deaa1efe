"""Compile: a model and a board to a build folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path

import onnx

from pulsefold.boards import Board, get_board
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Conv, Graph
from pulsefold.compiler.plan.bound import Bound
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.target import placed
from pulsefold.debugging import Debug
from pulsefold.design import Design, digest, load_design, plan_document, read_folding, target_of, write_folder
from pulsefold.errors import ModelError, PulsefoldError
from pulsefold.hdl.debug.upload import upload
from pulsefold.hdl.top import Core
from pulsefold.progress import Silent
from pulsefold.retraining import contents_of
from pulsefold.sim.cosim.verilog import to_rtlil, write_verilog
from pulsefold.sim.golden.export import to_onnx

__all__ = ["compile_model"]

#: The constants of a design whose memories can be written, as hosts without Python load them.
WEIGHTS = "weights.bin"


def compile_model(
    model: Path,
    board: str,
    out: Path,
    *,
    fps: float | None = None,
    folding: Path | None = None,
    padding: float | None = None,
    clock_mhz: float | None = None,
    counters: bool = False,
    probe: Sequence[str] = (),
    writable_weights: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Design:
    """Compile a model into a build folder.

    Parameters
    ----------
    model
        Quantized ONNX file.
    board
        Board name.
    out
        Build folder; an earlier design there is replaced once this one is complete.
    fps
        Wanted frames a second; None takes the fastest that fits the board.
    folding
        ``plan.json`` to take the folding from.
    padding
        Share of the block RAM claimed that stays empty at the most, see
        :func:`~pulsefold.compiler.plan.plan.make_plan`.
    clock_mhz
        Compute clock; None takes the board's.
    counters
        On the board each unit counts the cycles in which it waits.
    probe
        On the board the host can look at these streams: names of layers or tensors, or "all".
    writable_weights
        On the board the host can write weights and other constants.
    progress
        Called with a line now and then.

    Raises
    ------
    PulsefoldError
        See :mod:`pulsefold.errors`; the folder is then as it was.
    """
    say = progress or Silent()
    place = get_board(board)
    check_options(place, fps, folding, clock_mhz, padding)
    target = target_of(place, clock_mhz)
    say(f"reading {model.name}")
    graph = import_model(model)
    sha256 = digest(model)
    say("planning")
    folds = read_folding(folding) if folding else None
    plan = make_plan(graph, target, fps=fps, folds=folds, padding=padding)
    debug = Debug(counters=counters, probe=tuple(probe), writable=writable_weights)
    debug.check(plan)
    document = plan_document(plan, sha256, reason(fps, folding), debug)
    if unchanged(out, document):
        say("nothing changed: the design is up to date")
        return load_design(out)

    def fill(folder: Path) -> None:
        shutil.copyfile(model, folder / "model.onnx")
        say("writing the golden model")
        onnx.save(to_onnx(graph), folder / "golden.onnx")
        (folder / "plan.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        rtl, logs = folder / "rtl", folder / "logs"
        rtl.mkdir()
        logs.mkdir()
        say("building the circuit")
        text = to_rtlil(Core(plan))
        say("writing Verilog")
        # Tools write elsewhere: a full disk here is then told as such, and not as a tool's failure.
        with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
            write_verilog(text, Path(name), Path(name) / "verilog.log")
            for made in Path(name).iterdir():
                shutil.copyfile(made, (logs if made.suffix == ".log" else rtl) / made.name)
        (rtl / "top.il").write_text(text, encoding="utf-8")
        if debug.writable:
            (folder / WEIGHTS).write_bytes(upload(contents_of(plan)))
        report = first_report(model.name, sha256, plan)
        (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    write_folder(out, fill)
    return Design(folder=out, board=place, graph=graph, plan=plan, sha256=sha256, debug=debug)


def check_options(
    board: Board, fps: float | None, folding: Path | None, clock_mhz: float | None, padding: float | None
) -> None:
    """Options that contradict each other or make no sense."""
    if fps is not None and folding is not None:
        raise PulsefoldError("--fps and --folding exclude each other", todo="give one of them")
    if padding is not None and folding is not None:
        raise PulsefoldError("--padding and --folding exclude each other", todo="give one of them")
    if padding is not None and not 0 <= padding <= 1:
        raise PulsefoldError(f"empty block RAM is 0 to 100 %, not {100 * padding:g}", where="--padding")
    if not board.buildable and fps is None and folding is None:
        raise PulsefoldError(
            f"the board {board.name!r} has no limits, so nothing is the fastest that fits",
            where="--board",
            todo="give --fps or --folding",
        )
    if fps is not None and not 0 < fps < 1e9:
        raise PulsefoldError(f"the wanted rate must be above 0 and below 1e9, not {fps:g}", where="--fps")
    if clock_mhz is not None and not 1 <= clock_mhz <= 1000:
        raise PulsefoldError(
            f"the clock must lie between 1 and 1000 MHz, not {clock_mhz}", where="--clock-mhz"
        )


def reason(fps: float | None, folding: Path | None) -> str:
    """Why the plan is as it is, for ``plan.json``."""
    if folding:
        return "the folding was given"
    if fps:
        return f"the smallest folding for {fps:g} frames a second; all weights fit on chip"
    return "the fastest folding that fits the board; all weights fit on chip"


def unchanged(out: Path, document: dict) -> bool:
    """Whether `out` already holds this very design, complete."""
    try:
        before = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    parts = ["golden.onnx", "rtl/top.v", "rtl/top.il", "report.json"]
    parts += [WEIGHTS] if Debug.of(document).writable else []
    return before == document and all((out / part).exists() for part in parts)


def parameters(graph: Graph) -> int:
    """Weights of a network."""
    return sum(int(n.weights.size) for n in graph.nodes if isinstance(n, Conv))


def first_report(name: str, sha256: str, plan: Plan) -> dict:
    """``report.json`` before anything was simulated or built."""
    family = plan.target.family
    layers = []
    for layer in plan.layers:
        units = plan.units_of(layer.name)
        costs = [placed(u.cost(family), family) for u in units]
        fold = plan.folds[layer.name]
        layers.append(
            {
                "name": layer.name,
                "op": type(layer.node).__name__,
                "unit": " + ".join(u.kind for u in units),
                "pe": fold.pe,
                "simd": fold.simd,
                "macs": layer.macs,
                "cycles": max(u.cycles for u in units),
                "weight_bits": layer.weight_bits,
                "luts_estimated": round(sum(c.luts for c in costs)),
                "brams_estimated": ceil(sum(c.brams for c in costs)),
                "dsps_estimated": round(sum(c.dsps for c in costs)),
            }
        )
    macs = sum(layer.macs for layer in plan.layers)
    if not macs:
        raise ModelError("the network has no matrix product", todo="give a network with weights")
    return {
        "model": {"name": name, "sha256": sha256, "macs": macs, "parameters": parameters(plan.graph)},
        "board": plan.target.board,
        "engine": "dataflow",
        "clock_mhz": plan.target.clock_mhz,
        "layers": layers,
        "throughput_fps": plan.fps,
        "latency_us": plan.latency_cycles / plan.target.clock_mhz,
        "promise": {"cycles_per_image": plan.cycles, "latency_cycles": plan.latency_cycles},
        "estimated": {name: round(value) for name, value in asdict(plan.cost).items()},
        "bram_padding": round(plan.padding, 4),
        **({"fastest_cycles_per_image": plan.fastest} if plan.fastest else {}),
        **({"proven": proven(plan.bound)} if plan.bound else {}),
    }


def proven(bound: Bound) -> dict[str, int | float]:
    """What no other folding is better than."""
    return {"least_cycles_per_image": bound.cycles, "cost_gap": round(bound.gap, 4)}
