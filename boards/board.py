"""What a board is: pins, clock, device and resources, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pulsefold.compiler.plan.resources import Resources

__all__ = ["FAMILIES", "Board", "Pin"]

#: Device families with a build flow.
FAMILIES = ("ecp5", "ice40", "gowin", "nexus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One pin of the device.

    Parameters
    ----------
    site
        The package's name of the pin.
    inverted
        Whether low means active (pressed, lit).
    attributes
        Attributes of the pin's buffer, in the family's own words.
    pll_pad
        Whether the pin belongs to a PLL, which is then to be fed by it directly (iCE40).
    """

    site: str
    inverted: bool = False
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pll_pad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One development board.

    Parameters
    ----------
    name
        What a person types: lower case, digits and hyphens.
    title
        The maker's name of it.
    family
        One of :data:`FAMILIES`.
    device, package, speed
        As the family's place-and-route tool calls them.
    clock_mhz
        Frequency of the oscillator at `clock`.
    compute_mhz
        Compute clock where nobody asks for another.
    baud
        Rate of the serial link that the board's bridge is known to hold, in bits a second.
    clock, uart_rx, uart_tx
        Pins; `uart_rx` is an input of the device, `uart_tx` an output.
    reset
        A button, or None.
    leds
        Lights, the first one showing that the design is out of reset.
    resources
        All that the device has.
    bram_bits
        Size of one block RAM, without parity bits where the family has narrow ports only for them.
    usable
        Fraction of the LUTs that place and route fills before it stalls.
    programmer
        Name of the board for the programmer (openFPGALoader).
    buildable
        Whether there is a device to make a bitstream for; without one, pins mean nothing.
    notes
        What a user should know.
    """

    name: str
    title: str
    family: str
    device: str
    package: str
    speed: str
    clock_mhz: float
    compute_mhz: float
    baud: int
    clock: Pin
    uart_rx: Pin
    uart_tx: Pin
    reset: Pin | None = None
    leds: tuple[Pin, ...] = ()
    resources: Resources
    bram_bits: int
    usable: float = 0.65
    programmer: str = ""
    buildable: bool = True
    notes: str = ""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            msg = f"family must be one of {', '.join(FAMILIES)}, not {self.family!r}"
            raise ValueError(msg)
        if not 0 < self.usable <= 1:
            msg = f"usable must be above 0 and at most 1, not {self.usable!r}"
            raise ValueError(msg)

    def ports(self) -> dict[str, Pin]:
        """Pin of each top-level port, buses bit by bit (``led[0]``)."""
        pins = {"clk": self.clock, "uart_rx": self.uart_rx, "uart_tx": self.uart_tx}
        if self.reset is not None:
            pins["reset"] = self.reset
        pins |= {f"led[{n}]": pin for n, pin in enumerate(self.leds)}
        return pins
