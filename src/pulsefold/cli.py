"""The command line."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from pulsefold import __version__
from pulsefold.errors import OutputError, PulsefoldError
from pulsefold.progress import Progress, Silent

__all__ = ["main"]

Say = Callable[[str], None]


class Parser(argparse.ArgumentParser):
    """Wrong options are told as every other wrong input is."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise PulsefoldError(message, todo=f"see: {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """Verbs and options."""
    top = Parser(prog="pulsefold", description="From a quantized ONNX network to a proven circuit and a bitstream.")
    top.add_argument("--version", action="version", version=f"pulsefold {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text.capitalize() + ".")
        made.add_argument("--json", action="store_true", help="machine-readable result on standard output")
        made.add_argument("--quiet", action="store_true", help="no progress")
        return made

    p = verb("inspect", "operations, bits, MACs and parameters of a model, and what is unsupported and why")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")

    p = verb("compile", "compile a model for a board into a build folder")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")
    p.add_argument("--board", required=True, help="see: pulsefold boards")
    p.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", dest="out", help="build folder")
    p.add_argument("--engine", choices=("auto", "dataflow"), default="auto", help="default: auto")
    p.add_argument("--fps", type=float, help="wanted frames a second; default: the fastest that fits")
    p.add_argument("--folding", type=Path, metavar="FILE", help="a plan.json, edited or not")
    p.add_argument("--clock-mhz", type=float, metavar="F", help="compute clock; default: the board's")

    p = verb("simulate", "run inputs through the golden model or the circuit")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--input", required=True, type=Path, metavar="X.npy", help="the model's own input, batch first")
    p.add_argument("--output", type=Path, metavar="Y.npy", help="where the model's own output goes")
    p.add_argument("--level", choices=("golden", "rtl"), default="rtl", help="default: rtl, in Verilator")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images")
    p.add_argument("--raw", action="store_true", help="the integers before the last scale")
    p.add_argument("--stalls", type=float, default=0.0, metavar="P", help="pause with probability P at both ends")
    p.add_argument("--seed", type=int, default=0, help="of the pauses")
    p.add_argument("--waves", type=Path, metavar="FILE", help="waveforms, .vcd or .fst")

    p = verb("verify", "show each level equal to the one before: source, golden, exported, units, circuit")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--input", type=Path, metavar="X.npy", help="default: three random images")
    p.add_argument("--rungs", default="1,2,3,4", help="default: 1,2,3,4")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images")
    p.add_argument("--seed", type=int, default=1, help="of the random stalls")

    p = verb("build", "synthesis, place and route, bitstream")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--seeds", type=int, default=1, metavar="N", help="try up to N seeds until the clock is met")

    p = verb("report", "what is known of a design")
    p.add_argument("dir", type=Path, metavar="DIR")

    verb("boards", "known boards")
    verb("doctor", "tools that are there and tools that are missing")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 differs, 2 wrong input, 3 does not fit or a tool failed."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        options = parser().parse_args(arguments)
        with Silent() if options.quiet else Progress() as say:
            code, document, show = VERBS[options.verb](options, say)
        if options.json:
            sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
        else:
            show(Console(highlight=False))
        sys.stdout.flush()
    except PulsefoldError as error:
        return tell(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written was left\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        return tell(OutputError(f"{error.strerror or error}", where=str(error.filename or "")), as_json=as_json)
    return code


def tell(error: PulsefoldError, *, as_json: bool) -> int:
    """One message, on standard output as JSON where that was asked for."""
    if as_json:
        sys.stdout.write(json.dumps(error.as_dict(), indent=2) + "\n")
    else:
        sys.stderr.write(f"error: {error.message}\n")
    return error.exit_code


Outcome = tuple[int, Any, Callable[[Console], None]]


def run_inspect(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold inspect``."""
    from pulsefold import api

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
        table = Table(box=None, header_style="bold")
        for title in ("node", "operation", "verdict", "why"):
            table.add_column(title, overflow="fold")
        for node in found.nodes:
            table.add_row(node.name, node.op_type, node.verdict, node.why)
        console.print(table)
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


def run_compile(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold compile``."""
    from pulsefold import api
    from pulsefold.reporting import print_report

    design = api.compile(
        options.model,
        board=options.board,
        out=options.out,
        fps=options.fps,
        folding=options.folding,
        clock_mhz=options.clock_mhz,
        progress=say,
    )
    report = design.read_report()

    def show(console: Console) -> None:
        print_report(report, console)
        console.print(f"\ndesign in {options.out}; next: pulsefold simulate, verify, build", markup=False)

    return 0, report, show


def run_simulate(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold simulate``."""
    from pulsefold import api
    from pulsefold.reporting import simulated

    result = api.simulate(
        options.dir,
        options.input,
        options.output,
        level=options.level,
        limit=options.limit,
        raw=options.raw,
        waves=options.waves,
        stalls=options.stalls,
        seed=options.seed,
        progress=say,
    )

    def show(console: Console) -> None:
        console.print(simulated(result.report), markup=False)
        if result.mismatches:
            todo = f"pulsefold verify {options.dir} --input {options.input} --rungs 4"
            console.print(f"the circuit DIFFERS from the golden model; locate it with: {todo}", markup=False)

    return (1 if result.mismatches else 0), {"simulation": result.report}, show


def run_verify(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold verify``."""
    from pulsefold import api

    try:
        rungs = [int(part) for part in options.rungs.split(",")]
    except ValueError as error:
        raise PulsefoldError(f"not a list of rungs: {options.rungs!r}", where="--rungs", todo="as in 1,2,4") from error
    outcomes = api.verify(
        options.dir, options.input, rungs=rungs, limit=options.limit, seed=options.seed, progress=say
    )

    def show(console: Console) -> None:
        for rung in outcomes:
            verdict = "ok     " if rung.passed else "DIFFERS"
            console.print(f"rung {rung.rung}  {verdict}  {rung.what}\n                 {rung.detail}", markup=False)

    passed = all(rung.passed for rung in outcomes)
    return (0 if passed else 1), {"passed": passed, "rungs": [r.as_dict() for r in outcomes]}, show


def run_build(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold build``."""
    from pulsefold import api
    from pulsefold.reporting import print_report

    report = api.build(options.dir, seeds=options.seeds, progress=say)
    return 0, report, lambda console: print_report(report, console)


def run_report(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold report``."""
    from pulsefold import api
    from pulsefold.reporting import print_report

    report = api.report(options.dir)
    return 0, report, lambda console: print_report(report, console)


def run_boards(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold boards``."""
    from pulsefold import api

    boards = api.boards()
    rows = [
        {
            "name": b.name,
            "title": b.title,
            "family": b.family,
            "device": b.device,
            "clock_mhz": b.compute_mhz,
            **asdict(b.resources),
            "notes": b.notes,
        }
        for b in boards
    ]

    def show(console: Console) -> None:
        table = Table(box=None, header_style="bold")
        for title in ("name", "board", "device", "MHz", "LUTs", "block RAMs", "DSPs"):
            table.add_column(title)
        for b in boards:
            r = b.resources
            table.add_row(
                b.name, b.title, b.device, f"{b.compute_mhz:g}", f"{r.luts:,}", f"{r.brams}", f"{r.dsps}"
            )
        console.print(table)

    return 0, rows, show


def run_doctor(options: argparse.Namespace, say: Say) -> Outcome:
    """``pulsefold doctor``."""
    from pulsefold import api

    say("looking for tools")
    found = api.doctor()
    missing = [f for f in found if not f.found and not f.optional]

    def show(console: Console) -> None:
        table = Table(box=None, header_style="bold")
        for title in ("tool", "", "version", "for", "from"):
            table.add_column(title, overflow="fold")
        for f in found:
            state = "ok" if f.found else ("absent" if f.optional else "MISSING")
            table.add_row(f.name, state, f.version, f.purpose, f.path if f.found else f.package)
        console.print(table)

    return (3 if missing else 0), [asdict(f) for f in found], show


VERBS: dict[str, Callable[[argparse.Namespace, Say], Outcome]] = {
    "inspect": run_inspect,
    "compile": run_compile,
    "simulate": run_simulate,
    "verify": run_verify,
    "build": run_build,
    "report": run_report,
    "boards": run_boards,
    "doctor": run_doctor,
}
