"""1BitSquared iCEBreaker, Lattice iCE40UP5K; pins as in amaranth-boards' icebreaker."""

from pulsefold.boards.board import Board, Pin, SpiPins
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

BOARDS = (
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        family="ice40",
        device="up5k",
        package="sg48",
        # The family has one speed grade a device.
        speed="",
        clock_mhz=12.0,
        compute_mhz=24.0,
        baud=1_000_000,
        clock=Pin(site="35", pll_pad=True),
        uart_rx=Pin(site="6", attributes={"-pullup": "yes"}),
        uart_tx=Pin(site="9"),
        # PMOD 1A as Digilent's SPI modules have it: pins 1 to 4, and the interrupt on 7.
        spi=SpiPins(
            cs_n=Pin(site="4", attributes={"-pullup": "yes"}),
            mosi=Pin(site="2"),
            miso=Pin(site="47"),
            sck=Pin(site="45"),
            waiting=Pin(site="3"),
        ),
        reset=Pin(site="10", inverted=True),
        leds=(Pin(site="37", inverted=True), Pin(site="11", inverted=True)),
        resources=Resources(luts=5280, ffs=5280, brams=30, dsps=8),
        bram_bits=4 * 1024,
        usable=0.85,
        programmer="ice40_generic",
        notes="a small, slow device; green light ready, red light a bad frame",
    ),
)
