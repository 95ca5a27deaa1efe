"""Read-only memory with a registered output: weights and thresholds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from operator import and_, or_

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.hdl.debug.upload import Uploads
from pulsefold.hdl.memory.choice import chosen
from pulsefold.hdl.memory.ram import OUTPUT_REGISTER, memory_attributes, registered_name
from pulsefold.hdl.register import data_register, delayed

__all__ = ["MAPPED_ALONE", "Rom"]


#: Bits of a word side by side, of which LUTs are one memory: Amaranth takes longer for a bit of a wider one.
_LUTS = 512

#: What names of memories in LUTs begin with: a flow may map each of them by itself.
MAPPED_ALONE = "luts"

#: Words of which a LUT has a bit.
_ONE_LUT = 16


class Rom(wiring.Component):
    """`data` follows `address` by one cycle, or by two where `late`; a single word is simply there.

    Where several words lie in a row it follows by one cycle more, through what chooses among them.

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
    rows
        Rows that the words lie in, a power of two: word a in row a mod `rows`, beside those of a - `rows`,
        a - 2 `rows` and so on; 0: a row a word. `column` then is of rows.
    """

    def __init__(
        self,
        width: int,
        words: Sequence[int],
        style: str,
        column: int = 0,
        *,
        late: bool = False,
        rows: int = 0,
    ) -> None:
        self.rows = rows or len(words)
        #: Words of a row.
        self.places = ceil_div(len(words), self.rows)
        #: Contents of each row.
        self.words = [
            sum(word << (place * width) for place, word in enumerate(words[row :: self.rows]))
            for row in range(self.rows)
        ]
        self.width = self.places * width
        self.style = style
        self.column = column or (_LUTS if style == "lut" else self.width)
        self.late = late
        #: Address of a row, and what is read of it.
        self.row = Signal(range(max(2, self.rows)))
        self.read = Signal(self.width)
        super().__init__({"address": In(range(max(2, len(words)))), "data": Out(unsigned(width))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.row.eq(self.address)
        self._choose(m, platform)
        if isinstance(platform, Uploads):
            self._writable(m, platform)
            return m
        if self.rows == 1:
            m.d.comb += self.read.eq(self.words[0])
            return m
        lows = range(0, self.width, self.column)
        m.d.comb += self.read.eq(Cat(*(self._column(m, low, platform) for low in lows)))
        return m

    def _choose(self, m, platform) -> None:
        """The word of the row that the upper bits of the address said."""
        if self.places == 1:
            m.d.comb += self.data.eq(self.read)
            return
        place = delayed(m, self.address >> (self.rows - 1).bit_length(), 1 + self.late, "place")
        width = len(self.data)
        words = [self.read[low : low + width] for low in range(0, self.width, width)]
        word = data_register(unsigned(width), "chosen")
        m.d.sync += word.eq(chosen(m, words, place, platform))
        m.d.comb += self.data.eq(word)

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
        whole = 1 << (len(part) - 1).bit_length()
        if self.style == "lut" and whole <= _ONE_LUT:
            # Where nothing is asked for stands what the address means without its highest bit. Synthesis
            # would make that bit a reset of the many flip-flops that are 0 there, and a tile has but one.
            part = part + part[len(part) - whole // 2 : whole // 2]
        memory = Memory(
            shape=unsigned(width), depth=len(part), init=part, attrs=memory_attributes(self.style)
        )
        name = f"bits{low}"
        if self.late:
            name = registered_name(name, self.style, len(part), width, platform)
        place = m
        if self.style == "lut":
            m.submodules[f"{MAPPED_ALONE}{low}"] = place = Module()
        place.submodules[name] = memory
        read = memory.read_port(domain="sync")
        word = read.data
        m.d.comb += read.addr.eq(self.row)
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
            m.d.comb += self.read.eq(kept)
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
            word, data = Signal(width, name=f"word{low}", reset_less=True), self.read[low : low + width]
            m.d.comb += [
                write.addr.eq(upload.address),
                write.data.eq(upload.data[low : low + width]),
                write.en.eq(upload.enable),
                read.addr.eq(self.row),
            ]
            m.d.sync += word.eq(read.data)
            if self.late and not name.endswith(OUTPUT_REGISTER):
                m.d.sync += data.eq(word)
            else:
                m.d.comb += data.eq(word)
