"""The build folder: a compiled design as plain files, and back."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pulsefold.arrays import write_whole
from pulsefold.boards import Board, get_board
from pulsefold.boards.support import support
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.compiler.plan.layers import Fold
from pulsefold.compiler.plan.network import Source
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.target import Target, placed
from pulsefold.debugging import Debug
from pulsefold.errors import FoldingError, ModelError, OutputError

__all__ = ["Design", "load_design", "plan_document", "read_folding", "target_of", "write_folder"]

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A compiled network.

    Parameters
    ----------
    folder
        Its build folder.
    board
        Board it is for.
    graph
        The integer network.
    plan
        Its units.
    sha256
        Digest of the model file.
    debug
        What its circuit on the board has beyond the network.
    """

    folder: Path
    board: Board
    graph: Graph
    plan: Plan
    sha256: str
    debug: Debug = field(default_factory=Debug)

    @property
    def model(self) -> Path:
        """Copy of the model that was given."""
        return self.folder / "model.onnx"

    def read_report(self) -> dict[str, Any]:
        """``report.json`` as it stands."""
        try:
            return json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise OutputError("report.json cannot be read", where=str(self.folder), why=str(error)) from error

    def update_report(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `changes` into ``report.json``, whole sections at a time, and return the new report."""
        report = {**self.read_report(), **changes}
        text = json.dumps(report, indent=2) + "\n"
        write_whole(self.folder / "report.json", lambda stream: stream.write(text.encode()))
        return report


def target_of(board: Board, clock_mhz: float | None) -> Target:
    """What the planner knows of a board."""
    return Target(
        board=board.name,
        family=board.family,
        resources=board.resources,
        usable=board.usable,
        # One design however the number was written.
        clock_mhz=float(clock_mhz or board.compute_mhz),
        reserved=support(board.family),
    )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def plan_document(plan: Plan, sha256: str, why: str, debug: Debug | None = None) -> dict[str, Any]:
    """``plan.json``: the folding, editable, and what it promises."""
    family = plan.target.family
    units = []
    network = plan.network
    for unit, owner, sources in zip(network.units, network.owners, network.sources, strict=True):
        units.append(
            {
                "name": unit.name,
                "kind": unit.kind,
                "layer": owner,
                "cycles": unit.cycles,
                "latency_cycles": unit.latency_cycles,
                "reads": [source_name(plan, source) for source in sources],
                "inputs": [f"{s.lanes} x {s.type}" for s in unit.inputs],
                "outputs": [f"{s.lanes} x {s.type}" for s in unit.outputs],
                "buffer_depths": list(unit.buffer_depths),
                **{f"{k}_estimated": round(v) for k, v in asdict(placed(unit.cost(family), family)).items()},
            }
        )
    return {
        "format": _FORMAT,
        "model_sha256": sha256,
        "board": plan.target.board,
        "clock_mhz": plan.target.clock_mhz,
        "engine": "dataflow",
        "why": why,
        **({"debug": section} if debug and (section := debug.document()) else {}),
        "folding": {name: asdict(fold) for name, fold in plan.folds.items()},
        "promise": {
            "cycles_per_image": plan.cycles,
            "slowest_unit": plan.bottleneck.name,
            "latency_cycles": plan.latency_cycles,
            "throughput_fps": plan.fps,
            **{f"{k}_estimated": round(v) for k, v in asdict(plan.cost).items()},
        },
        "units": units,
    }


def source_name(plan: Plan, source: Source) -> str:
    """The unit, or the design's input, that a stream comes from."""
    if source.unit is None:
        return f"input {plan.entries[source.port]}"
    return plan.units[source.unit].name


def read_folding(path: Path) -> dict[str, Fold]:
    """The folding of a ``plan.json``, or of a file that holds only its ``folding`` part.

    Raises
    ------
    FoldingError
        If the file is not one, names an unknown setting or holds a value out of range.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FoldingError("the folding cannot be read", where=str(path), why=str(error)) from error
    table = document.get("folding", document) if isinstance(document, dict) else None
    if not isinstance(table, dict) or not table:
        todo = 'write {"folding": {"LAYER": {"pe": 4, "simd": 8}, ...}}'
        raise FoldingError("this is no folding", where=str(path), todo=todo)
    return {str(name): fold_from(entry, f"{path}: {name}") for name, entry in table.items()}


def fold_from(entry: object, where: str) -> Fold:
    """One layer's entry, checked."""
    known = {f.name for f in fields(Fold)}
    if not isinstance(entry, dict) or not set(entry) <= known:
        todo = f"use only {', '.join(sorted(known))}"
        raise FoldingError(f"not a layer's folding: {entry!r}", where=where, todo=todo)
    for key in ("pe", "simd", "pixels", "held", "shared", "parts", "batch"):
        value = entry.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1 << 20:
            raise FoldingError(f"{key} must be a whole number above 0, not {value!r}", where=where)
    for key, allowed in (
        ("memory", ("lut", "block", "packed")),
        ("lines", ("block", "lut")),
        ("buffers", ("block", "lut")),
        ("multiplier", ("lut", "dsp", "pair", "constant")),
        ("adder", ("tree", "carry", "gated")),
        ("requantizer", ("lut", "dsp")),
        ("constants", ("lut", "block")),
    ):
        if entry.get(key, allowed[0]) not in allowed:
            raise FoldingError(f"{key} must be one of {', '.join(allowed)}, not {entry[key]!r}", where=where)
    return Fold(**entry)


def load_design(folder: Path) -> Design:
    """The design in a build folder, its ``plan.json`` as it stands (it may have been edited).

    Raises
    ------
    ModelError
        If the folder holds no design, or one whose model was exchanged.
    """
    path = folder / "plan.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        board, clock, sha256 = document["board"], document["clock_mhz"], document["model_sha256"]
    except FileNotFoundError as error:
        todo = "make it with: pulsefold compile MODEL.onnx --board BOARD -o DIR"
        raise ModelError("no compiled design here", where=str(folder), todo=todo) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "plan.json cannot be used", where=str(folder), why=repr(error), todo="compile again"
        ) from error
    model = folder / "model.onnx"
    if not model.is_file() or digest(model) != sha256:
        raise ModelError(
            "model.onnx is not the one that was compiled", where=str(folder), todo="compile again"
        )
    if not isinstance(clock, int | float) or not 1 <= clock <= 1000:
        raise ModelError(f"clock_mhz must lie between 1 and 1000, not {clock!r}", where=str(path))
    found = get_board(str(board))
    graph = import_model(model)
    plan = make_plan(graph, target_of(found, clock), folds=read_folding(path))
    debug = Debug.of(document)
    debug.check(plan)
    return Design(folder=folder, board=found, graph=graph, plan=plan, sha256=sha256, debug=debug)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside `folder` and put it in its place only when it is complete.

    Raises
    ------
    OutputError
        If `folder` is something else than an earlier design, or cannot be written; nothing is left then.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("this is a file", where=str(folder), todo="name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "plan.json").exists():
        raise OutputError(
            "the folder holds other things", where=str(folder), todo="name a new or empty folder"
        )
    made: list[Path] = []
    temporary = None
    try:
        parent = folder.resolve().parent
        for missing in [p for p in (parent, *parent.parents) if not p.exists()]:
            made.append(missing)
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{folder.name}."))
        temporary.chmod(0o755)
        fill(temporary)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=parent, prefix=f".{folder.name}."))
            folder.replace(old / "old")
            temporary.replace(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(folder)
        temporary = None
        made.clear()
    except OSError as error:
        todo = "free some space or name another folder with -o"
        raise OutputError(f"cannot write: {error.strerror}", where=str(folder), todo=todo) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        for path in made:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()
