"""Sipeed Tang Nano 9K, Gowin GW1NR-9C; pins as in amaranth-boards' tang_nano_9k."""

from pulsefold.boards.board import Board, Pin
from pulsefold.compiler.plan.resources import Resources

__all__ = ["BOARDS"]

_IO = {"IO_TYPE": "LVCMOS33"}

BOARDS = (
    Board(
        name="tang-nano-9k",
        title="Sipeed Tang Nano 9K",
        family="gowin",
        device="GW1NR-LV9QN88PC6/I5",
        # The device name holds package and speed; the tools also want the die.
        package="GW1N-9C",
        speed="C6/I5",
        clock_mhz=27.0,
        compute_mhz=54.0,
        baud=115_200,
        clock=Pin(site="52", attributes=_IO),
        uart_rx=Pin(site="18", attributes=_IO | {"PULL_MODE": "UP"}),
        uart_tx=Pin(site="17", attributes=_IO | {"PULL_MODE": "UP"}),
        reset=Pin(site="4", inverted=True, attributes=_IO | {"PULL_MODE": "UP"}),
        leds=tuple(Pin(site=s, inverted=True, attributes=_IO) for s in ("10", "11", "13", "14", "15", "16")),
        resources=Resources(luts=8640, ffs=6480, brams=26, dsps=20),
        bram_bits=18 * 1024,
        # At 64 % place and route had not ended after eight minutes; at 32 % it takes half a minute.
        usable=0.45,
        programmer="tangnano9k",
        notes="the serial bridge on the board is reliable at 115200 baud",
    ),
)
