"""One row's dot product with SIMD columns a cycle, in each of the forms of the matrix p."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units.dot import Dot
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.carry import CarryCount
from pulsefold.hdl.units.gated import GatedPairs
from pulsefold.hdl.units.reduction import Term, popcount, tree_sum
from pulsefold.hdl.units.streams import lane_shape

__all__ = ["constant_product", "dot_product", "lane_value"]


def lane_value(bits: Value, kind: ElementType) -> Value:
    """A lane's number, for types whose pattern is one."""
    return bits.as_signed() if lane_shape(kind).signed else bits


def dot_product(m: Module, p: Dot, x: list[Value], w: list[Value], name: str) -> Term:
    """Raw sum of products of the lanes `x` and `w`, after `p.levels` registers.

    xnor: number of lanes with equal bits. negate: sum of v, 0 or ~v. planes: sum over bits k of 2**k
    (the sign bit negative) times the sum of the wide operands whose narrow one has bit k. dsp: sum of
    products. bits: counts of pairs of bits, each times its power of two.
    """
    if p.form == "bits":
        return counted(m, p, x, w, name)
    if p.form == "xnor":
        return popcount(m, [~(a ^ b) for a, b in zip(x, w, strict=True)], name)
    if p.form == "dsp":
        return multiplied(m, p, x, w, name)
    narrow, wide = (w, x) if p.narrow == "weight" else (x, w)
    if p.form == "negate":
        return negated(m, p, narrow, wide, name)
    return planes(m, p, narrow, wide, name)


def multiplied(m, p, x, w, name) -> Term:
    """Products in multipliers, one register before them and one behind, which are the multipliers' own."""
    a, b = p.type, p.weight_type
    corners = [u * v for u in (a.minimum, a.maximum) for v in (b.minimum, b.maximum)]
    low, high = min(corners), max(corners)
    terms = []
    for lane, operands in enumerate(zip(x, w, strict=True)):
        product = Signal(range(low, high + 1), name=f"{name}_product_{lane}", reset_less=True)
        left, right = (
            Signal.like(v, name=f"{name}_{n}_{lane}", reset_less=True)
            for v, n in zip(operands, "xw", strict=True)
        )
        m.d.sync += [
            left.eq(operands[0]),
            right.eq(operands[1]),
            product.eq(lane_value(left, a) * lane_value(right, b)),
        ]
        terms.append(Term(product, low, high))
    return tree_sum(m, terms, name)


def constant_product(m: Module, p: Dot, x: list[Value], row: int, name: str) -> Term:
    """Dot product with a row of constants, after `p.levels` registers: what is added, less the rest."""
    kind, sums = p.type, []
    for part, side in zip(("plus", "minus"), p.digits[row], strict=True):
        terms = [Term(lane_value(x[c], kind) << k, kind.minimum << k, kind.maximum << k) for k, c in side]
        total = tree_sum(m, terms, f"{name}_{part}") if terms else Term(Const(0, 1), 0, 0)
        wait = p.digit_levels - max(0, len(side) - 1).bit_length()
        sums.append(Term(delayed(m, total.value, wait, f"{name}_{part}"), total.low, total.high))
    plus, minus = sums
    return tree_sum(m, [plus, Term(-minus.value, -minus.high, -minus.low)], f"{name}_sum")


def negated(m, p, narrow, wide, name) -> Term:
    """v where the narrow lane is +1, ~v where it is -1, 0 where it is 0.

    ~v is -v - 1: the ones that weights miss are a constant of the row (`p.offset`); those that the vector
    misses are counted.
    """
    kind, bipolar = p.wide_type, p.narrow_type.is_bipolar
    high = max(kind.maximum, -kind.minimum - 1)
    low = min(kind.minimum, -kind.maximum - 1)
    values = [v if kind.signed else Cat(v, Const(0, 1)) for v in wide]
    stored = p.inverts
    ones = [(n if stored else ~n) if bipolar else n[1] for n in narrow]
    if p.gates:
        m.submodules[f"{name}_pairs"] = pairs = GatedPairs(signed(len(values[0])), len(wide), 1, op="xor")
        m.d.comb += [pairs.x.as_value().eq(Cat(*values)), pairs.gates[0].eq(Cat(*ones))]
        sums = [pairs.sums[0][j].as_signed() for j in range(-(-len(wide) // 2))]
        terms = [Term(v, 2 * low, 2 * high) for v in sums]
    else:
        products = (
            values if bipolar else [v & n[0].replicate(len(v)) for n, v in zip(narrow, values, strict=True)]
        )
        inverted = (v ^ minus.replicate(len(v)) for v, minus in zip(products, ones, strict=True))
        terms = [Term(v.as_signed(), low, high) for v in inverted]
    total = tree_sum(m, terms, name)
    if p.narrow == "weight":
        return total
    return tree_sum(m, [total, popcount(m, ones, f"{name}_ones")], f"{name}_all")


def counted(m, p, x, w, name) -> Term:
    """One count in carry cells for each sign and power of two, then their weighted sum."""
    bipolar = p.weight_type.is_bipolar
    groups = p.bit_planes
    slowest = max(p.tree_of(len(pairs)).levels for _, _, pairs in groups)
    terms = []
    for sign, shift, pairs in groups:
        count = CarryCount(p.simd * len(pairs), "xor" if bipolar else "and")
        m.submodules[f"{name}_{'minus' if sign < 0 else 'plus'}{shift}"] = count
        a = [v[k] for _, k in pairs for v in x]
        b = [v[j] for j, _ in pairs for v in w]
        m.d.comb += [count.a.eq(Cat(*a)), count.b.eq(Cat(*b))]
        value = count.count
        for k in range(slowest - count.tree.levels):
            later = Signal.like(value, name=f"{name}_{shift}_{k}", reset_less=True)
            m.d.sync += later.eq(value)
            value = later
        most = p.simd * len(pairs) << shift
        if sign < 0:
            terms.append(Term(-(value << shift), -most, 0))
        else:
            terms.append(Term(value << shift, 0, most))
    return tree_sum(m, terms, f"{name}_joined")


def planes(m, p, narrow, wide, name) -> Term:
    """One tree a bit of the narrow operand, then their weighted sum."""
    kind, bits = p.wide_type, p.narrow_type.bits
    low, high = min(0, kind.minimum), max(0, kind.maximum)
    gated = None
    if p.gates:
        m.submodules[f"{name}_pairs"] = gated = GatedPairs(lane_shape(kind), len(wide), bits)
        m.d.comb += [gated.x.as_value().eq(Cat(*wide))]
        m.d.comb += [gated.gates[k].eq(Cat(*(n[k] for n in narrow))) for k in range(bits)]
    sums = []
    for k in range(bits):
        if gated:
            pairs = [gated.sums[k][j] for j in range(-(-len(wide) // 2))]
            terms = [Term(v.as_signed() if kind.signed else v, 2 * low, 2 * high) for v in pairs]
        else:
            gates = ((n[k], lane_value(v, kind)) for n, v in zip(narrow, wide, strict=True))
            terms = [Term(Mux(gate, v, 0), low, high) for gate, v in gates]
        part = tree_sum(m, terms, f"{name}_plane{k}")
        if p.narrow_type.signed and k == bits - 1:
            sums.append(Term(-(part.value << k), -(part.high << k), -(part.low << k)))
        else:
            sums.append(Term(part.value << k, part.low << k, part.high << k))
    return tree_sum(m, sums, f"{name}_planes")
