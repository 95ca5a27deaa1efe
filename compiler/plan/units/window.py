"""Sliding window: a frame in, the taps of each output pixel out (im2col as a stream)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import gcd

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import (
    BUFFER_LATENCY,
    Moves,
    OneInput,
    OneOutput,
    Stream,
    accept_times,
)
from pulsefold.compiler.plan.units.integers import bits_for, ceil_div
from pulsefold.compiler.plan.units.memory import late_ram_cost
from pulsefold.errors import FoldingError

__all__ = ["Window"]


#: Frames after which a window's cycles a frame repeat.
_STEADY = 4


@lru_cache(maxsize=4096)
def fewest_rows(
    program: tuple[tuple[int, int], ...],
    row_cycles: int,
    sent_row: int,
    release_cycles: int,
    bound: int,
    least: int,
    most: int,
) -> int:
    """The fewest rows from `least` to `most` with which a frame takes at most `bound` cycles, else `most`.

    The rules of :meth:`Window.schedule` for rows instead of beats, `row_cycles` apart at the least.
    """
    for rows in range(least, most):
        freed = [0] * rows
        ends: list[int] = []
        frames: list[int] = []
        base = clock = 0
        for _ in range(_STEADY):
            for need, release in program:
                while len(ends) < base + need:
                    ends.append(max(ends[-1] + 1 if ends else 0, freed[len(ends)]) + row_cycles - 1)
                clock = max(clock, ends[base + need - 1] + 1 if need else clock) + sent_row
                base += release
                freed += [clock + release_cycles] * release
            frames.append(clock)
        if max(b - a for a, b in pairwise(frames)) <= bound:
            return rows
    return most


@lru_cache(maxsize=4096)
def row_program(height: int, oh: int, stride: int, pad: int, reach: int) -> tuple[tuple[int, int], ...]:
    """See :attr:`Window.row_program`; `reach` is the rows from a window's first to its last."""
    first = [min(height, max(0, y * stride - pad)) for y in range(oh)] + [height]
    program = []
    for y in range(oh):
        last = min(height, max(0, y * stride - pad + reach))
        release = first[y + 1] - first[y]
        # A first row all of padding waits for the frame too, or it would be sent when none has come.
        program.append((max(last, first[y + 1], y == 0) - first[y], release))
    return tuple(program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(OneInput, OneOutput):
    """Line buffer of whole rows that is read window by window.

    Beat order out: output row, output column, then (kernel row, kernel column, channel fold), or with
    `channels_outer` (channel fold, kernel row, kernel column), as a pool wants it. With `held`, behind them
    so many steps of the columns take turns, or with `row_taps` before the kernel column, which then comes
    last: (kernel row, channel fold, step, kernel column). With `repeats` all these beats are sent so often.

    The buffer keeps `rows` rows. Rows are released when no later window of the frame needs them, and the
    next frame is written while the last windows of this one are read, so that a frame costs
    max(beats in, beats out) cycles.

    Parameters
    ----------
    name
        Unique name.
    shape
        (H, W, C) in.
    type
        Element type in.
    lanes
        Channels a beat in, and of a pixel out; divides C.
    kernel, stride, dilation
        (y, x).
    pads
        (top, left, bottom, right).
    output_shape
        (OH, OW).
    pad_value
        Integer that taps outside the frame carry. 0 in a bipolar stream makes the output ternary.
    channels_outer
        Order of the taps, see above.
    pixels
        Adjacent output columns a beat, [pixel][lane]; divides OW, and has no factor in common with the
        stride. Columns then lie in as many banks, each of which is read once a beat.
    held
        Steps of the output columns that take turns with each tap; divides OW / `pixels`.
    repeats
        Times that the taps of these steps are sent before those of the next.
    row_taps
        Send all taps of a kernel row and channel fold in each turn, for a reader that takes them together;
        only with `held` above 1.
    rows
        Rows of the buffer; 0 takes enough for frames to overlap without a pause.
    memory
        ``"block"``, ``"ram"`` or ``"small"``, see
        :func:`~pulsefold.compiler.plan.units.memory.late_ram_cost`.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one beat a cycle.
    """

    name: str
    shape: tuple[int, int, int]
    type: ElementType
    lanes: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]
    output_shape: tuple[int, int]
    pad_value: int = 0
    channels_outer: bool = False
    pixels: int = 1
    held: int = 1
    repeats: int = 1
    row_taps: bool = False
    rows: int = 0
    memory: str = "block"
    buffer_depth: int = 0

    #: Cycles from the count after a row's last use to its place being writable: its reads must be over.
    RELEASE = 2

    def __post_init__(self) -> None:
        if self.shape[2] % self.lanes:
            todo = f"choose lanes that divide {self.shape[2]} channels"
            raise FoldingError(f"{self.lanes} lanes do not divide the channels", where=self.name, todo=todo)
        if self.output_shape[1] % self.pixels or gcd(self.pixels, self.stride[1]) > 1:
            todo = f"choose pixels that divide {self.output_shape[1]} and share no factor with the stride"
            raise FoldingError(f"cannot send {self.pixels} pixels a beat", where=self.name, todo=todo)
        if self.output_shape[1] // self.pixels % self.held or (self.held > 1 and self.channels_outer):
            todo = f"choose as many as divide {self.output_shape[1] // self.pixels}"
            raise FoldingError(f"{self.held} steps cannot take turns", where=self.name, todo=todo)
        if self.row_taps and self.held == 1:
            todo = "leave the taps in their order"
            raise FoldingError("taps of a row come together only in turns", where=self.name, todo=todo)
        if self.buffer_depth == 0:
            # A credit comes back two cycles after that in which its beat is offered.
            object.__setattr__(self, "buffer_depth", self.pipeline + BUFFER_LATENCY + 2)
        if self.rows == 0:
            object.__setattr__(self, "rows", self.enough_rows)
        if self.rows < self.least_rows:
            todo = f"give it at least {self.least_rows} rows"
            raise FoldingError(f"{self.rows} rows cannot hold a window", where=self.name, todo=todo)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "window"

    @property
    def pipeline(self) -> int:
        """Cycles from a tap's address being counted to its beat entering the output buffer.

        Walk, offset, memory and its register, padding; with several pixels one more, for the place in each
        bank.
        """
        return 5 if self.pixels == 1 else 6

    @property
    def bank_beats(self) -> int:
        """Beats of an input row in each of the `pixels` banks."""
        return ceil_div(self.shape[1], self.pixels) * self.folds

    @property
    def places(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """[kernel column][pixel]: bank, and column in the bank, from the first column of the pixels' step."""
        columns = [
            [kx * self.dilation[1] + p * self.stride[1] - self.pads[1] for p in range(self.pixels)]
            for kx in range(self.kernel[1])
        ]
        return tuple(tuple((c % self.pixels, c // self.pixels) for c in row) for row in columns)

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.shape[2] // self.lanes

    @property
    def taps(self) -> int:
        """Kernel positions."""
        return self.kernel[0] * self.kernel[1]

    @property
    def row_beats(self) -> int:
        """Beats of an input row."""
        return self.shape[1] * self.folds

    @property
    def output_type(self) -> ElementType:
        """The input's type, widened to ternary where a bipolar stream is padded with 0."""
        if self.type.is_bipolar and self.pad_value == 0 and any(self.pads):
            return ElementType.ternary()
        return self.type

    @property
    def input(self) -> Stream:
        """The frame, raster order."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.shape[0] * self.row_beats)

    @property
    def output(self) -> Stream:
        """The taps."""
        beats = self.output_shape[0] * self.sent_row
        return Stream(type=self.output_type, lanes=self.pixels * self.lanes, beats=beats)

    @property
    def sent_row(self) -> int:
        """Beats sent for an output row."""
        return self.output_shape[1] // self.pixels * self.taps * self.folds * self.repeats

    @property
    def row_program(self) -> tuple[tuple[int, int], ...]:
        """For each output row: rows from the oldest kept one that must be complete; rows released."""
        reach = self.dilation[0] * (self.kernel[0] - 1) + 1
        return row_program(self.shape[0], self.output_shape[0], self.stride[0], self.pads[0], reach)

    @property
    def least_rows(self) -> int:
        """Rows without which some window never becomes complete."""
        return max(need for need, _ in self.row_program)

    @property
    def lean_rows(self) -> int:
        """Rows with which the next frame's first rows can arrive while this frame's last are read."""
        # A place is written anew five cycles after the row in it at the earliest: short rows need more.
        return self.least_rows + max(release for _, release in self.row_program) + 5 // self.row_beats

    @property
    def fewest_rows(self) -> int:
        """Rows with which a frame takes no longer than with the lean ones, worked out row by row.

        Fewer where frames end as they go on: the lean ones are as many as the most that any row needs and the
        most that any row frees, which need not follow each other. Rows in come evenly over the frame, as from
        a source that is no faster and could not make up for a pause.
        """
        beats = max(self.input.beats, self.output.beats)
        bound = beats + (self.RELEASE + 1) * self.output_shape[0]
        row_cycles = max(self.row_beats, beats // self.shape[0])
        ends = self.least_rows, self.lean_rows
        return fewest_rows(self.row_program, row_cycles, self.sent_row, self.RELEASE, bound, *ends)

    def rows_at(self, cycles: int) -> int:
        """The fewest rows, at most the lean ones, with which rows in and out that come evenly keep a pace.

        But for the turn of each output row, which beats that wait behind the window make up for.

        Parameters
        ----------
        cycles
            A frame at that pace.
        """
        row_cycles, sent_row = cycles // self.shape[0], cycles // self.output_shape[0]
        ends = self.least_rows, self.lean_rows
        bound = cycles + (self.RELEASE + 1) * self.output_shape[0]
        return fewest_rows(self.row_program, row_cycles, sent_row, self.RELEASE, bound, *ends)

    @property
    def enough_rows(self) -> int:
        """Rows with which reading never waits: more than the lean ones where rows come as fast as they go."""
        release = max((release for _, release in self.row_program[:-1]), default=0)
        tight = release * self.row_beats + 5 > self.sent_row
        rows = self.lean_rows + tight
        # Nearly always these; not so where few rows, or a single one, make a frame.
        beats = max(self.input.beats, self.output.beats)
        return fewest_rows(
            self.row_program, self.row_beats, self.sent_row, self.RELEASE, beats, rows, rows + 1
        )

    @property
    def least_cycles(self) -> int:
        """One beat in and one out a cycle."""
        return max(self.input.beats, self.output.beats)

    @property
    def cycles(self) -> int:
        """The same; with fewer rows than enough, the turn of each output row more."""
        turn = (self.RELEASE + 1) * self.output_shape[0] if self.rows < self.enough_rows else 0
        return self.least_cycles + turn

    @property
    def latency_cycles(self) -> int:
        """Rows of the first window, then counting, pipeline and buffer."""
        return self.row_program[0][0] * self.row_beats + self.pipeline + BUFFER_LATENCY

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        (waits,) = arrivals
        taken = np.empty(len(waits), np.int64)
        per_row = self.sent_row
        starts: list[int] = []
        program = self.row_program
        freed = [0] * self.rows  # cycle from which each of the next rows may be written
        written, base, clock = 0, 0, 0
        row_end: list[int] = []
        for need, release in program * (len(waits) // self.input.beats):
            while written < base + need:
                begin, end = written * self.row_beats, (written + 1) * self.row_beats
                ready = np.maximum(waits[begin:end], freed[written])
                if begin:
                    ready[0] = max(int(ready[0]), int(taken[begin - 1]) + 1)
                taken[begin:end] = accept_times(ready)
                row_end.append(int(taken[end - 1]))
                written += 1
            start = max(clock, row_end[base + need - 1] + 1 if need else clock)
            starts.append(start)
            clock = start + per_row
            base += release
            freed += [clock + self.RELEASE] * release
        first = np.asarray(starts)[:, None] + np.arange(per_row)
        return (taken,), first.ravel() + self.pipeline + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        released = np.cumsum([release for _, release in self.row_program * frames])
        row = np.arange(frames * self.shape[0])
        # Output rows that are over when a place of the ring is free for the row.
        over = np.searchsorted(released, row - self.rows + 1)
        over = np.where(row < self.rows, 0, over + 1)
        return (np.repeat(over * self.sent_row, self.row_beats),)

    def cost(self, family: str) -> Resources:
        """Row memory, counters, buffer."""
        depth = self.rows * self.bank_beats
        logic = 11 * bits_for(depth) + 5 * bits_for(self.output.beats) + 70 + len(self.row_program) // 4
        logic += (self.held > 1) * (2 * bits_for(self.row_beats) + 8) + 4 * (self.repeats > 1)
        return (
            sum((late_ram_cost(family, depth, self.input.width, self.memory),) * self.pixels, Resources())
            + Resources(luts=(self.pixels - 1) * (self.output.width * 0.6 + 4 * bits_for(depth)))
            + Resources(
                luts=logic + self.output.width * bool(any(self.pads)),
                ffs=logic * 0.4 + 20 + 3 * bits_for(depth) + self.input.width + 2 * self.output.width,
            )
            + self.buffer_cost(family)
        )
