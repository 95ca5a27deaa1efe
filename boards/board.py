"""What a board is: pins, clock, device and resources, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

from pulsefold.compiler.plan.resources import Resources
from pulsefold.errors import PulsefoldError

__all__ = ["FAMILIES", "Board", "Pin", "SpiPins"]

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
class SpiPins:
    """Pins of an SPI slave, on a connector of the board.

    Parameters
    ----------
    cs_n, sck, mosi
        From the master.
    miso
        To the master; always driven, so that no other slave may share the line.
    waiting
        High while bytes wait for the master: its interrupt.
    """

    cs_n: Pin
    sck: Pin
    mosi: Pin
    miso: Pin
    waiting: Pin


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
    spi
        Pins for an SPI link in place of the serial one, or None.
    link
        The link that the design uses; see :meth:`with_link`.
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
    spi: SpiPins | None = None
    link: str = "uart"
    reset: Pin | None = None
    leds: tuple[Pin, ...] = ()
    resources: Resources
    bram_bits: int
    usable: float = 0.68
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
        if self.link not in self.links:
            msg = f"link must be one of {', '.join(self.links)}, not {self.link!r}"
            raise ValueError(msg)

    @property
    def links(self) -> tuple[str, ...]:
        """Links to a host that it has pins for."""
        return ("uart",) if self.spi is None else ("uart", "spi")

    def with_link(self, link: str) -> Board:
        """The board with a design on it that uses this link.

        Raises
        ------
        PulsefoldError
            If the board has no pins for it.
        """
        if link not in self.links:
            raise PulsefoldError(
                f"{self.title} has no link {link!r}",
                where="--link",
                why=f"it has {', '.join(self.links)}",
                todo="name its pins in the board's file: docs/adding-a-board.md",
            )
        return replace(self, link=link)

    def ports(self) -> dict[str, Pin]:
        """Pin of each top-level port, buses bit by bit (``led[0]``)."""
        pins = {"clk": self.clock}
        if self.link == "spi" and self.spi is not None:
            pins |= {f"spi_{f.name}": getattr(self.spi, f.name) for f in fields(self.spi)}
        else:
            pins |= {"uart_rx": self.uart_rx, "uart_tx": self.uart_tx}
        if self.reset is not None:
            pins["reset"] = self.reset
        pins |= {f"led[{n}]": pin for n, pin in enumerate(self.leds)}
        return pins
