"""Circuit of :class:`pulsefold.compiler.plan.units.reorder.ReorderUnit`."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.memory import Memory

from pulsefold.compiler.plan.units.program import start_of
from pulsefold.hdl.memory.buffer import next_address
from pulsefold.hdl.memory.ram import LateRam, memory_attributes
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.affine import lane_number
from pulsefold.hdl.units.credits import credit_gate
from pulsefold.hdl.units.streams import UnitComponent, payload

__all__ = ["ReorderCircuit"]


class ReorderCircuit(UnitComponent):
    """A ring of beats, written in order and read by a program.

    `margin` counts the beats that are there beyond those that the beat to read needs; `free` the places that
    may be written. Both are decided on registers alone. Timing as the parameter object states.
    """

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        self.connect_output(m)
        m.submodules.ring = ring = LateRam(p.input.width, max(2, p.depth), p.memory)
        go, earn = Signal(), Signal()
        some = credit_gate(m, p.buffer_depth, spend=go, earn=earn)
        m.d.comb += earn.eq(self.o.valid & self.o.ready)

        word = self.program(m, go)
        at, parts = 0, []
        for bits in p.fields:
            parts.append(word[at : at + bits])
            at += bits
        fill, step, needs, frees, back = parts
        wrote = self.write(m, ring, Mux(go, frees, 0))
        margin = Signal(signed(p.most_beyond.bit_length() + 2), init=-int(p.needed[0]))
        m.d.comb += go.eq(some & ~margin[-1])
        m.d.sync += margin.eq(margin + wrote - Mux(go, needs, 0))
        self.read(m, ring, go, fill, step, back)
        return m

    def write(self, m, ring, frees) -> Value:
        """Beats into the ring while a place is free; whether one comes."""
        p = self.unit
        start, most = p.depth + int(p.freed[0]), p.most_free
        # One less than are free: the sign says whether none is. That a beat comes shows late in the cycle.
        spare = Signal(range(-1, most), init=start - 1)
        writable, taken = Signal(init=1), Signal()
        # Places that are free from now on, and one less.
        released = [Signal(range(-k, most + 1), init=-k, name=f"released{k}") for k in (0, 1)]
        after = [spare + more for more in released]
        m.d.comb += [
            self.i.ready.eq(writable),
            taken.eq(self.i.valid & writable),
            ring.write_enable.eq(taken),
            ring.write_data.eq(self.i.p),
        ]
        m.d.sync += [
            spare.eq(Mux(taken, after[1], after[0])),
            writable.eq(~Mux(taken, after[1][-1], after[0][-1])),
            *(more.eq(frees - k) for k, more in enumerate(released)),
        ]
        if p.depth > 1:
            with m.If(taken):
                m.d.sync += ring.write_address.eq(next_address(ring.write_address, p.depth))
        return taken

    def program(self, m, go) -> Value:
        """The word of the beat to read; every level of tables moves on as its last child is given out."""
        levels = self.unit.program
        first, states = start_of(levels)
        word = Signal(levels[0].child_bits, init=first)
        above = [
            Signal(level.child_bits, init=symbol, name=f"symbol{k}")
            for k, (level, (symbol, _)) in enumerate(zip(levels[1:], states, strict=False))
        ]
        held, given = word, go
        for k, (level, (_, child)) in enumerate(zip(levels, states, strict=True)):
            position = Signal(range(max(2, level.children)), init=child, name=f"position{k}")
            # Entries lie where symbol and position, side by side, point.
            span = 1 << (level.children - 1).bit_length()
            flat = [0] * ((level.symbols - 1) * span + level.children)
            for symbol, row in enumerate(level.table.tolist()):
                flat[symbol * span : symbol * span + level.children] = row
            following: Any = position[:0]
            if level.children > 1:
                following = position
            if k < len(levels) - 1:
                following = Cat(following, above[k])
            if len(flat) > 1:
                style = "lut" if len(flat) <= 2048 else "block"
                table = Memory(
                    shape=level.child_bits, depth=len(flat), init=flat, attrs=memory_attributes(style)
                )
                m.submodules[f"level{k}"] = table
                port = table.read_port(domain="comb")
                m.d.comb += port.addr.eq(following)
                with m.If(given):
                    m.d.sync += held.eq(port.data)
            last = position == level.children - 1
            if level.children > 1:
                with m.If(given):
                    m.d.sync += position.eq(Mux(last, 0, position + 1))
                given = given & last
            if k < len(above):
                held = above[k]
        return word

    def read(self, m, ring, go, fill, step, back) -> None:
        """Memory in two cycles, fill in the next; the address moves on by a step, round the ring."""
        p = self.unit
        if p.depth > 1:
            address = Signal(range(p.depth), init=int(p.places[0]) % p.depth)
            further = address + step
            if p.depth & (p.depth - 1):
                round_again = Signal(signed(len(back) + 1))
                m.d.comb += round_again.eq(address + back.as_signed())
                further = Mux(round_again[-1], further, round_again)
            with m.If(go):
                m.d.sync += address.eq(further)
            m.d.comb += ring.read_address.eq(address)
        word = ring.read_data
        filled = delayed(m, fill, p.PIPELINE - 1, "fill") if len(fill) else None
        out = Signal(payload(p.output), reset_less=True)
        bits, pattern = p.type.bits, int(p.output_type.encode(p.fill))
        for lane in range(p.lanes):
            x = word[lane * bits : (lane + 1) * bits]
            if p.output_type != p.type:
                x = lane_number(x, p.type)
            m.d.sync += out[lane].eq(x if filled is None else Mux(filled, pattern, x))
        valid = delayed(m, go, p.PIPELINE, "valid", reset_less=False)
        m.d.comb += [self.buffer.i.p.eq(out), self.buffer.i.valid.eq(valid)]
