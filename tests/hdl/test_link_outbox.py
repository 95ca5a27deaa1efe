"""The outbox alone: results in a ring of slots, for a host that loses frames and says all that it may."""

import random

import pytest
from amaranth.hdl import Array, Const, Module, Mux
from amaranth.sim import Simulator

from pulsefold.hdl.link.outbox import Outbox, OutboxParameters
from pulsefold.hdl.link.protocol import DELIMITER, Hello, Kind, TensorFormat, Type, decode

#: Results of a session: the numbers wrap, where the slots do not divide them at another than they began.
RESULTS = 300

#: Cycles from one command to the next at the least: the bytes of a frame, as many each as its CRC takes.
FRAME = 9 * 8

#: Cycles without a byte or a command after which nothing is under way, and the host asks.
QUIET = 300


def description(slots):
    tensor = TensorFormat(beats=1, lanes=1, bits=8, kind=Kind.UNSIGNED, shape=(1, 1, 1))
    return Hello(
        input_slots=2,
        result_slots=slots,
        design_id=bytes(16),
        clock_hz=1,
        inputs=(tensor,),
        outputs=(tensor, tensor),
    )


class Host:
    """What it has, what it says, and what must come by what it said.

    Results are counted from 0 on without end; result k is the byte `results[k]` of output tensor k % 2.
    """

    def __init__(self, rng, slots, results):
        self.rng, self.slots, self.results = rng, slots, results
        self.line, self.heard = bytearray(), dict.fromkeys((Type.RESULT, Type.STATUS, Type.HELLO), 0)
        self.taken = self.acknowledged = 0
        #: The result that is on the line, and the next one.
        self.sent = self.next = 0

    def hear(self, byte):
        """A byte off the line. What is not lost and is the next result is taken."""
        self.line.append(byte)
        if len(self.line) == 2 and byte == Type.RESULT:
            self.sent, self.next = self.next, self.next + 1
        if byte != DELIMITER:
            return
        line, self.line = bytes(self.line[:-1]), bytearray()
        self.heard[line[1]] += 1
        # A slot that was freed while it was sent may have been filled anew meanwhile.
        if line[1] == Type.RESULT and self.sent >= self.acknowledged:
            frame, payload = decode(line), bytes([self.results[self.sent]])
            assert (frame.number, frame.extra, frame.payload) == (self.sent & 0xFF, self.sent % 2, payload)
            self.taken += self.sent == self.taken and self.rng.random() < 0.7
        elif line[1] == Type.HELLO:
            assert Hello.of(decode(line)).result_slots == self.slots

    def command(self, *, silent):
        """Something to say: whether it is a RESEND, and its number."""
        rng = self.rng
        what, resend, number = rng.random(), silent or rng.random() < 0.3, self.taken
        if not silent and what < 0.2:
            # Nonsense, as numbers beyond the slots and behind them are.
            return resend, self.acknowledged + rng.randrange(self.slots + 1, 256) & 0xFF
        if not silent and what < 0.4:
            number = rng.randint(self.acknowledged, self.taken)
        self.acknowledged = number
        self.next = number if resend else max(self.next, number)
        return resend, number & 0xFF


async def session(ctx, outbox, host, end):
    """Everything at once until the host has the results up to `end`; the most that was kept."""
    rng, cycle, given, asked, quiet, most = host.rng, 0, 0, 0, 0, 0
    every, following, answer = 1, FRAME, False
    was = {}

    def put(port, value):
        if was.get(port.name) != value:
            was[port.name] = value
            ctx.set(port, value)

    put(outbox.i.valid, True)
    while host.taken < end:
        put(outbox.i.payload.as_value(), host.results[given] | given % 2 << 8 | 1 << 12)
        # What is under way stands still until a command is heeded, so that the host knows what comes.
        resend, said = False, cycle >= following and (len(host.line) >= 2 or quiet > QUIET)
        if said:
            resend, number = host.command(silent=len(host.line) < 2)
            put(outbox.number, number)
            asked, quiet = cycle, 0
            following = cycle + FRAME + int(rng.expovariate(1 / 100))
        put(outbox.ack, said and not resend)
        put(outbox.resend, said and resend)
        put(outbox.identify, cycle % 1999 == 0)
        if cycle % 487 == 0:
            every, answer = rng.choice([1, 3, 12]), True
        put(outbox.answer, answer)
        put(outbox.o.ready, cycle % every == 0 and cycle - asked > 2 * host.slots + 8)
        given += ctx.get(outbox.i.ready)
        answer = answer and not ctx.get(outbox.taken)
        quiet += 1
        if ctx.get(outbox.o.valid) and ctx.get(outbox.o.ready):
            host.hear(ctx.get(outbox.o.p))
            quiet = 0
        kept = ctx.get(outbox.written) - host.acknowledged & 0xFF
        assert kept <= host.slots
        most = max(most, kept)
        await ctx.tick()
        cycle += 1
    return most


@pytest.mark.parametrize("slots", [2, 4, 6])
def test_results_in_a_ring(slots):
    """Each comes whole under its number, in order, and again when it is asked for."""
    rng = random.Random(slots)
    outbox = Outbox(OutboxParameters(hello=description(slots)))
    m = Module()
    m.submodules.outbox = outbox
    kind = Mux(outbox.answering, Type.STATUS, Type.RESULT)
    header = Array([kind, outbox.written, outbox.tensor, Const(0, 8)])
    m.d.comb += [outbox.byte.eq(header[outbox.place[:2]]), outbox.last.eq(outbox.place == 2)]

    async def bench(ctx):
        results = rng.choices(range(256), k=RESULTS + slots + 2)
        ctx.set(outbox.open, 1)
        # One that is cut short, and one to its end.
        await session(ctx, outbox, Host(rng, slots, results), 20)
        for port, value in ((outbox.i.valid, 0), (outbox.answer, 0), (outbox.o.ready, 1), (outbox.clear, 1)):
            ctx.set(port, value)
        await ctx.tick()
        ctx.set(outbox.clear, 0)
        await ctx.tick().repeat(QUIET)
        host = Host(rng, slots, results)
        assert await session(ctx, outbox, host, RESULTS) == slots
        assert all(host.heard.values())

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
