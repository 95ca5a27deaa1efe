"""Memory that is read in two cycles, as fast block RAM wants it."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.memory import (
    BRAM_SHAPES,
    LUT_WORDS,
    block_width,
    parts_of,
    rows_of_lut_ram,
)
from pulsefold.hdl.memory.choice import chosen
from pulsefold.hdl.register import delayed
from pulsefold.hdl.technology import is_ecp5

__all__ = ["OUTPUT_REGISTER", "LateRam", "memory_attributes", "registered_name", "small_attributes"]

#: Ends the name of a memory whose second register is the block RAM's own: synthesis knows of one register,
#: and the flow switches on the other, which Yosys does not infer.
OUTPUT_REGISTER = "_outreg"


def memory_attributes(style: str) -> dict[str, str]:
    """Synthesis attributes of a memory of a style of ``compiler.plan.units.memory``."""
    styles = {"block": "block", "lut": "logic", "ram": "auto", "small": "distributed"}
    return {"ram_style": styles[style]}


def small_attributes(platform: object) -> dict[str, str]:
    """Synthesis attributes of a RAM that stays small, as ``compiler.plan.units.memory.small_cost`` has it.

    Without them a register behind the memory is taken for block RAM's. iCE40, which has no LUT RAM, refuses
    to make one.
    """
    return memory_attributes("lut" if getattr(platform, "family", None) == "ice40" else "small")


def registered_name(name: str, style: str, depth: int, width: int, platform: object) -> str:
    """`name`, ending in :data:`OUTPUT_REGISTER` where the block RAM's output register is to be used.

    Only single block RAMs: where several make up a depth, synthesis puts logic between them and their
    register.
    """
    whole = depth <= max(d for d, _ in BRAM_SHAPES["ecp5"]) and width <= block_width("ecp5", depth)
    return name + OUTPUT_REGISTER if is_ecp5(platform) and style == "block" and whole else name


class LateRam(wiring.Component):
    """`read_data` follows `read_address` by two cycles; it must not be read where it is just written.

    On ECP5 the second register of block RAM is the block's own: 0.96 ns from clock to output in place
    of 5.8 ns. There, the memory may be several parts, the last of them LUT RAM. The upper bits of the address
    choose among them, behind the second register; see
    :func:`~pulsefold.compiler.plan.units.memory.parts_of`.

    Parameters
    ----------
    width, depth
        Bits of a word, and words.
    style
        ``"block"``, ``"ram"`` or ``"small"``, see :func:`~pulsefold.compiler.plan.units.memory.memory_cost`,
        or ``"full"`` for block RAM as far as it is full.
    """

    def __init__(self, width: int, depth: int, style: str) -> None:
        self.width, self.depth, self.style = width, depth, style
        address = range(max(2, depth))
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(unsigned(width)),
                "read_address": In(address),
                "read_data": Out(unsigned(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = parts_of("ecp5" if is_ecp5(platform) else "", self.depth, self.width, self.style)
        (first, style), *others = parts
        if not others:
            m.d.comb += self.read_data.eq(self._part(m, "", first, style, self.write_enable, platform))
            return m
        bits = (first - 1).bit_length()
        writes, reads = self.write_address >> bits, self.read_address >> bits
        words = [
            self._part(m, f"part{k}_", words, style, self.write_enable & (writes == k), platform)
            for k, (words, style) in enumerate(parts)
        ]
        m.d.comb += self.read_data.eq(chosen(m, words, delayed(m, reads, 2, "part"), platform))
        return m

    def _part(self, m, name: str, depth: int, style: str, write_enable: Value, platform) -> Value:
        """What is read of `depth` words of the lowest bits of the addresses, which are written if enabled."""
        if style == "small" and depth < self.depth:
            m.submodules[f"{name}small"] = inner = LateRam(self.width, depth, style)
            m.d.comb += [
                inner.write_enable.eq(write_enable),
                inner.write_address.eq(self.write_address),
                inner.write_data.eq(self.write_data),
                inner.read_address.eq(self.read_address),
            ]
            return inner.read_data
        rows = rows_of_lut_ram("ecp5" if is_ecp5(platform) else "", depth)
        if style == "small" and rows > 1:
            return self._rows(m, name, depth, rows, write_enable, platform)
        column = block_width("ecp5", depth) if style == "block" and is_ecp5(platform) else self.width
        read_data = Signal(self.width, name=f"{name}data")
        for low in range(0, self.width, column):
            width = min(column, self.width - low)
            here = registered_name(f"{name}bits{low}", style, depth, width, platform)
            memory = Memory(shape=unsigned(width), depth=depth, init=[], attrs=memory_attributes(style))
            m.submodules[here] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            data = read_data[low : low + width]
            m.d.comb += [
                write.addr.eq(self.write_address),
                write.data.eq(self.write_data[low : low + width]),
                write.en.eq(write_enable),
            ]
            word = Signal(width, name=f"{name}word{low}", reset_less=True)
            m.d.sync += word.eq(read.data)
            if style != "block":
                # LUT RAM is read behind an address register: multiplexers stand between it and its output.
                m.d.sync += read.addr.eq(self.read_address)
                m.d.comb += data.eq(word)
                continue
            m.d.comb += read.addr.eq(self.read_address)
            if here.endswith(OUTPUT_REGISTER):
                m.d.comb += data.eq(word)
            else:
                m.d.sync += data.eq(word)
        return read_data

    def _rows(self, m, name: str, depth: int, rows: int, write_enable: Value, platform) -> Value:
        """The same of LUT RAM, made of rows."""
        address = Signal(range(depth), name=f"{name}address", reset_less=True)
        m.d.sync += address.eq(self.read_address)
        low = LUT_WORDS.bit_length() - 1
        written = self.write_address[: len(address)] >> low
        words = []
        for row in range(rows):
            memory = Memory(
                shape=unsigned(self.width), depth=LUT_WORDS, init=[], attrs=memory_attributes("small")
            )
            m.submodules[f"{name}row{row}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.addr.eq(self.write_address),
                write.data.eq(self.write_data),
                write.en.eq(write_enable & (written == row)),
                read.addr.eq(address),
            ]
            words.append(read.data)
        word = Signal(self.width, name=f"{name}word", reset_less=True)
        m.d.sync += word.eq(chosen(m, words, address[low:], platform))
        return word
