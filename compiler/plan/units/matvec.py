"""Matrix-vector unit: dot products of a vector with weight rows, folded by PE and SIMD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType, type_for_range
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import binary_digits, tree_cost
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, OneOutput, Stream, ceil_div
from pulsefold.compiler.plan.units.carry import CarryTree
from pulsefold.compiler.plan.units.memory import becomes_block, buffer_cost, memory_cost, rom_cost
from pulsefold.compiler.plan.units.pair import Pair
from pulsefold.compiler.plan.units.threshold import Steps
from pulsefold.errors import FoldingError

__all__ = ["MatVec", "RowSums", "default_hop"]


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


def default_hop(pe: int, step: int = 1) -> int:
    """PEs that share one activation register: the largest divisor of `pe` up to 4 that `step` divides.

    Where there is none, the largest divisor.
    """
    return next((n for n in (4, 3, 2, 1) if pe % n == 0 and n % step == 0), None) or default_hop(pe)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatVec(OneInput, OneOutput):
    """A folded matrix-vector product, and the step functions of its rows.

    acc[o] = sum over i of weights[o, i] * x[i]; y = steps(acc) where there are steps, else acc.

    Where matrices take turns, as those of a grouped convolution do, vector v meets the rows of matrix
    v mod `turns`; each has its own weights and step functions.

    Each cycle, PE rows take SIMD columns. A vector's beats are read once, kept, and replayed for every
    group of rows (fold order: row group outer, columns inner). Activations travel from one group of `hop`
    PEs to the next through registers, a cycle later each, and every group reads its own weight memory with an
    address that travels alongside. The pipeline never stalls: a fold starts only when its result has a
    place in the output buffer. Source: FINN (Umuroglu et al., 2017), section 4.2, with a systolic row.

    The circuit computes raw[o] = (acc[o] - offset[o]) / gain, see :attr:`gain` and :attr:`offset`.

    Parameters
    ----------
    name
        Unique name.
    vectors
        Vectors a frame.
    weights
        int64 [turns * rows, columns].
    weight_type, type
        Element types of weights and of the vector.
    turns
        Matrices that vectors meet in turn; divides `vectors`, and needs `pixels` to be 1 where above 1.
    pe, simd
        Rows and columns a cycle; divide rows and columns.
    pixels
        Vectors a cycle, which share the weights that are read; divides `vectors`. A beat in holds
        [pixel][column], a beat out [pixel][row].
    steps
        Step function of each row of `weights`, or None to send accumulators.
    memory
        Weight memory: ``"block"`` or ``"lut"``.
    memory_width
        Bits of each of the memories side by side that a group's weight word is cut into; 0: one memory.
    reach
        Registers on the way to a weight memory of block RAM, and as many on the way back, which lets it be
        far from the arithmetic; 0 or 1.
    multiplier
        ``"lut"``, ``"dsp"``, or ``"pair"``: a multiplier for two rows, see
        :class:`~pulsefold.compiler.plan.units.pair.Pair`. ``"constant"``: where PE and SIMD are the whole
        matrix, its weights are sums of shifted vector elements, wired; the vector is not bipolar.
    adder
        ``"tree"``: adders of plain logic. ``"carry"``: products and their count in carry cells, see
        :class:`~pulsefold.compiler.plan.units.carry.CarryTree`; only where the vector or the weights are
        of few bits, see :attr:`form`. ``"gated"``: where products are made by bit planes, the bits of one
        operand let the other through inside the carry cells of the first additions; where one operand is
        bipolar, it inverts the other there. The cells are ECP5's; on other families the same cycles in plain
        logic.
    hop
        PEs a group; divides `pe`, and is even where two rows share a multiplier. 0 takes :func:`default_hop`.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one fold after the other.
    sums
        Of the weights, where they are known already.
    """

    name: str
    vectors: int
    weights: np.ndarray
    weight_type: ElementType
    type: ElementType
    pe: int
    simd: int
    turns: int = 1
    pixels: int = 1
    steps: Steps | None = None
    memory: str = "lut"
    memory_width: int = 0
    reach: int = 0
    multiplier: str = "lut"
    adder: str = "tree"
    hop: int = 0
    buffer_depth: int = 0
    sums: RowSums | None = None

    def __post_init__(self) -> None:
        folds = (
            ("PE", self.rows, self.pe),
            ("SIMD", self.columns, self.simd),
            ("pixels", self.vectors, self.pixels),
        )
        for what, n, fold in folds:
            if fold < 1 or n % fold:
                near = min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: (abs(d - fold), d))
                msg = f"{what} {fold} does not divide {n}"
                raise FoldingError(msg, where=self.name, todo=f"the nearest {what} that does is {near}")
        if self.turns > 1 and (self.pixels > 1 or self.vectors % self.turns):
            msg = (
                f"{self.turns} matrices in turn do not go with {self.pixels} pixels of {self.vectors} vectors"
            )
            raise FoldingError(msg, where=self.name, todo="take 1 pixel a cycle")
        if self.sums is None:
            object.__setattr__(self, "sums", RowSums.of(self.weights))
        if self.hop == 0:
            object.__setattr__(self, "hop", default_hop(self.pe, step=1 + self.paired))
        if self.pe % self.hop:
            todo = f"choose a hop that divides PE {self.pe}"
            raise FoldingError(f"hop {self.hop} does not divide PE", where=self.name, todo=todo)
        if self.paired and (self.hop % 2 or not self.pair.fits):
            msg = "two rows cannot share a multiplier: they need an even PE, and both weights in one operand"
            raise FoldingError(msg, where=self.name, todo="take multiplier dsp or lut")
        if self.form == "constant" and (self.weight_depth > 1 or self.type.is_bipolar):
            msg = "weights are no constants: the unit is folded, or its vector is bipolar"
            raise FoldingError(msg, where=self.name, todo="take multiplier lut")
        if self.buffer_depth == 0:
            # A credit comes back, through a register, this many cycles after its fold began.
            loop = self.column_folds + self.fold_latency + 1
            object.__setattr__(self, "buffer_depth", max(2, ceil_div(loop, self.column_folds)))

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "matvec"

    @property
    def rows(self) -> int:
        """Rows of a matrix."""
        return self.weights.shape[0] // self.turns

    @property
    def columns(self) -> int:
        """Columns of the matrix."""
        return self.weights.shape[1]

    @property
    def row_folds(self) -> int:
        """Groups of PE rows."""
        return self.rows // self.pe

    @property
    def all_folds(self) -> int:
        """Groups of PE rows of all matrices: fold f of turn t is number t * row_folds + f."""
        return self.turns * self.row_folds

    @property
    def column_folds(self) -> int:
        """Beats a vector."""
        return self.columns // self.simd

    @property
    def hops(self) -> int:
        """Groups of PEs one after the other."""
        return self.pe // self.hop

    @property
    def weight_depth(self) -> int:
        """Words of each group's weight memory."""
        return self.all_folds * self.column_folds

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
        weights have one bit, by which the vector's bits pass or are inverted, its sign bit the other way
        round and added; others are two's complement, and their bits and the vector's are multiplied.
        """
        w, x = self.weight_type, self.type
        if w.is_bipolar:
            return tuple((1, k, ((0, k),)) for k in range(x.bits))
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
    def decided(self) -> bool:
        """Whether the accumulator's sign is the answer: it starts at minus the row's only threshold."""
        steps = self.steps
        return (
            self.form == "xnor"
            and self.adder == "carry"
            and steps is not None
            and steps.count == 1
            and not steps.adjusts
        )

    @property
    def starts(self) -> np.ndarray:
        """int64 [turns * rows]: the start of the sum: 0, or minus the threshold where :attr:`decided`."""
        if self.steps is None or not self.decided:
            return np.zeros(len(self.weights), np.int64)
        steps = self.steps.shifted(self.offset, self.gain)
        return -np.clip(steps.thresholds[:, 0], 0, self.columns + 1)

    @property
    def row_sums(self) -> RowSums:
        """Of the weights."""
        assert self.sums is not None
        return self.sums

    @property
    def gain(self) -> int:
        """Factor from raw to accumulator: 2 when counting equal bits, else 1."""
        return 2 if self.form == "xnor" else 1

    @property
    def offset(self) -> np.ndarray:
        """int64 [turns * rows]: accumulator = gain * raw + offset.

        Counting equal bits: -columns. Inverting instead of negating (-v = ~v + 1): the number of negative
        weights of the row; where no sign bit is inverted along, as unsigned bits have none, as often minus
        the greatest x (-v = ~v - greatest). Counting an inverted sign bit instead of subtracting it: minus
        its weight a column.
        """
        if self.form == "xnor":
            return np.full(len(self.weights), -self.columns, np.int64)
        if self.form == "bits" and self.weight_type.is_bipolar:
            minus = self.row_sums.minus
            if self.type.signed:
                return minus - (self.columns << (self.type.bits - 1))
            return -minus * ((1 << self.type.bits) - 1)
        if self.form == "negate" and self.narrow == "weight":
            return self.row_sums.minus
        return np.zeros(len(self.weights), np.int64)

    @property
    def accumulator_type(self) -> ElementType:
        """Type of the dot products, from the actual weights and any vector of the type (0 included)."""
        low, high = self.row_sums.reach(min(self.type.minimum, 0), max(self.type.maximum, 0))
        return type_for_range(min(int(low.min()), 0), max(int(high.max()), 0))

    @property
    def raw_range(self) -> tuple[int, int]:
        """Least and greatest final raw accumulator."""
        if self.form == "xnor":
            return 0, self.columns
        low, high = self.row_sums.reach(self.type.minimum, self.type.maximum)
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

    @property
    def replay_style(self) -> str:
        """Memory that keeps the vector: block RAM, and its output register, where synthesis would take it."""
        wide = becomes_block("", self.column_folds, self.input.width)
        return "block" if self.column_folds > 64 or wide else "ram"

    @property
    def weight_latency(self) -> int:
        """Cycles of the weight memory; a block RAM's output is registered once more."""
        return 2 + 2 * self.weight_registers if self.memory == "block" else 1

    @property
    def weight_registers(self) -> int:
        """Registers on either side of the weight memory."""
        return self.reach if self.memory == "block" else 0

    @property
    def vector_wait(self) -> int:
        """Cycles that activations come behind their control at each group, so that weights meet them."""
        return self.weight_latency - 1

    @property
    def replay_wait(self) -> int:
        """Cycles of :attr:`vector_wait` that a kept vector in block RAM takes: its address is a register."""
        return int(self.replay_style == "block" and self.vector_wait > 0)

    @property
    def control_stages(self) -> int:
        """Registers of a group's control from the address of its weights to its accumulators."""
        return self.vector_wait + self.levels

    @property
    def fold_latency(self) -> int:
        """Cycles from taking a fold's last beat to offering its result.

        Input register and replay 1, weights, tree, accumulator 1, result 1, the hops, buffer; before the
        buffer the steps, or 1 to make accumulators of raw sums, or nothing where the sign is the answer.
        """
        tail = self.steps.latency(self.all_folds) if self.steps else 1
        if self.decided:
            tail = 0
        return 1 + self.weight_latency + self.levels + 2 + (self.hops - 1) + tail + BUFFER_LATENCY

    @property
    def input(self) -> Stream:
        """Vectors, SIMD elements of each of `pixels` of them a beat."""
        lanes, beats = self.pixels * self.simd, self.vectors // self.pixels * self.column_folds
        return Stream(type=self.type, lanes=lanes, beats=beats)

    @property
    def output(self) -> Stream:
        """Rows, PE of each of `pixels` vectors a beat."""
        kind = self.steps.type if self.steps else self.accumulator_type
        lanes, beats = self.pixels * self.pe, self.vectors // self.pixels * self.row_folds
        return Stream(type=kind, lanes=lanes, beats=beats)

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return self.vectors * self.rows * self.columns

    @property
    def cycles(self) -> int:
        """vectors / pixels * (rows / PE) * (columns / SIMD)."""
        return self.vectors // self.pixels * self.row_folds * self.column_folds

    @property
    def latency_cycles(self) -> int:
        """Beats of the first fold and its way through the pipeline."""
        return self.column_folds - 1 + self.fold_latency

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        n, replay = self.column_folds, (self.row_folds - 1) * self.column_folds
        # Position of every beat if nothing waited; the rest is a running maximum.
        ideal = (np.arange(len(waits) // n)[:, None] * (n + replay) + np.arange(n)).ravel()
        taken = np.maximum.accumulate(waits - ideal) + ideal
        last = taken.reshape(-1, n)[:, -1]
        folds = np.arange(self.row_folds) * n
        return (taken,), (last[:, None] + folds).ravel() + self.fold_latency

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        # A fold has its place with its first beat.
        vector = np.arange(frames * self.input.beats) // self.column_folds
        return (vector * self.row_folds + 1,)

    def cost(self, family: str) -> Resources:
        """Weight memories, arithmetic, replay memory, step functions, buffer."""
        sums = self.pe * self.pixels
        word = self.hop * self.simd * self.stored_bits
        total = rom_cost(family, self.weight_depth, word, self.memory) * self.hops
        total += self.arithmetic_cost(family)
        if self.row_folds > 1 and self.column_folds > 1:
            total += memory_cost(family, self.column_folds, self.input.width, self.replay_style)
            # What was replayed, and the choice between it and what has come.
            total += Resources(luts=self.input.width, ffs=self.input.width)
        low, high = self.raw_range
        raw = type_for_range(low, high).bits
        registered = self.weight_registers if self.memory == "block" else int(self.weight_depth > 1)
        total += Resources(
            luts=sums * (raw * 1.5 + 2) + 40,
            ffs=sums * 2 * raw
            + self.hops * (self.input.width + 20)
            + self.vector_wait * self.input.width
            + registered * self.hops * word
            + 40,
        )
        if self.steps and not self.decided:
            total += self.steps.cost(family, sums, self.all_folds, raw)
        return total + buffer_cost(family, self.buffer_depth, self.output.width)

    def arithmetic_cost(self, family: str) -> Resources:
        """Of the products and the adder tree, without the accumulators."""
        lanes = self.pe * self.simd * self.pixels
        bits = self.wide_type.bits
        if family == "ecp5" and self.adder == "carry" and self.form in ("xnor", "bits"):
            trees = (
                [self.tree_of(len(pairs)) for _, _, pairs in self.bit_planes] if self.form == "bits" else []
            )
            trees = trees or [self.tree_of(1)]
            joined = sum(t.bits + 2 for t in trees[1:]) * 1.5
            # Operands that wait are the same for the PEs of a group, and weights for all pixels.
            shared = 1 / self.hop + 1 / self.pixels
            return Resources(
                luts=self.pe * self.pixels * (sum(t.luts for t in trees) + joined),
                ffs=self.pe * self.pixels * (sum(t.ffs + t.waiting * shared for t in trees) + joined),
            )
        if self.form == "xnor":
            return Resources(luts=lanes * (3.5 if family == "ecp5" else 2.9), ffs=lanes * 2.5)
        if self.form == "bits":
            planes = self.weight_type.bits * self.type.bits
            return Resources(luts=lanes * planes * 3, ffs=lanes * planes * 2.5)
        if self.form == "constant":
            low, high = self.type.minimum, self.type.maximum
            sides = [[(low << k, high << k) for k, _ in side] for row in self.digits for side in row]
            total = sum((tree_cost(side) for side in sides), Resources())
            joined = self.rows * type_for_range(*self.raw_range).bits
            total += Resources(luts=1.1 * joined, ffs=joined)
            return Resources(luts=total.luts * self.pixels, ffs=total.ffs * self.pixels)
        if self.form == "pair":
            both = self.pair.cost(self.simd)
            times = self.pe * self.pixels / 2
            return Resources(luts=times * both.luts, ffs=times * both.ffs, dsps=times * both.dsps)
        if self.form == "dsp":
            product = self.weight_type.bits + self.type.bits
            return Resources(luts=lanes * (product + 1), ffs=lanes * (product + 3), dsps=lanes)
        planes = 1 if self.form == "negate" else self.narrow_type.bits
        if family == "ecp5" and self.form == "negate" and self.gates:
            kind = self.wide_type
            low, high = min(kind.minimum, -kind.maximum - 1), max(kind.maximum, -kind.minimum - 1)
            pairs = ceil_div(self.simd, 2)
            rest = tree_cost([(2 * low, 2 * high)] * pairs)
            number = bits + (not kind.signed)
            ones = 2 * self.simd * (self.narrow == "x")
            return Resources(
                luts=self.pe * self.pixels * (1.1 * (pairs * (number + 2) + rest.luts) + ones),
                ffs=self.pe * self.pixels * (pairs * (number + 1) + rest.ffs + ones),
            )
        if family == "ecp5" and self.form == "planes":
            gate = 0 if self.gates else bits
            return Resources(
                luts=lanes * planes * (bits * 1.25 + 0.7 + gate), ffs=lanes * planes * (bits * 1.4 + 1)
            )
        # Inverters in front of small sums do not fit the LUTs of ECP5's carry cells.
        first = 5.3 if family == "ecp5" and self.form == "negate" else 1.5
        return Resources(luts=lanes * planes * (bits * 1.6 + first), ffs=lanes * planes * (bits + 2))
