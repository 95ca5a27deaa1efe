"""Credits: a pipeline that never stalls, in front of a buffer that never overflows."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["credit_gate", "credits_left"]


def credits_left(m: Module, entries: int, *, spend: Signal, earn: Signal) -> tuple[Signal, Value]:
    """Whether a place of an output buffer is unpromised: in this cycle, from a register, and in the next.

    Spend a credit when work that ends in one beat is started, earn it back when that beat leaves the buffer.
    """
    credits = Signal(range(entries + 1), init=entries)
    some = Signal(init=1)
    following = Mux(earn ^ spend, earn | (credits != 1), some)
    m.d.sync += some.eq(following)
    with m.If(earn ^ spend):
        m.d.sync += credits.eq(credits + Mux(spend, -1, 1))
    return some, following


def credit_gate(m: Module, entries: int, *, spend: Signal, earn: Signal) -> Signal:
    """The register of :func:`credits_left`, so that no path leads from the output's ready to the input's."""
    return credits_left(m, entries, spend=spend, earn=earn)[0]
