"""One stream of many, chosen while the board runs, beat by beat to the host."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.units import Stream
from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.pack import BeatParameters
from pulsefold.hdl.link.protocol import DEBUG_TENSOR
from pulsefold.hdl.units.streams import payload

__all__ = ["Probe", "TapSignature"]

#: Streams of a group, behind whose multiplexer there is a register.
_GROUP = 8


class TapSignature(wiring.Signature):
    """A place between a stream's driver and its reader, seen from the network.

    A beat that waits there passes in the cycle after those in which `open` is high.

    Parameters
    ----------
    s
        The stream.
    """

    def __init__(self, s: Stream) -> None:
        super().__init__({"p": Out(payload(s)), "valid": Out(1), "ready": Out(1), "open": In(1)})


class Probe(wiring.Component):
    """Sends the host a copy of each beat of one stream before it lets the beat pass.

    So a stream that is looked at is as slow as the line, and nothing is lost whatever its length. Values
    cannot change by that, as every stream may stall in any cycle; what is wrong only at full speed may hide.

    A byte at `i` chooses the stream: 1 is the first, 0 or any other number is none, as after a reset. Choose
    before the first beat. The bytes at `o` are those of docs/host-link.md, the last of each beat marked.

    Timing: a beat takes its bytes and 8 cycles. Other streams are not delayed.

    Parameters
    ----------
    streams
        What may be looked at, at most 255; `taps` has the place of each.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        if not 1 <= len(streams) <= 255:
            msg = f"there must be 1 to 255 streams, not {len(streams)}"
            raise ValueError(msg)
        self.streams = tuple(streams)
        taps = {f"tap{k}": In(TapSignature(s)) for k, s in enumerate(self.streams)}
        super().__init__(
            {**taps, "i": In(stream.Signature(8, always_ready=True)), "o": Out(stream.Signature(TensorByte))}
        )
        self.taps = [getattr(self, name) for name in taps]

    def elaborate(self, platform):
        m = Module()
        width = max(s.width for s in self.streams)
        sizes = [BeatParameters(width=s.width).bytes for s in self.streams]
        chosen = Signal(8)
        with m.If(self.i.valid):
            m.d.sync += chosen.eq(self.i.payload)

        pass_on = Signal()
        mine = Signal(len(self.taps))
        waiting, moves = Signal(), Signal()
        for k, tap in enumerate(self.taps):
            m.d.sync += mine[k].eq(chosen == k + 1)
            m.d.comb += tap.open.eq(~mine[k] | pass_on)
        m.d.comb += [
            waiting.eq(Cat(tap.valid & mine[k] for k, tap in enumerate(self.taps)).any()),
            moves.eq(Cat(tap.valid & tap.ready & mine[k] for k, tap in enumerate(self.taps)).any()),
        ]

        # The beat waits, so its way here may take as long as it likes.
        groups = []
        for first in range(0, len(self.taps), _GROUP):
            here = range(first, min(first + _GROUP, len(self.taps)))
            group = Signal(width, name=f"group{first}", reset_less=True)
            parts = [Mux(mine[k], self.taps[k].p.as_value(), 0) for k in here]
            m.d.sync += group.eq(_any(parts))
            groups.append(group)
        count = max(sizes)
        beat = Signal(8 * count, reset_less=True)
        left = Signal(range(count + 1))
        settled = Signal(2)
        with m.FSM():
            with m.State("WAIT"):
                m.d.sync += settled.eq(Mux(waiting, settled + 1, 0))
                with m.If(settled == 3):
                    m.d.sync += [beat.eq(_any(groups)), left.eq(Array([Const(0), *sizes])[chosen])]
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(beat[:8]),
                    self.o.payload.tensor.eq(DEBUG_TENSOR),
                    self.o.payload.last.eq(left == 1),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [beat.eq(beat >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += pass_on.eq(1)
                m.d.sync += settled.eq(0)
                with m.If(moves):
                    m.next = "WAIT"
        return m


def _any(words):
    """Bitwise or of words, as a balanced tree."""
    words = list(words)
    while len(words) > 1:
        words = [a | b for a, b in zip(words[::2], [*words[1::2], 0], strict=False)]
    return words[0]
