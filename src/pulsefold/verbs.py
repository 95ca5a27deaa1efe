"""The verbs of the command line: each calls its function of the API and says how to show the outcome."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pulsefold import api
from pulsefold.compiler.plan.resources import COUNTS
from pulsefold.errors import PulsefoldError
from pulsefold.exploration_page import COLUMNS, row_of
from pulsefold.probing import probe_verdict
from pulsefold.reporting import print_report, simulated
from pulsefold.statistics import print_statistics

__all__ = ["VERBS", "Outcome"]

Say = Callable[[str], None]

#: Exit code, document for ``--json``, and what prints the same for a person.
Outcome = tuple[int, Any, Callable[[Console], None]]


def given(options: argparse.Namespace, names: str) -> dict[str, Any]:
    """Options that a function takes under their own names, which are words here."""
    return {name: getattr(options, name) for name in names.split()}


def show_rows(console: Console, titles: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table."""
    table = Table(box=None, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def run_inspect(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold inspect``."""
    found = api.inspect(options.model)
    supported = found.graph is not None
    document = {
        "model": str(found.path),
        "supported": supported,
        "macs": found.macs,
        "parameters": found.parameters,
        "weight_bits": found.weight_bits,
        "activation_bits": found.activation_bits,
        "advice": found.advice,
        "nodes": [asdict(node) for node in found.nodes],
    }

    def show(console: Console) -> None:
        rows = ((node.name, node.op_type, node.verdict, node.why) for node in found.nodes)
        show_rows(console, ("node", "operation", "verdict", "why"), rows)
        console.print(f"\n{found.macs:,} MACs a frame, {found.parameters:,} weights", markup=False)
        if supported:
            weights, activations = (
                ", ".join(map(str, bits)) for bits in (found.weight_bits, found.activation_bits)
            )
            console.print(f"weights of {weights} bits, activations of {activations} bits", markup=False)
            console.print("everything is supported", markup=False)
        else:
            console.print(f"unsupported: {found.advice}", markup=False, soft_wrap=True)

    return (0 if supported else 2), document, show


def run_quantize(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold quantize``."""
    made = api.quantize(
        options.model,
        options.calibration,
        options.out,
        **given(
            options,
            "weights activations edges sums per_channel method equalize bias_correction rounding format",
        ),
        progress=say,
    )
    report = made.report

    def show(console: Console) -> None:
        titles = "layer", "operation", "weights", "count", "scales", "activations"
        columns = "name", "op", "weights", "weight_count", "scales", "activations"
        rows = (
            [f"{v:,}" if isinstance(v := row[key], int) else v for key in columns] for row in report["layers"]
        )
        show_rows(console, titles, rows)
        for output in report["outputs"]:
            found = "equal" if output["sqnr_db"] is None else f"{output['sqnr_db']:.1f} dB above the error"
            console.print(f"output {output['name']}: {found}", markup=False)
        if report["same_top1"] is not None:
            console.print(f"largest output the same: {report['same_top1']:.1%} of images", markup=False)
        console.print(f"{report['format']} model in {made.path}; next: pulsefold inspect", markup=False)

    return 0, report, show


def run_compile(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold compile``."""
    design = api.compile(
        options.model,
        **given(options, "board out fps folding padding clock_mhz counters probe writable_weights"),
        progress=say,
    )
    report = design.read_report()

    def show(console: Console) -> None:
        print_report(report, console)
        console.print(f"\ndesign in {options.out}; next: pulsefold simulate, verify, build", markup=False)

    return 0, report, show


def run_simulate(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold simulate``."""
    result = api.simulate(
        options.dir,
        options.input,
        options.output,
        **given(options, "level limit raw waves stalls seed"),
        progress=say,
    )

    def show(console: Console) -> None:
        console.print(simulated(result.report), markup=False)
        if result.mismatches:
            given = " ".join(f"--input {spec}" for spec in options.input)
            todo = f"pulsefold verify {options.dir} {given} --rungs 4"
            console.print(f"the circuit DIFFERS from the golden model; locate it with: {todo}", markup=False)

    return (1 if result.mismatches else 0), {"simulation": result.report}, show


def run_verify(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold verify``."""
    try:
        rungs = [int(part) for part in options.rungs.split(",")]
    except ValueError as error:
        raise PulsefoldError(
            f"not a list of rungs: {options.rungs!r}", where="--rungs", todo="as in 1,2,4"
        ) from error
    outcomes = api.verify(
        options.dir, options.input, rungs=rungs, limit=options.limit, seed=options.seed, progress=say
    )

    def show(console: Console) -> None:
        for rung in outcomes:
            verdict = "ok     " if rung.passed else "DIFFERS"
            console.print(
                f"rung {rung.rung}  {verdict}  {rung.what}\n                 {rung.detail}", markup=False
            )

    passed = all(rung.passed for rung in outcomes)
    return (0 if passed else 1), {"passed": passed, "rungs": [r.as_dict() for r in outcomes]}, show


def run_build(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold build``."""
    report = api.build(
        options.dir,
        seeds=options.seeds,
        jobs=options.jobs,
        clock_mhz=options.clock_mhz,
        link=options.link,
        export=options.export,
        riscv=options.riscv,
        progress=say,
    )

    def show(console: Console) -> None:
        if options.export:
            place = options.dir / report["exports"][options.export]
            console.print(f"export for {options.export} in {place}; see its README.md", markup=False)
        elif options.riscv:
            made = report["riscv"]
            figures = f"{made['luts']:,} LUTs, {made['brams']} block RAMs, {made['fmax_mhz']:.1f} MHz"
            console.print(f"{options.dir / made['bitstream']}: {figures}", markup=False)
            console.print(f"it prints the classes {made['classes']}, one a line", markup=False)
        else:
            print_report(report, console)

    return 0, report, show


def run_explore(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold explore``."""
    points = api.explore(
        options.model,
        board=options.board,
        out=options.out,
        clocks=options.clocks,
        fps=options.fps,
        foldings=options.foldings,
        seeds=options.seeds,
        build=options.build,
        jobs=options.jobs,
        dask=options.dask,
        progress=say,
    )
    rows = [p.as_dict() for p in points]

    def show(console: Console) -> None:
        table = Table(box=None, header_style="bold")
        for title in COLUMNS:
            table.add_column(title, justify="left" if title in ("point", "board", "state") else "right")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row_of(row)))
        console.print(table)
        console.print("\n*: no other point of its board beats it in all of rate, LUTs, block RAMs and DSPs")
        console.print(
            f"drawn in {options.out / 'explore.html'}; next: pulsefold compile --folding "
            f"{options.out / 'foldings'}/POINT.json",
            markup=False,
        )

    return 0, {"points": rows}, show


def run_program(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold program``."""
    path = api.program(options.dir, flash=options.flash, progress=say)
    return (
        0,
        {"bitstream": str(path)},
        lambda console: console.print(f"{path} is loaded; next: pulsefold run", markup=False),
    )


def run_run(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold run``."""
    if options.selftest == (options.input is not None):
        raise PulsefoldError(
            "either inputs or a self-test is meant", where="--input", todo="give --input X.npy, or --selftest"
        )
    if options.baud is not None and not 300 <= options.baud <= 12_000_000:
        raise PulsefoldError(
            f"no rate: {options.baud}", where="--baud", todo="give the board's, as in 1000000"
        )
    if options.probe and (options.selftest or options.statistics):
        raise PulsefoldError("--probe goes with --input alone", where="--probe", todo="run twice")
    result = api.run(
        options.dir,
        options.input,
        options.output,
        **given(options, "device limit raw statistics probe weights baud timeout"),
        progress=say,
    )

    def show(console: Console) -> None:
        report = result.report
        console.print(
            f"{report['images']} images in {report['seconds']:.3g} s on {report['device']}, "
            f"{report['frames_sent_again']} frames sent again",
            markup=False,
        )
        if options.selftest:
            verdict = f"DIFFERS from the golden model: {report.get('first_mismatch')}"
            console.print(verdict if result.mismatches else "equal to the golden model", markup=False)
        if options.probe:
            console.print(probe_verdict(report["probe"]), markup=False, soft_wrap=True)
        if options.statistics:
            print_statistics(report["statistics"], console)

    return (1 if result.mismatches else 0), {"run": result.report}, show


def run_report(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold report``."""
    report = api.report(options.dir)
    return 0, report, lambda console: print_report(report, console)


def run_boards(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold boards``."""
    boards = api.boards()
    rows = [
        {
            "name": b.name,
            "title": b.title,
            "family": b.family,
            "device": b.device,
            "clock_mhz": b.compute_mhz,
            **{count: getattr(b.resources, count) for count in COUNTS},
            "notes": b.notes,
        }
        for b in boards
    ]

    def show(console: Console) -> None:
        titles = "name", "board", "device", "MHz", "LUTs", "block RAMs", "DSPs"
        shown = []
        for b in boards:
            r = b.resources
            numbers = f"{b.compute_mhz:g}", f"{r.luts:,}", f"{r.brams}", f"{r.dsps}"
            shown.append((b.name, b.title, b.device, *numbers))
        show_rows(console, titles, shown)
        console.print("\nto simulate or export what none of them holds: unlimited", markup=False)

    return 0, rows, show


def run_doctor(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold doctor``."""
    say("looking for tools")
    found = api.doctor()
    missing = [f for f in found if not f.found and not f.optional]

    def show(console: Console) -> None:
        rows = []
        for f in found:
            state = "ok" if f.found else ("absent" if f.optional else "MISSING")
            rows.append((f.name, state, f.version, f.purpose, f.path if f.found else f.package))
        show_rows(console, ("tool", "", "version", "for", "from"), rows)

    return (3 if missing else 0), [asdict(f) for f in found], show


VERBS: dict[str, Callable[[argparse.Namespace, Say], Outcome]] = {
    "inspect": run_inspect,
    "quantize": run_quantize,
    "compile": run_compile,
    "simulate": run_simulate,
    "verify": run_verify,
    "build": run_build,
    "explore": run_explore,
    "program": run_program,
    "run": run_run,
    "report": run_report,
    "boards": run_boards,
    "doctor": run_doctor,
}
