"""Dot products of SIMD columns a cycle: how products are made, counted and summed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType, type_for_range
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import binary_digits, tree_cost
from pulsefold.compiler.plan.units.carry import CarryTree
from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.compiler.plan.units.pair import Pair

__all__ = ["Dot", "RowSums"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowSums:
    """What the ranges of dot products follow from, int64 [rows] each.

    Parameters
    ----------
    up, down
        Sum of a row's positive and of its negative weights.
    minus
        Number of its negative weights.
    """

    up: np.ndarray
    down: np.ndarray
    minus: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray) -> RowSums:
        """Of int64 [rows, columns]."""
        up = np.maximum(weights, 0).sum(axis=1)
        return cls(up=up, down=weights.sum(axis=1) - up, minus=(weights < 0).sum(axis=1))

    def reach(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest dot product of each row with elements from `low` to `high`."""
        return self.up * low + self.down * high, self.up * high + self.down * low


@dataclass(frozen=True, kw_only=True, eq=False)
class Dot:
    """The arithmetic of a matrix unit, up to its accumulators.

    raw[o] = (acc[o] - offset[o]) / gain with acc[o] = sum over i of weights[o, i] * x[i], of which `simd`
    columns a cycle are summed in a tree of :attr:`levels` registers.

    Parameters
    ----------
    weights
        int64 [rows, columns].
    weight_type, type
        Element types of weights and of the vector.
    simd
        Columns a cycle.
    multiplier
        ``"lut"``, ``"dsp"``, or ``"pair"``: a multiplier for two rows, see
        :class:`~pulsefold.compiler.plan.units.pair.Pair`. ``"constant"``: weights are wired, sums of shifted
        vector elements; the vector is not bipolar.
    adder
        ``"tree"``: adders of plain logic. ``"carry"``: products and their count in carry cells, see
        :class:`~pulsefold.compiler.plan.units.carry.CarryTree`; only where the vector or the weights are
        of few bits, see :attr:`form`. ``"gated"``: where products are made by bit planes, the bits of one
        operand let the other through inside the carry cells of the first additions; where one operand is
        bipolar, it inverts the other there. The cells are ECP5's; on other families the same cycles in plain
        logic.
    sums
        Of the weights.
    """

    weights: np.ndarray
    weight_type: ElementType
    type: ElementType
    simd: int
    multiplier: str
    adder: str
    sums: RowSums

    @property
    def columns(self) -> int:
        """Of the weights."""
        return self.weights.shape[1]

    @property
    def narrow(self) -> str:
        """Which operand is taken apart into bits: ``"weight"`` or ``"x"``."""
        w, x = self.weight_type, self.type
        return "weight" if (w.bits, not w.is_bipolar) <= (x.bits, not x.is_bipolar) else "x"

    @property
    def narrow_type(self) -> ElementType:
        """Type of the operand that is taken apart."""
        return self.weight_type if self.narrow == "weight" else self.type

    @property
    def wide_type(self) -> ElementType:
        """Type of the other."""
        return self.type if self.narrow == "weight" else self.weight_type

    @property
    def form(self) -> str:
        """How a product is made.

        ``"xnor"``: both bipolar, count of equal bits. ``"negate"``: the narrow operand passes, clears or
        inverts the other. ``"planes"``: a sum of the wide operand for each bit of the narrow one. ``"dsp"``:
        a multiplier. ``"pair"``: a multiplier for two rows, see :attr:`pair`. ``"bits"``, with carry cells: a
        count for each pair of bits, see :attr:`bit_planes`. ``"constant"``: shifted copies of the vector's
        elements added and subtracted, see :attr:`digits`.
        """
        if self.weight_type.is_bipolar and self.type.is_bipolar:
            return "xnor"
        if self.multiplier != "lut":
            return self.multiplier
        if self.adder == "carry" and not self.type.is_bipolar:
            return "bits"
        return "negate" if self.narrow_type.kind != "int" else "planes"

    @cached_property
    def digits(self) -> tuple[tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]], ...]:
        """For each row the (shift, column) of what is added and of what is subtracted, small shifts first.

        Weights in the fewest signed digits, see :func:`~pulsefold.compiler.plan.units.affine.binary_digits`.
        """
        rows = []
        for weights in self.weights:
            found = [(sign, k, c) for c, w in enumerate(weights) for sign, k in binary_digits(int(w))]
            rows.append(tuple(tuple(sorted((k, c) for s, k, c in found if s == sign)) for sign in (1, -1)))
        return tuple(rows)

    @property
    def digit_levels(self) -> int:
        """Levels of the largest tree of :attr:`digits`."""
        return (max(1, *(len(side) for row in self.digits for side in row)) - 1).bit_length()

    @property
    def paired(self) -> bool:
        """Whether two rows share a multiplier."""
        return self.form == "pair"

    @property
    def pair(self) -> Pair:
        """How two rows share a multiplier."""
        w, kind = self.weights, self.type
        return Pair(
            low=min(0, int(w.min())),
            high=max(0, int(w.max())),
            x_low=min(0, kind.minimum),
            x_high=max(0, kind.maximum),
        )

    @property
    def stored_bits(self) -> int:
        """Bits of a weight in memory."""
        return self.pair.weight_bits if self.paired else self.weight_type.bits

    @property
    def bit_planes(self) -> tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]:
        """For ``"bits"``: (sign, shift, pairs of weight bit and vector bit) of each count.

        raw = sum of sign * 2**shift * count. Pairs of one sign and shift are counted together. Bipolar
        weights have one bit, by which the vector's bits pass or are inverted; others are two's complement,
        and their bits and the vector's are multiplied.
        """
        w, x = self.weight_type, self.type
        if w.is_bipolar:
            signs = [-1 if x.signed and k == x.bits - 1 else 1 for k in range(x.bits)]
            return tuple((sign, k, ((0, k),)) for k, sign in enumerate(signs))
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for j in range(w.bits):
            for k in range(x.bits):
                minus = (w.signed and j == w.bits - 1) != (x.signed and k == x.bits - 1)
                groups.setdefault((-1 if minus else 1, j + k), []).append((j, k))
        return tuple((sign, shift, tuple(pairs)) for (sign, shift), pairs in sorted(groups.items()))

    @property
    def inverts(self) -> bool:
        """Whether weights are stored inverted: the carry cells' exclusive or then is the product."""
        if not self.weight_type.is_bipolar:
            return False
        return self.gates or (self.adder == "carry" and self.form in ("xnor", "bits"))

    @property
    def gates(self) -> bool:
        """Whether one operand gates the other inside the carry cells of the first additions."""
        gated = self.form == "planes" or (self.form == "negate" and self.narrow_type.is_bipolar)
        return gated and self.adder == "gated" and self.simd > 1

    def tree_of(self, pairs: int) -> CarryTree:
        """Tree of a count over the lanes for a number of pairs of bits."""
        return CarryTree(products=self.simd * pairs, spare=int(self.form == "xnor"))

    @property
    def gain(self) -> int:
        """Factor from raw to accumulator: 2 when counting equal bits, else 1."""
        return 2 if self.form == "xnor" else 1

    @property
    def offset(self) -> np.ndarray:
        """int64 [rows]: accumulator = gain * raw + offset.

        Counting equal bits: -columns. Inverting instead of negating (-v = ~v + 1): the number of negative
        weights of the row; where no sign bit is inverted along, as unsigned bits have none, as often minus
        the greatest x (-v = ~v - greatest).
        """
        if self.form == "xnor":
            return np.full(len(self.weights), -self.columns, np.int64)
        if self.form == "bits" and self.weight_type.is_bipolar:
            minus = self.sums.minus
            return minus if self.type.signed else -minus * ((1 << self.type.bits) - 1)
        if self.form == "negate" and self.narrow == "weight":
            return self.sums.minus
        return np.zeros(len(self.weights), np.int64)

    @property
    def raw_range(self) -> tuple[int, int]:
        """Least and greatest final raw accumulator."""
        if self.form == "xnor":
            return 0, self.columns
        low, high = self.sums.reach(self.type.minimum, self.type.maximum)
        low, high = low - self.offset, high - self.offset
        return min(0, int(low.min())), max(0, int(high.max()))

    @property
    def levels(self) -> int:
        """Registered levels of the adder tree."""
        n = (self.simd - 1).bit_length()
        if self.form == "xnor" and self.adder == "carry":
            return self.tree_of(1).levels
        if self.form == "bits":
            counts = max(self.tree_of(len(pairs)).levels for _, _, pairs in self.bit_planes)
            return counts + (len(self.bit_planes) - 1).bit_length()
        if self.form == "planes":
            return n + (self.narrow_type.bits - 1).bit_length()
        if self.form == "dsp":
            return n + 2
        if self.form == "pair":
            return self.pair.levels(self.simd)
        if self.form == "constant":
            return self.digit_levels + 1
        if self.form == "negate" and self.narrow == "x":
            return n + 1
        return n

    def cost(self, family: str, *, pe: int, pixels: int, hop: int, differ: float = 1.0) -> Resources:
        """Of `pe` rows times `pixels` vectors in groups of `hop` rows: products and adder trees.

        Of the weights of a group, a share of `differ` differs from all others at any time.
        """
        lanes = pe * self.simd * pixels
        bits = self.wide_type.bits
        if family == "ecp5" and self.adder == "carry" and self.form in ("xnor", "bits"):
            trees = (
                [self.tree_of(len(pairs)) for _, _, pairs in self.bit_planes] if self.form == "bits" else []
            )
            trees = trees or [self.tree_of(1)]
            joined = sum(t.bits + 2 for t in trees[1:]) * 1.5
            # Operands that wait are the same for the PEs of a group, and weights for all pixels.
            shared = 1 / hop + differ / pixels
            return Resources(
                luts=pe * pixels * (sum(t.luts for t in trees) + joined),
                ffs=pe * pixels * (sum(t.ffs + t.waiting * shared for t in trees) + joined),
            )
        if self.form == "xnor":
            return Resources(luts=lanes * (4.8 if family == "ecp5" else 2.9), ffs=lanes * 2.5)
        if self.form == "bits":
            planes = self.weight_type.bits * self.type.bits
            return Resources(luts=lanes * planes * 3, ffs=lanes * planes * 2.5)
        if self.form == "constant":
            low, high = self.type.minimum, self.type.maximum
            sides = [[(low << k, high << k) for k, _ in side] for row in self.digits for side in row]
            total = sum((tree_cost(tuple(side)) for side in sides), Resources())
            joined = pe * type_for_range(*self.raw_range).bits
            total += Resources(luts=1.1 * joined, ffs=joined)
            return Resources(luts=total.luts * pixels, ffs=total.ffs * pixels)
        if self.form == "pair":
            both = self.pair.cost(self.simd)
            times = pe * pixels / 2
            return Resources(luts=times * both.luts, ffs=times * both.ffs, dsps=times * both.dsps)
        if self.form == "dsp":
            product = self.weight_type.bits + self.type.bits
            return Resources(luts=lanes * (product + 1), ffs=lanes * (product + 3), dsps=lanes)
        planes = 1 if self.form == "negate" else self.narrow_type.bits
        if family == "ecp5" and self.form == "negate" and self.gates:
            kind = self.wide_type
            low, high = min(kind.minimum, -kind.maximum - 1), max(kind.maximum, -kind.minimum - 1)
            pairs = ceil_div(self.simd, 2)
            rest = tree_cost(((2 * low, 2 * high),) * pairs)
            number = bits + (not kind.signed)
            ones = 2 * self.simd * (self.narrow == "x")
            return Resources(
                luts=pe * pixels * (1.1 * (pairs * (number + 2) + rest.luts) + ones),
                ffs=pe * pixels * (pairs * (number + 1) + rest.ffs + ones),
            )
        if family == "ecp5" and self.form == "planes":
            gate = 0 if self.gates else bits
            return Resources(
                luts=lanes * planes * (bits * 1.1 + 2.4 + gate), ffs=lanes * planes * (bits * 1.4 + 1)
            )
        # Inverters in front of small sums do not fit the LUTs of ECP5's carry cells.
        first = 5.3 if family == "ecp5" and self.form == "negate" else 1.5
        return Resources(luts=lanes * planes * (bits * 1.6 + first), ffs=lanes * planes * (bits + 2))
