"""A long regular sequence of words, as nested small tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.plan.units.integers import bits_for

__all__ = ["Level", "folded", "start_of"]

#: What a counter bit weighs against a bit of a table, when levels are chosen.
_COUNTER_BIT = 64

#: A LUT holds this many entries of one bit, and is spent whole.
_LUT_ENTRIES = 16

#: Longest run of children that a level is tried with, besides the whole sequence.
_LONGEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """What each symbol of a level stands for.

    Parameters
    ----------
    table
        int64 [symbols, children]: symbols of the level below, in order. Those of the lowest level are words.
    child_bits
        Bits of an entry.
    """

    table: np.ndarray
    child_bits: int

    @property
    def symbols(self) -> int:
        """Different symbols."""
        return self.table.shape[0]

    @property
    def children(self) -> int:
        """Entries a symbol."""
        return self.table.shape[1]


def folded(words: np.ndarray, width: int) -> tuple[Level, ...]:
    """Levels, lowest first, of which the highest has one symbol: the whole of `words`.

    Runs of equal length that are the same become one symbol, and the sequence of symbols is folded again, as
    long as that makes the tables smaller: what repeats from row to row, pixel to pixel or fold to fold is
    kept once. Any sequence comes out right; an irregular one stays as long as it is.

    Parameters
    ----------
    words
        int64 [n].
    width
        Bits of a word.
    """
    levels: list[Level] = []
    distinct, sequence = np.unique(words, return_inverse=True)
    if len(distinct) * width + len(words) * bits_for(len(distinct)) < len(words) * width:
        # Words are numbered first where few are different.
        levels.append(Level(table=distinct.reshape(-1, 1), child_bits=width))
        width = bits_for(len(distinct))
    else:
        sequence = words
    sequence = np.ascontiguousarray(sequence.ravel(), np.int64)
    while not (levels and len(sequence) == 1):
        level, sequence = best_level(sequence, width, least=2 if len(sequence) > 1 else 1)
        levels.append(level)
        width = bits_for(level.symbols)
    return tuple(levels)


def best_level(sequence: np.ndarray, width: int, least: int) -> tuple[Level, np.ndarray]:
    """The run length that leaves the least to store, this table and the sequence of its symbols together."""
    size = len(sequence)
    lengths = [n for n in range(least, min(size, _LONGEST) + 1) if size % n == 0]
    best, found = 0, None
    for length in dict.fromkeys([*lengths, size]):
        runs = sequence.reshape(-1, length)
        # Runs compared as bytes: much faster than row by row.
        keys = runs.view(np.dtype((np.void, runs.itemsize * length))).ravel()
        _, first, symbols = np.unique(keys, return_index=True, return_inverse=True)
        table = runs[first]
        rest = max(_LUT_ENTRIES, len(symbols)) * bits_for(len(table)) if len(symbols) > 1 else 0
        weight = max(_LUT_ENTRIES, table.size) * width + _COUNTER_BIT * bits_for(length) + rest
        if found is None or weight < best:
            best, found = weight, (Level(table=table, child_bits=width), symbols.ravel().astype(np.int64))
    assert found is not None
    return found


def start_of(levels: tuple[Level, ...]) -> tuple[int, list[tuple[int, int]]]:
    """First word, and for each level the symbol and child that the next word comes from.

    A level below the top holds the symbol whose children are being given out; it has the one after as soon
    as the last child was given.
    """
    sequences = [np.zeros(1, np.int64)]
    for level in reversed(levels):
        sequences.insert(0, level.table[sequences[0]].ravel())
    following, states = 1 % len(sequences[0]), []
    for level, symbols in zip(levels, sequences[1:], strict=True):
        run, child = divmod(following, level.children)
        states.append((int(symbols[run]), child))
        following = (run + 1) % len(symbols)
    return int(sequences[0][0]), states
