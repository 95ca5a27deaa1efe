"""Counters of many units in one memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.memory.ram import LateRam, memory_attributes

__all__ = ["MAX_UNITS", "CountersSignature", "UnitCounters"]

#: The protocol has so many pages.
MAX_UNITS = 255

#: Words of the memory that a page has, and their bits.
_EACH, _BITS = 2, 32

#: Longer than the pipeline from a read to its write.
_SHORTEST_PASS = 8


class CountersSignature(wiring.Signature):
    """How a link, in its own clock domain, reads the counters; seen from the link.

    `request` is held until `ready` answers, after which the words of a snapshot are at rest: `data` is the
    one at `address` a cycle ago. `ready` falls after `request`, and only then may the next one rise. Word 0
    counts cycles, words 2 p and 2 p + 1 those in which unit p - 1 was starved and stalled.
    """

    def __init__(self) -> None:
        super().__init__({"request": Out(1), "ready": In(1), "address": Out(9), "data": In(_BITS)})


class UnitCounters(wiring.Component):
    """Counts cycles, and for each unit those in which it is starved and those in which it is stalled.

    Every counter has 32 bits and wraps, but only the few lowest have registers: those fill up while a
    pointer goes once around all counters, adds what it finds to a word in block RAM and clears it. So a unit
    costs some 45 LUTs rather than 200.

    A snapshot stops all counters, goes around once more so that the memory has all of it, and once to
    copy it; then counting goes on. These 2 (2 units + 2) cycles are not counted.

    Domain ``sync`` is that of the units, ``link`` that of the one who reads.

    Parameters
    ----------
    units
        How many, at most :data:`MAX_UNITS`.
    """

    def __init__(self, units: int) -> None:
        if not 1 <= units <= MAX_UNITS:
            msg = f"units must be between 1 and {MAX_UNITS}, not {units!r}"
            raise ValueError(msg)
        self.units = units
        super().__init__(
            {
                "starved": In(units),
                "stalled": In(units),
                # While it is low nothing is counted.
                "enable": In(1),
                "read": In(CountersSignature()),
            }
        )
        #: Whether this cycle counts.
        self.counts = Signal()

    def elaborate(self, platform):
        m = Module()
        count = _EACH * (self.units + 1)
        length = max(count, _SHORTEST_PASS)
        address_bits = (length - 1).bit_length()
        request = Signal()
        m.submodules.request = FFSynchronizer(self.read.request, request)

        pointer, ends = Signal(address_bits), Signal()
        # The first time around there is nothing to add to.
        fresh = Signal(init=1)
        counting, copying = Signal(), Signal()
        m.d.comb += ends.eq(pointer == length - 1)
        m.d.sync += pointer.eq(Mux(ends, 0, pointer + 1))
        with m.If(ends):
            m.d.sync += fresh.eq(0)
        with m.FSM():
            with m.State("COUNT"):
                m.d.comb += counting.eq(1)
                with m.If(ends & request & ~fresh):
                    m.next = "DRAIN"
            with m.State("DRAIN"), m.If(ends):
                m.next = "COPY"
            with m.State("COPY"):
                m.d.comb += copying.eq(1)
                with m.If(ends):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.comb += counting.eq(1)
                with m.If(ends):
                    m.next = "READY"
            with m.State("READY"):
                m.d.comb += counting.eq(1)
                with m.If(~request):
                    m.next = "COUNT"
                    m.d.sync += self.read.ready.eq(0)
                with m.Else():
                    m.d.sync += self.read.ready.eq(1)

        # What was counted since the pointer came by.
        m.d.comb += self.counts.eq(self.enable & counting)
        few = []
        for k in range(count):
            event = 1 if k == 0 else Cat(self.starved, self.stalled)[k // 2 - 1 + (k % 2) * self.units]
            small = Signal(length.bit_length(), name=f"few{k}")
            if k != 1:
                more = event & self.counts
                m.d.sync += small.eq(Mux(pointer == k, 0, small) + more)
            few.append(small)

        # Read, which takes two cycles, add, write.
        m.submodules.totals = totals = LateRam(_BITS, 1 << address_bits, "block")
        added = [Signal(length.bit_length(), name=f"added{k}") for k in range(2)]
        at = [Signal(address_bits, name=f"at{k}") for k in range(3)]
        empty, copied = ([Signal(name=f"{n}{k}") for k in range(3)] for n in ("empty", "copied"))
        total = Signal(_BITS)
        m.d.sync += [
            added[0].eq(Cat(*few).word_select(pointer, length.bit_length())),
            added[1].eq(added[0]),
            total.eq(Mux(empty[1], 0, totals.read_data) + added[1]),
            *(a.eq(b) for a, b in zip(at, [pointer, *at], strict=False)),
            *(a.eq(b) for a, b in zip(empty, [fresh, *empty], strict=False)),
            *(a.eq(b) for a, b in zip(copied, [copying, *copied], strict=False)),
        ]
        m.d.comb += [
            totals.read_address.eq(pointer),
            totals.write_address.eq(at[2]),
            totals.write_data.eq(total),
            totals.write_enable.eq(1),
        ]
        m.submodules.snapshot = snapshot = Memory(
            shape=_BITS, depth=1 << address_bits, init=[], attrs=memory_attributes("block")
        )
        write, read = snapshot.write_port(), snapshot.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(at[2]),
            write.data.eq(total),
            write.en.eq(copied[2]),
            read.addr.eq(self.read.address),
        ]
        m.d.link += self.read.data.eq(read.data)
        return m
