"""Matrix-vector unit: dot products of a vector with weight rows, folded by PE and SIMD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType, type_for_range
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, OneOutput, Stream
from pulsefold.compiler.plan.units.dot import Dot, RowSums
from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.compiler.plan.units.memory import becomes_block, late_ram_cost, small_cost
from pulsefold.compiler.plan.units.rom import distinct_bits, rom_cost
from pulsefold.compiler.plan.units.threshold import Steps, threshold_style
from pulsefold.errors import FoldingError

__all__ = ["RAM_TURNS", "MatVec", "default_hop"]


#: Vectors in turn up to which the sums of those that wait are registers.
RAM_TURNS = 3


def default_hop(pe: int, step: int = 1, groups: int = 1) -> int:
    """PEs that share one activation register: the largest divisor of `pe` up to 4 that `step` divides.

    Of those with which there are so many groups, or the most that can be. Where there is none, the largest
    divisor.
    """
    hops = [n for n in (4, 3, 2, 1) if pe % n == 0 and n % step == 0]
    return max(hops, key=lambda n: min(pe // n, groups)) if hops else default_hop(pe)


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

    With `held` above 1 a weight word stays for so many vectors, one after the other, each with accumulators
    of its own: beats in are [vectors][row fold][column fold][held vector], where each vector comes anew for
    each row fold unless it is `kept`, and beats out [vectors][row fold][held vector]. Up to so many groups of
    PEs can then share a memory, of which each takes its word in the cycle in which its turn comes: there are
    fewer memories, as much deeper. A word may also come in `parts`, one of each group in turn and then the
    next of each, from a memory that is as much narrower and deeper still. Those that came wait in registers
    for the last, with which the word is whole, and activations as long.

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
    held
        Cycles for which a weight word stays, each for `pixels` other vectors; above 1 it needs one matrix,
        weights in block RAM, and divides `vectors` / `pixels`.
    kept
        Whether vectors for which weights are held come once, and the unit keeps them for all row folds as it
        keeps one for which none are.
    shared
        Groups of PEs one after the other that share a weight memory, `held` at the most; the last ones may be
        fewer.
    parts
        Pieces, each of whole weights, that a group's word comes in; `shared` times as many are `held` at the
        most.
    waiting
        Where the sums of vectors that wait for their turn lie: ``"registers"``, or ``"ram"`` for LUT RAM
        where more than :data:`RAM_TURNS` take turns.
    steps
        Step function of each row of `weights`, or None to send accumulators.
    memory
        Weight memory: ``"block"`` or ``"lut"``.
    memory_width
        Bits of each of the memories side by side that a piece of a group's weight word is cut into; 0: one
        memory.
    weight_rows
        Rows of a weight memory, a power of two, in which its words lie side by side; 0: a row a word.
    reach
        Registers on the way to a weight memory of block RAM, and as many on the way back, which lets it be
        far from the arithmetic; 0 or 1.
    multiplier, adder
        How products are made and summed, see :class:`~pulsefold.compiler.plan.units.dot.Dot`; multiplier
        ``"constant"`` where PE and SIMD are the whole matrix.
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
    held: int = 1
    kept: bool = False
    shared: int = 1
    parts: int = 1
    waiting: str = "registers"
    steps: Steps | None = None
    memory: str = "lut"
    memory_width: int = 0
    weight_rows: int = 0
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
            hop = default_hop(self.pe, step=1 + self.dot.paired, groups=self.shared)
            object.__setattr__(self, "hop", hop)
        if self.pe % self.hop:
            todo = f"choose a hop that divides PE {self.pe}"
            raise FoldingError(f"hop {self.hop} does not divide PE", where=self.name, todo=todo)
        if max(self.held, self.shared, self.parts) > 1:
            self._check_held()
        if self.dot.paired and (self.hop % 2 or not self.dot.pair.fits):
            msg = "two rows cannot share a multiplier: they need an even PE, and both weights in one operand"
            raise FoldingError(msg, where=self.name, todo="take multiplier dsp or lut")
        if self.dot.form == "constant" and (self.weight_depth > 1 or self.type.is_bipolar):
            msg = "weights are no constants: the unit is folded, or its vector is bipolar"
            raise FoldingError(msg, where=self.name, todo="take multiplier lut")
        if self.buffer_depth == 0:
            # A credit comes back, through a register, this many cycles after its fold began.
            if self.held > 1:
                # It is spent with a fold's last beat; as many results follow each other as vectors are held.
                depth = self.held + ceil_div(self.fold_latency + 1, self.column_folds)
            else:
                depth = max(2, ceil_div(self.column_folds + self.fold_latency + 1, self.column_folds))
            object.__setattr__(self, "buffer_depth", depth)

    def _check_held(self) -> None:
        """Raise where weights cannot stay."""
        if self.turns > 1 or self.memory != "block":
            why = "weights stay for several vectors in block RAM, and where matrices do not take turns"
            raise FoldingError(why, where=self.name, todo="hold them for 1")
        steps = self.vectors // self.pixels
        if steps % self.held:
            msg = f"weights held for {self.held} vectors do not go with {steps} steps of pixels"
            raise FoldingError(msg, where=self.name, todo=f"hold them for a divisor of {steps}")
        if not 1 <= self.shared <= self.held:
            msg = f"{self.shared} groups of PEs cannot share weights that are held for {self.held}"
            raise FoldingError(msg, where=self.name, todo=f"share them among 1 to {self.held}")
        most = self.held // self.shared
        word = self.hop * self.simd
        if not 1 <= self.parts <= most or word % self.parts:
            msg = (
                f"words of {word} weights for {self.shared} groups of PEs cannot come in {self.parts} parts "
                f"while they are held for {self.held}"
            )
            raise FoldingError(msg, where=self.name, todo=f"take a divisor of {word} that is {most} at most")

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
        """Weight words of each group."""
        return self.all_folds * self.column_folds

    @property
    def weight_width(self) -> int:
        """Bits of each group's weight word."""
        return self.hop * self.simd * self.dot.stored_bits

    @property
    def part_width(self) -> int:
        """Bits of a word of a weight memory."""
        return self.weight_width // self.parts

    @property
    def sharers(self) -> tuple[int, ...]:
        """Groups of PEs of each weight memory."""
        whole, rest = divmod(self.hops, self.shared)
        return (self.shared,) * whole + (rest,) * (rest > 0)

    @property
    def memory_depth(self) -> int:
        """Words of the deepest weight memory: of its groups, in turn, the parts of each beat of the folds."""
        return self.weight_depth * self.sharers[0] * self.parts

    @cached_property
    def dot(self) -> Dot:
        """The arithmetic up to the accumulators, of the rows of all matrices."""
        assert self.sums is not None
        return Dot(
            weights=self.weights,
            weight_type=self.weight_type,
            type=self.type,
            simd=self.simd,
            multiplier=self.multiplier,
            adder=self.adder,
            sums=self.sums,
        )

    @property
    def decided(self) -> bool:
        """Whether the accumulator's sign is the answer: it starts at minus the row's only threshold."""
        steps = self.steps
        return (
            self.dot.form == "xnor"
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
        steps = self.steps.shifted(self.dot.offset, self.dot.gain)
        return -np.clip(steps.thresholds[:, 0], 0, self.columns + 1)

    @cached_property
    def accumulator_type(self) -> ElementType:
        """Type of the dot products, from the actual weights and any vector of the type (0 included)."""
        low, high = self.dot.sums.reach(min(self.type.minimum, 0), max(self.type.maximum, 0))
        return type_for_range(min(int(low.min()), 0), max(int(high.max()), 0))

    @property
    def replays(self) -> bool:
        """Whether vectors of several beats are kept for more rows than their first."""
        return self.row_folds > 1 and self.kept_beats > 1 and self.takes_once

    @property
    def kept_beats(self) -> int:
        """Beats of the vectors that are kept."""
        return self.column_folds * self.held

    @property
    def replay_style(self) -> str:
        """Memory that keeps the vector: block RAM, and its output register, where synthesis would take it."""
        wide = becomes_block("", self.kept_beats, self.input.width)
        return "block" if self.kept_beats > 64 or wide else "ram"

    @property
    def late_weights(self) -> bool:
        """Whether the weight memory's output is registered once more.

        Block RAM's is; that of LUTs where a vector kept in block RAM comes no sooner.
        """
        return self.memory == "block" or (self.replays and self.replay_style == "block")

    @property
    def weight_latency(self) -> int:
        """Cycles of the weight memory, up to the last part of a word."""
        memory = 1 + self.late_weights + self.weight_registers + self.weight_returns
        return memory + self.part_wait(self.sharers[0])

    def part_wait(self, sharers: int) -> int:
        """Cycles from the first part of a group's word to its last, from a memory that so many share."""
        return (self.parts - 1) * sharers

    @property
    def weight_registers(self) -> int:
        """Registers on the way to the weight memory."""
        return self.reach if self.memory == "block" else 0

    @property
    def weight_returns(self) -> int:
        """Registers on the way back.

        The first is behind the choice of a word where several lie in a row; the last keeps what is held.
        """
        return max(self.weight_registers, int(self.weight_rows > 0) + int(self.held > 1))

    @property
    def vector_wait(self) -> int:
        """Cycles that activations come behind their control at each group, so that weights meet them."""
        return self.weight_latency - 1

    @property
    def replay_wait(self) -> int:
        """Cycles of :attr:`vector_wait` that reading a kept vector takes: its address is a register's."""
        return int(self.replays and self.vector_wait > 0)

    @property
    def control_stages(self) -> int:
        """Registers of a group's control from the address of its weights to its accumulators."""
        return self.vector_wait + self.dot.levels

    @property
    def starts_early(self) -> int:
        """Cycles, at most two, by which the table of what accumulators start at is read before its use."""
        return min(2, self.control_stages)

    @property
    def starts_style(self) -> str:
        """Memory of that table: block RAM with its output register, or LUTs."""
        return threshold_style(self.all_folds) if self.starts_early == 2 else "lut"

    @cached_property
    def offsets_vary(self) -> bool:
        """Whether what raw sums lack of accumulators is not the same for all rows."""
        return bool(np.any(self.dot.offset != self.dot.offset.flat[0]))

    @property
    def offset_latency(self) -> int:
        """Cycles that make accumulators of raw sums: one more where offsets lie in block RAM."""
        return 1 + (self.offsets_vary and threshold_style(self.all_folds) == "block")

    @property
    def fold_latency(self) -> int:
        """Cycles from taking a fold's last beat to offering its result.

        Input register and replay 1, weights, tree, accumulator 1, result 1, the hops, buffer; before the
        buffer the steps, or what makes accumulators of raw sums, or nothing where the sign is the answer.
        """
        tail = self.steps.latency(self.all_folds) if self.steps else self.offset_latency
        if self.decided:
            tail = 0
        return 1 + self.weight_latency + self.dot.levels + 2 + (self.hops - 1) + tail + BUFFER_LATENCY

    @property
    def input(self) -> Stream:
        """Vectors, SIMD elements of each of `pixels` a beat; for each row fold anew where not kept."""
        lanes, beats = self.pixels * self.simd, self.vectors // self.pixels * self.column_folds
        return Stream(type=self.type, lanes=lanes, beats=beats * (1 if self.takes_once else self.row_folds))

    @property
    def takes_once(self) -> bool:
        """Whether a vector comes once, and not anew for each row fold."""
        return self.held == 1 or self.kept

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
        return (self.column_folds - 1) * self.held + self.fold_latency

    @property
    def waiting_places(self) -> int:
        """Places of the LUT RAM in which sums wait; 0 where they wait in registers."""
        ram = self.waiting == "ram" and self.held > RAM_TURNS and self.column_folds > 1
        return self.held - 2 if ram else 0

    @property
    def keeps_results(self) -> bool:
        """Whether a group's sums stay until its next fold ends; else they are delayed by the hops behind."""
        return self.held == 1 and self.column_folds >= self.hops

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        n, replays = self.kept_beats, self.row_folds - 1 if self.takes_once else 0
        # Position of every beat if nothing waited; the rest is a running maximum.
        ideal = (np.arange(len(waits) // n)[:, None] * (1 + replays) * n + np.arange(n)).ravel()
        taken = np.maximum.accumulate(waits - ideal) + ideal
        fresh = taken.reshape(-1, self.column_folds, self.held)[:, -1]
        # Replayed beats follow the last fresh one without a gap.
        again = fresh[:, -1:, None] + np.arange(1, replays + 1) * n - np.arange(self.held)[::-1, None]
        ends = np.concatenate([fresh[:, np.newaxis], again.swapaxes(1, 2)], axis=1)
        return (taken,), ends.ravel() + self.fold_latency

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        if self.held > 1:
            # It has its place with its last.
            group, beat = np.divmod(np.arange(frames * self.input.beats), self.kept_beats)
            last = beat - (self.column_folds - 1) * self.held
            folds = self.row_folds if self.kept else 1
            return (group * folds * self.held + np.maximum(last + 1, 0),)
        # A fold has its place with its first beat.
        vector = np.arange(frames * self.input.beats) // self.column_folds
        return (vector * self.row_folds + 1,)

    def cost(self, family: str) -> Resources:
        """Weight memories, arithmetic, replay memory, accumulators, step functions, control, buffer."""
        sums = self.pe * self.pixels
        word = self.weight_width
        kept = word if self.memory == "block" else distinct_bits(self.weight_depth, word)
        total, read = Resources(), kept // self.parts
        for sharers in set(self.sharers):
            depth = self.weight_depth * sharers * self.parts
            rows = self.weight_rows if self.weight_rows < depth else 0
            memory = rom_cost(family, depth, read, self.memory, rows)
            total += memory * self.sharers.count(sharers)
        total += self.dot.cost(family, pe=self.pe, pixels=self.pixels, hop=self.hop, differ=kept / word)
        waits = self.hops + self.vector_wait + 1
        if self.replays:
            total += late_ram_cost(family, self.kept_beats, self.input.width, self.replay_style)
            # What was replayed, and the choice between it and what has come.
            total += Resources(luts=self.input.width)
            waits += self.replay_style == "ram"
        registered = self.weight_returns - (self.weight_rows > 0) - (self.held > 1)
        if self.memory != "block":
            registered = (1 + self.late_weights) * int(self.weight_depth > 1)
        total += Resources(ffs=waits * self.input.width + registered * len(self.sharers) * read)
        total += self._control_cost() + self._sums_cost(family, sums)
        if self.held > 1:
            # Whole words, and the parts that wait for their last.
            total += Resources(ffs=self.hops * (2 * kept - read)) + self._held_cost(sums)
        return total + self.buffer_cost(family)

    def _control_cost(self) -> Resources:
        """Counters of columns, rows and weights, credits, and what travels beside the activations."""
        address, column, row = (
            (n - 1).bit_length() for n in (self.weight_depth, self.column_folds, self.row_folds)
        )
        counters = address + column + row
        travelling = self.hops * address * (1 + self.weight_registers)
        return Resources(
            luts=2 * counters + 14 + 2 * self.hops,
            ffs=counters + column + 12 + travelling + 2 * self.hops + 3 * self.control_stages,
        )

    def _held_cost(self, sums: int) -> Resources:
        """Accumulators of the vectors that wait, results that wait for other groups, counters of words."""
        raw, bits = type_for_range(*self.dot.raw_range).bits, (self.memory_depth - 1).bit_length()
        turn = (self.held - 1).bit_length()
        waiting, ram = (self.held - 1) * raw * (self.column_folds > 1), 0.0
        counters = len(self.sharers) * (bits + turn)
        if self.waiting_places:
            waiting, ram = raw, small_cost("ecp5", self.waiting_places, raw).luts
            counters += self.hops * turn
        delayed = (1 if self.decided else raw) * (self.hops - 1) / 2
        return Resources(luts=2 * counters + sums * ram, ffs=sums * (waiting + delayed) + counters)

    def _sums_cost(self, family: str, sums: int) -> Resources:
        """Accumulators, and what becomes of them."""
        low, high = self.dot.raw_range
        raw = type_for_range(low, high).bits
        row = (self.all_folds - 1).bit_length()
        if self.decided:
            # Thresholds lie about half the columns: their highest bits are alike.
            bits = self.columns.bit_length() + 1
            starts = rom_cost(family, self.all_folds, bits - 2, self.starts_style) * self.pe
            following = Resources(luts=3 * row, ffs=2 * row) * self.hops
            registers = 2 * bits * self.pe * (self.all_folds > 1)
            return starts + following + Resources(luts=sums * (raw + 3), ffs=sums * (raw + 2) + registers)
        own = Resources(luts=sums * (raw + 3), ffs=sums * 2 * raw)
        if self.steps:
            return own + self.steps.cost(family, sums, self.all_folds, raw)
        bits = self.accumulator_type.bits
        if self.offsets_vary:
            own += rom_cost(family, self.all_folds, bits, threshold_style(self.all_folds)) * sums
            own += Resources(ffs=sums * raw * (self.offset_latency - 1))
        return own + Resources(luts=sums * bits + 3 * row, ffs=sums * bits + 2 * row)
