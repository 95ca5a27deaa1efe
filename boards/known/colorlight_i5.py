"""ColorLight i5 v7.0 on its extension board, Lattice ECP5; pins as in litex-boards' colorlight_i5."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}

BOARDS = (
    Board(
        name="colorlight-i5",
        title="ColorLight i5",
        family="ecp5",
        device="LFE5U-25F",
        package="CABGA381",
        speed="6",
        clock_mhz=25.0,
        compute_mhz=90.0,
        # The extension board's CMSIS-DAP bridge.
        baud=115_200,
        clock=Pin(site="P3", attributes=_IO),
        uart_rx=Pin(site="H18", attributes=_IO),
        uart_tx=Pin(site="J17", attributes=_IO),
        reset=Pin(site="K18", inverted=True, attributes=_IO | {"PULLMODE": "UP"}),
        leds=(Pin(site="U16", inverted=True, attributes=_IO),),
        resources=Resources(luts=24288, ffs=24288, brams=56, dsps=28),
        bram_bits=18 * 1024,
        programmer="colorlight-i5",
        notes="version 7.0 on the extension board, whose debugger carries the serial link",
    ),
)
