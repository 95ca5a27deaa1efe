"""Credits: a pipeline that never stalls, in front of a buffer that never overflows."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

__all__ = ["credit_gate"]


def credit_gate(m: Module, entries: int, *, spend: Signal, earn: Signal) -> Signal:
    """A signal that is high while at least one place of an output buffer is unpromised.

    Spend a credit when work that ends in one beat is started, earn it back when that beat leaves the buffer.
    The result comes from a register, so that it adds no path from the output's ready to the input's.
    """
    credits = Signal(range(entries + 1), init=entries)
    some = Signal(init=1)
    with m.If(earn ^ spend):
        m.d.sync += [credits.eq(credits + Mux(spend, -1, 1)), some.eq(earn | (credits != 1))]
    return some
