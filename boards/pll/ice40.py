"""SB_PLL40_PAD and SB_PLL40_CORE of Lattice iCE40."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from amaranth.hdl import Const, Instance, Module, Signal

__all__ = ["Ice40Pll"]

# sysCLOCK PLL timing, iCE40 UltraPlus family data sheet FPGA-DS-02008; those of iCE40 LP/HX
# (FPGA-DS-02029) are the same.
_PFD = (10, 133)
_VCO = (533, 1066)
_OUT = (16, 275)

#: Loop filter setting by the phase detector's frequency in MHz: the first limit above it counts.
_FILTER = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ice40Pll:
    """Simple feedback: output = input * (divf + 1) / (2**divq * (divr + 1)).

    Parameters
    ----------
    input_mhz
        Frequency at the pad.
    divr, divf, divq
        Reference (0 to 15), feedback (0 to 127) and output (1 to 6) settings.
    pad
        Whether the input is the PLL's own pad; a clock from any other pin goes through the fabric.
    """

    input_mhz: Fraction
    divr: int
    divf: int
    divq: int
    pad: bool = True

    @property
    def pfd_mhz(self) -> Fraction:
        """At the phase detector, 10 to 133 MHz."""
        return self.input_mhz / (self.divr + 1)

    @property
    def vco_mhz(self) -> Fraction:
        """Of the oscillator, 533 to 1066 MHz."""
        return self.pfd_mhz * (self.divf + 1)

    @property
    def output_mhz(self) -> Fraction:
        """At the output, 16 to 275 MHz."""
        return self.vco_mhz / (1 << self.divq)

    @property
    def filter_range(self) -> int:
        """FILTER_RANGE for this phase detector frequency."""
        return next((value for limit, value in _FILTER if self.pfd_mhz < limit), 6)

    @property
    def legal(self) -> bool:
        """Whether every limit of the data sheet holds."""
        return (
            0 <= self.divr <= 15
            and 0 <= self.divf <= 127
            and 1 <= self.divq <= 6
            and _PFD[0] <= self.pfd_mhz <= _PFD[1]
            and _VCO[0] <= self.vco_mhz <= _VCO[1]
            and _OUT[0] <= self.output_mhz <= _OUT[1]
        )

    @classmethod
    def nearest(cls, input_mhz: Fraction, output_mhz: Fraction, *, pad: bool = True) -> Self | None:
        """The legal settings nearest to `output_mhz`, a low divider first; None if there are none."""
        best: Self | None = None
        for divr in range(16):
            for divq in range(1, 7):
                ideal = int(output_mhz * (1 << divq) * (divr + 1) / input_mhz)
                for divf in (ideal - 1, ideal):
                    found = cls(input_mhz=input_mhz, divr=divr, divf=divf, divq=divq, pad=pad)
                    if not found.legal:
                        continue
                    if best is None or abs(found.output_mhz - output_mhz) < abs(best.output_mhz - output_mhz):
                        best = found
        return best

    def add_to(self, m: Module, *, clock_in: Signal, clock_out: Signal, locked: Signal) -> None:
        """Instantiate it in `m`; with `pad`, `clock_in` must be the pad itself."""
        m.submodules.pll = Instance(
            "SB_PLL40_PAD" if self.pad else "SB_PLL40_CORE",
            ("i", "PACKAGEPIN" if self.pad else "REFERENCECLK", clock_in),
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.divr, 4),
            p_DIVF=Const(self.divf, 7),
            p_DIVQ=Const(self.divq, 3),
            p_FILTER_RANGE=Const(self.filter_range, 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=clock_out,
            o_LOCK=locked,
        )
