"""What went over a simulated circuit's streams, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Transfers"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transfers:
    """Beats out, and the cycle of each beat in and out; cycle 0 is the first after reset.

    Parameters
    ----------
    all_beats
        For each output stream, bit patterns, uint64 [outputs, lanes].
    all_accepted
        For each input stream, the cycle in which each beat was taken, uint64; as many as were taken before
        the last output.
    all_produced
        For each output stream, the cycle in which each beat was handed over, uint64 [outputs].
    cycles
        Cycles simulated.
    """

    all_beats: tuple[np.ndarray, ...]
    all_accepted: tuple[np.ndarray, ...]
    all_produced: tuple[np.ndarray, ...]
    cycles: int

    @property
    def beats(self) -> np.ndarray:
        """Bit patterns of the first output."""
        return self.all_beats[0]

    @property
    def accepted(self) -> np.ndarray:
        """Cycles of the first input."""
        return self.all_accepted[0]

    @property
    def produced(self) -> np.ndarray:
        """Cycles of the first output."""
        return self.all_produced[0]
