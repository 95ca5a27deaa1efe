"""The board that is none: for simulating, and exporting, what no board here holds."""

from __future__ import annotations

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["UNLIMITED"]

_NOWHERE = Pin(site="")

#: A thousand times the largest ECP5: the planner weighs resources as it does there, and meets no limit.
UNLIMITED = Board(
    name="unlimited",
    title="no board: for simulation and export",
    family="ecp5",
    device="none",
    package="",
    speed="",
    clock_mhz=100.0,
    compute_mhz=100.0,
    baud=1_000_000,
    clock=_NOWHERE,
    uart_rx=_NOWHERE,
    uart_tx=_NOWHERE,
    resources=Resources(luts=83_640_000, ffs=83_640_000, brams=208_000, dsps=156_000),
    bram_bits=18 * 1024,
    buildable=False,
    notes="needs --fps or --folding, as nothing else bounds the circuit",
)
