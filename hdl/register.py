"""Registers of data, whose contents before the first beat never matter."""

from __future__ import annotations

from amaranth.hdl import Module, ShapeLike, Signal, Value

__all__ = ["ANY_INIT", "data_register", "delayed"]

#: Attribute of a register for which synthesis may choose what it holds in the beginning.
ANY_INIT = "any_init"


def data_register(shape: ShapeLike, name: str) -> Signal:
    """A register without reset whose user knows by other signals when it holds something.

    Amaranth gives it the initial value 0. Where it only ever takes a constant 1, as from a weight bit that is
    the same in all words, it would change once, after the configuration; synthesis would make one register of
    all those of a design, and the clock would wait for its wires. Without an initial value it is that 1.
    """
    return Signal(shape, name=name, reset_less=True, attrs={ANY_INIT: 1})


def delayed(m: Module, value: Value, cycles: int, name: str, *, reset_less: bool = True) -> Value:
    """`value`, `cycles` later."""
    for k in range(cycles):
        of = f"{name}_later{k}"
        later = data_register(value.shape(), of) if reset_less else Signal(value.shape(), name=of)
        m.d.sync += later.eq(value)
        value = later
    return value
