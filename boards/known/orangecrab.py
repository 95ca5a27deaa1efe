"""OrangeCrab r0.2, Lattice ECP5; pins as in amaranth-boards' orangecrab_r0_2."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}


def _variant(size: str, resources: Resources) -> Board:
    return Board(
        name=f"orangecrab-{size.lower()}",
        title=f"OrangeCrab r0.2 {size}",
        family="ecp5",
        device=f"LFE5U-{size}",
        package="CSFBGA285",
        speed="8",
        clock_mhz=48.0,
        compute_mhz=96.0,
        baud=1_000_000,
        clock=Pin(site="A9", attributes=_IO),
        uart_rx=Pin(site="N17", attributes=_IO | {"PULLMODE": "UP"}),
        uart_tx=Pin(site="M18", attributes=_IO),
        # Its bank is that of the DDR3 memory.
        reset=Pin(site="J17", inverted=True, attributes={"IO_TYPE": "SSTL135_I"}),
        # Green, red, blue.
        leds=tuple(Pin(site=site, inverted=True, attributes=_IO) for site in ("M3", "K4", "J3")),
        resources=resources,
        bram_bits=18 * 1024,
        programmer="orangeCrab",
        notes="no serial bridge: connect one to pins 0 (RX of the board) and 1 (TX) of the header",
    )


#: Counts of the ECP5 family data sheet.
BOARDS = (
    _variant("85F", Resources(luts=83640, ffs=83640, brams=208, dsps=156)),
    _variant("25F", Resources(luts=24288, ffs=24288, brams=56, dsps=28)),
)
