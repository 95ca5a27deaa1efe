"""Matrix-vector unit whose weight words are each used for the vectors of several frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, OneOutput, Stream
from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.compiler.plan.units.matvec import MatVec
from pulsefold.compiler.plan.units.memory import becomes_block, late_ram_cost, small_cost
from pulsefold.errors import FoldingError

__all__ = ["BatchMatVec"]

#: Cycles from taking a vector's last beat to reading the first one in a pass.
_START = 2

#: Cycles of a result in the collector.
_COLLECTED = 3

#: Cycles from reading a result there to offering it.
_SENT = BUFFER_LATENCY + 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchMatVec(OneInput, OneOutput):
    """A :class:`~pulsefold.compiler.plan.units.matvec.MatVec` whose weights several frames share.

    y as the matrix unit's. A pass reads every weight word once and applies it to all vectors that had
    come when it began, at most `batch`: under load a frame takes 1 / `batch` of a pass, a lone frame waits
    for no other. Vectors come into a ring of 2 * `batch` places while the pass before works; its results
    leave frame by frame.

    Parameters
    ----------
    matvec
        The matrix unit, with `batch` vectors and as many pixels a cycle, weights in block RAM.
    buffer_depth
        Entries of the output buffer.
    """

    matvec: MatVec
    buffer_depth: int = 2

    def __post_init__(self) -> None:
        p = self.matvec
        where, n = p.name, p.pixels
        if p.vectors != n or n < 2 or n & (n - 1):
            todo = "take a power of two from 2 on, and a layer of one vector a frame"
            raise FoldingError(f"a batch of {n} frames of {p.vectors // n} vectors", where=where, todo=todo)
        if 2 * n > min(p.column_folds, p.row_folds):
            least = min(p.column_folds, p.row_folds)
            why = f"beats for {n} frames take longer than a pass"
            todo = "take a smaller batch, PE or SIMD"
            raise FoldingError(f"batch {n} with {least} beats a vector", where=where, why=why, todo=todo)
        if p.memory != "block":
            # The ring is read in two cycles, as block RAM is, and no more often.
            why = "what frames save is reads of block RAM"
            todo = "keep the weights in block RAM"
            raise FoldingError(f"batch {n} with weights in LUTs", where=where, why=why, todo=todo)

    @property
    def name(self) -> str:
        """Unique name."""
        return self.matvec.name

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "batchmatvec"

    @property
    def batch(self) -> int:
        """Frames a pass, at most; a power of two."""
        return self.matvec.pixels

    @property
    def input(self) -> Stream:
        """One vector, SIMD elements a beat."""
        p = self.matvec
        return Stream(type=p.type, lanes=p.simd, beats=p.column_folds)

    @property
    def output(self) -> Stream:
        """Its rows, PE a beat."""
        p = self.matvec
        return replace(p.output, lanes=p.pe)

    @property
    def pass_cycles(self) -> int:
        """Cycles of a pass."""
        return self.matvec.cycles

    @property
    def cycles(self) -> int:
        """(rows / PE) * (columns / SIMD) / batch, rounded up: a frame's share of a full pass."""
        return ceil_div(self.pass_cycles, self.batch)

    @property
    def latency_cycles(self) -> int:
        """The vector, the first fold of its pass, the pipeline, and the buffer behind the collector."""
        return self.matvec.column_folds - 1 + _START + self.first_result

    @property
    def first_result(self) -> int:
        """Cycles from reading a pass's first beat to offering the first frame's first rows.

        The first fold, the matrix unit's pipeline, and the cycles of the collector.
        """
        p = self.matvec
        return p.column_folds - 1 + p.fold_latency + _COLLECTED

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        n, rows, batch = self.matvec.column_folds, self.matvec.row_folds, self.batch
        frames = len(waits) // n
        step = np.arange(n)
        came: list[int] = []  # Cycle of each vector's last beat.
        takes: list[np.ndarray] = []
        free = [0] * (2 * batch)  # Cycle from which each place of the ring can be written.
        offers: list[int] = []
        left: list[int] = []  # For each pass, the cycle of its last result's way out of the collector.
        taken, begun, idle = -1, 0, 0

        def take() -> None:
            nonlocal taken
            k = len(came)
            earliest = np.maximum(waits[k * n : (k + 1) * n], max(taken + 1, free[k % (2 * batch)]))
            times = np.maximum.accumulate(earliest - step) + step
            taken = int(times[-1])
            takes.append(times)
            came.append(taken)

        while begun < frames:
            while len(came) <= begun:
                take()
            start = max(came[begun] + _START, idle)
            if len(left) >= 2:
                start = max(start, left[-2] + 2)
            # Whoever has come by then takes part; its place is free already, or it would not be in time.
            while len(came) < min(begun + batch, frames):
                take()
            count = sum(c + _START <= start for c in came[begun : begun + batch])
            idle = start + self.pass_cycles
            for k in range(begun, begun + count):
                free[k % (2 * batch)] = idle
            written = start + self.first_result - _SENT + np.arange(rows) * n
            sent = left[-1] if left else -1
            for frame in range(count):
                for row in range(rows):
                    sent = max(sent + 1, int(written[row]) if frame == 0 else 0)
                    offers.append(sent + _SENT)
            left.append(sent)
            begun += count
        return (np.concatenate(takes),), np.array(offers)

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        # The vector whose place in the ring it takes is through; that results wait elsewhere too is left out.
        vector = np.arange(frames * self.input.beats) // self.matvec.column_folds - 2 * self.batch
        return (np.maximum(vector + 1, 0) * self.matvec.row_folds,)

    def cost(self, family: str) -> Resources:
        """The matrix unit without replay and buffer, the ring, the collector, the output buffer."""
        p = self.matvec
        inner = p.cost(family) - p.buffer_cost(family)
        inner -= late_ram_cost(family, p.kept_beats, p.input.width, p.replay_style)
        inner -= Resources(luts=p.input.width, ffs=p.input.width * (p.replay_style == "ram"))
        # The first two cycles of what waits for weights are the ring's.
        depth, width = 2 * p.column_folds, p.simd * p.type.bits
        ring = late_ram_cost(family, depth, width, "ram")
        inner -= Resources(ffs=p.input.width * (1 + becomes_block(family, depth, width)))
        # Read in the cycle of its address, with a choice in the next: block RAM would be late.
        collector = small_cost(family, 2 * p.row_folds, self.output.width)
        memories = Resources(
            luts=self.batch * (ring.luts + collector.luts), brams=self.batch * (ring.brams + collector.brams)
        )
        control = Resources(
            luts=120 + self.batch * self.output.width * 0.6,
            ffs=80 + self.input.width + (self.batch + 1) * self.output.width,
        )
        return inner + memories + control + self.buffer_cost(family)
