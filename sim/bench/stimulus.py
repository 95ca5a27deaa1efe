"""What a unit is driven with, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pulsefold.sim.transfers import Transfers

__all__ = ["Stimulus", "UnitRun"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stimulus:
    """One play of beats through a unit, after a reset.

    Parameters
    ----------
    beats
        Input bit patterns, unsigned integers [n, lanes]; an array an input where there are several.
    expected
        Output bit patterns [m, lanes], likewise.
    stall_in, stall_out
        Probability a cycle of withholding valid at the input, ready at the output.
    ready_after_valid
        Offer ready only once valid has been seen: a unit that waits for ready then deadlocks.
    seed
        Of the stalls.
    """

    beats: np.ndarray | Sequence[np.ndarray]
    expected: np.ndarray | Sequence[np.ndarray]
    stall_in: float = 0.0
    stall_out: float = 0.0
    ready_after_valid: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("stall_in", "stall_out"):
            if not 0.0 <= getattr(self, name) < 1.0:
                msg = f"{name} must be at least 0 and less than 1, not {getattr(self, name)!r}"
                raise ValueError(msg)

    def __str__(self) -> str:
        return (
            f"stall_in={self.stall_in}, stall_out={self.stall_out}, "
            f"ready_after_valid={self.ready_after_valid}, seed={self.seed}"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitRun(Transfers):
    """What a unit did with one stimulus."""

    @property
    def latency(self) -> int:
        """Cycles from the first beat in to the first beat out."""
        return int(self.produced[0]) - int(self.accepted[0])
