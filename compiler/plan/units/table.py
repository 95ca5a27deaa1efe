"""Table unit: any function of one narrow integer, read from a memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.pixelwise import Elementwise
from pulsefold.compiler.plan.units.rom import rom_cost
from pulsefold.compiler.plan.units.threshold import threshold_style

__all__ = ["TableUnit"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableUnit(Elementwise):
    """y[c] = values[c, x - least], one beat a cycle, a memory a lane.

    Streams and fold are those of :class:`~pulsefold.compiler.plan.units.pixelwise.Elementwise`.

    Parameters
    ----------
    values
        int64 [1 or C, entries], one for each integer of the input's type, least first.
    style
        ``"lut"`` or ``"block"``, of the memories; empty takes the one that the deepest is for.
    """

    values: np.ndarray
    style: str = ""

    @property
    def kind(self) -> str:
        """Stem of the circuit."""
        return "table"

    def rows(self, lane: int) -> np.ndarray:
        """[folds or 1, entries]: what a lane reads; one row where all folds have the same."""
        rows = self.values[lane :: self.lanes] if len(self.values) > 1 else self.values
        return rows[:1] if np.all(rows == rows[0]) else rows

    def words(self, lane: int) -> list[int]:
        """Contents of a lane's memory: word (fold, bit pattern of x)."""
        patterns = np.arange(1 << self.type.bits)
        # Patterns that no integer has hold the last entry.
        entries = np.minimum(self.type.decode(patterns) - self.type.minimum, self.values.shape[1] - 1)
        words = self.output_type.encode(self.rows(lane)[:, np.maximum(entries, 0)])
        return [int(w) for w in words.ravel()]

    @property
    def memory(self) -> str:
        """Style of the memories."""
        return self.style or threshold_style(self.deepest)

    @property
    def deepest(self) -> int:
        """Words of the deepest memory."""
        return max(len(self.rows(lane)) for lane in range(self.lanes)) << self.type.bits

    @property
    def read_latency(self) -> int:
        """Cycles of the memory; a block RAM's output is registered once more."""
        return 2 if self.memory == "block" else 1

    @property
    def pipeline(self) -> int:
        """Cycles from taking a beat to the buffer: input register, memory."""
        return 1 + self.read_latency

    def cost(self, family: str) -> Resources:
        """Memories, registers, buffer."""
        total = Resources(luts=20, ffs=self.input.width + self.output.width + 10)
        for lane in range(self.lanes):
            depth = len(self.rows(lane)) << self.type.bits
            total += rom_cost(family, depth, self.output_type.bits, self.memory)
        return total + self.buffer_cost(family)
