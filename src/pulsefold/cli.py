"""The command line."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from pulsefold import __version__
from pulsefold.boards.export import EXPORTS
from pulsefold.compiler.quantize import FORMATS, METHODS, ROUNDINGS
from pulsefold.errors import OutputError, PulsefoldError
from pulsefold.exploring import BUILDS
from pulsefold.progress import Progress, Silent
from pulsefold.verbs import VERBS

__all__ = ["main"]


class Parser(argparse.ArgumentParser):
    """Wrong options are told as every other wrong input is."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise PulsefoldError(message, todo=f"see: {self.prog} --help")


_INPUT = "the model's own input, batch first; where it has several, NAME=X.npy for each, or an X.npz"
_OUTPUT = "where the model's own output goes; where it has several, NAME=Y.npy, or a Y.npz for all"


_SEEDS = "N seeds of place and route, or those listed, side by side; the fastest is taken"


def seed_list(text: str) -> int | list[int]:
    """``4``: four seeds; ``3,7`` or ``3,``: these."""
    if "," in text:
        return [int(part) for part in text.split(",") if part.strip()]
    return int(text)


def clock(text: str) -> float | str:
    """A frequency, or ``auto``."""
    return text if text == "auto" else float(text)


def words(text: str) -> list[str]:
    """Names between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def rates(text: str) -> list[float]:
    """Numbers between commas."""
    return [float(part) for part in words(text)]


def percent(text: str) -> float:
    """A share of 1."""
    return float(text.removesuffix("%")) / 100


def clocks(text: str) -> list[float | str]:
    """Clocks between commas."""
    return [clock(part) for part in words(text)]


def parser() -> argparse.ArgumentParser:
    """Verbs and options."""
    top = Parser(
        prog="pulsefold", description="From a quantized ONNX network to a proven circuit and a bitstream."
    )
    top.add_argument("--version", action="version", version=f"pulsefold {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text.capitalize() + ".")
        made.add_argument("--json", action="store_true", help="machine-readable result on standard output")
        made.add_argument("--quiet", action="store_true", help="no progress")
        return made

    p = verb("inspect", "operations, bits, MACs and parameters of a model, and what is unsupported and why")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")

    p = verb("quantize", "turn a float model into a quantized one, with some of its inputs for calibration")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")
    p.add_argument(
        "--calibration",
        required=True,
        action="append",
        metavar="X.npy",
        help="some hundred of the model's own inputs; of several: NAME=X.npy for each, or X.npz",
    )
    p.add_argument("-o", "--output", required=True, type=Path, metavar="Q.onnx", dest="out")
    few = "int8 to int2, uint8 to uint2"
    p.add_argument(
        "--weights", default="int8", metavar="FORMAT", help=f"{few}, ternary or binary; default: int8"
    )
    p.add_argument(
        "--activations", default="int8", metavar="FORMAT", help=f"{few} (with zero points); default: int8"
    )
    p.add_argument(
        "--edges", default="int8", metavar="FORMAT", help="first and last layers, if wider; default: int8"
    )
    p.add_argument(
        "--sums",
        default="int8",
        metavar="FORMAT",
        help="activations that no weights multiply, if wider; default: int8",
    )
    scales = p.add_mutually_exclusive_group()
    scales.add_argument(
        "--per-channel", action="store_true", default=True, help="a weight scale a channel (default)"
    )
    scales.add_argument("--per-tensor", action="store_false", dest="per_channel", help="one a layer")
    p.add_argument(
        "--method", choices=tuple(METHODS), default="mse", help="of activation ranges; default: mse"
    )
    p.add_argument(
        "--equalize",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="bring the channels of successive layers to equal ranges",
    )
    p.add_argument(
        "--bias-correction",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="biases make up for the mean error of the layers",
    )
    p.add_argument(
        "--rounding",
        choices=ROUNDINGS,
        default="auto",
        help="of weights; default: hessian below 8 bits, else nearest",
    )
    p.add_argument("--format", choices=FORMATS, default="auto", help="default: qdq for 4 and 8 bits")

    p = verb("compile", "compile a model for a board into a build folder")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")
    p.add_argument("--board", required=True, help="see: pulsefold boards; unlimited: none, to simulate")
    p.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", dest="out", help="build folder")
    p.add_argument("--engine", choices=("auto", "dataflow"), default="auto", help="default: auto")
    p.add_argument("--fps", type=float, help="wanted frames a second; default: the fastest that fits")
    p.add_argument("--folding", type=Path, metavar="FILE", help="a plan.json, edited or not")
    p.add_argument(
        "--padding",
        type=percent,
        metavar="PERCENT",
        help="block RAM that may be claimed and left empty at the most, whatever rate or logic it takes; "
        "100: the most frames, or the least logic; default: 15, where logic can do it at the rate, or "
        "without --fps at up to 1.75 times the cycles",
    )
    p.add_argument("--clock-mhz", type=float, metavar="F", help="compute clock; default: the board's")
    p.add_argument(
        "--counters",
        action="store_true",
        help="each unit counts on the board when it waits, for run --statistics",
    )

    p.add_argument(
        "--probe",
        nargs="?",
        const="all",
        type=words,
        default=(),
        metavar="NAME,...",
        help="layers whose output the host can look at on the board, for run --probe; default: all",
    )

    p.add_argument(
        "--writable-weights",
        action="store_true",
        help="weights and other constants can be written on the board, for run --weights",
    )

    p = verb("simulate", "run inputs through the golden model or the circuit")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--input", required=True, action="append", metavar="X.npy", help=_INPUT)
    p.add_argument("--output", action="append", metavar="Y.npy", help=_OUTPUT)
    p.add_argument("--level", choices=("golden", "rtl"), default="rtl", help="default: rtl, in Verilator")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images")
    p.add_argument("--raw", action="store_true", help="the integers before the last scale")
    p.add_argument(
        "--stalls", type=float, default=0.0, metavar="P", help="pause with probability P at both ends"
    )
    p.add_argument("--seed", type=int, default=0, help="of the pauses")
    p.add_argument("--waves", type=Path, metavar="FILE", help="waveforms, .vcd or .fst")

    p = verb("verify", "show each level equal to the one before: source, golden, exported, units, circuit")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument(
        "--input", action="append", metavar="X.npy", help=f"{_INPUT}; default: three random images"
    )
    p.add_argument("--rungs", default="1,2,3,4", help="default: 1,2,3,4")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images")
    p.add_argument("--seed", type=int, default=1, help="of the random stalls")

    p = verb("build", "synthesis, place and route, bitstream")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--seeds", type=seed_list, default=1, metavar="N|A,B,...", help=f"{_SEEDS}; default: 1")
    p.add_argument("--jobs", type=int, metavar="J", help="seeds at once; default: one a processor")
    p.add_argument(
        "--clock-mhz",
        type=clock,
        metavar="F|auto",
        help="compute clock; auto: the fastest that timing allows; default: the one compiled for",
    )
    p.add_argument("--link", choices=("uart", "spi"), default="uart", help="to the host; default: uart")
    instead = p.add_mutually_exclusive_group()
    instead.add_argument(
        "--riscv", type=Path, metavar="X.npy", help="with a soft processor that classifies these images"
    )
    instead.add_argument(
        "--export", choices=tuple(EXPORTS), help="write an AXI peripheral for that maker's tool instead"
    )

    p = verb("explore", "foldings, clocks and boards of a model: estimated, the best of them built, compared")
    p.add_argument("model", type=Path, metavar="MODEL.onnx")
    p.add_argument("--board", required=True, type=words, metavar="B[,B2]", help="see: pulsefold boards")
    p.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", dest="out", help="of results")
    p.add_argument(
        "--clocks",
        type=clocks,
        default=(),
        metavar="F[,F2]",
        help="compute clocks in MHz, or auto, what timing allows; default: each board's",
    )
    p.add_argument(
        "--fps",
        type=rates,
        default=(),
        metavar="R[,R2]",
        help="wanted frames a second; default: from the smallest folding to the fastest",
    )
    p.add_argument("--foldings", type=int, default=8, metavar="N", help="of that sweep; default: 8")
    p.add_argument("--seeds", type=seed_list, default=1, metavar="N|A,B,...", help=f"{_SEEDS}; default: 1")
    p.add_argument(
        "--build",
        choices=BUILDS,
        default="front",
        help="what to place and route: none, what no other point beats by the estimates (default), or all",
    )
    where = p.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, metavar="J", help="processes at once; default: one a processor")
    where.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, as in tcp://localhost:8786")

    p = verb("program", "load the built bitstream into the board")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument("--flash", action="store_true", help="where it survives power-off")

    p = verb("run", "run inputs on a board, real or virtual")
    p.add_argument("dir", type=Path, metavar="DIR")
    p.add_argument(
        "--device",
        required=True,
        help="a serial port; sim: a virtual board; sim:uart, sim:spi: one with its line bit by bit",
    )
    p.add_argument("--input", action="append", metavar="X.npy", help=_INPUT)
    p.add_argument("--output", action="append", metavar="Y.npy", help=_OUTPUT)
    p.add_argument(
        "--selftest", action="store_true", help="images of its own, compared with the golden model"
    )
    p.add_argument("--limit", type=int, metavar="N", help="at most N images")
    p.add_argument("--raw", action="store_true", help="the integers before the last scale")
    p.add_argument(
        "--statistics",
        action="store_true",
        help="how long each unit worked and waited, of a design compiled with --counters",
    )
    p.add_argument(
        "--probe",
        nargs="?",
        const="all",
        type=words,
        default=(),
        metavar="NAME,...",
        help="compare layers on the board with the golden model, name the first that differs; default: all, "
        "of the first image unless --limit says more",
    )
    p.add_argument(
        "--weights",
        type=Path,
        metavar="MODEL.onnx|DIR",
        help="load the weights of a model of the same structure, into a design with --writable-weights",
    )
    p.add_argument("--baud", type=int, metavar="B", help="rate of the port; default: the board's")
    p.add_argument(
        "--timeout", type=float, metavar="S", help="seconds without progress; default: 5, simulated 120"
    )

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
            # A file or pipe has no width: nothing is cut for it.
            show(Console(highlight=False, width=None if sys.stdout.isatty() else 160))
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
        return tell(
            OutputError(f"{error.strerror or error}", where=str(error.filename or "")), as_json=as_json
        )
    return code


def tell(error: PulsefoldError, *, as_json: bool) -> int:
    """One message, on standard output as JSON where that was asked for."""
    if as_json:
        sys.stdout.write(json.dumps(error.as_dict(), indent=2) + "\n")
    else:
        sys.stderr.write(f"error: {error.message}\n")
    return error.exit_code
