"""Read-only memory with a registered output: weights and thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.debug.upload import Uploads
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER, memory_attributes, registered_name

__all__ = ["Rom"]


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
        Bits of each of the memories side by side that make up a word; 0: one memory.
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
        self.column = column or width
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
        for low in range(0, self.width, self.column):
            width = min(self.column, self.width - low)
            part = [(word >> low) & ((1 << width) - 1) for word in self.words]
            memory = Memory(
                shape=unsigned(width), depth=len(part), init=part, attrs=memory_attributes(self.style)
            )
            name = f"bits{low}"
            if self.late:
                name = registered_name(name, self.style, len(part), width, platform)
            m.submodules[name] = memory
            read = memory.read_port(domain="sync")
            word, data = read.data, self.data[low : low + width]
            m.d.comb += read.addr.eq(self.address)
            if self.late and not name.endswith(OUTPUT_REGISTER):
                word = Signal(width, name=f"word{low}", reset_less=True)
                m.d.sync += word.eq(read.data)
            m.d.comb += data.eq(word)
        return m

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
