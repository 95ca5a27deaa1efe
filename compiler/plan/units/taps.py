"""What units have in common that take one tap of a window a cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, OneOutput, accept_times
from pulsefold.compiler.plan.units.integers import ceil_div

__all__ = ["TapReader"]


class TapReader(OneInput, OneOutput):
    """One beat out for every `ratio` taps in, which a Window with outer channels sends in a row."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def pipeline(self) -> int:
            """Cycles from taking a last tap to the buffer."""
            ...

    @property
    def ratio(self) -> int:
        """Beats in for each beat out."""
        return self.input.beats // self.output.beats

    @property
    def enough_depth(self) -> int:
        """Entries of an output buffer that lets it take one tap a cycle."""
        return max(2, ceil_div(self.pipeline + BUFFER_LATENCY + 2, self.ratio))

    @property
    def cycles(self) -> int:
        """One tap a cycle."""
        return self.input.beats

    @property
    def latency_cycles(self) -> int:
        """The taps of the first result, the pipeline and the buffer."""
        return self.ratio - 1 + self.pipeline + BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = accept_times(arrivals[0])
        return (taken,), taken[self.ratio - 1 :: self.ratio] + self.pipeline + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return (np.arange(1, frames * self.input.beats + 1) // self.ratio,)
