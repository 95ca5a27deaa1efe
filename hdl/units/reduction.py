"""Sums of many small numbers: adder trees with a register a level, written for 4-input LUTs."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["Term", "popcount", "tree_sum"]


@dataclass(frozen=True, slots=True)
class Term:
    """A value and the range it keeps to.

    Parameters
    ----------
    value
        Amaranth value.
    low, high
        Least and greatest value.
    """

    value: Value
    low: int
    high: int


def add_small(a: Value, b: Value, width: int) -> Value:
    """a + b of unsigned values as plain logic.

    A carry chain costs at least a whole cell and its ends; sums of up to four bits are smaller and as fast as
    LUTs, two bits of both operands deciding each carry.
    """
    bits, carry = [], Const(0, 1)
    for k in range(width):
        x = a[k] if k < len(a) else Const(0, 1)
        y = b[k] if k < len(b) else Const(0, 1)
        bits.append(x ^ y ^ carry)
        carry = (x & y) | (carry & (x ^ y))
    return Cat(*bits)


def tree_sum(m: Module, terms: list[Term], name: str) -> Term:
    """Sum of `terms`, with a register after each of the ceil(log2(n)) levels."""
    level = 0
    while len(terms) > 1:
        following = []
        for k in range(0, len(terms), 2):
            pair = terms[k : k + 2]
            low, high = sum(t.low for t in pair), sum(t.high for t in pair)
            register = Signal(range(low, high + 1), name=f"{name}_{level}_{k // 2}", reset_less=True)
            if len(pair) == 1:
                total = pair[0].value
            elif low >= 0 and high < 32:
                total = add_small(pair[0].value, pair[1].value, len(register))
            else:
                total = pair[0].value + pair[1].value
            m.d.sync += register.eq(total)
            following.append(Term(register, low, high))
        terms, level = following, level + 1
    return terms[0]


def popcount(m: Module, bits: list[Value], name: str) -> Term:
    """Number of ones in `bits`, as a :func:`tree_sum`."""
    return tree_sum(m, [Term(b, 0, 1) for b in bits], name)
