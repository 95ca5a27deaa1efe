"""Clock synthesis: divider search within the data sheets' limits, and the PLL that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol

from amaranth.hdl import Module, Signal

from pulsefold.boards.pll.ecp5 import Ecp5Pll
from pulsefold.boards.pll.gowin import GowinPll
from pulsefold.boards.pll.ice40 import Ice40Pll
from pulsefold.errors import PulsefoldError

__all__ = ["Ecp5Pll", "GowinPll", "Ice40Pll", "Pll", "find_pll"]

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


_FAMILIES: Mapping[str, Callable[[Fraction, Fraction], Pll | None]] = MappingProxyType(
    {"ecp5": Ecp5Pll.nearest, "ice40": Ice40Pll.nearest, "gowin": GowinPll.nearest}
)


def find_pll(family: str, input_mhz: float, output_mhz: float) -> Pll:
    """The settings whose output is nearest to `output_mhz`.

    Parameters
    ----------
    family
        One of :data:`pulsefold.boards.board.FAMILIES`.
    input_mhz
        The board's oscillator.
    output_mhz
        The clock wanted.

    Raises
    ------
    PulsefoldError
        If no setting comes within 2 %.
    """
    wanted = Fraction(str(output_mhz))
    found = _FAMILIES[family](Fraction(str(input_mhz)), wanted)
    if found is None or abs(found.output_mhz - wanted) > TOLERANCE * wanted:
        near = f"; the nearest is {float(found.output_mhz):.4g} MHz" if found is not None else ""
        raise PulsefoldError(
            f"the {family} PLL cannot make {output_mhz:g} MHz from {input_mhz:g} MHz{near}",
            where="--clock-mhz",
            todo="ask for another clock",
        )
    return found
