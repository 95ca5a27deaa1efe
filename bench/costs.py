"""Holds the planner's estimates against what place and route counts, and prints how far they are off.

A design is a network, a board and a folding, with its host link. LUT positions, flip-flops, block RAMs and
multipliers are those of nextpnr's report. On ECP5, iCE40 and Nexus its count after packing is that of the
routed design, so routing is left out; on Gowin it is not, and the design is routed. Padding is the share of
the claimed block RAM that holds nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from pulsefold.boards import get_board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.cachedtools import CachedTools, Job, Step
from pulsefold.boards.flow import flow_for
from pulsefold.boards.steps import Steps
from pulsefold.boards.top import BoardTop
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.plan.plan import Plan
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.sweep import sweep
from pulsefold.design import target_of
from pulsefold.errors import PulsefoldError
from pulsefold.hdl.top import Core
from pulsefold.progress import Progress

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "bench" / "costs.json"
PAGE = REPOSITORY / "docs" / "costs.md"

#: What is compared, its heading, and the least that an error is a share of: a block RAM more or less in
#: three is no matter of the model's constants.
_COUNTS = (("luts", "LUTs", 1), ("ffs", "FFs", 1), ("brams", "block RAMs", 5), ("dsps", "DSPs", 5))

_DIGITS = "demo/digits.onnx"
_TFC = "models/tfc_w1a1_mnist_qonnx.onnx"
_TFC2 = "models/tfc_w2a2_mnist_qonnx.onnx"
_KWS = "models/kws_w3a3_qonnx.onnx"
_DSCNN = "models/kws_dscnn_int8_qdq.onnx"


@dataclass(frozen=True, slots=True)
class Design:
    """The smallest folding of a network within some cycles a frame."""

    model: str
    board: str
    cycles: int

    @property
    def name(self) -> str:
        """What to ask for."""
        return f"{Path(self.model).stem.split('_qonnx')[0]}:{self.board}:{self.cycles}"


DESIGNS = (
    Design(_DIGITS, "ulx3s-85f", 4000),
    Design(_DIGITS, "ulx3s-85f", 500),
    Design(_TFC, "ulx3s-85f", 1000),
    Design(_TFC, "ulx3s-85f", 80),
    Design(_TFC, "ulx3s-85f", 4),
    Design(_TFC2, "ulx3s-85f", 500),
    Design(_KWS, "ulx3s-85f", 300),
    Design(_KWS, "ulx3s-85f", 20_000),
    Design("models/mnist_lfcW1A1.onnx", "ulx3s-85f", 70_000),
    Design("models/cifar10_cnvW1A1.onnx", "ulx3s-85f", 1_000_000),
    Design("models/cifar10_cnvW1A1.onnx", "ulx3s-85f", 30_000),
    Design("models/cifar10_cnvW1A2.onnx", "ulx3s-85f", 90_000),
    Design(_DSCNN, "ulx3s-85f", 500_000),
    Design(_DSCNN, "ulx3s-85f", 100_000),
    Design("models/resnet8_int8_qdq.onnx", "ulx3s-85f", 400_000),
    Design("models/ad_autoencoder_int8_qdq.onnx", "ulx3s-85f", 10_000),
    Design(_DIGITS, "icebreaker", 20_000),
    Design(_DIGITS, "ice40-hx8k", 4000),
    Design(_TFC, "icebreaker", 300),
    Design(_DIGITS, "tang-nano-9k", 8000),
    Design(_DIGITS, "tang-nano-20k", 1500),
    Design(_TFC, "tang-nano-9k", 300),
    Design(_DIGITS, "crosslink-nx-evn", 4000),
)


def packed(steps: Steps, netlist: Step) -> dict[str, int]:
    """Sites by type, as nextpnr counts them after packing."""
    flow, board = steps.flow, steps.board
    own = flow.route_arguments(board, 0)
    # Nothing that could be written of a design that is only packed.
    output = own.index(flow.routed_name) - 1
    arguments = [*own[:output], *own[output + 2 :], "--json", "netlist.json", "--pack-only"]

    def prepare(folder: Path) -> list[str]:
        (folder / flow.constraints_name).write_text(flow.constraints(board))
        shutil.copyfile(netlist.folder / "netlist.json", folder / "netlist.json")
        return arguments

    step = steps.tools.step(
        Job(
            name="packed",
            title="packing",
            tool=flow.router,
            inputs=[netlist.folder.name, *arguments],
            prepare=prepare,
            drop=("netlist.json",),
        )
    )
    counts = re.findall(r"Info:\s+(\w+):\s+(\d+)/\s*\d+", (step.folder / "log").read_text())
    return {name: int(count) for name, count in counts}


def measured(plan: Plan, say: Progress) -> Resources:
    """What the design takes, host link included."""
    board = get_board(plan.target.board)
    with tempfile.TemporaryDirectory() as logs:
        tools = CachedTools(cache=BuildCache(), logs=Path(logs), progress=say)
        steps = Steps(board=board, flow=flow_for(board.family), tools=tools)
        top = BoardTop(board, plan.target.clock_mhz, Core(plan))
        netlist = steps.synthesise(top.rtlil())
        if board.family == "gowin":
            _, report = steps.route(netlist, top.clock_mhz, 1)
            used = report.used
        else:
            used = packed(steps, netlist)
        taken = steps.flow.routed(used)
        cells = json.loads((netlist.folder / "cells.json").read_text())["design"]["num_cells_by_type"]
        # The sites of iCE40 do not tell flip-flops from LUTs.
        ffs = taken.ffs or steps.flow.synthesised(cells).ffs
        return Resources(luts=taken.luts, ffs=ffs, brams=taken.brams, dsps=taken.dsps)


def run(design: Design, model: Path, say: Progress) -> dict:
    """One row."""
    board = get_board(design.board)
    say(f"{design.name}: planning")
    plan = sweep(import_model(model), target_of(board, None), cycles=[design.cycles])[0]
    taken = measured(plan, say)
    return {
        "cycles": plan.cycles,
        "family": board.family,
        "estimated": {k: round(v) for k, v in asdict(plan.cost).items()},
        "measured": asdict(taken),
        "padding": 1 - plan.cost.bram_bits / (taken.brams * board.bram_bits) if taken.brams else 0.0,
    }


def errors(row: dict) -> dict[str, float | None]:
    """Of each count, as a share of what there is; None where there is none."""
    found: dict[str, float | None] = {}
    for key, _, least in _COUNTS:
        estimated, there = row["estimated"][key], row["measured"][key]
        found[key] = (estimated - there) / max(there, least) if estimated or there else None
    return found


def lines(rows: dict[str, dict]) -> Iterator[str]:
    """The table, in Markdown."""
    heads = [f"{title} | estimated | error" for _, title, _ in _COUNTS]
    yield f"| design | cycles | {' | '.join(heads)} | padding |"
    yield "|" + "---|" * (3 + 3 * len(_COUNTS))
    for name, row in rows.items():
        cells = []
        found = errors(row)
        for key, _, _ in _COUNTS:
            error = found[key]
            shown = "" if error is None else f"{error:+.1%}"
            cells.append(f"{row['measured'][key]:,.0f} | {row['estimated'][key]:,} | {shown}")
        yield f"| {name} | {row['cycles']:,} | {' | '.join(cells)} | {row['padding']:.0%} |"
    yield ""
    yield "| error | designs | " + " | ".join(f"{title} median | worst" for _, title, _ in _COUNTS) + " |"
    yield "|" + "---|" * (2 + 2 * len(_COUNTS))
    families = dict.fromkeys(row["family"] for row in rows.values())
    for family in ("", *families):
        mine = [row for row in rows.values() if family in ("", row["family"])]
        cells = []
        for key, _, _ in _COUNTS:
            sizes = [abs(e) for row in mine if (e := errors(row)[key]) is not None]
            cells.append(f"{median(sizes):.1%} | {max(sizes):.1%}" if sizes else " | ")
        yield f"| {family or 'all'} | {len(mine)} | {' | '.join(cells)} |"


def kept() -> dict[str, dict]:
    """Rows of earlier runs."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def main() -> None:
    """Measure the designs asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = {design.name: design for design in DESIGNS}
    parser.add_argument("designs", nargs="*", metavar="DESIGN", help="default: all of " + ", ".join(names))
    parser.add_argument(
        "--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder of models and data"
    )
    options = parser.parse_args()
    unknown = [name for name in options.designs if name not in names]
    if unknown:
        parser.error(f"there is no design {unknown[0]}")
    for name in options.designs or names:
        design = names[name]
        model = (REPOSITORY if design.model.startswith("demo/") else options.shared) / design.model
        if not model.exists():
            sys.stderr.write(f"{name}: skipped, {model} is not there\n")
            continue
        try:
            with Progress() as say:
                row = run(design, model, say)
        except PulsefoldError as error:
            raise SystemExit(f"{name}: {error.message}") from error
        # Read anew: another run may have added its own meanwhile.
        known = kept() | {name: row}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    known = kept()
    rows = {name: known[name] for name in names if name in known}
    table = "\n".join(lines(rows))
    sys.stdout.write(table + "\n")
    text = (
        "# Estimates and what became of them\n\nPrinted by `.venv/bin/python bench/costs.py`. The "
        "planner chooses by estimates; here they stand beside what nextpnr counts for the whole design, "
        "host link included: after packing on ECP5, iCE40 and Nexus, where routing changes no count, and"
        " after routing on Gowin. An error is the estimate less the count, as a share of the count (of "
        "at least 5 block RAMs or DSPs). Padding is the share of the claimed block RAM that holds no bit"
        " of a memory.\n\n"
    )
    PAGE.write_text(f"{text}{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
