"""Reorder unit: beats of a frame moved, dropped, repeated or filled in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, Moves, OneInput, OneOutput, Stream
from pulsefold.compiler.plan.units.integers import bits_for, divisors
from pulsefold.compiler.plan.units.memory import late_ram_cost
from pulsefold.compiler.plan.units.program import Level, folded
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.errors import FoldingError

__all__ = ["ReorderUnit", "reorder_lanes"]


def moves_whole_beats(index: np.ndarray, lanes: int) -> bool:
    """Whether every output beat of `lanes` is one input beat, or fill alone."""
    beats = index.reshape(-1, lanes)
    first = beats[:, :1]
    moved = (first % lanes == 0) & (beats == first + np.arange(lanes))
    return bool(np.all(np.where(first >= 0, moved, beats < 0)))


def reorder_lanes(index: np.ndarray, elements: int) -> list[int]:
    """Lanes with which a reorder of a frame of `elements` moves whole beats, ascending."""
    flat = index.ravel()
    common = gcd(elements, flat.size)
    widest = next(n for n in reversed(divisors(common)) if n == 1 or moves_whole_beats(flat, n))
    return divisors(widest)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReorderUnit(OneInput, OneOutput):
    """y.flat[k] = x.flat[index.flat[k]], or `fill` where index.flat[k] is -1; one beat out a cycle.

    A ring of `depth` beats takes the frame in its order. Output beat k is read as soon as the last input beat
    that it or one before it needs is there, and frees all beats before the first that a later one needs; the
    next frame follows into what is free. Which address, whether fill, how many beats more and how many
    beats less: that program has a word an output beat and is kept as
    :func:`~pulsefold.compiler.plan.units.program.folded` tables.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type in.
    elements
        Elements of a frame in.
    index
        int32 [elements out], in any shape.
    fill
        Integer where nothing is moved to.
    output_type
        Element type out: the input's, or one that also holds the fill.
    lanes
        Elements a beat, one of :func:`reorder_lanes`.
    style
        Memory of the ring, see :func:`~pulsefold.compiler.plan.units.memory.late_ram_cost`; empty takes
        ``"ram"`` while it is shallow, else ``"block"``.
    depth
        Beats of the ring; 0 takes enough for frames to overlap without a pause.
    buffer_depth
        Entries of the output buffer, at least 7 for one beat a cycle.
    """

    name: str
    type: ElementType
    elements: int
    index: np.ndarray
    fill: int
    output_type: ElementType
    lanes: int
    style: str = ""
    depth: int = 0
    buffer_depth: int = 7

    #: Cycles from reading a beat to its entering the output buffer: memory and its register, fill.
    PIPELINE = 3

    #: Cycles from reading the last beat that needs a place to its being writable: the ring's LUT RAM is read
    #: in the first of them.
    RELEASE = 2

    def __post_init__(self) -> None:
        if gcd(self.elements, self.index.size) % self.lanes or not moves_whole_beats(self.index, self.lanes):
            msg = f"beats of {self.lanes} lanes are not moved as a whole"
            widest = reorder_lanes(self.index, self.elements)[-1]
            raise FoldingError(msg, where=self.name, todo=f"the widest that are have {widest} lanes")
        if self.depth == 0:
            object.__setattr__(self, "depth", self.enough_depth)
        if self.depth < self.least_depth:
            todo = f"give it at least {self.least_depth} beats"
            raise FoldingError(f"{self.depth} beats cannot hold what it needs", where=self.name, todo=todo)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "reorder"

    @property
    def input(self) -> Stream:
        """The frame."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.elements // self.lanes)

    @property
    def output(self) -> Stream:
        """The frame after."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.index.size // self.lanes)

    @cached_property
    def sources(self) -> np.ndarray:
        """int64 [beats out]: input beat of each output beat, or -1."""
        first = self.index.reshape(-1, self.lanes)[:, 0].astype(np.int64)
        return np.where(first < 0, -1, first // self.lanes)

    @cached_property
    def needed(self) -> np.ndarray:
        """int64 [beats out]: input beats of the frame that must have come for each output beat, at least one.

        A frame that starts with fill waits for its input too, or it would be sent when none has come.
        """
        return np.maximum.accumulate(np.maximum(self.sources + 1, 1))

    @cached_property
    def freed(self) -> np.ndarray:
        """int64 [beats out + 1]: input beats free before each output beat, and those after the last.

        Those that no output beat of the next frame needs at its start are free with the end of this one.
        """
        beats = self.input.beats
        first = np.minimum.accumulate(np.where(self.sources < 0, beats, self.sources)[::-1])[::-1]
        return np.append(first, beats + first[0])

    @property
    def least_depth(self) -> int:
        """Beats without which some output beat never has all that it needs."""
        return max(1, int((self.needed - self.freed[:-1]).max()))

    @cached_property
    def enough_depth(self) -> int:
        """Beats with which neither side waits for the other longer than for its rate.

        Where more beats leave than come, a beat need only be there when it is read; where more come than
        leave, a beat is read as soon as it is there. Between, the ring holds what has come and is not free.
        """
        frames, come, leave = 4, self.input.beats, self.output.beats
        k, beat = np.arange(frames * leave), np.arange(frames * come)
        needed = (np.arange(frames)[:, None] * come + self.needed).ravel()
        if leave >= come:
            read = k
            until = read[np.minimum(np.searchsorted(needed, beat + 1), len(k) - 1)] - 1
            written = np.minimum.accumulate((until - beat)[::-1])[::-1] + beat
        else:
            written = beat
            read = np.maximum.accumulate(written[needed - 1] + 1 - k) + k
        free = np.concatenate([self.freed[:1], (np.arange(frames)[:, None] * come + self.freed[1:]).ravel()])
        done = np.searchsorted(read + self.RELEASE, written, side="right")
        held = beat + 1 - free[done]
        return max(self.least_depth, int(held[: (frames - 1) * come].max()))

    @property
    def memory(self) -> str:
        """Style of the ring."""
        shallow = self.depth <= 64 or self.depth * self.input.width <= 1024
        return self.style or ("ram" if shallow else "block")

    @property
    def most_free(self) -> int:
        """Places that may be written at once: more than the ring has where beats to come are not needed."""
        return self.depth + int(self.freed[0]) + self.input.beats

    @property
    def most_beyond(self) -> int:
        """Bound of the beats that are there beyond those needed, and of those that still lack."""
        return max(int(self.needs.max()), int(self.needed.max()), self.depth + int(self.freed.max()))

    @cached_property
    def fields(self) -> tuple[int, int, int, int, int]:
        """Bits of a program word: fill, step of the address, beats needed more, beats freed; fill lowest.

        Above them the step less the depth where the address goes round at no power of two: both sums are
        made side by side.
        """
        fills = int(np.any(self.sources < 0))
        most = [int(np.diff(self.freed).max()), int(self.needs.max())]
        step = bits_for(self.depth) if self.depth > 1 else 0
        back = step + 1 if self.depth & (self.depth - 1) else 0
        return fills, step, most[1].bit_length(), most[0].bit_length(), back

    @cached_property
    def needs(self) -> np.ndarray:
        """int64 [beats out]: beats that the output beat after each needs more than it."""
        following = np.append(self.needed[1:], self.input.beats + self.needed[0])
        return following - self.needed

    @cached_property
    def places(self) -> np.ndarray:
        """int64 [beats out]: input beat that is read for each, for fill the one before or else the first."""
        moved = np.flatnonzero(self.sources >= 0)
        if not len(moved):
            return np.zeros_like(self.sources)
        before = np.searchsorted(moved, np.arange(len(self.sources)), side="right") - 1
        return self.sources[moved[np.maximum(before, 0)]]

    @cached_property
    def program(self) -> tuple[Level, ...]:
        """The words, an output beat each: fill, address step to the next beat, beats more, beats freed."""
        following = np.append(self.places[1:], self.input.beats + self.places[0])
        steps = (following - self.places) % self.depth
        columns = [self.sources < 0, steps, self.needs, np.diff(self.freed), steps - self.depth]
        words, at = np.zeros(self.output.beats, np.int64), 0
        for bits, column in zip(self.fields, columns, strict=True):
            words |= (column.astype(np.int64) & ((1 << bits) - 1)) << at
            at += bits
        return folded(words, max(1, sum(self.fields)))

    @property
    def cycles(self) -> int:
        """The more of beats in and beats out; with a ring that is not deep enough, what it then takes."""
        return self.interval

    @cached_property
    def interval(self) -> int:
        """The same, worked out once."""
        if self.depth >= self.enough_depth:
            return max(self.input.beats, self.output.beats)
        frames, leave = 5, self.output.beats
        offered = self.schedule(np.arange(frames * self.input.beats))
        return int(offered[-1] - offered[-1 - leave])

    @property
    def latency_cycles(self) -> int:
        """The beats of the first output beat, its way through the pipeline and the buffer."""
        return int(self.schedule(np.arange(self.input.beats))[0])

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        come = self.input.beats
        arrived = arrivals[0].tolist()
        needed, freed = self.needed.tolist(), np.diff(self.freed).tolist()
        places = [-1 << 62] * (self.depth + int(self.freed[0]))
        written: list[int] = []
        read, clock = [], -1 << 62

        def write() -> None:
            beat = len(written)
            written.append(max(arrived[beat], written[-1] + 1 if beat else 0, places[beat]))

        for frame in range(len(arrived) // come):
            for need, free in zip(needed, freed, strict=True):
                while len(written) < frame * come + need:
                    write()
                clock = max(clock + 1, written[frame * come + need - 1] + 1)
                read.append(clock)
                if free:
                    places += [clock + self.RELEASE] * free
        while len(written) < len(arrived):
            write()
        return (np.asarray(written),), np.asarray(read) + self.PIPELINE + BUFFER_LATENCY

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        beats = self.input.beats
        freed = (np.arange(frames)[:, None] * beats + self.freed[1:]).ravel()
        beat = np.arange(frames * beats)
        over = np.searchsorted(freed, beat - self.depth + 1) + 1
        return (np.where(beat < self.depth + self.freed[0], 0, over),)

    def cost(self, family: str) -> Resources:
        """Ring, program, address, counts, fill, buffer."""
        total = late_ram_cost(family, self.depth, self.input.width, self.memory)
        fills, step, needs, frees, _ = self.fields
        for level in self.program:
            entries, bits = level.table.size, level.child_bits
            if entries > 1:
                total += rom_cost(family, entries, bits, "lut" if entries <= 2048 else "block")
            counter = bits_for(level.children) if level.children > 1 else 0
            total += Resources(luts=2.5 * counter, ffs=bits + counter)
        wraps = 1 if self.depth & (self.depth - 1) == 0 else 2.5
        # Two sums side by side of the places, one after the other of the beats.
        places, margin = self.most_free.bit_length() + 1, self.most_beyond.bit_length() + 2
        total += Resources(
            luts=wraps * step + 3 * places + 2 * margin + needs + 3 * step + fills * self.output.width,
            ffs=2 * step + places + margin + 2 * frees + self.input.width + self.output.width + 12,
        )
        return total + self.buffer_cost(family)
