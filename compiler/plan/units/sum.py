"""Sum of streams: residual additions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.affine import Affine, as_slow, tree_cost
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, OneOutput, Stream, accept_times
from pulsefold.compiler.plan.units.memory import buffer_cost, memory_cost
from pulsefold.errors import FoldingError

__all__ = ["SumUnit", "pixel_takes"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SumUnit(OneOutput):
    """y[h, w, c] = sum over i of gains[i] * x_i[h, w, c]; a spread x_i has one pixel, which counts for all.

    A beat is taken from every input at once; of a spread one only for the first pixel of a frame, and kept.

    Parameters
    ----------
    name
        Unique name.
    types
        Element type of each input.
    gains
        One integer an input.
    spread
        Whether an input has one pixel a frame; not all of them, unless `pixels` is 1.
    channels, pixels
        Channels, and pixels a frame.
    lanes
        Channels a beat; divides `channels`.
    output_type
        Element type out, which holds every sum.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one beat a cycle.
    """

    name: str
    types: tuple[ElementType, ...]
    gains: tuple[int, ...]
    spread: tuple[bool, ...]
    channels: int
    pixels: int
    lanes: int
    output_type: ElementType
    buffer_depth: int = 0

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            msg = f"{self.lanes} lanes do not divide {self.channels} channels"
            raise FoldingError(msg, where=self.name, todo="choose lanes that divide the channels")
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.latency_cycles + 2)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "sum"

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Terms."""
        return tuple(
            Stream(type=kind, lanes=self.lanes, beats=self.folds * (1 if spread else self.pixels))
            for kind, spread in zip(self.types, self.spread, strict=True)
        )

    @property
    def output(self) -> Stream:
        """Sums."""
        return Stream(type=self.output_type, lanes=self.lanes, beats=self.pixels * self.folds)

    @cached_property
    def products(self) -> list[Affine]:
        """gain * x of each input, all of one latency."""
        return as_slow(
            [
                Affine(multiplier=(gain,), addend=(0,), low=kind.minimum, high=kind.maximum)
                for gain, kind in zip(self.gains, self.types, strict=True)
            ]
        )

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: input register, products, adder tree."""
        return 1 + self.products[0].latency + (len(self.types) - 1).bit_length()

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.output.beats

    @property
    def latency_cycles(self) -> int:
        """The pipeline and the buffer."""
        return self.pipeline + BUFFER_LATENCY

    def takes(self, *arrivals: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cycles in which beats are taken, see :class:`~pulsefold.compiler.plan.units.base.Join`."""
        return pixel_takes(self.output.beats, self.folds, self.spread, arrivals)

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        taken = self.takes(*arrivals)
        return max(taken, key=len) + self.latency_cycles

    def cost(self, family: str) -> Resources:
        """Products, adder tree, what keeps spread inputs, buffer."""
        lane = tree_cost([p.range for p in self.products])
        for product in self.products:
            lane += product.cost(family)
        total = Resources(
            luts=lane.luts * self.lanes + 12,
            ffs=lane.ffs * self.lanes + sum(s.width for s in self.inputs) + self.pipeline,
            dsps=lane.dsps * self.lanes,
        )
        for stream, spread in zip(self.inputs, self.spread, strict=True):
            if spread and self.pixels > 1:
                total += memory_cost(family, self.folds, stream.width, "ram") + Resources(luts=stream.width)
        return total + buffer_cost(family, self.buffer_depth, self.output.width)


def pixel_takes(
    beats: int, folds: int, spread: tuple[bool, ...], arrivals: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Cycles in which a join takes the beats of its inputs, one from each at once.

    Parameters
    ----------
    beats
        Beats a frame of the inputs that are not spread.
    folds
        Beats a pixel.
    spread
        Whether an input has one pixel a frame, which goes with the first of the others.
    arrivals
        Cycles from which beats wait, an array an input.
    """
    frames = max(len(a) for a in arrivals) // beats
    waits = np.zeros((frames, beats), np.int64)
    for alone, arrival in zip(spread, arrivals, strict=True):
        part = waits[:, :folds] if alone else waits
        np.maximum(part, arrival.reshape(frames, -1), out=part)
    taken = accept_times(waits.ravel()).reshape(frames, beats)
    return tuple((taken[:, :folds] if alone else taken).ravel() for alone in spread)
