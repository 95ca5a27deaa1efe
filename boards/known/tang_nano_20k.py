"""Sipeed Tang Nano 20K, Gowin GW2AR-18C; pins as in its schematic and litex-boards' sipeed_tang_nano_20k."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}

BOARDS = (
    Board(
        name="tang-nano-20k",
        title="Sipeed Tang Nano 20K",
        family="gowin",
        device="GW2AR-LV18QN88C8/I7",
        # The device name holds package and speed; the tools also want the die.
        package="GW2A-18C",
        speed="C8/I7",
        clock_mhz=27.0,
        compute_mhz=81.0,
        baud=115_200,
        clock=Pin(site="4", attributes=_IO),
        uart_rx=Pin(site="70", attributes=_IO | {"PULL_MODE": "UP"}),
        uart_tx=Pin(site="69", attributes=_IO | {"PULL_MODE": "UP"}),
        # High when pressed, unlike the smaller boards' buttons.
        reset=Pin(site="88", attributes=_IO | {"PULL_MODE": "DOWN"}),
        leds=tuple(Pin(site=s, inverted=True, attributes=_IO) for s in ("15", "16", "17", "18", "19", "20")),
        resources=Resources(luts=20736, ffs=15552, brams=46, dsps=48),
        bram_bits=18 * 1024,
        usable=0.45,
        programmer="tangnano20k",
        notes="the serial bridge on the board is reliable at 115200 baud",
    ),
)
