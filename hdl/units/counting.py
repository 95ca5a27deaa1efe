"""Counters whose ends are registers: what they lead to is mostly decided late in the cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

__all__ = ["Counter"]


class Counter:
    """Steps counted round and round, from 0.

    Parameters
    ----------
    m
        Module to count in.
    size
        Steps in a round, at least 1.
    step
        High in each cycle that ends with a step.
    name
        Of the signals.

    Attributes
    ----------
    value
        Steps in this round.
    following
        What it will be in the next cycle; not a register.
    first, last
        Whether the next step is a round's first, and its last: registers.
    """

    def __init__(self, m: Module, size: int, step: Signal, name: str) -> None:
        self.value = Signal(range(max(2, size)), name=name)
        self.first = Signal(init=1, name=f"first_{name}")
        self.last = Signal(init=size == 1, name=f"last_{name}")
        self.following = Mux(step, Mux(self.last, 0, self.value + 1), self.value)[: len(self.value)]
        m.d.sync += self.value.eq(self.following)
        with m.If(step):
            m.d.sync += self.first.eq(self.last)
            if size > 1:
                m.d.sync += self.last.eq(self.value == size - 2)
