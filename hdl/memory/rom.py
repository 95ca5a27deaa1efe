"""Read-only memory with a registered output: weights and thresholds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from operator import and_, or_

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.debug.upload import Uploads
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER, memory_attributes, registered_name

__all__ = ["Rom"]


#: Bits of a word side by side, of which LUTs are one memory: Amaranth takes longer for a bit of a wider one.
_LUTS = 512


class Rom(wiring.Component):
    """`data` follows `address` by one cycle, or by two where `late`; a single word is simply there.

    Parameters
    ----------
    width
        Bits of a word.
    words
        Contents.
    style
        ``"block"`` or ``"lut"``.
    column
        Bits of each of the memories side by side that make up a word; 0: one block RAM, or LUTs.
    late
        Register the output once more: on ECP5 the block RAM's own register, see
        :class:`~pulsefold.hdl.memory.ram.LateRam`.
    """

    def __init__(
        self, width: int, words: Sequence[int], style: str, column: int = 0, *, late: bool = False
    ) -> None:
        self.words = list(words)
        self.width = width
        self.style = style
        self.column = column or (_LUTS if style == "lut" else width)
        self.late = late
        super().__init__({"address": In(range(max(2, len(self.words)))), "data": Out(unsigned(width))})

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, Uploads):
            self._writable(m, platform)
            return m
        if len(self.words) == 1:
            m.d.comb += self.data.eq(self.words[0])
            return m
        lows = range(0, self.width, self.column)
        m.d.comb += self.data.eq(Cat(*(self._column(m, low, platform) for low in lows)))
        return m

    def _column(self, m, low: int, platform) -> Value:
        """What one of the memories gives, whose lowest bit is at `low`.

        A bit that is the same in all words is wired. In a register it would be one that changes once, after
        the configuration: synthesis makes one of all those of a design, and the clock waits for its wires.
        """
        data = Signal(min(self.column, self.width - low), name=f"data{low}")
        words = [(word >> low) & ((1 << len(data)) - 1) for word in self.words]
        ones, zeros = functools.reduce(and_, words), ~functools.reduce(or_, words)
        vary = [k for k in range(len(data)) if not ((ones | zeros) >> k) & 1]
        m.d.comb += [data[k].eq((ones >> k) & 1) for k in range(len(data)) if k not in vary]
        if not vary:
            return data
        width = len(vary)
        part = words
        if width < len(data):
            part = [sum(((word >> k) & 1) << n for n, k in enumerate(vary)) for word in words]
        memory = Memory(
            shape=unsigned(width), depth=len(part), init=part, attrs=memory_attributes(self.style)
        )
        name = f"bits{low}"
        if self.late:
            name = registered_name(name, self.style, len(part), width, platform)
        m.submodules[name] = memory
        read = memory.read_port(domain="sync")
        word = read.data
        m.d.comb += read.addr.eq(self.address)
        if self.late and not name.endswith(OUTPUT_REGISTER):
            word = Signal(width, name=f"word{low}", reset_less=True)
            m.d.sync += word.eq(read.data)
        m.d.comb += Cat(data[k] for k in vary).eq(word)
        return data

    def _writable(self, m, uploads: Uploads) -> None:
        """The same in RAM, with a port to be written by."""
        words = [0] * len(self.words) if uploads.blank else self.words
        upload = uploads.add(self.words, self.width)
        if len(words) == 1:
            # A reset of the network leaves it, as it leaves memories.
            kept = Signal(self.width, init=words[0], reset_less=True)
            with m.If(upload.enable):
                m.d.sync += kept.eq(upload.data)
            m.d.comb += self.data.eq(kept)
            return
        style = "block" if self.style == "block" else "ram"
        for low in range(0, self.width, self.column):
            width = min(self.column, self.width - low)
            part = [(word >> low) & ((1 << width) - 1) for word in words]
            memory = Memory(shape=unsigned(width), depth=len(part), init=part, attrs=memory_attributes(style))
            name = f"bits{low}"
            if self.late:
                name = registered_name(name, style, len(part), width, uploads)
            m.submodules[name] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            word, data = Signal(width, name=f"word{low}", reset_less=True), self.data[low : low + width]
            m.d.comb += [
                write.addr.eq(upload.address),
                write.data.eq(upload.data[low : low + width]),
                write.en.eq(upload.enable),
                read.addr.eq(self.address),
            ]
            m.d.sync += word.eq(read.data)
            if self.late and not name.endswith(OUTPUT_REGISTER):
                m.d.sync += data.eq(word)
            else:
                m.d.comb += data.eq(word)
