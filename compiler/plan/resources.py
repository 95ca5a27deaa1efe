"""What a board has and what a unit needs, in one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COUNTS", "Resources"]

#: Fields of :class:`Resources` that a board has only so many of.
COUNTS = ("luts", "ffs", "brams", "dsps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Counts of logic and memory.

    Parameters
    ----------
    luts
        4-input look-up tables (carry cells counted as the LUT positions they take).
    ffs
        Flip-flops.
    brams
        Block RAMs of the family (18 kbit on ECP5 and Gowin, 4 kbit on iCE40).
    dsps
        Multipliers of the family.
    bram_bits
        Bits that lie in the block RAMs; what else those hold is padding.
    """

    luts: float = 0
    ffs: float = 0
    brams: float = 0
    dsps: float = 0
    bram_bits: float = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            luts=self.luts + other.luts,
            ffs=self.ffs + other.ffs,
            brams=self.brams + other.brams,
            dsps=self.dsps + other.dsps,
            bram_bits=self.bram_bits + other.bram_bits,
        )

    def __mul__(self, n: float) -> Resources:
        return Resources(
            luts=self.luts * n,
            ffs=self.ffs * n,
            brams=self.brams * n,
            dsps=self.dsps * n,
            bram_bits=self.bram_bits * n,
        )

    def __sub__(self, other: Resources) -> Resources:
        return self + other * -1
