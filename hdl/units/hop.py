"""Groups of PEs in a row: weights, sums and accumulators of a matrix unit, and what becomes of them."""

from __future__ import annotations

import functools
from itertools import pairwise
from operator import and_

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units.matvec import MatVec
from pulsefold.compiler.plan.units.threshold import threshold_style
from pulsefold.hdl.memory.rom import Rom
from pulsefold.hdl.register import data_register, delayed
from pulsefold.hdl.units.carry import Accumulator, CarryCount
from pulsefold.hdl.units.counting import Counter
from pulsefold.hdl.units.dot import constant_product, dot_product, lane_value
from pulsefold.hdl.units.pair import paired
from pulsefold.hdl.units.reduction import Term
from pulsefold.hdl.units.threshold import ThresholdPipeline

__all__ = ["Hop", "Sink", "hop_row", "raw_shape", "result_shape", "send_rows"]


def raw_shape(unit: MatVec) -> Shape:
    """Shape of a row's final raw accumulator."""
    low, high = unit.dot.raw_range
    return Shape.cast(range(low, high + 1))


def result_shape(unit: MatVec) -> Shape:
    """Shape of what a row gives: its answer where the accumulator decides it, else the raw accumulator."""
    return unsigned(1) if unit.decided else raw_shape(unit)


def control(unit: MatVec) -> data.StructLayout:
    """What travels beside the activations: weight address, ends of a fold, and whether a beat is there.

    Where weights are held no address, but whether the beat is the first or last of those that they are for.
    """
    ends = {"first": 1, "last": 1, "valid": 1}
    if unit.held > 1:
        return data.StructLayout({"takes": 1, "leaves": 1, **ends})
    return data.StructLayout({"address": range(max(2, unit.weight_depth)), **ends})


class SharedWeights(wiring.Component):
    """The weight memory of some groups of PEs, which hold its words for several beats.

    From the cycle in which `takes` is high a part of a word is read in each: the first part for each group,
    the first group's first, then the next part for each. `data` has the last of a group's
    ``unit.weight_latency - 1`` cycles after its turn. Where fewer groups share than elsewhere, reading begins
    as much later as their words are whole sooner.

    Parameters
    ----------
    unit
        Parameter object.
    words
        Contents, of each group in its order.
    """

    def __init__(self, unit: MatVec, words: list[list[int]]) -> None:
        self.unit, self.sharers = unit, len(words)
        lows, mask = range(0, unit.weight_width, unit.part_width), (1 << unit.part_width) - 1
        self.words = [
            (word >> low) & mask for beat in zip(*words, strict=True) for low in lows for word in beat
        ]
        super().__init__({"takes": In(1), "data": Out(unsigned(unit.part_width))})

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        rows = p.weight_rows if p.weight_rows < len(self.words) else 0
        m.submodules.weights = rom = Rom(
            p.part_width, self.words, p.memory, p.memory_width, late=p.late_weights, rows=rows
        )
        later = p.part_wait(p.sharers[0]) - p.part_wait(self.sharers)
        takes = delayed(m, self.takes, later, "takes", reset_less=False)
        reads = self.sharers * p.parts
        left = Signal(range(max(2, reads)))
        step = takes | (left != 0)
        with m.If(takes):
            m.d.sync += left.eq(reads - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        address = Counter(m, len(self.words), step, "address").value
        back = p.weight_returns - (rows > 0) - 1
        m.d.comb += [
            rom.address.eq(delayed(m, address, p.weight_registers, "address")),
            self.data.eq(delayed(m, rom.data, back, "weights")),
        ]
        return m


class Hop(wiring.Component):
    """A group of PEs: weight memory, dot products, accumulators; passes activations and control on.

    `control_o` follows `control_i` and `x_o` follows `x_i` by one cycle. A beat's activations come
    ``unit.vector_wait`` cycles behind its control, so that they meet its weights behind the registers. `raw`
    holds the sums of a fold from the cycle in which `done` is high. Weights that are held come at
    `weights_i`, from :class:`SharedWeights`.

    Parameters
    ----------
    unit
        Parameter object.
    index
        Which group.
    hold
        Keep `raw` until this group's next fold ends (True), or only for one cycle and then delay it by
        the hops that follow (False).
    """

    def __init__(self, unit: MatVec, index: int, *, hold: bool) -> None:
        self.unit, self.index, self.hold = unit, index, hold
        #: Where the sum of the vector whose turn it is waits, in all accumulators' RAM.
        self.place = Signal(range(max(2, unit.waiting_places)))
        super().__init__(
            {
                "control_i": In(control(unit)),
                "control_o": Out(control(unit)),
                **({"weights_i": In(unsigned(unit.part_width))} if unit.held > 1 else {}),
                "x_i": In(unsigned(unit.input.width)),
                "x_o": Out(unsigned(unit.input.width)),
                "raw": Out(data.ArrayLayout(result_shape(unit), unit.pixels * unit.hop)),
                "done": Out(1),
            }
        )

    def words(self) -> list[int]:
        """Contents of the weight memory: word (row group, column group), PE outer, SIMD inner."""
        p = self.unit
        width = p.dot.stored_bits
        if p.dot.paired:
            # The upper of two rows less one where the lower is negative: what their sum as one number has.
            pairs = p.weights.reshape(-1, 2, p.columns).copy()
            pairs[:, 1] -= pairs[:, 0] < 0
            bits = pairs.reshape(p.weights.shape) & ((1 << width) - 1)
        else:
            bits = p.weight_type.encode(p.weights)
        if p.dot.inverts:
            bits = 1 - bits
        rows = bits.reshape(p.all_folds, p.pe, p.column_folds, p.simd)
        rows = rows[:, self.index * p.hop : (self.index + 1) * p.hop].transpose(0, 2, 1, 3)
        rows = rows.reshape(p.weight_depth, p.hop * p.simd)
        return [sum(int(v) << (k * width) for k, v in enumerate(word)) for word in rows]

    def elaborate(self, platform):
        p = self.unit
        m = Module()
        # Data needs no reset, and a reset of every data register is the largest net of a design.
        weights = self.held_weights(m) if p.held > 1 else self.own_weights(m)
        passed = Signal(len(self.x_i), reset_less=True)
        m.d.sync += [self.control_o.eq(self.control_i), passed.eq(self.x_i)]
        m.d.comb += self.x_o.eq(passed)

        # Control of the beat whose operands are at the adder trees' inputs.
        x = self.x_o
        names = ["first", "last", "valid", *(["leaves"] if p.held > 1 else [])]
        stages = [[self.control_o[name] for name in names]]
        for k in range(p.control_stages):
            now = [Signal(name=f"{n}_{k}") for n in names]
            m.d.sync += [a.eq(b) for a, b in zip(now, stages[-1], strict=True)]
            stages.append(now)
        first, last, valid, *_ = stages[-1]
        # A fold of rows is over with the last beat of the last vector that weights were held for.
        ends = [functools.reduce(and_, stage[1:]) for stage in stages]

        if p.waiting_places:
            m.d.comb += self.place.eq(Counter(m, p.waiting_places, valid, "place").value)
        ended = Signal()
        m.d.sync += [ended.eq(valid & last), self.done.eq(ended)]
        xs_of = lanes_of(x, p.pixels, p.simd * p.type.bits)
        ws_of = lanes_of(weights, p.hop * p.simd, p.dot.stored_bits)
        starts = self.starts(m, ends)
        products: list[Term] = []
        for lane in range(p.pixels * p.hop):
            pixel, pe = divmod(lane, p.hop)
            if p.dot.form == "xnor" and p.adder == "carry":
                # Whole words: Amaranth takes a single bit from one in as long as it is wide.
                ws = weights[pe * p.simd : (pe + 1) * p.simd]
                total = self.count(m, lane, xs_of[pixel], ws, first, valid, starts[pe])
            else:
                xs = lanes_of(xs_of[pixel], p.simd, p.type.bits)
                ws = ws_of[pe * p.simd : (pe + 1) * p.simd]
                if p.dot.paired and not pe % 2:
                    above = ws_of[(pe + 1) * p.simd : (pe + 2) * p.simd]
                    numbers = [lane_value(x, p.type) for x in xs]
                    products += reversed(paired(m, p.dot.pair, numbers, above, ws, f"pe{lane}"))
                elif p.dot.form == "constant":
                    row_of = self.index * p.hop + pe
                    products.append(constant_product(m, p.dot, xs, row_of, f"pe{lane}"))
                elif not p.dot.paired:
                    products.append(dot_product(m, p.dot, xs, ws, f"pe{lane}"))
                total = self.total(m, lane, products[lane].value, first, valid)
            held = Signal(result_shape(p), name=f"held{lane}", reset_less=True)
            if self.hold:
                with m.If(ended):
                    m.d.sync += held.eq(total)
            else:
                m.d.sync += held.eq(total)
                for k in range(p.hops - 1 - self.index):
                    later = Signal.like(held, name=f"held{lane}_{k}", reset_less=True)
                    m.d.sync += later.eq(held)
                    held = later
            m.d.comb += self.raw[lane].eq(held)
        return m

    def own_weights(self, m) -> Value:
        """From the group's memory, at the address that comes with the control."""
        p = self.unit
        m.submodules.weights = rom = Rom(
            p.weight_width, self.words(), p.memory, p.memory_width, late=p.late_weights, rows=p.weight_rows
        )
        m.d.comb += rom.address.eq(delayed(m, self.control_i.address, p.weight_registers, "address"))
        return delayed(m, rom.data, p.weight_returns - (p.weight_rows > 0), "weights")

    def held_weights(self, m) -> Value:
        """From the shared memory when the group's turn comes, with the last part, until it comes again."""
        p = self.unit
        sharers = p.sharers[self.index // p.shared]
        first = p.weight_latency - 1 - p.part_wait(sharers)
        takes = delayed(m, self.control_i.takes, first, "takes", reset_less=False)
        waiting = []
        for part in range(p.parts - 1):
            waiting.append(data_register(unsigned(p.part_width), f"part{part}"))
            with m.If(takes):
                m.d.sync += waiting[-1].eq(self.weights_i)
            takes = delayed(m, takes, sharers, f"takes{part}", reset_less=False)
        weights = data_register(unsigned(p.weight_width), "held_weights")
        with m.If(takes):
            m.d.sync += weights.eq(Cat(*waiting, self.weights_i))
        return weights

    def count(self, m, lane: int, xs: Value, ws: Value, first, valid, start):
        """The accumulator of one PE and pixel in carry cells, or its answer."""
        p = self.unit
        most = p.columns + 1 if p.decided else 0
        shape = Shape.cast(range(-most, p.columns + 1))
        m.submodules[f"pe{lane}"] = counter = CarryCount(
            p.simd, "xor", shape, turns=p.held, places=p.waiting_places
        )
        m.d.comb += [
            counter.a.eq(xs),
            counter.b.eq(ws),
            counter.first.eq(first if p.column_folds > 1 else 1),
            counter.enable.eq(valid),
            counter.start.eq(start),
        ]
        if p.waiting_places:
            m.d.comb += counter.place.eq(self.place)
        return ~counter.total[-1] if p.decided else counter.total

    def total(self, m, lane: int, product: Value, first, valid):
        """The accumulator of one PE and pixel."""
        p = self.unit
        if p.column_folds == 1:
            total = Signal(raw_shape(p), name=f"total{lane}", reset_less=True)
            with m.If(valid):
                m.d.sync += total.eq(product)
            return total
        m.submodules[f"total{lane}"] = accumulator = Accumulator(
            product.shape(), raw_shape(p), turns=p.held, places=p.waiting_places
        )
        m.d.comb += [
            accumulator.value.eq(product),
            accumulator.first.eq(first),
            accumulator.enable.eq(valid),
            accumulator.start.eq(0),
        ]
        if p.waiting_places:
            m.d.comb += accumulator.place.eq(self.place)
        return accumulator.total

    def starts(self, m, ends: list) -> list:
        """What the accumulators of each PE start at in the cycle after the last of `ends`, the ends of folds.

        The registers of the table and of its address take earlier ones, as far as there are any.
        """
        p = self.unit
        early = p.starts_early
        row, following = walk_rows(m, p, ends[-1 - early])
        shape = Shape.cast(range(-p.columns - 1, 1))
        found = []
        for pe in range(p.hop):
            starts = [int(v) for v in p.starts[self.index * p.hop + pe :: p.pe]]
            if len(set(starts)) == 1:
                found.append(Const(starts[0], shape))
                continue
            words = [v & ((1 << shape.width) - 1) for v in starts]
            rom = Rom(shape.width, words, p.starts_style, late=early == 2)
            m.submodules[f"starts{pe}"] = rom
            m.d.comb += rom.address.eq(row if early else following)
            found.append(rom.data.as_signed())
        return found


def walk_rows(m: Module, p: MatVec, end: Value) -> tuple[Signal, Value]:
    """Number of the fold of rows, and of the one that it is after this cycle, in which `end` ends it.

    The next one is counted ahead: a table stands behind the choice.
    """
    row, after = Signal(range(max(2, p.all_folds))), Signal(range(max(2, p.all_folds)), init=p.all_folds > 1)
    following = Mux(end, after, row)
    m.d.sync += row.eq(following)
    with m.If(end):
        m.d.sync += after.eq(Mux(after == p.all_folds - 1, 0, after + 1))
    return row, following


def lanes_of(word, lanes: int, bits: int) -> list:
    """Slices of a word, lowest first."""
    return [word[k * bits : (k + 1) * bits] for k in range(lanes)]


class Sink:
    """Where results go, in the cycle in which `valid` is high.

    Parameters
    ----------
    width
        Bits of a beat.
    """

    def __init__(self, width: int) -> None:
        self.p = Signal(width, name="result")
        self.valid = Signal(name="result_valid")


def hop_row(m: Module, p: MatVec) -> list[Hop]:
    """The hops of a matrix unit, each passing its activations on to the next."""
    hops = [Hop(p, k, hold=p.keeps_results) for k in range(p.hops)]
    for k, hop in enumerate(hops):
        m.submodules[f"hop{k}"] = hop
    for k in range(0, p.hops, p.shared) if p.held > 1 else ():
        sharers = hops[k : k + p.shared]
        m.submodules[f"weights{k}"] = memory = SharedWeights(p, [hop.words() for hop in sharers])
        m.d.comb += memory.takes.eq(sharers[0].control_i.takes)
        m.d.comb += [hop.weights_i.eq(memory.data) for hop in sharers]
    for a, b in pairwise(hops):
        m.d.comb += [b.control_i.eq(a.control_o), b.x_i.eq(a.x_o)]
    return hops


def send_rows(m: Module, p: MatVec, hops: list[Hop], sink: Sink) -> None:
    """All hops' sums at once, through the steps or turned into accumulators."""
    done = hops[-1].done
    lanes = lanes_of(sink.p, p.output.lanes, p.output.type.bits)
    raws = [hop.raw[pixel * p.hop + k] for pixel in range(p.pixels) for hop in hops for k in range(p.hop)]
    if p.decided:
        m.d.comb += [sink.valid.eq(done), *(lanes[k].eq(raw) for k, raw in enumerate(raws))]
        return
    if p.steps:
        steps = p.steps.shifted(p.dot.offset, p.dot.gain)
        for pixel in range(p.pixels):
            search = ThresholdPipeline(steps, p.pe, raw_shape(p), turns=p.held)
            m.submodules[f"steps{pixel}"] = search
            m.d.comb += [search.valid.eq(done), sink.valid.eq(search.done)]
            for lane in range(p.pe):
                m.d.comb += [
                    search.x[lane].eq(raws[pixel * p.pe + lane]),
                    lanes[pixel * p.pe + lane].eq(search.y[lane]),
                ]
        return
    wait = p.offset_latency - 1
    m.d.comb += sink.valid.eq(delayed(m, done, 1 + wait, "ready", reset_less=False))
    _, following = walk_rows(m, p, done & Counter(m, p.held, done, "turn").last)
    kind = p.accumulator_type
    for lane, raw in enumerate(raws):
        offsets = [int(v) for v in p.dot.offset[lane % p.pe :: p.pe]]
        offset = Const(offsets[0], range(min(0, *offsets), max(0, *offsets) + 1))
        if len(set(offsets)) > 1:
            words = [v & ((1 << kind.bits) - 1) for v in offsets]
            rom = Rom(kind.bits, words, threshold_style(len(words)), late=wait > 0)
            m.submodules[f"offset{lane}"] = rom
            m.d.comb += rom.address.eq(following)
            offset = rom.data
        late = delayed(m, raw, wait, f"raw{lane}")
        y = Signal(kind.bits, name=f"y{lane}", reset_less=True)
        m.d.sync += y.eq(late * p.dot.gain + offset)
        m.d.comb += lanes[lane].eq(y)
