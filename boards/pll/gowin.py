"""rPLL of Gowin GW1N and GW2A."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from amaranth.hdl import Const, Instance, Module, Signal

__all__ = ["GowinPll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """PLL switching characteristics: MHz at input and phase detector, of the oscillator, at the output."""

    device: str
    pfd: tuple[int, int]
    vco: tuple[int, int]
    out: tuple[Fraction, int]


#: By die, of the speed grade that the boards carry; `device` is the primitive's DEVICE.
_LIMITS = {
    # GW1NR-9, C6/I5: data sheet DS117.
    "GW1N-9C": _Limits(device="GW1NR-9C", pfd=(3, 400), vco=(400, 1200), out=(Fraction(25, 8), 600)),
    # GW2AR-18, C8/I7: data sheet DS226.
    "GW2A-18C": _Limits(device="GW2AR-18C", pfd=(3, 500), vco=(500, 1250), out=(Fraction(125, 32), 625)),
}
_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class GowinPll:
    """Internal feedback: output = input * feedback / input_divider, VCO = output * output_divider.

    Parameters
    ----------
    input_mhz
        Frequency at CLKIN.
    input_divider, feedback
        1 to 64; the primitive's IDIV_SEL and FBDIV_SEL are one less.
    output_divider
        ODIV_SEL: 2, 4, 8, 16, 32, 48, 64, 80, 96, 112 or 128.
    die
        ``GW1N-9C`` or ``GW2A-18C``, which have their own limits.
    """

    input_mhz: Fraction
    input_divider: int
    feedback: int
    output_divider: int
    die: str = "GW1N-9C"

    @property
    def pfd_mhz(self) -> Fraction:
        """At the phase detector, 3 to 400 (GW2A: 500) MHz."""
        return self.input_mhz / self.input_divider

    @property
    def output_mhz(self) -> Fraction:
        """At CLKOUT, 3.125 to 600 (GW2A: 3.90625 to 625) MHz."""
        return self.pfd_mhz * self.feedback

    @property
    def vco_mhz(self) -> Fraction:
        """Of the oscillator, 400 to 1200 (GW2A: 500 to 1250) MHz."""
        return self.output_mhz * self.output_divider

    @property
    def legal(self) -> bool:
        """Whether every limit of the data sheet holds."""
        limits = _LIMITS[self.die]
        return (
            1 <= self.input_divider <= 64
            and 1 <= self.feedback <= 64
            and self.output_divider in _OUTPUT_DIVIDERS
            and limits.pfd[0] <= self.input_mhz <= limits.pfd[1]
            and limits.pfd[0] <= self.pfd_mhz <= limits.pfd[1]
            and limits.vco[0] <= self.vco_mhz <= limits.vco[1]
            and limits.out[0] <= self.output_mhz <= limits.out[1]
        )

    @classmethod
    def nearest(cls, input_mhz: Fraction, output_mhz: Fraction, *, die: str = "GW1N-9C") -> Self | None:
        """The legal settings nearest to `output_mhz`, a low divider first; None if there are none."""
        best: Self | None = None
        for input_divider in range(1, 65):
            ideal = int(output_mhz * input_divider / input_mhz)
            for feedback in (ideal, ideal + 1):
                for output_divider in _OUTPUT_DIVIDERS:
                    found = cls(
                        input_mhz=input_mhz,
                        input_divider=input_divider,
                        feedback=feedback,
                        output_divider=output_divider,
                        die=die,
                    )
                    if not found.legal:
                        continue
                    if best is None or abs(found.output_mhz - output_mhz) < abs(best.output_mhz - output_mhz):
                        best = found
        return best

    def add_to(self, m: Module, *, clock_in: Signal, clock_out: Signal, locked: Signal) -> None:
        """Instantiate it in `m`."""
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE=_LIMITS[self.die].device,
            p_FCLKIN=f"{float(self.input_mhz):g}",
            p_IDIV_SEL=self.input_divider - 1,
            p_FBDIV_SEL=self.feedback - 1,
            p_ODIV_SEL=self.output_divider,
            p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false",
            p_CLKOUTP_BYPASS="false",
            p_CLKOUTD_BYPASS="false",
            p_CLKOUTD_SRC="CLKOUT",
            p_CLKOUTD3_SRC="CLKOUT",
            p_DYN_SDIV_SEL=2,
            p_DYN_IDIV_SEL="false",
            p_DYN_FBDIV_SEL="false",
            p_DYN_ODIV_SEL="false",
            p_DYN_DA_EN="false",
            p_PSDA_SEL="0000",
            p_DUTYDA_SEL="1000",
            p_CLKOUT_FT_DIR=Const(1, 1),
            p_CLKOUTP_FT_DIR=Const(1, 1),
            p_CLKOUT_DLY_STEP=0,
            p_CLKOUTP_DLY_STEP=0,
            i_CLKIN=clock_in,
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=clock_out,
            o_LOCK=locked,
        )
