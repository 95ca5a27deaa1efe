"""Counting ones in carry cells: the shape of the tree, which its circuit, its latency and its cost share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CarryTree", "chains"]

#: Cell halves of a chain before the one that reads its last carry. Chains begin where a tile does, and a tile
#: has eight halves: these fill four. With one half more a chain takes a fifth from all others, and can change
#: places with none that lies otherwise; longer ones are harder to place still.
_CHAIN = 31

#: The same of additions of single bits, which fill two: their products come a long way, and an analysis of
#: timing adds the whole chain to it, though no carry goes further than its addition.
_CHAIN_OF_BITS = 15


def chains(widths: Sequence[int]) -> list[int]:
    """How many of the additions of a level, one after the other, go into each chain.

    An addition of `width` bits takes one half that brings in the third product and reads the carry of the
    addition before, and a half a bit.
    """
    groups, filled = [0], 0
    most = _CHAIN_OF_BITS if max(widths) == 1 else _CHAIN
    for width in widths:
        if groups[-1] and filled + width + 1 > most:
            groups.append(0)
            filled = 0
        groups[-1] += 1
        filled += width + 1
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryTree:
    """A count of ones among products of two bits, made of two-operand additions with a carry in.

    The first level adds three products, one of them as the carry; each further addition adds two sums and
    one product more. t first additions so take in 3 t + (t - 1) products, with a register a level.

    Parameters
    ----------
    products
        Products counted.
    spare
        Products left for the carry of an accumulator behind the tree: 0 or 1.
    """

    products: int
    spare: int = 0

    @property
    def triples(self) -> int:
        """Additions of the first level."""
        return max(1, -(-(self.products - self.spare + 1) // 4))

    @property
    def capacity(self) -> int:
        """Products that the tree has places for, the spare one included."""
        return 4 * self.triples - 1 + self.spare

    @property
    def levels(self) -> int:
        """Registers from products to count."""
        return 1 + (self.triples - 1).bit_length()

    @property
    def widths(self) -> tuple[tuple[int, ...], ...]:
        """For every level, the bits of each addition's wider operand."""
        table, bits = [(1,) * self.triples], [2] * self.triples
        while len(bits) > 1:
            pairs = tuple(max(a, b) for a, b in zip(bits[::2], bits[1::2], strict=False))
            table.append(pairs)
            bits = [width + 1 for width in pairs] + bits[2 * len(pairs) :]
        return tuple(table)

    @property
    def bits(self) -> int:
        """Bits of the count."""
        return (4 * self.triples - 1).bit_length()

    @property
    def luts(self) -> int:
        """LUT positions of the carry cells, of which a cell has two."""
        total = 0
        for widths in self.widths:
            start = 0
            for size in chains(widths):
                halves = sum(w + 1 for w in widths[start : start + size]) + 1
                total += halves + halves % 2
                start += size
        return total

    @property
    def ffs(self) -> int:
        """Flip-flops of the sums of all levels."""
        return sum(w + 1 for widths in self.widths for w in widths)

    @property
    def waiting(self) -> int:
        """Cycles that products wait for their level, added up; either operand takes a flip-flop a cycle."""
        left, total = self.capacity - 3 * self.triples, 0
        for widths in self.widths[1:]:
            total += left
            left -= len(widths)
        return total + left
