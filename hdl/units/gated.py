"""Sums of two numbers, each under a gate: the first level of a dot product by bit planes or signs.

A carry cell of ECP5 has a 4-input LUT in front of its full adder: a bit of two numbers and the bits that let
them through, or invert them, go into one, see :mod:`pulsefold.hdl.units.carry`. Yosys would gate in LUTs of
their own.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.technology import is_ecp5
from pulsefold.hdl.units.carry import ZERO, Product, add_level

__all__ = ["GatedPairs"]


class GatedPairs(wiring.Component):
    """sums[k][j] = gated(x[2 j], gates[k][2 j]) + gated(x[2 j + 1], gates[k][2 j + 1]), a cycle later.

    ``"and"``: gated(v, g) is v where g, else 0. ``"xor"``: ~v = -v - 1 where g, else v, of signed numbers.
    The last of an odd number of lanes has no other to be added to.

    Parameters
    ----------
    shape
        Shape of a number.
    lanes
        Numbers.
    planes
        Sets of gates.
    op
        ``"and"`` or ``"xor"``.
    """

    def __init__(self, shape: Shape, lanes: int, planes: int, op: str = "and") -> None:
        self.shape, self.lanes, self.planes, self.op = shape, lanes, planes, op
        self.sum_shape = Shape(shape.width + 1, shape.signed)
        super().__init__(
            {
                "x": In(data.ArrayLayout(unsigned(shape.width), lanes)),
                "gates": In(data.ArrayLayout(unsigned(lanes), planes)),
                "sums": Out(
                    data.ArrayLayout(data.ArrayLayout(unsigned(shape.width + 1), -(-lanes // 2)), planes)
                ),
            }
        )

    def gated(self, lane: int, gate: Value) -> Value:
        """A lane's number under its gate."""
        number = self.x[lane].as_signed() if self.shape.signed else self.x[lane]
        return Mux(gate, *((~number, number) if self.op == "xor" else (number, 0)))

    def elaborate(self, platform):
        m = Module()
        for plane in range(self.planes):
            if is_ecp5(platform):
                self.cells(m, plane)
            else:
                self.plain(m, plane)
        return m

    def plain(self, m, plane: int) -> None:
        """As it is written."""
        gates = self.gates[plane]
        for k in range(0, self.lanes, 2):
            total = Signal(self.sum_shape, name=f"sum_{plane}_{k}", reset_less=True)
            taken = [self.gated(lane, gates[lane]) for lane in range(k, min(k + 2, self.lanes))]
            m.d.sync += total.eq(sum(taken[1:], start=taken[0]))
            m.d.comb += self.sums[plane][k // 2].eq(total)

    def cells(self, m, plane: int) -> None:
        """Several additions a chain."""
        gates = self.gates[plane]

        def products(lane: int) -> list[Product]:
            if lane == self.lanes:
                return [ZERO] * self.sum_shape.width
            bits = [*self.x[lane]]
            bits += [bits[-1]] * self.shape.signed
            return [Product(self.op, bit, gates[lane]) for bit in bits]

        results = add_level(m, [(products(k), products(k + 1), ZERO) for k in range(0, self.lanes, 2)])
        for k, total in enumerate(results):
            m.d.comb += self.sums[plane][k].eq(Cat(total)[: self.sum_shape.width])
