"""EHXPLLL of Lattice ECP5."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from amaranth.hdl import Const, Instance, Module, Signal

__all__ = ["Ecp5Pll"]

# sysCLOCK PLL timing, ECP5 family data sheet FPGA-DS-02012.
_PFD = (10, 400)
_VCO = (400, 800)
_OUT = (Fraction(25, 8), 400)
_DIVIDERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecp5Pll:
    """Feedback over CLKOP, the clock from CLKOS.

    VCO = input / input_divider * feedback_divider * feedback_output_divider; output = VCO / output_divider.
    The second output makes many more frequencies than CLKOP alone, whose steps are those of the
    phase detector.

    Parameters
    ----------
    input_mhz
        Frequency at CLKI.
    input_divider, feedback_divider, feedback_output_divider, output_divider
        CLKI_DIV, CLKFB_DIV, CLKOP_DIV and CLKOS_DIV, 1 to 128.
    """

    input_mhz: Fraction
    input_divider: int
    feedback_divider: int
    feedback_output_divider: int
    output_divider: int

    @property
    def pfd_mhz(self) -> Fraction:
        """At the phase detector, 10 to 400 MHz."""
        return self.input_mhz / self.input_divider

    @property
    def feedback_mhz(self) -> Fraction:
        """At CLKOP, 3.125 to 400 MHz."""
        return self.pfd_mhz * self.feedback_divider

    @property
    def vco_mhz(self) -> Fraction:
        """Of the oscillator, 400 to 800 MHz."""
        return self.feedback_mhz * self.feedback_output_divider

    @property
    def output_mhz(self) -> Fraction:
        """At CLKOS, 3.125 to 400 MHz."""
        return self.vco_mhz / self.output_divider

    @property
    def legal(self) -> bool:
        """Whether every limit of the data sheet holds."""
        dividers = (
            self.input_divider,
            self.feedback_divider,
            self.feedback_output_divider,
            self.output_divider,
        )
        return (
            all(1 <= d <= _DIVIDERS for d in dividers)
            and _PFD[0] <= self.pfd_mhz <= _PFD[1]
            and _OUT[0] <= self.feedback_mhz <= _OUT[1]
            and _VCO[0] <= self.vco_mhz <= _VCO[1]
            and _OUT[0] <= self.output_mhz <= _OUT[1]
        )

    @classmethod
    def nearest(cls, input_mhz: Fraction, output_mhz: Fraction) -> Self | None:
        """The legal settings nearest to `output_mhz`, a low input divider first; None if there are none."""
        best: Self | None = None
        for input_divider in range(1, min(_DIVIDERS, int(input_mhz / _PFD[0])) + 1):
            pfd = input_mhz / input_divider
            for multiple in range(-int(-_VCO[0] // pfd), int(_VCO[1] / pfd) + 1):
                split = cls._split(pfd, multiple)
                if split is None:
                    continue
                vco = pfd * multiple
                for divider in {int(vco / output_mhz), int(vco / output_mhz) + 1}:
                    found = cls(
                        input_mhz=input_mhz,
                        input_divider=input_divider,
                        feedback_divider=split[0],
                        feedback_output_divider=split[1],
                        output_divider=divider,
                    )
                    if not found.legal:
                        continue
                    if best is None or found._distance(output_mhz) < best._distance(output_mhz):
                        best = found
        return best

    def _distance(self, output_mhz: Fraction) -> Fraction:
        return abs(self.output_mhz - output_mhz)

    @staticmethod
    def _split(pfd: Fraction, multiple: int) -> tuple[int, int] | None:
        """Feedback and feedback output dividers whose product is `multiple`, CLKOP as fast as allowed."""
        for output_divider in range(1, _DIVIDERS + 1):
            feedback, rest = divmod(multiple, output_divider)
            if rest == 0 and 1 <= feedback <= _DIVIDERS and _OUT[0] <= pfd * feedback <= _OUT[1]:
                return feedback, output_divider
        return None

    def add_to(self, m: Module, *, clock_in: Signal, clock_out: Signal, locked: Signal) -> None:
        """Instantiate it in `m`."""
        feedback = Signal(name="pll_feedback")
        m.submodules.pll = Instance(
            "EHXPLLL",
            # Analog settings that Lattice's tools give an oscillator of this range.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC",
            p_OUTDIVIDER_MUXD="DIVD",
            p_CLKI_DIV=self.input_divider,
            p_FEEDBK_PATH="CLKOP",
            p_CLKFB_DIV=self.feedback_divider,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self.feedback_output_divider,
            p_CLKOP_CPHASE=self.feedback_output_divider - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=self.output_divider,
            p_CLKOS_CPHASE=self.output_divider - 1,
            p_CLKOS_FPHASE=0,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_CLKI=clock_in,
            i_CLKFB=feedback,
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=clock_out,
            o_LOCK=locked,
        )
