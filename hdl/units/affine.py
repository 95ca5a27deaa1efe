"""Circuit of :class:`pulsefold.compiler.plan.units.affine.Affine`."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units.affine import LIMB, PRODUCT_LATENCY, Affine
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.reduction import Term, tree_sum
from pulsefold.hdl.units.streams import lane_shape

__all__ = ["affine", "lane_number"]


def lane_number(bits: Value, kind: ElementType) -> Value:
    """The number of a lane's bit pattern, 2 p - 1 where it is bipolar."""
    if kind.is_bipolar:
        return Cat(Const(1, 1), ~bits[0]).as_signed()
    return bits.as_signed() if lane_shape(kind).signed else bits


def affine(m: Module, p: Affine, x: Value, word: Value, name: str) -> Term:
    """multiplier * x + addend for the row whose word of `p.words` stands at `word`, `p.latency` cycles later.

    Parameters
    ----------
    m
        Where the registers go.
    p
        Constants and form.
    x
        The number, in its range.
    word
        Word of the row; not looked at where all rows are the same.
    name
        Prefix of the signals.
    """
    bits, addend_bits = p.fields
    kept = Signal(Shape.cast(range(p.low, p.high + 1)), name=f"{name}_x")
    m.d.comb += kept.eq(x)
    if p.form == "shift":
        values = [(kept if sign > 0 else inverted(kept)) << k for sign, k in p.shifts]
    elif p.form == "digits":
        values = [chosen(kept, word[2 * k : 2 * k + 2]) << 2 * k for k in range(p.digits)]
    else:
        values = products(m, p, kept, word[:bits], name)
    addend: Any = Const(p.addends[0], Shape.cast(range(p.addend_range[0], p.addend_range[1] + 1)))
    if p.carries:
        addend = Cat(*(Cat(word[2 * k] & word[2 * k + 1], Const(0, 1)) for k in range(p.digits)))
    elif addend_bits:
        addend = word[bits : bits + addend_bits]
        addend = addend.as_signed() if p.addend_range[0] < 0 else addend
    if p.form == "dsp":
        addend = delayed(m, addend, PRODUCT_LATENCY * bool(addend_bits), f"{name}_addend")
    if len(values) < len(p.terms):
        values.append(addend)
    terms = [Term(v, low, high) for v, (low, high) in zip(values, p.terms, strict=True)]
    total = tree_sum(m, terms, f"{name}_sum")
    low, high = p.range
    exact = Signal(Shape.cast(range(min(0, low), max(0, high) + 1)), name=f"{name}_y")
    m.d.comb += exact.eq(total.value)
    return Term(delayed(m, exact, p.slack, f"{name}_y"), low, high)


def inverted(x: Value) -> Value:
    """~x = -x - 1, signed."""
    return (~(x if x.shape().signed else Cat(x, Const(0, 1)))).as_signed()


def chosen(x: Value, digit: Value) -> Value:
    """0, x, 2 x or ~x for the digits 0, 1, 2 and 3 (which stands for -1)."""
    wide = Cat(x, x[-1]) if x.shape().signed else Cat(x, Const(0, 2))
    high = Mux(digit[0], ~wide, (wide << 1)[: len(wide)])
    return Mux(digit[1], high, Mux(digit[0], wide, 0)).as_signed()


def products(m: Module, p: Affine, x: Value, word: Value, name: str) -> list[Value]:
    """Products of limbs, each in its place, between the multipliers' own registers.

    Those before the product are where a block RAM far away is waited for.
    """
    low, high = min(p.multiplier), max(p.multiplier)
    x = delayed(m, x, PRODUCT_LATENCY - 1, f"{name}_factor")
    if low == high:
        word = Const(low, Shape.cast(range(min(0, low), max(0, high) + 1)))
    else:
        word = delayed(m, word.as_signed() if low < 0 else word, PRODUCT_LATENCY - 1, f"{name}_word")
    values = []
    for shift, a, b in p.limbs(p.low, p.high):
        for other, c, d in p.limbs(low, high):
            corners = [i * j for i in (a, b) for j in (c, d)]
            shape = Shape.cast(range(min(0, *corners), max(0, *corners) + 1))
            product = Signal(shape, name=f"{name}_product_{shift}_{other}", reset_less=True)
            m.d.sync += product.eq(limb(x, shift, a, b) * limb(word, other, c, d))
            values.append(product << (shift + other))
    return values


def limb(value: Value, shift: int, low: int, high: int) -> Value:
    """Bits from `shift` on: 17 without sign, or all that is left in the last limb."""
    part = value[shift:] if (low, high) != (0, (1 << LIMB) - 1) else value[shift : shift + LIMB]
    return part.as_signed() if low < 0 else part
