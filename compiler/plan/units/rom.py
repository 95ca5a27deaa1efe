"""What memories that are only read cost on each family, and how their words lie in block RAM."""

from __future__ import annotations

from dataclasses import replace

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.choice import choice_luts
from pulsefold.compiler.plan.units.integers import ceil_div
from pulsefold.compiler.plan.units.memory import BRAM_SHAPES, block_bits, block_width, memory_cost

__all__ = ["distinct_bits", "is_too_deep", "packed_rows", "rom_cost"]

#: Width of one of two ports of an ECP5 block RAM.
_PORT = 18

#: Words side by side that are still chosen among in one cycle.
_MOST_PLACES = 32


def rom_cost(family: str, depth: int, width: int, style: str, rows: int = 0) -> Resources:
    """Cost of a memory that is only read, ``"block"`` or ``"lut"``, whose words lie in `rows`; 0: one each.

    On ECP5 the last of its columns counts half where it takes one port and half the contents of a block: the
    flow gives the rest to another such memory.
    """
    if rows:
        places = ceil_div(depth, rows)
        packed = rom_cost(family, rows, places * width, style)
        choice = Resources(luts=width * choice_luts(family, places), ffs=width + 2 * places.bit_length())
        return replace(packed, bram_bits=depth * width) + choice
    if style == "lut":
        # A single word is wired.
        return Resources(luts=width * max(0.5, rom_luts(family, depth)) * (depth > 1))
    cost = memory_cost(family, depth, width, style)
    if family != "ecp5":
        return cost
    column = block_width(family, depth)
    last = width - (ceil_div(width, column) - 1) * column
    half = any(w <= _PORT and last <= w and 2 * depth <= d for d, w in BRAM_SHAPES[family])
    return replace(cost, brams=cost.brams - 0.5) if half else cost


def packed_rows(family: str, depth: int, width: int) -> int:
    """Rows in which words of block RAM lie side by side so as to claim the fewest blocks.

    0 where a row a word claims as few, unless that is deeper than any block: what chooses among blocks one
    above the other would stand between them and their output registers. Rows are as many as a block has in
    one of its shapes that leave no bit out: its deepest do, and a depth that is no power of two leaves much
    of any.
    """
    whole = [d for d, w in BRAM_SHAPES[family] if d * w == block_bits(family)]
    layouts = [
        (rom_cost(family, depth, width, "block", rows).brams, -rows, rows)
        for rows in whole
        if rows < depth <= _MOST_PLACES * rows
    ]
    best = min(layouts, default=(float("inf"), 0, 0))
    plain = rom_cost(family, depth, width, "block").brams
    return best[2] if best[0] < plain or (best[0] == plain and is_too_deep(family, depth)) else 0


def is_too_deep(family: str, depth: int) -> bool:
    """Whether a word a row is more than a block RAM is deep, and blocks have output registers to be kept."""
    return family == "ecp5" and depth > max(d for d, _ in BRAM_SHAPES[family])


def distinct_bits(depth: int, width: int) -> int:
    """Bits of a ROM in LUTs that synthesis keeps of `width`: those that are alike in all words are one.

    Expected of random contents: (n - 2) (1 - (1 - 1/n)**width) of the n = 2**depth that a bit may be, two of
    which are constants.
    """
    if depth > 16:
        return width
    n = 1 << depth
    return round((n - 2) * (1 - (1 - 1 / n) ** width))


def rom_luts(family: str, depth: int) -> float:
    """LUTs of a bit of a ROM: one for 16 words.

    With multiplexers beside the LUTs, 2, 4 or 8 of them are one, and more of them need others to choose.
    Between these depths synthesis saves about half of what the words that are not there would take. iCE40 and
    Nexus, whose multiplexers synthesis leaves out, choose by LUTs, on Nexus by as many again.
    """
    if family == "ice40":
        return depth / 16 * 1.25
    if family == "nexus" and depth > 16:
        return depth / 8
    if depth <= 16:
        return min(1.0, depth / 16 * 1.25 + 0.17 * (depth > 8))
    whole = (1 << (depth - 1).bit_length() - 4) * (1 if depth <= 128 else 1.125)
    return (whole + depth / 16) / 2
