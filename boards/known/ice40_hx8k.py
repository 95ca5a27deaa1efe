"""Lattice iCE40-HX8K Breakout Board; pins as in amaranth-boards' ice40_hx8k_b_evn."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

BOARDS = (
    Board(
        name="ice40-hx8k",
        title="Lattice iCE40-HX8K Breakout",
        family="ice40",
        device="hx8k",
        package="ct256",
        # The family has one speed grade a device.
        speed="",
        clock_mhz=12.0,
        compute_mhz=48.0,
        baud=1_000_000,
        clock=Pin(site="J3"),
        uart_rx=Pin(site="B10", attributes={"-pullup": "yes"}),
        uart_tx=Pin(site="B12"),
        leds=tuple(Pin(site=site) for site in ("C3", "B3", "C4", "C5", "A1", "A2", "B4", "B5")),
        resources=Resources(luts=7680, ffs=7680, brams=32, dsps=0),
        bram_bits=4 * 1024,
        usable=0.85,
        programmer="ice40_generic",
        notes="no button: reset by loading the bitstream again",
    ),
)
