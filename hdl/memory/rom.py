"""Read-only memory with a registered output: weights and thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.memory.buffer import memory_attributes

__all__ = ["Rom"]


class Rom(wiring.Component):
    """`data` follows `address` by one cycle.

    Parameters
    ----------
    width
        Bits of a word.
    words
        Contents.
    style
        ``"block"`` or ``"lut"``.
    column
        Bits of each of the memories side by side that make up a word; 0: one memory.
    """

    def __init__(self, width: int, words: Sequence[int], style: str, column: int = 0) -> None:
        self.words = list(words)
        self.width = width
        self.style = style
        self.column = column or width
        super().__init__({"address": In(range(max(2, len(self.words)))), "data": Out(unsigned(width))})

    def elaborate(self, platform):
        m = Module()
        if len(self.words) == 1:
            m.d.comb += self.data.eq(self.words[0])
            return m
        for low in range(0, self.width, self.column):
            width = min(self.column, self.width - low)
            part = [(word >> low) & ((1 << width) - 1) for word in self.words]
            memory = Memory(
                shape=unsigned(width), depth=len(part), init=part, attrs=memory_attributes(self.style)
            )
            m.submodules[f"bits{low}"] = memory
            read = memory.read_port(domain="sync")
            m.d.comb += [read.addr.eq(self.address), self.data[low : low + width].eq(read.data)]
        return m
