"""What units have in common that take some channels of one pixel a cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from pulsefold.compiler.plan.units.integers import bits_for
from pulsefold.compiler.plan.units.memory import memory_cost
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.errors import FoldingError

__all__ = ["Elementwise", "Pixelwise", "SpreadJoin", "lanes_error"]

#: Beats of a frame up to which tables lie in LUTs.
_SHALLOW = 128


def lanes_error(name: str, lanes: int, channels: int) -> FoldingError:
    """Lanes that do not divide the channels, with the next fewer that do."""
    near = max(d for d in range(1, lanes) if channels % d == 0)
    msg = f"{lanes} lanes do not divide {channels} channels"
    return FoldingError(msg, where=name, todo=f"the next fewer lanes that do are {near}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pixelwise(OneOutput):
    """Beats of some channels of one pixel through a pipeline that never stalls.

    Parameters
    ----------
    name
        Unique name.
    channels, pixels
        Channels, and pixels a frame.
    lanes
        Channels a beat; divides `channels`.
    output_type
        Element type out.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one beat a cycle.
    """

    name: str
    channels: int
    pixels: int
    lanes: int
    output_type: ElementType
    buffer_depth: int = 0

    if TYPE_CHECKING:

        @property
        def pipeline(self) -> int:
            """Cycles from taking a beat to the buffer."""
            ...

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            raise lanes_error(self.name, self.lanes, self.channels)
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.pipeline + BUFFER_LATENCY + 2)

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def output(self) -> Stream:
        """A beat for every pixel and fold."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.pixels * self.folds)

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.pixels * self.folds

    @property
    def latency_cycles(self) -> int:
        """The pipeline and the buffer."""
        return self.pipeline + BUFFER_LATENCY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elementwise(OneInput, Pixelwise):
    """One beat out for each beat in; what is no parameter here is one of :class:`Pixelwise`.

    Parameters
    ----------
    type
        Element type in.
    """

    type: ElementType

    @property
    def input(self) -> Stream:
        """Elements."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.pixels * self.folds)

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = accept_times(arrivals[0])
        return (taken,), taken + self.latency_cycles

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return (np.arange(1, frames * self.input.beats + 1),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadJoin(Pixelwise):
    """A beat is taken from every input at once; of a spread one only for the first pixel, and kept.

    What is no parameter here is one of :class:`Pixelwise`.

    Parameters
    ----------
    types
        Element type of each input.
    spread
        Whether an input has one pixel a frame; not all of them, unless `pixels` is 1.
    tables
        Of an input that is the same in every frame its integers, int64 (H, W, C), at most one element a place
        of the frame: no stream, but a memory that each beat reads a word of. Empty where there is none.
    style
        ``"lut"`` or ``"block"``, of the memories of tables; empty takes LUTs while shallow.
    """

    types: tuple[ElementType, ...]
    spread: tuple[bool, ...]
    tables: tuple[np.ndarray | None, ...] = ()
    style: str = ""

    @property
    def flows(self) -> tuple[bool, ...]:
        """Which inputs are streams."""
        return tuple(t is None for t in self.tables) if self.tables else (True,) * len(self.types)

    @property
    def memory(self) -> str:
        """Style of the memories of tables."""
        return self.style or ("lut" if self.cycles <= _SHALLOW else "block")

    @property
    def read_latency(self) -> int:
        """Cycles from taking a beat to its words: a memory's, and those of a block RAM are registered."""
        return 1 if all(self.flows) or self.memory == "lut" else 2

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Operands."""
        return tuple(
            Stream(type=kind, lanes=self.lanes, beats=self.folds * (1 if alone else self.pixels))
            for kind, alone, flows in zip(self.types, self.spread, self.flows, strict=True)
            if flows
        )

    @property
    def alone(self) -> tuple[bool, ...]:
        """Of each stream, whether it is spread."""
        return tuple(s for s, flows in zip(self.spread, self.flows, strict=True) if flows)

    def table(self, k: int) -> np.ndarray:
        """Input `k`, a table, int64 [pixels, C]."""
        table = self.tables[k]
        assert table is not None
        return table.reshape(self.pixels, self.channels)

    def words(self, k: int) -> list[int]:
        """Contents of the memory of table `k`: the beats of a frame."""
        beats = self.table(k).reshape(-1, self.lanes)
        encoded = self.types[k].encode(beats).astype(object)
        return [int(w) for w in (encoded << np.arange(self.lanes) * self.types[k].bits).sum(axis=1)]

    def moves(self, *arrivals: np.ndarray) -> Moves:
        """Cycles of taking and offering, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        beats = self.pixels * self.folds
        frames = max(len(a) for a in arrivals) // beats
        waits = np.zeros((frames, beats), np.int64)
        for alone, arrival in zip(self.alone, arrivals, strict=True):
            part = waits[:, : self.folds] if alone else waits
            np.maximum(part, arrival.reshape(frames, -1), out=part)
        taken = accept_times(waits.ravel())
        return self.each(taken), taken + self.latency_cycles

    def claims(self, frames: int) -> tuple[np.ndarray, ...]:
        """Places taken in the output buffer, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return self.each(np.arange(1, frames * self.pixels * self.folds + 1))

    def each(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of a value a step, those of the beats of each input."""
        steps = values.reshape(-1, self.pixels * self.folds)
        return tuple((steps[:, : self.folds] if alone else steps).ravel() for alone in self.alone)

    def kept_cost(self, family: str) -> Resources:
        """Of what keeps the spread inputs, and of the tables."""
        total = Resources()
        for stream, alone in zip(self.inputs, self.alone, strict=True):
            if alone and self.pixels > 1:
                total += memory_cost(family, self.folds, stream.width, "ram") + Resources(luts=stream.width)
            total += Resources(ffs=stream.width * self.read_latency)
        for kind, flows in zip(self.types, self.flows, strict=True):
            if not flows:
                width = kind.bits * self.lanes
                total += rom_cost(family, self.cycles, width, self.memory)
                total += Resources(luts=bits_for(self.cycles), ffs=bits_for(self.cycles))
        return total
