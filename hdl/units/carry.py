"""Counts of ones in the carry cells of ECP5, and the plain logic that they equal.

A CCU2C has two halves, each a 4-input LUT before a carry: S = LUT(A, B, C, D) ^ CIN; COUT is CIN where the
LUT is 1, else LUT(A, B, 0, 0). Source: Lattice FPGA-TN-02204, ECP5 and ECP5-5G slices; Yosys'
``ecp5/cells_sim.v``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.carry import CarryTree, chains
from pulsefold.hdl.memory.ram import memory_attributes
from pulsefold.hdl.register import data_register
from pulsefold.hdl.technology import is_ecp5

__all__ = ["ZERO", "Accumulator", "CarryCount", "Product", "add_level"]


@dataclass(frozen=True, slots=True)
class Product:
    """A product of two bits, a plain bit, or zero.

    Parameters
    ----------
    kind
        ``"xor"``, ``"and"``, ``"bit"`` (a alone) or ``"zero"``.
    a, b
        Operands, as far as there are any.
    """

    kind: str
    a: Value = field(default_factory=lambda: Const(1, 1))
    b: Value = field(default_factory=lambda: Const(1, 1))

    @property
    def table(self) -> Callable[[int, int], int]:
        """What it is of its operands."""
        tables = {
            "xor": lambda a, b: a ^ b,
            "and": lambda a, b: a & b,
            "bit": lambda a, b: a,
            "zero": lambda a, b: 0,
        }
        return tables[self.kind]


ZERO = Product("zero")

#: Bits that :func:`flat_sum` adds one after the other.
_PIECE = 32


@dataclass(frozen=True, slots=True)
class Half:
    """Half a carry cell: LUT contents and inputs; inputs that do not matter are 1, which costs no wire."""

    init: int
    inputs: tuple[Value, ...]


def lut(function: Callable[[int, int, int, int], int]) -> int:
    """LUT contents of a function of (a, b, c, d)."""
    bits = (function(k & 1, k >> 1 & 1, k >> 2 & 1, k >> 3 & 1) for k in range(16))
    return sum(bit << k for k, bit in enumerate(bits))


def carry_in(p: Product) -> Half:
    """S is the carry that comes in; the carry that goes out is the product."""
    table, one = p.table, Const(1, 1)
    return Half(lut(lambda a, b, c, d: table(a, b) & (1 - c)), (p.a, p.b, one, one))


def add_bit(p: Product, q: Product) -> Half:
    """A full adder of two products and the carry."""
    # The carry is LUT(a, b, 0, 0) where both are equal: the first, as the second is 0 of operands 0.
    f, g = p.table, q.table
    return Half(lut(lambda a, b, c, d: f(a, b) ^ g(c, d)), (p.a, p.b, q.a, q.b))


def accumulate_bit(p: Product, first: Value, total: Value, start: Value) -> Half:
    """A full adder of a plain bit and either the running total's bit or, with `first`, the start's."""
    f = p.table
    return Half(lut(lambda a, b, c, d: f(a, 1) ^ (d if b else c)), (p.a, first, total, start))


def read_carry() -> Half:
    """S is the carry that comes in."""
    return Half(0, (Const(1, 1),) * 4)


def chain(m: Module, halves: list[Half]) -> list[Value]:
    """Carry cells in a row; returns each half's S.

    No first half uses its carry in and no last one drives its carry out: the router would spend LUT
    positions on either.
    """
    halves = halves + [read_carry()] * (len(halves) % 2)
    sums, carry = [], None
    for k in range(0, len(halves), 2):
        s, out = Signal(2, name="s"), Signal(name="carry")
        pins = {}
        for n, half in enumerate(halves[k : k + 2]):
            pins[f"p_INIT{n}"] = Const(half.init, 16)
            pins[f"p_INJECT1_{n}"] = "NO"
            pins |= {f"i_{pin}{n}": value for pin, value in zip("ABCD", half.inputs, strict=True)}
            pins[f"o_S{n}"] = s[n]
        if carry is not None:
            pins["i_CIN"] = carry
        if k + 2 < len(halves):
            pins["o_COUT"] = out
        m.submodules += Instance("CCU2C", **pins)
        carry = out
        sums += [s[0], s[1]]
    return sums


def add_level(m: Module, additions: list[tuple[list[Product], list[Product], Product]]) -> list[Signal]:
    """Registered sums of (left, right, product), as few chains as they go into."""
    widths = [max(len(left), len(right)) for left, right, _ in additions]
    results, start = [], 0
    for size in chains(widths):
        halves: list[Half] = []
        places = []
        for left, right, product in additions[start : start + size]:
            halves.append(carry_in(product))
            width = max(len(left), len(right))
            places.append((len(halves), width + 1))
            for k in range(width):
                # The carry of an unequal pair is the first operand's: a missing one goes second.
                pair = [side[k] for side in (left, right) if k < len(side)]
                halves.append(add_bit(pair[0], pair[1] if pair[1:] else ZERO))
        sums = chain(m, [*halves, read_carry()])
        for place, width in places:
            register = data_register(width, "sum")
            # The half after an addition, whose LUT is 0, shows the addition's carry.
            m.d.sync += register.eq(Cat(*sums[place : place + width]))
            results.append(register)
        start += size
    return results


def delayed(m: Module, products: list[Product]) -> list[Product]:
    """The same products a cycle later."""
    later = []
    for p in products:
        if p.kind == "zero":
            later.append(p)
            continue
        a, b = data_register(1, "a"), data_register(1, "b")
        m.d.sync += [a.eq(p.a), b.eq(p.b)]
        later.append(Product(p.kind, a, b))
    return later


def bits_of(value: Value) -> list[Product]:
    """The bits of a sum."""
    return [Product("bit", value[k]) for k in range(len(value))]


def flat_sum(m: Module, bits: Value) -> Value:
    """Number of ones, in pieces of 32.

    Verilator makes one population count of a piece whose bits are added one after the other. In Amaranth each
    such addition is a bit wider than the one before, and a bit of a long value takes as long as all of it.
    """
    parts = []
    for low in range(0, len(bits), _PIECE):
        piece = Signal(min(_PIECE, len(bits) - low), name=f"piece_{low}")
        part = Signal(range(len(piece) + 1), name=f"part_{low}")
        m.d.comb += [piece.eq(bits[low : low + _PIECE]), part.eq(sum(piece, start=Const(0, 1)))]
        parts.append(part)
    while len(parts) > 1:
        parts = [sum(parts[k + 1 : k + 2], start=parts[k]) for k in range(0, len(parts), 2)]
    return parts[0]


class CarryCount(wiring.Component):
    """Number of ones among products of two bits, and, with `total`, its sum over the beats of a fold.

    count = sum over k of a[k] op b[k], `tree.levels` cycles later. With an accumulator, a cycle after the
    count: total = count + (start if first else total), in cycles with `enable`, which like `first` and
    `start` comes with the count.

    Parameters
    ----------
    products
        Number of products.
    op
        ``"xor"`` or ``"and"``.
    total
        Shape of the accumulator; None for the count alone.
    turns, places
        Accumulators that take turns, see :class:`Accumulator`.
    """

    def __init__(
        self,
        products: int,
        op: str = "xor",
        total: Shape | None = None,
        turns: int = 1,
        places: int = 0,
    ) -> None:
        self.op, self.turns, self.places = op, turns, places
        self.tree = CarryTree(products=products, spare=int(total is not None))
        ports = {"a": In(unsigned(products)), "b": In(unsigned(products))}
        if total is None:
            ports["count"] = Out(unsigned(self.tree.bits))
        else:
            ports |= {"first": In(1), "enable": In(1), "start": In(total), "total": Out(total)}
            ports |= {"place": In(range(max(2, places)))} if places else {}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        (self.cells if is_ecp5(platform) else self.plain)(m)
        return m

    def plain(self, m: Module) -> None:
        """The count at once, then as many registers: Verilator makes one population count of it."""
        tree = self.tree
        # A signal: Amaranth writes an operator anew for each piece taken of it.
        products = Signal(tree.products)
        m.d.comb += products.eq((self.a & self.b) if self.op == "and" else (self.a ^ self.b))
        value = flat_sum(m, products)
        for level in range(tree.levels):
            later = Signal(range(tree.products + 1), name=f"count_{level}", reset_less=True)
            m.d.sync += later.eq(value)
            value = later
        if not hasattr(self, "total"):
            m.d.comb += self.count.eq(value)
            return
        total = Signal(self.total.shape(), name="kept", reset_less=True)
        before = waited(m, total, self)
        with m.If(self.enable):
            m.d.sync += total.eq(value + Mux(self.first, self.start, before))
        m.d.comb += self.total.eq(total)

    def cells(self, m: Module) -> None:
        """Level by level in carry cells."""
        tree, t = self.tree, self.tree.triples
        products = [Product(self.op, self.a[k], self.b[k]) for k in range(tree.products)]
        products += [ZERO] * (tree.capacity - tree.products)
        first, waiting = products[: 3 * t], products[3 * t :]
        sums = add_level(m, [([p], [q], r) for p, q, r in zip(*(first[k::3] for k in range(3)), strict=True)])
        waiting = delayed(m, waiting)
        while len(sums) > 1:
            pairs = list(zip(sums[::2], sums[1::2], strict=False))
            added = add_level(
                m, [(bits_of(a), bits_of(b), p) for (a, b), p in zip(pairs, waiting, strict=False)]
            )
            waiting = delayed(m, waiting[len(pairs) :])
            for odd in sums[2 * len(pairs) :]:
                later = Signal.like(odd, reset_less=True)
                m.d.sync += later.eq(odd)
                added.append(later)
            sums = added
        (count,) = sums
        if not hasattr(self, "total"):
            m.d.comb += self.count.eq(count)
            return
        (spare,) = waiting
        total = accumulate(m, self, bits_of(count), spare)
        m.d.comb += self.total.eq(total)


def accumulate(m: Module, ports, bits: list[Product], carry: Product) -> Signal:
    """The running total of a component with the ports of :class:`Accumulator`, `carry` added to each value.

    What it starts at is chosen in front of the carry's own LUT; Yosys would choose in LUTs of their own.
    """
    width = len(ports.total)
    bits = (bits + [ZERO] * width)[:width]
    total = Signal(width, name="kept", reset_less=True)
    before = waited(m, total, ports)
    halves = [carry_in(carry)]
    halves += [accumulate_bit(bits[k], ports.first, before[k], ports.start[k]) for k in range(width)]
    with m.If(ports.enable):
        m.d.sync += total.eq(Cat(*chain(m, halves)[1 : 1 + width]))
    return total


def waited(m: Module, total: Signal, ports) -> Signal:
    """The total of as many enabled cycles ago as there are accumulators that take turns."""
    if ports.places:
        m.submodules.waiting = ring = Memory(
            shape=unsigned(len(total)), depth=ports.places, init=[], attrs=memory_attributes("small")
        )
        write, read = ring.write_port(), ring.read_port(domain="comb")
        before = Signal.like(total, name="before", reset_less=True)
        m.d.comb += [
            read.addr.eq(ports.place),
            write.addr.eq(ports.place),
            write.data.eq(total),
            write.en.eq(ports.enable),
        ]
        with m.If(ports.enable):
            m.d.sync += before.eq(read.data)
        return before
    for k in range(ports.turns - 1):
        later = Signal.like(total, name=f"waiting_{k}", reset_less=True)
        with m.If(ports.enable):
            m.d.sync += later.eq(total)
        total = later
    return total


class Accumulator(wiring.Component):
    """total = value + (start if first else total), a cycle later, in cycles with `enable`.

    Parameters
    ----------
    value
        Shape of what is added.
    total
        Shape of the sum.
    turns
        Accumulators that take turns, each in one enabled cycle of so many: what is added to is the total of
        that many enabled cycles before.
    places
        Of a LUT RAM in which all but two of the totals wait, `turns` - 2; 0: they are registers. `place`
        counts them round and round, a step an enabled cycle.
    """

    def __init__(self, value: Shape, total: Shape, turns: int = 1, places: int = 0) -> None:
        self.turns, self.places = turns, places
        ports = {"value": In(value), "first": In(1), "enable": In(1), "start": In(total), "total": Out(total)}
        ports |= {"place": In(range(max(2, places)))} if places else {}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        if is_ecp5(platform):
            # A missing bit of a signed number is its sign.
            bits = bits_of(self.value)
            bits += bits[-1:] * (len(self.total) * self.value.shape().signed)
            m.d.comb += self.total.eq(accumulate(m, self, bits, ZERO))
            return m
        total = Signal(self.total.shape(), name="kept", reset_less=True)
        before = waited(m, total, self)
        with m.If(self.enable):
            m.d.sync += total.eq(self.value + Mux(self.first, self.start, before))
        m.d.comb += self.total.eq(total)
        return m
