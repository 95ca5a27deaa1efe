"""LambdaConcept ECPIX-5, Lattice ECP5-5G; pins as in amaranth-boards' ecpix5."""

from pulsefold.boards.board import Board, Pin, SpiPins
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}
_PULLED = _IO | {"PULLMODE": "UP"}


def _variant(size: str, resources: Resources) -> Board:
    return Board(
        name=f"ecpix-5-{size.lower()}",
        title=f"LambdaConcept ECPIX-5 {size}",
        family="ecp5",
        device=f"LFE5UM5G-{size}",
        package="CABGA554",
        speed="8",
        clock_mhz=100.0,
        compute_mhz=120.0,
        baud=1_000_000,
        clock=Pin(site="K23", attributes=_IO),
        uart_rx=Pin(site="R26", attributes=_PULLED),
        uart_tx=Pin(site="R24", attributes=_IO),
        # PMOD 0 as Digilent's SPI modules have it: pins 1 to 4, and the interrupt on 7.
        spi=SpiPins(
            cs_n=Pin(site="T25", attributes=_PULLED),
            mosi=Pin(site="U25", attributes=_IO),
            miso=Pin(site="U24", attributes=_IO),
            sck=Pin(site="V24", attributes=_IO),
            waiting=Pin(site="T26", attributes=_IO),
        ),
        reset=Pin(site="AB1", inverted=True, attributes=_IO),
        # Of the coloured lights in a row: green, red, green, blue.
        leds=tuple(Pin(site=site, inverted=True, attributes=_IO) for site in ("R21", "T23", "W21", "T24")),
        resources=resources,
        bram_bits=18 * 1024,
        programmer="ecpix5",
    )


#: Counts of the ECP5 family data sheet.
BOARDS = (
    _variant("85F", Resources(luts=83640, ffs=83640, brams=208, dsps=156)),
    _variant("45F", Resources(luts=43848, ffs=43848, brams=108, dsps=72)),
)
