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
    """

    def __init__(self, width: int, words: Sequence[int], style: str) -> None:
        self.words = list(words)
        self.width = width
        self.style = style
        super().__init__({"address": In(range(max(2, len(self.words)))), "data": Out(unsigned(width))})

    def elaborate(self, platform):
        m = Module()
        if len(self.words) == 1:
            m.d.comb += self.data.eq(self.words[0])
            return m
        m.submodules.memory = memory = Memory(
            shape=unsigned(self.width), depth=len(self.words), init=self.words, attrs=memory_attributes(self.style)
        )
        read = memory.read_port(domain="sync")
        m.d.comb += [read.addr.eq(self.address), self.data.eq(read.data)]
        return m
