"""Maximum over the taps of a window."""

from __future__ import annotations

from dataclasses import dataclass

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import Stream
from pulsefold.compiler.plan.units.taps import TapReader

__all__ = ["MaxPoolUnit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPoolUnit(TapReader):
    """Lane by lane maximum of every `taps` consecutive beats, as a Window with outer channels sends them.

    y[lane] = max over taps of x[tap, lane].

    Parameters
    ----------
    name
        Unique name.
    type
        Element type.
    lanes
        Elements a beat.
    taps
        Beats a maximum is taken over.
    groups
        Output beats a frame.
    buffer_depth
        Entries of the output buffer.
    """

    name: str
    type: ElementType
    lanes: int
    taps: int
    groups: int
    buffer_depth: int = 6

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "maxpool"

    @property
    def input(self) -> Stream:
        """Taps."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.taps * self.groups)

    @property
    def output(self) -> Stream:
        """Maxima."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.groups)

    @property
    def pipeline(self) -> int:
        """Cycles from taking a last tap to the buffer: its register."""
        return 1

    def cost(self, family: str) -> Resources:
        """A comparator and a multiplexer a lane (an OR where bipolar), and the buffer."""
        lane = 1 if self.type.is_bipolar else 1.5 * self.type.bits + 1
        return Resources(luts=lane * self.lanes + 10, ffs=self.output.width + 6) + self.buffer_cost(family)
