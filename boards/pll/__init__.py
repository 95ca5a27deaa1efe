"""Clock synthesis: divider search within the data sheets' limits, and the PLL that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol

from amaranth.hdl import Module, Signal

from pulsefold.boards.board import Board
from pulsefold.boards.pll.ecp5 import Ecp5Pll
from pulsefold.boards.pll.gowin import GowinPll
from pulsefold.boards.pll.ice40 import Ice40Pll
from pulsefold.errors import PulsefoldError

__all__ = ["Ecp5Pll", "GowinPll", "Ice40Pll", "Pll", "find_pll", "highest_clock"]

#: Farthest a PLL may be from the clock that was asked for.
TOLERANCE = Fraction(2, 100)


class Pll(Protocol):
    """Divider settings of one family's PLL."""

    @property
    def output_mhz(self) -> Fraction:
        """Exact output frequency."""
        ...

    def add_to(self, m: Module, *, clock_in: Signal, clock_out: Signal, locked: Signal) -> None:
        """Instantiate it in `m` between the two clocks."""
        ...


_FAMILIES: Mapping[str, Callable[[Board, Fraction, Fraction], Pll | None]] = MappingProxyType(
    {
        "ecp5": lambda _, source, wanted: Ecp5Pll.nearest(source, wanted),
        "ice40": lambda board, source, wanted: Ice40Pll.nearest(source, wanted, pad=board.clock.pll_pad),
        "gowin": lambda board, source, wanted: GowinPll.nearest(source, wanted, die=board.package),
        # Nexus PLLs want 18 MHz, and the board there is brings 12 to the pins: it runs on those.
        "nexus": lambda *_: None,
    }
)


def find_pll(board: Board, output_mhz: float) -> Pll:
    """The settings whose output is nearest to `output_mhz`.

    Parameters
    ----------
    board
        Its family, device and oscillator.
    output_mhz
        The clock wanted.

    Raises
    ------
    PulsefoldError
        If no setting comes within 2 %.
    """
    wanted = Fraction(str(output_mhz))
    found = _FAMILIES[board.family](board, Fraction(str(board.clock_mhz)), wanted)
    if found is None or abs(found.output_mhz - wanted) > TOLERANCE * wanted:
        near = f"; the nearest is {float(found.output_mhz):.4g} MHz" if found is not None else ""
        raise PulsefoldError(
            f"the PLL of {board.title} cannot make {output_mhz:g} MHz from {board.clock_mhz:g} MHz{near}",
            where="--clock-mhz",
            todo="ask for another clock",
        )
    return found


def highest_clock(board: Board, limit_mhz: float) -> Fraction | None:
    """The fastest compute clock, of PLL or oscillator, that is at most `limit_mhz`; None if there is none."""
    limit, source = Fraction(str(limit_mhz)), Fraction(str(board.clock_mhz))
    oscillator = source if source <= limit else None
    wanted = limit
    while wanted > 0:
        found = _FAMILIES[board.family](board, source, wanted)
        if found is None:
            break
        if found.output_mhz <= limit:
            return max(found.output_mhz, oscillator or found.output_mhz)
        # The nearest is above: there is none between it and as far below what was asked for.
        wanted -= found.output_mhz - wanted
    return oscillator
