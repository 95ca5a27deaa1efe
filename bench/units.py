"""Routes matrix units alone on ULX3S and prints what a multiply-accumulate costs and how fast it is.

Weights in block RAM or LUTs, replay memory, accumulators, thresholds and the output buffer are all in the
figures; beats come and go through shift registers, a bit a cycle, as the pins of no chip would do for them.
"""

# Amaranth's `If` has no typed context manager.
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Elaboratable, Module, Signal, Value

from pulsefold.boards import get_board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.cachedtools import CachedTools
from pulsefold.boards.clocks import add_plain_clock
from pulsefold.boards.flow import flow_for
from pulsefold.boards.pll import find_pll
from pulsefold.boards.steps import Steps as BuildSteps
from pulsefold.boards.top import TOP
from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import MatVec, Steps
from pulsefold.compiler.plan.units.memory import block_width
from pulsefold.errors import PulsefoldError
from pulsefold.hdl.technology import Technology
from pulsefold.hdl.units import circuit_for

__all__ = ["RESULTS", "section"]

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "bench" / "units.json"
BOARD = "ulx3s-85f"

#: Clock that the PLL makes and the router is asked for, in MHz: what a unit alone is to reach.
_WANTED = 160

_TITLES: tuple[str, ...] = (
    "adders",
    "weights",
    "vector",
    "PE x SIMD x pixels",
    "LUTs per MAC",
    "estimated",
    "FFs per MAC",
    "block RAMs",
    "multipliers",
    "Fmax MHz",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A matrix unit with four groups of rows and four of columns, or one of each where weights are wired.

    Parameters
    ----------
    adder, memory, pe, simd, pixels
        As in :class:`~pulsefold.compiler.plan.units.matvec.MatVec`.
    bits
        Bits of the vector's elements; 1: bipolar.
    weight_bits
        Bits of the weights; 1: bipolar, and one threshold a row. Others have none.
    multiplier
        As in MatVec.
    held
        As in MatVec; as many groups of PEs share a memory.
    """

    adder: str
    memory: str = "block"
    pe: int = 16
    simd: int = 64
    pixels: int = 1
    bits: int = 1
    weight_bits: int = 1
    multiplier: str = "lut"
    held: int = 1

    @property
    def products(self) -> str:
        """What makes and adds the products."""
        return self.adder if self.multiplier == "lut" else self.multiplier

    @property
    def name(self) -> str:
        """What to ask for."""
        weights = f"{self.weight_bits}w-" if self.weight_bits > 1 else ""
        held = f"-held{self.held}" if self.held > 1 else ""
        fold = f"{self.pe}x{self.simd}x{self.pixels}"
        return f"{self.products}-{self.memory}-{weights}{self.bits}b-{fold}{held}"

    @property
    def unit(self) -> MatVec:
        """The unit, with random weights."""
        rng = np.random.default_rng(1)
        groups = 1 if self.multiplier == "constant" else 4
        rows, columns = groups * self.pe, groups * self.simd
        bipolar = ElementType.bipolar()
        most = (1 << self.weight_bits - 1) - 1
        steps = Steps(
            thresholds=rng.integers(-10, 10, (rows, 1)),
            descending=np.zeros(rows, bool),
            first=-1,
            type=bipolar,
            limit=columns << self.bits,
        )
        return MatVec(
            name="unit",
            vectors=4 * self.pixels * self.held,
            weights=rng.integers(-most, most + 1, (rows, columns))
            if most
            else rng.choice([-1, 1], (rows, columns)),
            weight_type=ElementType.integer(self.weight_bits, signed=True) if most else bipolar,
            type=bipolar if self.bits == 1 else ElementType.integer(self.bits, signed=most > 0),
            pe=self.pe,
            simd=self.simd,
            pixels=self.pixels,
            held=self.held,
            shared=self.held,
            waiting="ram",
            steps=None if most else steps,
            memory=self.memory,
            memory_width=block_width("ecp5", 16 * self.held) if self.memory == "block" else 0,
            # As plans for ECP5 have it.
            reach=int(self.memory == "block"),
            adder=self.adder,
            multiplier=self.multiplier,
        )


STRUCTURES = (
    Structure(adder="tree"),
    Structure(adder="carry", simd=32),
    Structure(adder="carry"),
    Structure(adder="carry", memory="lut"),
    Structure(adder="carry", pixels=2),
    Structure(adder="carry", simd=128),
    Structure(adder="carry", held=4),
    Structure(adder="carry", pe=32, held=8),
    Structure(adder="tree", simd=32, bits=2),
    Structure(adder="carry", simd=32, bits=2),
    Structure(adder="carry", memory="lut", simd=192, bits=2),
    Structure(adder="gated", pe=8, simd=32, bits=8),
    Structure(adder="gated", pe=4, simd=16, bits=8, weight_bits=8),
    Structure(adder="tree", pe=4, simd=16, bits=8, weight_bits=8, multiplier="dsp"),
    Structure(adder="tree", pe=8, simd=8, bits=8, weight_bits=8, multiplier="dsp", held=8),
    Structure(adder="tree", pe=4, simd=16, bits=8, weight_bits=8, multiplier="pair"),
    Structure(adder="tree", pe=4, simd=16, bits=8, weight_bits=4, multiplier="pair"),
    Structure(adder="tree", memory="lut", pe=16, simd=16, bits=8, weight_bits=8, multiplier="constant"),
)


class Bench(Elaboratable):
    """A unit between shift registers, with the ports of a board's top level."""

    def __init__(self, unit: MatVec) -> None:
        self.unit = unit
        board = get_board(BOARD)
        self.clk = Signal()
        self.uart_rx = Signal()
        self.uart_tx = Signal()
        self.reset = Signal()
        self.led = Signal(len(board.leds))

    def ports(self) -> list[Value]:
        """The ports that the board has pins for."""
        return [self.clk, self.uart_rx, self.uart_tx, self.reset, self.led]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pll = find_pll(get_board(BOARD), _WANTED)
        add_plain_clock(m, clock_in=self.clk, pll=pll, pressed=self.reset, restart=Const(0, 1))
        m.submodules.unit = unit = circuit_for(self.unit)
        (i,), (o,) = unit.ins, unit.outs
        width, got = len(Value.cast(i.payload)), len(Value.cast(o.payload))
        come, gone = Signal(width + 2), Signal(got + 1)
        m.d.sync += come.eq(Cat(self.uart_rx, come))
        m.d.comb += [
            Value.cast(i.payload).eq(come[:width]),
            i.valid.eq(come[width]),
            o.ready.eq(come[width + 1]),
            self.uart_tx.eq(gone[0]),
        ]
        # By way of a register: a pin is far, and its net has no copies.
        m.d.sync += [self.led.eq(i.ready), gone.eq(gone[1:])]
        with m.If(o.valid & o.ready):
            m.d.sync += gone.eq(Cat(Value.cast(o.payload), i.ready))
        return m


def route(structure: Structure, out: Path) -> dict[str, str]:
    """One row of the table."""
    unit, board = structure.unit, get_board(BOARD)
    bench = Bench(unit)
    text = rtlil.convert(
        bench, name=TOP, ports=bench.ports(), platform=Technology(board.family), emit_src=False
    )
    out = out / structure.name
    tools = CachedTools(
        cache=BuildCache(),
        logs=out / "logs",
        progress=lambda line: print(f"{structure.name}: {line}", file=sys.stderr),
    )
    tools.logs.mkdir(parents=True, exist_ok=True)
    steps = BuildSteps(board=board, flow=flow_for(board.family), tools=tools)
    # No bitstream: a build would refuse a unit that is slower than what is asked for.
    _, report = steps.route(steps.synthesise(text), _WANTED, 1)
    made = steps.flow.routed(report.used)
    macs = structure.pe * structure.simd * structure.pixels
    vector = "bipolar" if structure.bits == 1 else f"{structure.bits} bits"
    return {
        "adders": structure.products,
        "weights": ("wired" if structure.multiplier == "constant" else structure.memory)
        + (f", {structure.weight_bits} bits" if structure.weight_bits > 1 else "")
        + (f", held for {structure.held}" if structure.held > 1 else ""),
        "vector": vector,
        "PE x SIMD x pixels": f"{structure.pe} x {structure.simd} x {structure.pixels}",
        "LUTs per MAC": f"{made.luts / macs:.2f}",
        "estimated": f"{unit.cost(board.family).luts / macs:.2f}",
        "FFs per MAC": f"{made.ffs / macs:.2f}",
        "block RAMs": f"{made.brams:g}",
        "multipliers": f"{made.dsps:g}",
        "Fmax MHz": f"{report.fmax_mhz:.0f}",
    }


def section() -> str:
    """The table of the structures routed so far, as Markdown; empty if there are none."""
    if not RESULTS.exists():
        return ""
    done = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [done[s.name] for s in STRUCTURES if s.name in done]
    lines = ["| " + " | ".join(_TITLES) + " |", "|" + "---|" * len(_TITLES)]
    lines += ["| " + " | ".join(row.get(t, "0") for t in _TITLES) + " |" for row in rows]
    note = (
        "## Matrix units alone\n\n"
        "Bipolar weights and one threshold a row, or integer weights and none, on ULX3S (ECP5, speed grade"
        " 6), seed 1; printed by `.venv/bin/python bench/units.py`. `dsp` is a multiplier a product, `pair`"
        " one for two, `constant` wires the weights; the others multiply in LUTs. LUTs are of the whole unit"
        " (memories, accumulators, thresholds, output buffer) and the shift registers around it. A row stands"
        " as the run that made it printed it.\n\n"
    )
    return note + "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Route the structures asked for and print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(s.name for s in STRUCTURES))
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "units", help="build folders")
    options = parser.parse_args(arguments)
    known = {s.name: s for s in STRUCTURES}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no structure {unknown[0]}")
    for name in options.names or known:
        try:
            row = route(known[name], options.out)
        except PulsefoldError as error:
            raise SystemExit(f"{name}: {error.message}") from error
        done = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(done | {name: row}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(section())


if __name__ == "__main__":
    main()
