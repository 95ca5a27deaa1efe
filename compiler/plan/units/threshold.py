"""Threshold unit: a pipelined binary search over each channel's sorted thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from pulsefold.compiler.ir import ElementType, type_for_range
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.pixelwise import Elementwise
from pulsefold.compiler.plan.units.rom import rom_cost

__all__ = ["Steps", "ThresholdUnit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """The step function of every channel, shared by the threshold unit and the matrix unit.

    n = count over t of (x >= thresholds[c, t]); y = first + step * n, or on descending channels
    first + step * (T - n); step is 2 where `type` is bipolar, else 1.
    Source: FINN (Umuroglu et al., 2017), section 4.2.2, as a search instead of a sum.

    Parameters
    ----------
    thresholds
        int64 [C, T], not decreasing along T; one row where all channels are alike.
    descending
        bool [C], as many.
    first
        Output at n = 0 of an ascending channel.
    type
        Output element type.
    limit
        Greatest input that can occur.
    """

    thresholds: np.ndarray
    descending: np.ndarray
    first: int
    type: ElementType
    limit: int

    @property
    def count(self) -> int:
        """Thresholds a channel, T."""
        return self.thresholds.shape[1]

    @property
    def stages(self) -> int:
        """Comparisons one after the other: ceil(log2(T + 1))."""
        return self.count.bit_length()

    @cached_property
    def threshold_type(self) -> ElementType:
        """Type of a stored threshold, the padding included."""
        return type_for_range(min(0, int(self.padded.min())), int(self.padded.max()))

    @cached_property
    def padded(self) -> np.ndarray:
        """[C, 2**stages - 1] thresholds, the added ones above every other of their channel.

        The search visits an added one only when all real ones are reached; it must then fail, so they hold
        `limit` + 1.
        """
        extra = (1 << self.stages) - 1 - self.count
        fill = np.full((self.thresholds.shape[0], extra), self.limit + 1, np.int64)
        return np.concatenate([self.thresholds, fill], axis=1)

    def folds(self, lanes: int) -> int:
        """Groups of so many channels whose thresholds are not the same."""
        return max(1, len(self.thresholds) // lanes)

    @property
    def adjusts(self) -> bool:
        """Whether a last stage turns counts into outputs (an offset or descending channels)."""
        return bool(self.descending.any()) or (self.first != 0 and not self.type.is_bipolar)

    def read_latency(self, stage: int, folds: int) -> int:
        """Cycles of a stage's memory; a block RAM's output is registered once more."""
        return 2 if threshold_style(folds << stage) == "block" else 1

    def latency(self, folds: int) -> int:
        """Cycles of the search over `folds` groups of channels.

        Each stage's memory, a cycle a stage for the comparison, and one for the adjustment.
        """
        reads = sum(self.read_latency(stage, folds) for stage in range(self.stages))
        return reads + self.stages + self.adjusts

    def shifted(self, offset: np.ndarray, gain: int) -> Steps:
        """The same steps for raw = (x - offset[c]) / gain: thresholds ceil((t - offset) / gain)."""
        moved = -((offset[:, None] - self.thresholds) // gain)
        limit = int(((self.limit - offset) // gain).max())
        return replace(self, thresholds=moved, limit=limit)

    def cost(self, family: str, lanes: int, folds: int, x_bits: int) -> Resources:
        """Of the pipeline over `lanes` channels a cycle and `folds` groups of channels."""
        width = self.threshold_type.bits
        row = (folds - 1).bit_length()
        # The number of the group comes along.
        total = Resources(luts=2 * row, ffs=2 * row)
        for stage in range(self.stages):
            depth = folds << stage
            memory = rom_cost(family, depth, width, threshold_style(depth))
            reads = self.read_latency(stage, folds)
            held = (reads + 1) * (x_bits + 1) + width * (reads == 1) + (reads + 1) * stage
            # Synthesis mixes tables in LUTs with the comparison behind them, larger ones to their cost.
            compared = width * (0.6 if threshold_style(depth) == "lut" else 1.15) + 2
            mixed = 0.6 * memory.luts * (depth > 32)
            total += (memory + Resources(luts=compared + mixed, ffs=held)) * lanes
            total += Resources(ffs=(reads + 1) * row)
        return total + Resources(luts=lanes * (self.type.bits + 2) * self.adjusts)


def threshold_style(depth: int) -> str:
    """Memory of one lane's thresholds in one stage: LUTs while shallow."""
    return "lut" if depth <= 128 else "block"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdUnit(Elementwise):
    """A stream of elements through their channels' step functions.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.Elementwise`.

    Parameters
    ----------
    steps
        The step functions, a row a channel or one for all.
    """

    steps: Steps
    output_type: ElementType = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "output_type", self.steps.type)
        Elementwise.__post_init__(self)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "threshold"

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: input register, search."""
        return 1 + self.steps.latency(self.steps.folds(self.lanes))

    def cost(self, family: str) -> Resources:
        """The search, and the buffer."""
        folds = self.steps.folds(self.lanes)
        return self.steps.cost(family, self.lanes, folds, self.type.bits) + self.buffer_cost(family)
