"""Circuit of :class:`pulsefold.compiler.plan.units.pair.Pair`: dot products of two rows with one vector."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from pulsefold.compiler.plan.units.pair import Pair
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.reduction import Term, add_small, tree_sum

__all__ = ["paired"]


def paired(
    m: Module, p: Pair, x: list[Value], a: list[Value], b: list[Value], name: str
) -> tuple[Term, Term]:
    """Sums over the lanes of a * x and of b * x, `p.levels(len(x))` cycles later.

    Parameters
    ----------
    m
        Where the registers go.
    p
        Ranges, and how two products share a multiplier.
    x
        The vector's lanes, as numbers.
    a, b
        Weights of the two rows in `p.weight_bits` each, `a` less one where `b` is negative.
    name
        Prefix of the signals.
    """
    k, lanes = p.shift, len(x)
    upper, lower, carries = [], [], []
    low, high = min(p.range[0], -1), p.range[1]
    # Least and greatest of what b * x leaves at the place of a * x.
    least, most = low >> k, high >> k
    for lane, (number, one, other) in enumerate(zip(x, a, b, strict=True)):
        part = f"{name}_{lane}"
        packed = Cat(other, other[-1].replicate(k - len(other)), one).as_signed()
        # The multiplier's own registers.
        left, right = (
            Signal(v.shape(), name=f"{part}_{n}", reset_less=True) for v, n in ((packed, "w"), (number, "x"))
        )
        product = Signal(
            Shape.cast(range(((low + least) << k), ((high + most + 1) << k))),
            name=f"{part}_p",
            reset_less=True,
        )
        m.d.sync += [left.eq(packed), right.eq(number), product.eq(left * right)]
        if p.overlap:
            # From behind the registers: block RAM is far away.
            small = low_product(m, p.overlap, right, left[k:], left[k - 1], f"{part}_low")
            small = delayed(m, small, p.carry_latency - 2 - (p.rows - 1).bit_length(), f"{part}_low")
            above = delayed(m, product[k : k + p.overlap], p.carry_latency - 3, f"{part}_above")
            carry = Signal(p.overlap, name=f"{part}_carry", reset_less=True)
            m.d.sync += carry.eq(above - small)
            carries.append(Term(carry.as_signed(), least, most))
        else:
            carries.append(Term(product[k - 1].replicate(1).as_signed(), -1, 0))
        upper.append(Term(product[k:].as_signed(), low + least, high + most))
        lower.append(Term(product[:k], 0, (1 << k) - 1))
    sums = [
        tree_sum(m, terms, f"{name}_{n}")
        for terms, n in ((upper, "upper"), (lower, "lower"), (carries, "carry"))
    ]
    wait = p.carry_latency - 2
    above, below = (
        delayed(m, s.value, wait, f"{name}_{n}") for s, n in zip(sums, ("upper", "lower"), strict=False)
    )
    carry = sums[2].value
    totals = []
    for n, value in (("a", above - carry), ("b", (carry << k) + below)):
        total = Signal(Shape.cast(range(lanes * low, lanes * high + 1)), name=f"{name}_{n}", reset_less=True)
        m.d.sync += total.eq(value)
        totals.append(Term(total, lanes * low, lanes * high))
    return totals[0], totals[1]


def low_product(m: Module, bits: int, x: Value, stored: Value, minus: Value, name: str) -> Value:
    """The lowest `bits` of (stored + minus) * x, a register for each level of its adder tree."""
    rows = [Mux(minus, x[:bits], 0)]
    rows += [
        Cat(Const(0, j), Mux(stored[j], x[: bits - j], 0)) if j else Mux(stored[0], x[:bits], 0)
        for j in range(bits)
    ]
    level = 0
    while len(rows) > 1:
        following = []
        for j in range(0, len(rows), 2):
            pair = rows[j : j + 2]
            total = add_small(pair[0], pair[1], bits) if pair[1:] else pair[0]
            register = Signal(bits, name=f"{name}_{level}_{j // 2}", reset_less=True)
            m.d.sync += register.eq(total)
            following.append(register)
        rows, level = following, level + 1
    return rows[0]
