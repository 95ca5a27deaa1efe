"""Arithmetic of counts."""

from __future__ import annotations

__all__ = ["bits_for", "ceil_div", "divisors"]


def ceil_div(a: int, b: int) -> int:
    """Smallest integer >= a / b."""
    return -(-a // b)


def divisors(n: int) -> list[int]:
    """Divisors of `n`, ascending."""
    low = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


def bits_for(n: int) -> int:
    """Bits of a counter that holds 0..n-1, at least one."""
    return max(1, (n - 1).bit_length())
