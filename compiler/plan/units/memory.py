"""What memories cost on each family: block RAM geometries, LUT RAM, stream buffers."""

from __future__ import annotations

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.choice import choice_luts
from pulsefold.compiler.plan.units.integers import ceil_div

__all__ = [
    "BRAM_SHAPES",
    "FRONT_DEPTH",
    "LUT_WORDS",
    "becomes_block",
    "block_bits",
    "block_width",
    "brams_for",
    "buffer_cost",
    "buffer_lag",
    "buffer_style",
    "late_ram_brams",
    "late_ram_cost",
    "memory_cost",
    "parts_of",
    "rows_of_lut_ram",
    "small_cost",
]

#: (depth, width) of one block RAM as the synthesis tool maps it, by family.
BRAM_SHAPES = {
    "ecp5": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    "gowin": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    "nexus": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    "ice40": ((256, 16), (512, 8), (1024, 4), (2048, 2)),
}

#: Entries of the small buffer in front of a deep one's block RAM: the way round by the ring takes five
#: cycles.
FRONT_DEPTH = 8

#: Words, and bits, up to which LUT RAM takes the rest of a memory whose other parts are block RAM.
_FEW_WORDS, _FEW_BITS = 128, 2048

#: Share of a block RAM that is full.
_FULL = 0.85

#: Words of LUTs as RAM on ECP5.
LUT_WORDS = 16

#: Words of a part of deep LUT RAM: one of 16 LUTs is chosen in its cycle.
_SMALL_PART = 256

#: Parts of a memory that are still chosen among in one cycle.
_MOST_PARTS = 8


def block_bits(family: str) -> int:
    """Bits of a block RAM; its deepest shapes leave some of them out."""
    return max(depth * width for depth, width in BRAM_SHAPES[family])


def block_width(family: str, depth: int) -> int:
    """Widest port of a block RAM that is at least `depth` deep, the deepest one's where none is.

    A memory is cut into columns of this width: block RAMs side by side need no multiplexer behind their slow
    outputs, block RAMs one above the other do.
    """
    shapes = BRAM_SHAPES[family]
    return next((w for d, w in shapes if d >= depth), shapes[-1][1])


def brams_for(family: str, depth: int, width: int) -> int:
    """Block RAMs for `depth` words of `width` bits, cut into columns of :func:`block_width`."""
    column = block_width(family, depth)
    deep = next(d for d, w in BRAM_SHAPES[family] if w == column)
    return ceil_div(depth, deep) * ceil_div(width, column)


def parts_of(family: str, depth: int, width: int, style: str) -> list[tuple[int, str]]:
    """Words and style of each part of a RAM that is read in two cycles; all but the last have as many.

    ``"block"`` is cut so as to claim the fewest block RAMs: a depth that is no power of two leaves much of
    any shape empty, and the deepest shapes leave a ninth of it out. A rest of few words is LUT RAM.
    ``"full"`` has as many words in block RAM as fill their blocks, however many are left for LUT RAM.
    ``"small"``, LUT RAM, is cut where it is deep, for its multiplexers: a part of it that was left by block
    RAM once more. ``"ram"`` is ``"block"`` or ``"small"`` as :func:`becomes_block` says. Only on ECP5:
    elsewhere synthesis cuts as it will.
    """
    if style == "ram" and family == "ecp5":
        style = "block" if becomes_block(family, depth, width) else "small"
    if style == "full":
        return full_parts(family, depth, width)
    if style == "small" and family == "ecp5":
        part = max(_SMALL_PART, 1 << (ceil_div(depth, _MOST_PARTS) - 1).bit_length())
        whole, rest = divmod(depth, part)
        return [(part, style)] * whole + [(rest, style)] * (rest > 0)
    if style != "block" or family != "ecp5":
        return [(depth, style)]
    ways = [[(depth, "block")]]
    for part in (d for d, _ in BRAM_SHAPES[family] if d < depth <= _MOST_PARTS * d):
        whole, rest = divmod(depth, part)
        small = rest <= _FEW_WORDS and rest * width <= _FEW_BITS
        ways.append([(part, "block")] * whole + [(rest, "small" if small else "block")] * (rest > 0))
    return min(ways, key=lambda parts: (blocks_of(family, width, parts), len(parts)))


def full_parts(family: str, depth: int, width: int) -> list[tuple[int, str]]:
    """Parts of block RAM that are full, the rest in LUT RAM; see :func:`parts_of`."""
    shapes = [d for d, _ in BRAM_SHAPES[family] if d <= depth < _MOST_PARTS * d] if family == "ecp5" else []
    full = [d for d in shapes if d * width >= _FULL * brams_for(family, d, width) * block_bits(family)]
    if not full:
        return parts_of(family, depth, width, "small")
    part = max(full, key=lambda d: (depth // d * d, d))
    whole, rest = divmod(depth, part)
    return [(part, "block")] * whole + [(rest, "small")] * (rest > 0)


def blocks_of(family: str, width: int, parts: list[tuple[int, str]]) -> int:
    """Block RAMs of a memory in parts."""
    return sum(brams_for(family, words, width) for words, style in parts if style == "block")


def late_ram_brams(family: str, depth: int, width: int) -> int:
    """Block RAMs of a memory that is written, and read in two cycles; see :func:`parts_of`."""
    return blocks_of(family, width, parts_of(family, depth, width, "block"))


def becomes_block(family: str, depth: int, width: int) -> bool:
    """Whether synthesis takes block RAM for a small RAM that it may choose for, by the costs of its library.

    iCE40 has no LUT RAM: above some 150 bits a block, flip-flops cost more. Elsewhere a block costs 128 (by
    its width, where it is used in full), and LUT RAM 4 for 16 words of 4 bits.
    """
    if family == "ice40":
        return depth * width > 150 * ceil_div(width, 16)
    block = 128 * max(1, width / 36) * ceil_div(depth, 512)
    return 4 * ceil_div(depth, 16) * ceil_div(width, 4) >= block


def memory_cost(family: str, depth: int, width: int, style: str) -> Resources:
    """Cost of a memory that is written.

    ``"block"`` for block RAM, ``"small"`` for LUT RAM, ``"ram"`` for what synthesis takes, see
    :func:`becomes_block`.
    """
    if style == "block" or (style == "ram" and becomes_block(family, depth, width)):
        return Resources(brams=brams_for(family, depth, width), bram_bits=depth * width)
    return small_cost(family, depth, width)


def late_ram_cost(family: str, depth: int, width: int, style: str) -> Resources:
    """The same of one that is read in two cycles; see :func:`parts_of`."""
    parts = parts_of(family, depth, width, style)
    if len(parts) == 1:
        if parts[0][1] == "small" and rows_of_lut_ram(family, depth) > 1:
            return rows_cost(family, depth, width)
        return memory_cost(family, depth, width, parts[0][1])
    total = sum((late_ram_cost(family, words, width, kind) for words, kind in parts), Resources())
    chosen = Resources(
        luts=width * choice_luts(family, len(parts)) + len(parts), ffs=2 * len(parts).bit_length()
    )
    return total + chosen


def rows_of_lut_ram(family: str, depth: int) -> int:
    """Memories of 16 words each that LUT RAM which is read in two cycles is made of; 1: synthesis makes it.

    Synthesis chooses among them with several times the LUTs that multiplexers beside LUTs take.
    """
    return ceil_div(depth, LUT_WORDS) if family == "ecp5" and depth > 2 * LUT_WORDS else 1


def rows_cost(family: str, depth: int, width: int) -> Resources:
    """Of such LUT RAM: for 4 bits 4 LUTs and the 2 that write them, what writes one row, what chooses."""
    rows = rows_of_lut_ram(family, depth)
    return Resources(luts=rows * (ceil_div(width, 4) * 6 + 1) + width * choice_luts(family, rows))


def small_cost(family: str, depth: int, width: int) -> Resources:
    """Cost of a RAM that stays small: one of LUTs, or of flip-flops on iCE40, whatever its size."""
    if family == "ice40":
        return Resources(luts=depth * width * 1.2, ffs=depth * width)
    rows = ceil_div(depth, 16)
    # What chooses among more than eight words comes out several times as large.
    choice = 0.0 if rows == 1 else 0.6 if rows <= 8 else 2.0
    return Resources(luts=rows * ceil_div(width, 4) * 4 + choice * rows * width)


def buffer_style(family: str, depth: int, width: int) -> str:
    """Style of the memory inside a stream buffer: LUT RAM unless it is deep.

    What synthesis would put into block RAM of its own accord counts as deep, for any family: it would be
    read without the block's output register.
    """
    deep = depth > 64 and depth * width > 2048
    return "block" if deep or becomes_block("", depth, width) else "ram"


def buffer_lag(depth: int, width: int) -> int:
    """Cycles more than ``BUFFER_LATENCY`` after which a stream buffer may offer a beat: the way by the ring.

    It comes to light where a deep buffer has run dry and beats still follow each other within three cycles.
    """
    return 3 if buffer_style("", depth, width) == "block" else 0


def buffer_cost(family: str, depth: int, width: int, ring: str = "block") -> Resources:
    """Cost of a stream buffer: memory, output register, two counters; a deep one has its ring in `ring`."""
    style = buffer_style(family, depth, width)
    memory = late_ram_cost(family, depth, width, ring if style == "block" else style)
    pointer = depth.bit_length()
    counters = Resources(luts=6 * pointer + 3, ffs=width + 3 * pointer + 1)
    if style == "block":
        beside = Resources(luts=width + 10, ffs=10)
        return memory + counters + beside + buffer_cost(family, FRONT_DEPTH, width)
    return memory + counters
