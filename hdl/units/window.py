"""Circuit of :class:`pulsefold.compiler.plan.units.window.Window`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from amaranth.hdl import Array, Const, Module, Mux, Shape, Signal, Value, signed

from pulsefold.hdl.memory.choice import chosen
from pulsefold.hdl.memory.ram import LateRam
from pulsefold.hdl.register import delayed
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.credits import credits_left
from pulsefold.hdl.units.streams import UnitComponent, payload

__all__ = ["WindowCircuit"]


def either(late, without, with_it):
    """A choice by what is known late in the cycle, of what is known early."""
    return Mux(late, with_it, without)


def walked(m, bounds: range, start: int, levels: Sequence[tuple[str, int]], step, wrap) -> Value:
    """Where nested counters, outer ones first, stand together.

    Each moves on by so much with its step, and with its wrap goes back to where the one around it stands, the
    outermost to `start`. A counter's step is a wrap of all inside it, and there has the last word.
    """
    place: Value = Const(start, Shape.cast(bounds))
    moves: list[tuple[Value, Value]] = []
    for name, distance in levels:
        around, place = place, Signal(bounds, init=start, name=f"{name}_place")
        moves = [(step[name], place + distance), (wrap[name], around), *moves]
        for event, target in moves:
            with m.If(event):
                m.d.sync += place.eq(target)
    return place


class WindowCircuit(UnitComponent):
    """A ring of rows, written in raster order and read window by window.

    Rows are addressed by their place in the ring, so that a row above the frame (padding) has an address too
    and only a range check tells it apart. Each step of the reading side is one beat; it is taken when the
    rows of the output row lie complete and the output buffer has promised a place. Timing as the parameter
    object states.
    """

    def elaborate(self, platform):
        m = Module()
        p = self.unit
        banks = [LateRam(p.input.width, p.rows * p.bank_beats, p.memory) for _ in range(p.pixels)]
        for k, bank in enumerate(banks):
            m.submodules[f"bank{k}"] = bank
        self.connect_output(m)
        buffer = self.buffer
        row_done, release = Signal(), Signal(range(p.rows + 1))
        self.write(m, banks, row_done, release)
        self.read(m, banks, buffer, row_done, release)
        return m

    def write(self, m, banks, row_done, release) -> None:
        """Rows into the ring while one is free, columns into one bank after the other."""
        p = self.unit
        size = p.rows * p.bank_beats
        address = Signal(range(max(2, size)))
        free = Signal(range(p.rows + 1), init=p.rows)
        writable = Signal(init=1)
        # Registers lead to what follows from a beat: that it came shows late in the cycle.
        taken = Signal()
        last = Counter(m, p.row_beats, taken, "written").last
        m.d.comb += [
            self.i.ready.eq(writable),
            taken.eq(self.i.valid & writable),
            row_done.eq(taken & last),
        ]
        after = free + release, free + release - 1
        m.d.sync += [
            free.eq(either(row_done, *after)),
            writable.eq(either(row_done, *(n != 0 for n in after))),
        ]
        number = self.walk_banks(m, taken, last, address, size)
        # Written a cycle later: the row is read no sooner than three after its last beat.
        place = delayed(m, address, 1, "place")
        word = delayed(m, self.i.p.as_value(), 1, "word")
        for k, bank in enumerate(banks):
            enable = Signal(name=f"write{k}")
            m.d.sync += enable.eq(taken & (number == k))
            m.d.comb += [
                bank.write_address.eq(place),
                bank.write_data.eq(word),
                bank.write_enable.eq(enable),
            ]

    def walk_banks(self, m, taken, last, address, size: int):
        """The bank of the beat that comes in; all banks have its address, the same for a column each."""
        p = self.unit
        onward = Mux(address == size - 1, 0, address + 1)
        if p.pixels == 1:
            with m.If(taken):
                m.d.sync += address.eq(onward)
            return Const(0, 1)
        number = Signal(range(p.pixels))
        over = Counter(m, p.folds, taken, "written_fold").last
        # A row's last column may lie in any bank: the next row begins in the first, at the next address.
        wraps = last | (number == p.pixels - 1)
        with m.If(taken):
            m.d.sync += [
                address.eq(Mux(over & ~wraps, address - (p.folds - 1), onward)),
            ]
            with m.If(over):
                m.d.sync += number.eq(Mux(wraps, 0, number + 1))
        return number

    def read(self, m, banks, buffer, row_done, release_out) -> None:
        """Steps through the windows, and releases rows no later window of the frame needs."""
        p = self.unit
        go, earn = Signal(), Signal()
        _, credit = credits_left(m, p.buffer_depth, spend=go, earn=earn)
        # Whoever reads the windows may be far.
        m.d.sync += earn.eq(self.o.valid & self.o.ready)

        (kh, kw), (oh, ow), folds = p.kernel, p.output_shape, p.folds
        steps = ow // p.pixels // p.held
        sizes = {"turn": p.held, "fold": folds, "kx": kw, "ky": kh, "again": p.repeats, "ox": steps, "oy": oh}
        taps = ["kx", "ky", "fold"] if p.channels_outer else ["fold", "kx", "ky"]
        inner = ["kx", "turn", "fold", "ky"] if p.row_taps else ["turn", *taps]
        order = [*inner, "again", "ox", "oy"]
        count, step, wrap = {}, {}, {}
        # Whether all counters before one stand at their ends, from registers: `go` comes late in the cycle.
        ends = Const(1, 1)
        for name in order:
            if name == "oy":
                # One register for all: whether a row ends leads to whether the next one may begin.
                ends = Counter(m, p.sent_row, go, "sent").last
            step[name], wrap[name] = Signal(name=f"step_{name}"), Signal(name=f"wrap_{name}")
            counter = Counter(m, sizes[name], step[name], name)
            count[name] = counter.value
            m.d.comb += [step[name].eq(go & ends), wrap[name].eq(go & ends & counter.last)]
            ends = ends & counter.last

        # The addresses follow a cycle later: what steps shows late, and leads to many of their bits.
        walk, back = (
            {name: delayed(m, event, 1, f"{kind}_{name}", reset_less=False) for name, event in events.items()}
            for kind, events in (("walk", step), ("back", wrap))
        )
        went = delayed(m, go, 1, "went", reset_less=False)
        fold, kx = (delayed(m, count[name], 1, name) for name in ("fold", "kx"))
        inside = prod(sizes[name] for name in order[: order.index("ky")])
        row_address, row = self.rows_walk(m, walk, back, inside)
        # Rows that lie complete beyond those that this output row needs: it may be read while they are not
        # fewer. That a row came and that an output row ends shows late in the cycle.
        program = p.row_program
        following = [*program[1:], program[0]]
        changes = [less - need + more for (need, less), (more, _) in zip(program, following, strict=True)]
        beyond = Signal(range(-p.rows, p.rows + 1), init=-program[0][0])
        release = Signal(range(p.rows + 1), init=program[0][1])
        # How many fewer they are for the next output row, and one less than that.
        fewer = [
            Signal(range(min(changes) - 1, max(changes) + 1), init=changes[0] - k, name=f"fewer{k}")
            for k in (0, 1)
        ]
        row_over = step["oy"]
        if oh > 1:
            with m.If(row_over):
                m.d.sync += [
                    release.eq(Array(r for _, r in following)[count["oy"]]),
                    *(
                        f.eq(Array(Const(c - k, f.shape()) for c in [*changes[1:], changes[0]])[count["oy"]])
                        for k, f in enumerate(fewer)
                    ),
                ]
        beyond_next = either(
            row_over,
            either(row_done, beyond, beyond + 1),
            either(row_done, *(beyond - f for f in fewer)),
        )
        m.d.sync += [beyond.eq(beyond_next), go.eq(credit & ~beyond_next[-1])]
        released = Signal(range(p.rows + 1))
        m.d.sync += [released.eq(Mux(row_over, release, 0)), release_out.eq(released)]

        if p.pixels == 1:
            column = self.columns_walk(m, walk, back)
            self.fetch(m, banks[0], buffer, went, row_address, row, column, fold)
        else:
            left = self.left_walk(m, walk, back)
            self.fetch_several(m, banks, buffer, went, row_address, row, left, fold, kx)

    def rows_walk(self, m, step, wrap, inside: int):
        """Ring address and frame index of the tap's row; `inside` are the beats of one of a window's rows."""
        p = self.unit
        size, beats = p.rows * p.bank_beats, p.bank_beats
        height, top_pad = p.shape[0], p.pads[0]

        def ring(value, rows: int, every: int):
            # Sum, wrapped sum and test side by side: a chain of the three would set the clock.
            rest = size - rows * beats % size
            moved = Mux(value >= rest, value - rest, value + (size - rest))
            if every == 1:
                return moved
            # Rows do not change every cycle: where the next one lies waits in a register.
            ahead = Signal(range(size), init=(value.init + rows * beats) % size, name=f"{value.name}_ahead")
            m.d.sync += ahead.eq(moved)
            return ahead

        span = height + sum(p.pads[::2]) + 1
        start = -top_pad * beats % size
        top, address = (Signal(range(size), init=start, name=n) for n in ("top", "row_address"))
        top_row, row = (Signal(range(-top_pad - 1, span), init=-top_pad, name=n) for n in ("top_row", "row"))
        down = (ring(address, p.dilation[0], inside), row + p.dilation[0])
        next_row = (ring(top, p.stride[0], p.sent_row), top_row + p.stride[0])
        frame = (ring(top, height - (p.output_shape[0] - 1) * p.stride[0], p.sent_row), -top_pad)
        with m.If(step["ky"]):
            m.d.sync += [address.eq(down[0]), row.eq(down[1])]
        with m.If(wrap["ky"]):
            m.d.sync += [address.eq(top), row.eq(top_row)]
        for event, (a, r) in ((step["oy"], next_row), (wrap["oy"], frame)):
            with m.If(event):
                m.d.sync += [top.eq(a), address.eq(a), top_row.eq(r), row.eq(r)]
        return address, row

    def columns_walk(self, m, step, wrap):
        """Beat offset of the tap's column in its row; negative or past the row where padded."""
        p = self.unit
        left_pad = p.pads[1] * p.folds
        span = (p.shape[1] + p.pads[1] + p.pads[3] + 1) * p.folds
        levels = [("kx", p.dilation[1] * p.folds)]
        if p.held > 1:
            levels.insert(0 if p.row_taps else 1, ("turn", p.stride[1] * p.folds))
        levels.insert(0, ("ox", p.held * p.stride[1] * p.folds))
        return walked(m, range(-left_pad - 1, span), -left_pad, levels, step, wrap)

    def fetch(self, m, memory, buffer, went, row_address, row, column, fold) -> None:
        """Four registers: offset, two of the memory, padding."""
        p = self.unit
        valid = [Signal(name=f"valid_{k}") for k in range(p.pipeline - 1)]
        previous = went
        for v in valid:
            m.d.sync += v.eq(previous)
            previous = v
        offset = Signal(signed(len(column) + 1))
        base = Signal.like(row_address, name="base")
        word = memory.read_data
        m.d.sync += [offset.eq(column + fold), base.eq(row_address)]
        m.d.comb += memory.read_address.eq(base + offset)
        outside = [Signal(name=f"outside_{k}") for k in range(3)]
        inside = (row >= 0) & (row < p.shape[0]) & (column >= 0) & (column < p.row_beats)
        m.d.sync += [outside[0].eq(~inside), outside[1].eq(outside[0]), outside[2].eq(outside[1])]
        self.send(m, buffer, valid[-1], [word], [outside[2]])

    def send(self, m, buffer, valid, words, outside) -> None:
        """Beats of all pixels, or their padding, by way of a register."""
        p = self.unit
        out = Signal(payload(p.output), reset_less=True)
        bits = p.type.bits
        pad = int(p.output_type.encode(p.pad_value)) if not p.output_type.is_bipolar else int(p.pad_value > 0)
        for pixel, (word, beyond) in enumerate(zip(words, outside, strict=True)):
            for lane in range(p.lanes):
                x = word[lane * bits : (lane + 1) * bits]
                if p.output_type != p.type:
                    x = Mux(x, 1, 3)  # bipolar to ternary
                m.d.sync += out[pixel * p.lanes + lane].eq(Mux(beyond, pad, x) if any(p.pads) else x)
        m.d.comb += [buffer.i.p.eq(out), buffer.i.valid.eq(valid)]

    def left_walk(self, m, step, wrap):
        """Beat offset in the banks of the first column of the pixels' step, padding not counted."""
        p = self.unit
        stride = p.stride[1] * p.folds
        levels = [("ox", p.held * stride), *([("turn", stride)] if p.held > 1 else [])]
        return walked(m, range(p.output_shape[1] // p.pixels * stride + 1), 0, levels, step, wrap)

    def fetch_several(self, m, banks, buffer, went, row_address, row, left, fold, kx) -> None:
        """Five registers: place in each bank, offset, two of the memory, exchange and padding."""
        p = self.unit

        def later(value, cycles: int, name: str) -> list[Signal]:
            chain = [value]
            for k in range(cycles):
                chain.append(Signal.like(chain[-1], name=f"{name}_{k}"))
                m.d.sync += chain[-1].eq(chain[-2])
            return chain

        valid = later(went, p.pipeline - 1, "valid")
        base, start = later(row_address, 2, "base"), later(left, 1, "left")
        kernel_column = later(kx, 4, "kx")
        words = []
        for b, bank in enumerate(banks):
            # Columns in the bank, for each kernel column: the pixels' places are all in different banks.
            table = [next(q for bank_of, q in row_of if bank_of == b) * p.folds for row_of in p.places]
            spot = Signal(range(min(table), max(table) + p.folds), name=f"spot_{b}")
            offset = Signal(signed(max(len(left), len(spot)) + 2), name=f"offset_{b}")
            m.d.sync += [
                spot.eq(Array(Const(q, spot.shape()) for q in table)[kx] + fold),
                offset.eq(start[1] + spot),
            ]
            m.d.comb += bank.read_address.eq(base[2] + offset)
            words.append(bank.read_data)
        sent, outside = [], []
        for pixel in range(p.pixels):
            places = [row_of[pixel] for row_of in p.places]
            # An index that is never there must not mean 0: synthesis would make it a reset of all registers.
            sent.append(chosen(m, [words[b] for b, _ in places], kernel_column[4], None))
            beyond = Signal(name=f"beyond_{pixel}")
            m.d.comb += beyond.eq((row < 0) | (row >= p.shape[0]) | self.past_column(left, kx, places))
            outside.append(later(beyond, 4, f"outside_{pixel}")[4])
        self.send(m, buffer, valid[-1], sent, outside)

    def past_column(self, left, kx, places):
        """Whether a pixel's column, at the `places` of the kernel's columns, is padding."""
        p = self.unit
        if not (p.pads[1] or p.pads[3]):
            return Const(0, 1)
        least = [-q * p.folds for _, q in places]
        most = [((p.shape[1] - 1 - bank) // p.pixels - q) * p.folds for bank, q in places]
        bounds = range(min(*least, *most, 0), max(*least, *most, 0) + 1)
        shape = Shape.cast(bounds)
        low, high = (Array(Const(v, shape) for v in table)[kx] for table in (least, most))
        return (left < low) | (left > high)
