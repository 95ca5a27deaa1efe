"""Lattice CrossLink-NX Evaluation Board; pins as in its user guide FPGA-EB-02028 and litex-boards."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}

BOARDS = (
    Board(
        name="crosslink-nx-evn",
        title="Lattice CrossLink-NX Evaluation Board",
        family="nexus",
        device="LIFCL-40-9BG400C",
        package="BG400",
        speed="9",
        # Below the 18 MHz that the PLL takes; the faster oscillator reaches only the transceivers' pins.
        clock_mhz=12.0,
        compute_mhz=12.0,
        baud=1_000_000,
        clock=Pin(site="L13", attributes=_IO),
        uart_rx=Pin(site="F16", attributes=_IO),
        uart_tx=Pin(site="F18", attributes=_IO),
        reset=Pin(site="G14", inverted=True, attributes=_IO),
        leds=tuple(
            Pin(site=site, inverted=True, attributes=_IO)
            for site in ("E17", "F13", "G13", "F14", "L16", "L15", "L20", "L19")
        ),
        # Family data sheet FPGA-DS-02049; the large memories (LRAM) are not used.
        resources=Resources(luts=32256, ffs=32256, brams=84, dsps=56),
        bram_bits=18 * 1024,
        programmer="crosslinknx_evn",
        notes="runs at 12 MHz (jumper JP2); serial link: R15 and R17 fitted, R18 and R19 removed",
    ),
)
