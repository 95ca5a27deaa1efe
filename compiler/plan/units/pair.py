"""Two products in one multiplier of 18 x 18 bits: how operands lie in it and products come out."""

from __future__ import annotations

from dataclasses import dataclass

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import word_bits

__all__ = ["Pair"]

#: Bits of a multiplier's operand, with its sign.
OPERAND = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Products of two weights, a and b, with one x.

    P = (a * 2**k + b) * x = (a * x) * 2**k + b * x, with k = :attr:`shift`. Where b * x has more than k
    bits, the upper :attr:`overlap` of them lie on the lowest ones of a * x. Those of a * x alone are a
    small product of low bits, made in LUTs. With H = P >> k and L = P mod 2**k,

        D = H - a * x (mod 2**overlap, signed);  b * x = D * 2**k + L;  a * x = H - D

    exactly, as b * x fits k + overlap bits. Where nothing overlaps, D is minus the sign bit of L. H, L and D
    are summed over the lanes before they are joined. Source: Sommer et al., "DSP-Packing: Squeezing
    Low-precision Arithmetic into FPGA DSP Blocks" (2022), whose correction of overlapping bits is made exact
    here.

    Parameters
    ----------
    low, high
        Least and greatest weight, 0 among them.
    x_low, x_high
        Least and greatest x, 0 among them.
    """

    low: int
    high: int
    x_low: int
    x_high: int

    @property
    def weight_bits(self) -> int:
        """Bits in which both are stored: a less one where b is negative, as the sum of the two has it."""
        return word_bits(self.low - 1, self.high)

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest product."""
        corners = [w * x for w in (self.low, self.high) for x in (self.x_low, self.x_high)]
        return min(corners), max(corners)

    @property
    def product_bits(self) -> int:
        """Bits of a product with its sign."""
        low, high = self.range
        return word_bits(min(low, -1), high)

    @property
    def shift(self) -> int:
        """k: as much as the operand has room for, and no more than there are bits."""
        return min(OPERAND - self.weight_bits, self.product_bits)

    @property
    def overlap(self) -> int:
        """Bits of b * x beyond those below a * x."""
        return self.product_bits - self.shift

    @property
    def fits(self) -> bool:
        """Whether x fits its operand, and b the bits below a."""
        return word_bits(self.x_low, self.x_high) < OPERAND and self.weight_bits <= self.shift

    @property
    def rows(self) -> int:
        """Terms of the product of low bits: one a bit of what is stored of a, one for b's sign."""
        return self.overlap + 1 if self.overlap else 0

    @property
    def carry_latency(self) -> int:
        """Cycles from operands to D: two registers of the multiplier, or one and low bits; a difference."""
        return max(2, 1 + (self.rows - 1).bit_length()) + 1 if self.overlap else 2

    def levels(self, lanes: int) -> int:
        """Cycles from the operands to both sums over a number of lanes."""
        return self.carry_latency + (lanes - 1).bit_length() + 1

    def cost(self, lanes: int) -> Resources:
        """Of two rows' products and adder trees."""
        n, k = self.overlap, self.shift
        small = n * (n + 1) * 0.9 + n
        summed = [(self.product_bits + 1) * (lanes - 1), k * (lanes - 1), (max(n, 1) + 1) * (lanes - 1)]
        joined = 2 * (self.product_bits + (lanes - 1).bit_length() + 2)
        return Resources(
            luts=lanes * small + 1.1 * sum(summed) + joined,
            ffs=lanes * (2 * n + n * self.carry_latency) + 1.2 * sum(summed) + 2.5 * joined,
            dsps=lanes,
        )
