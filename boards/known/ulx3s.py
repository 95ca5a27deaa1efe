"""Radiona ULX3S, Lattice ECP5; pins as in amaranth-boards' ulx3s."""

from pulsefold.boards.board import Board, Pin, SpiPins
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}


def _variant(size: str, resources: Resources, notes: str = "") -> Board:
    return Board(
        name=f"ulx3s-{size.lower()}",
        title=f"Radiona ULX3S {size}",
        family="ecp5",
        device=f"LFE5U-{size}",
        package="CABGA381",
        speed="6",
        clock_mhz=25.0,
        compute_mhz=90.0,
        baud=1_000_000,
        clock=Pin(site="G2", attributes=_IO),
        uart_rx=Pin(site="M1", attributes=_IO),
        uart_tx=Pin(site="L4", attributes=_IO),
        # Header J1, GP and GN 0 to 2.
        spi=SpiPins(
            cs_n=Pin(site="B11", attributes=_IO | {"PULLMODE": "UP"}),
            sck=Pin(site="C11", attributes=_IO),
            mosi=Pin(site="A10", attributes=_IO),
            miso=Pin(site="A11", attributes=_IO),
            waiting=Pin(site="A9", attributes=_IO),
        ),
        reset=Pin(site="R1", attributes=_IO | {"PULLMODE": "DOWN"}),
        leds=tuple(
            Pin(site=site, attributes=_IO | {"DRIVE": "4"})
            for site in ("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3")
        ),
        resources=resources,
        bram_bits=18 * 1024,
        programmer="ulx3s",
        notes=notes,
    )


#: Counts of the ECP5 family data sheet. The 12F is a 25F die and the open tools use all of it.
BOARDS = (
    _variant("85F", Resources(luts=83640, ffs=83640, brams=208, dsps=156)),
    _variant("45F", Resources(luts=43848, ffs=43848, brams=108, dsps=72)),
    _variant("25F", Resources(luts=24288, ffs=24288, brams=56, dsps=28)),
    _variant(
        "12F",
        Resources(luts=24288, ffs=24288, brams=56, dsps=28),
        "sold as 12 k LUT; the die is that of the 25F and all of it is used",
    ),
)
