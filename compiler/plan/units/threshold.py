"""Threshold unit: a pipelined binary search over each channel's sorted thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pulsefold.compiler.ir import ElementType, type_for_range
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.base import BUFFER_LATENCY, OneInput, OneOutput, Stream, accept_times
from pulsefold.compiler.plan.units.memory import buffer_cost, memory_cost
from pulsefold.errors import FoldingError

__all__ = ["Steps", "ThresholdUnit"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """The step function of every channel, shared by the threshold unit and the matrix unit.

    n = count over t of (x >= thresholds[c, t]); y = first + step * n, or on descending channels
    first + step * (T - n); step is 2 where `type` is bipolar, else 1.
    Source: FINN (Umuroglu et al., 2017), section 4.2.2, as a search instead of a sum.

    Parameters
    ----------
    thresholds
        int64 [C, T], not decreasing along T.
    descending
        bool [C].
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

    @property
    def threshold_type(self) -> ElementType:
        """Type of a stored threshold, the padding included."""
        return type_for_range(min(0, int(self.padded.min())), int(self.padded.max()))

    @property
    def padded(self) -> np.ndarray:
        """[C, 2**stages - 1] thresholds, the added ones above every other of their channel.

        The search visits an added one only when all real ones are reached; it must then fail, so they hold
        `limit` + 1.
        """
        extra = (1 << self.stages) - 1 - self.count
        fill = np.full((self.thresholds.shape[0], extra), self.limit + 1, np.int64)
        return np.concatenate([self.thresholds, fill], axis=1)

    @property
    def adjusts(self) -> bool:
        """Whether a last stage turns counts into outputs (an offset or descending channels)."""
        return bool(self.descending.any()) or (self.first != 0 and not self.type.is_bipolar)

    @property
    def latency(self) -> int:
        """Two cycles a stage (threshold memory, comparison) and one for the adjustment."""
        return 2 * self.stages + self.adjusts

    def shifted(self, offset: np.ndarray, gain: int) -> Steps:
        """The same steps for raw = (x - offset[c]) / gain: thresholds ceil((t - offset) / gain)."""
        moved = -((offset[:, None] - self.thresholds) // gain)
        limit = int(((self.limit - offset) // gain).max())
        return replace(self, thresholds=moved, limit=limit)

    def cost(self, family: str, lanes: int, folds: int, x_bits: int) -> Resources:
        """Of the pipeline over `lanes` channels a cycle and `folds` groups of channels."""
        width = self.threshold_type.bits
        total = Resources()
        for stage in range(self.stages):
            memory = memory_cost(family, folds << stage, width, threshold_style(folds << stage))
            lane = Resources(luts=width * 0.6 + 2, ffs=2 * x_bits + width + 2 * stage + 2)
            total += Resources(
                luts=lanes * (memory.luts + lane.luts), ffs=lanes * lane.ffs, brams=lanes * memory.brams
            )
        return total + Resources(luts=lanes * (self.type.bits + 2) * self.adjusts)


def threshold_style(depth: int) -> str:
    """Memory of one lane's thresholds in one stage: LUTs while shallow."""
    return "lut" if depth <= 128 else "block"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdUnit(OneInput, OneOutput):
    """A stream of elements through their channels' step functions.

    Parameters
    ----------
    name
        Unique name.
    type
        Element type in.
    channels, pixels
        Channels, and pixels a frame.
    lanes
        Channels a beat; divides `channels`.
    steps
        The step functions, a row a channel.
    buffer_depth
        Entries of the output buffer; 0 takes enough for one beat a cycle.
    """

    name: str
    type: ElementType
    channels: int
    pixels: int
    lanes: int
    steps: Steps
    buffer_depth: int = 0

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            msg = f"{self.lanes} lanes do not divide {self.channels} channels"
            raise FoldingError(msg, where=self.name, todo="choose lanes that divide the channels")
        if self.buffer_depth == 0:
            object.__setattr__(self, "buffer_depth", self.steps.latency + 5)

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "threshold"

    @property
    def folds(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def input(self) -> Stream:
        """Elements."""
        return Stream(type=self.type, lanes=self.lanes, beats=self.pixels * self.folds)

    @property
    def output(self) -> Stream:
        """Steps reached."""
        return Stream(type=self.steps.type, lanes=self.lanes, beats=self.pixels * self.folds)

    @property
    def cycles(self) -> int:
        """One beat a cycle."""
        return self.input.beats

    @property
    def latency_cycles(self) -> int:
        """Input register, search, buffer."""
        return 1 + self.steps.latency + BUFFER_LATENCY

    def schedule(self, *arrivals: np.ndarray) -> np.ndarray:
        """Offer cycles, see :class:`~pulsefold.compiler.plan.units.base.Unit`."""
        return accept_times(arrivals[0]) + self.latency_cycles

    def cost(self, family: str) -> Resources:
        """The search, and the buffer."""
        return self.steps.cost(family, self.lanes, self.folds, self.type.bits) + buffer_cost(
            family, self.buffer_depth, self.output.width
        )
