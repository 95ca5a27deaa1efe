"""One step of an exploration, as a worker does it: estimate the foldings of a model, or build one of them.

Tasks and results are plain JSON values, so that they pass between processes and machines as they are.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pulsefold.boards import get_board
from pulsefold.boards.bound import bind
from pulsefold.boards.build import build
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.compiler.plan.plan import Plan, make_plan
from pulsefold.compiler.plan.sweep import sweep
from pulsefold.design import Design, digest, fold_from, target_of
from pulsefold.errors import DoesNotFitError, PulsefoldError, TimingError, ToolFailedError
from pulsefold.identity import identity_of

__all__ = ["perform", "perform_bytes"]

Task = dict[str, Any]
Result = dict[str, Any]


def perform(task: Task, model: Path) -> Result:
    """Do a task.

    Parameters
    ----------
    task
        ``{"kind": "estimate", "board", "clock_mhz", "count", "cycles"}`` or ``{"kind": "build", "board",
        "clock_mhz", "auto", "folding", "seeds"}``.
    model
        The model's file.

    Returns
    -------
    dict
        ``{"plans": [...]}``; or what the routed design takes and reaches. ``{"failure": message}`` where that
        cannot be, with ``"lasting"`` false where another attempt may fare better.
    """
    try:
        graph = import_model(model)
        if task["kind"] == "estimate":
            return estimate(task, graph)
        return build_point(task, graph, model)
    except TimingError as error:
        return {"failure": error.what, "fmax_mhz": error.fmax_mhz, "lasting": True}
    except PulsefoldError as error:
        lasting = isinstance(error, DoesNotFitError) or not isinstance(error, ToolFailedError)
        return {"failure": error.message, "lasting": lasting and error.exit_code in (2, 3)}


def perform_bytes(task: Task, model: bytes) -> Result:
    """Do a task on a machine that has not the model's file."""
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return perform(task, path)


def estimate(task: Task, graph: Graph) -> Result:
    """Foldings from the smallest to the fastest, with what they are estimated to take."""
    target = target_of(get_board(task["board"]), task["clock_mhz"])
    plans = sweep(graph, target, count=task["count"], cycles=task["cycles"])
    return {"plans": [described(plan) for plan in plans]}


def described(plan: Plan) -> Result:
    """A plan's figures."""
    return {
        "folding": {name: asdict(fold) for name, fold in plan.folds.items()},
        "cycles": plan.cycles,
        "slowest_unit": plan.bottleneck.name,
        "estimated": {name: round(value) for name, value in asdict(plan.cost).items()},
    }


def build_point(task: Task, graph: Graph, model: Path) -> Result:
    """The routed design of a folding."""
    board = get_board(task["board"])
    folds = {name: fold_from(entry, name) for name, entry in task["folding"].items()}
    plan = make_plan(graph, target_of(board, task["clock_mhz"]), folds=folds)
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        folder = Path(name)
        design = Design(folder=folder, board=board, graph=graph, plan=plan, sha256=digest(model))
        made = build(
            lambda: design.debug.core(plan),
            board,
            plan.target.clock_mhz,
            folder,
            seeds=task["seeds"],
            # Other points are built meanwhile.
            jobs=1,
            fit_clock=task["auto"],
            identity=identity_of(design),
        )
    figures = made.as_dict()
    keys = ("clock_mhz", "fmax_mhz", "luts", "ffs", "brams", "dsps", "seed", "seeds", "seconds")
    return {key: figures[key] for key in keys}


def main() -> None:
    """A worker process: a task on standard input, its result on output.

    Arguments: the model's path, and the number of the process that started it, with which it ends.
    """
    model, parent = sys.argv[1:]
    bind(int(parent), signal.SIGTERM)
    result = perform(json.load(sys.stdin), Path(model))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
