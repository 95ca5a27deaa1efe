"""Memory that is read in two cycles, as fast block RAM wants it."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.memory import BRAM_SHAPES, block_width
from pulsefold.hdl.technology import is_ecp5

__all__ = ["OUTPUT_REGISTER", "LateRam", "memory_attributes", "registered_name"]

#: Ends the name of a memory whose second register is the block RAM's own: synthesis knows of one register,
#: and the flow switches on the other, which Yosys does not infer.
OUTPUT_REGISTER = "_outreg"


def memory_attributes(style: str) -> dict[str, str]:
    """Synthesis attributes of a memory of a style of ``compiler.plan.units.memory``."""
    styles = {"block": "block", "lut": "logic", "ram": "auto", "small": "distributed"}
    return {"ram_style": styles[style]}


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
    of 5.8 ns.

    Parameters
    ----------
    width, depth
        Bits of a word, and words.
    style
        ``"block"``, ``"ram"`` or ``"small"``, see :func:`~pulsefold.compiler.plan.units.memory.memory_cost`.
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
        column = (
            block_width("ecp5", self.depth) if self.style == "block" and is_ecp5(platform) else self.width
        )
        for low in range(0, self.width, column):
            width = min(column, self.width - low)
            name = registered_name(f"bits{low}", self.style, self.depth, width, platform)
            memory = Memory(
                shape=unsigned(width), depth=self.depth, init=[], attrs=memory_attributes(self.style)
            )
            m.submodules[name] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            data = self.read_data[low : low + width]
            m.d.comb += [
                write.addr.eq(self.write_address),
                write.data.eq(self.write_data[low : low + width]),
                write.en.eq(self.write_enable),
            ]
            word = Signal(width, name=f"word{low}", reset_less=True)
            m.d.sync += word.eq(read.data)
            if self.style != "block":
                # LUT RAM is read behind an address register: multiplexers stand between it and its output.
                m.d.sync += read.addr.eq(self.read_address)
                m.d.comb += data.eq(word)
                continue
            m.d.comb += read.addr.eq(self.read_address)
            if name.endswith(OUTPUT_REGISTER):
                m.d.comb += data.eq(word)
            else:
                m.d.sync += data.eq(word)
        return m
